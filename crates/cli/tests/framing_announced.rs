//! A body arrives as it was announced: with no length where none was said, with a length of zero, in chunks, whatever
//! the method, and whatever stands between.

use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use countersign_testing::callbacks::{self, Callback, Results};
use countersign_testing::http2::{self, Connection, DATA, END_STREAM, RST_STREAM, frame};
use countersign_testing::raw::{connect, converse, routes};
use countersign_testing::signed::{Draft, Key, Lab, private_key, registered};
use countersign_testing::{Echo, Gateway, Response, Seen, free_address};
use hyper::body::{Body, Frame};
use hyper_util::rt::{TokioExecutor, TokioIo};

const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// How a caller announces a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Announced {
    Nothing,
    Zero,
    Length,
    Chunks,
    /// In chunks, of which there are none.
    NoChunks,
}

const ALL: [Announced; 5] =
    [Announced::Nothing, Announced::Zero, Announced::Length, Announced::Chunks, Announced::NoChunks];

impl Announced {
    fn body(self) -> &'static str {
        match self {
            Self::Length | Self::Chunks => "{}",
            Self::Nothing | Self::Zero | Self::NoChunks => "",
        }
    }

    /// The field of HTTP/1, and the body as it is written.
    fn written(self) -> (&'static str, &'static str) {
        match self {
            Self::Nothing => ("", ""),
            Self::Zero => ("Content-Length: 0\r\n", ""),
            Self::Length => ("Content-Length: 2\r\n", "{}"),
            Self::Chunks => ("Transfer-Encoding: chunked\r\n", "2\r\n{}\r\n0\r\n\r\n"),
            Self::NoChunks => ("Transfer-Encoding: chunked\r\n", "0\r\n\r\n"),
        }
    }

    /// A request of HTTP/1, byte for byte.
    fn request(self, method: &str, target: &str, host: &str, more: &str) -> String {
        let (field, body) = self.written();
        format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{more}{field}\r\n{body}")
    }

    /// Asserts that the upstream saw what was announced, and nothing else.
    #[track_caller]
    fn arrived(self, seen: &Seen, method: &str, way: &str) {
        let (length, coding): (&[&str], &[&str]) = match self {
            Self::Nothing => (&[], &[]),
            Self::Zero => (&["0"], &[]),
            Self::Length => (&["2"], &[]),
            Self::Chunks | Self::NoChunks => (&[], &["chunked"]),
        };
        assert!(seen.request_line().starts_with(&format!("{method} ")), "{way}: {}", seen.head);
        let found = (seen.headers("content-length"), seen.headers("transfer-encoding"), &*seen.body);
        assert_eq!(
            found,
            (length.to_vec(), coding.to_vec(), self.body().as_bytes()),
            "{way} {method} {self:?}"
        );
    }
}

/// Sends it by HTTP/1.1; it must reach the upstream.
#[track_caller]
fn sent(address: SocketAddr, echo: &Echo, request: &str) -> Seen {
    let before = echo.seen().len();
    let answer = converse(address, request);
    assert!(answer.starts_with("HTTP/1.1 200 "), "{request}\n{answer}");
    assert_eq!(echo.seen().len(), before + 1, "{request}");
    echo.last()
}

fn draft(method: &str, target: &str, announced: Announced, key: &Key) -> Draft {
    let draft =
        Draft { method: method.parse().unwrap(), body: announced.body().into(), ..Draft::get(target) };
    let draft = if announced.body().is_empty() { draft } else { draft.with_digest() };
    draft.signed(key)
}

fn fields(draft: &Draft) -> String {
    let lines = draft.headers.iter();
    lines.map(|(name, value)| format!("{name}: {}\r\n", value.to_str().unwrap())).collect()
}

#[test]
fn what_http1_announces_arrives_whatever_the_method_and_the_route() {
    let echo = Echo::start();
    let more = countersign_testing::signed::routes(&echo);
    let mut gateway =
        Gateway::with_server(&countersign_testing::signed::server(), &routes(&echo.url(), &more));
    gateway.start();
    let lab = Lab { echo, gateway };
    let key = registered(&lab.gateway, private_key("ed25519", None), &[]);
    let (_, secret) = lab.gateway.key(&[]);
    let keyed = format!("X-API-Key: {secret}\r\n");
    let (address, echo) = (lab.gateway.address, &lab.echo);
    for method in METHODS {
        for announced in ALL {
            let public = announced.request(method, "/x", "gateway", "");
            announced.arrived(&sent(address, echo, &public), method, "public");
            let guarded = announced.request(method, "/guarded/x", "gateway", &keyed);
            announced.arrived(&sent(address, echo, &guarded), method, "key");
            // Chunks of nothing are a body too, and this signature does not cover it.
            if announced != Announced::NoChunks {
                let draft = draft(method, "/signature/x", announced, &key);
                let signed = announced.request(method, "/signature/x", "gateway", &fields(&draft));
                announced.arrived(&sent(address, echo, &signed), method, "signature");
            }
        }
    }
}

#[test]
fn a_body_in_chunks_is_announced_to_a_signature_whatever_the_method_and_its_size() {
    let (lab, key) = Lab::keyed();
    for method in METHODS {
        for (announced, status) in [
            (Announced::Nothing, 200),
            (Announced::Zero, 200),
            (Announced::Length, 401),
            (Announced::Chunks, 401),
            (Announced::NoChunks, 401),
        ] {
            let uncovered = draft(method, "/signature/x", Announced::Nothing, &key);
            let request = announced.request(method, "/signature/x", "gateway", &fields(&uncovered));
            let before = lab.echo.seen().len();
            let answer = converse(lab.gateway.address, &request);
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{method} {announced:?}: {answer}");
            assert!(method == "HEAD" || status == 200 || answer.contains("signature_coverage"), "{answer}");
            assert_eq!(lab.echo.seen().len() - before, usize::from(status == 200));
        }
    }
}

#[test]
fn what_a_callback_delivers_arrives_as_it_was_announced() {
    let results = Results::start();
    let mut gateway = callbacks::lab(results.address);
    gateway.start();
    for announced in ALL {
        let callback = Callback::mint(&gateway, &[]);
        let request = announced.request("POST", &callback.target, "gateway", "");
        let answer = converse(gateway.address, &request);
        assert!(answer.starts_with("HTTP/1.1 200 "), "{announced:?}: {answer}");
        announced.arrived(results.seen().last().unwrap(), "POST", "callback");
    }
}

#[test]
fn what_an_application_announces_to_an_outbound_listener_arrives() {
    let echo = Echo::start();
    let (bearer, signing) = (free_address(), free_address());
    let mut gateway = Gateway::new("");
    let listener = |listen: SocketAddr, how: &str| {
        format!(
            "[[outbound]]\nlisten = \"{listen}\"\ntarget = \"{}\"\nprove = {{ key_file = \"key\"{how} }}\n",
            echo.url()
        )
    };
    gateway.start();
    let (_, key) = gateway.key(&[]);
    gateway.stop();
    std::fs::write(gateway.path("key"), key).unwrap();
    std::process::Command::new("chmod").arg("600").arg(gateway.path("key")).status().unwrap();
    let more = format!(
        "[egress]\nallow_http_loopback = true\n{}{}",
        listener(bearer, ", bearer = true"),
        listener(signing, "")
    );
    gateway.configure("", &more);
    gateway.start();
    for method in METHODS {
        for announced in ALL {
            let request = announced.request(method, "/x", &bearer.to_string(), "");
            announced.arrived(&sent(bearer, &echo, &request), method, "outbound");
            let request = announced.request(method, "/x", &signing.to_string(), "");
            match announced {
                Announced::Chunks | Announced::NoChunks => {
                    // No signature covers a body that was not read.
                    let answer = converse(signing, &request);
                    assert!(answer.starts_with("HTTP/1.1 413 "), "{method} {announced:?}: {answer}");
                }
                _ => announced.arrived(&sent(signing, &echo, &request), method, "outbound, signed"),
            }
        }
    }
    let before = echo.seen().len();
    let coded = format!(
        "POST /x HTTP/1.1\r\nHost: {bearer}\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n"
    );
    Response::read(&mut {
        let mut stream = connect(bearer);
        std::io::Write::write_all(&mut stream, coded.as_bytes()).unwrap();
        stream
    })
    .is(400, "framing");
    assert_eq!(echo.seen().len(), before);
}

/// A body without length, in one piece.
struct Open(Option<Bytes>);

impl Body for Open {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Poll::Ready(self.0.take().map(|bytes| Ok(Frame::data(bytes))))
    }
}

#[test]
fn what_http2_announces_arrives_whatever_the_method_and_the_route() {
    let echo = Echo::start();
    let gateway = Gateway::started(&routes(&echo.url(), ""));
    let (_, secret) = gateway.key(&[]);
    let mut connection = Connection::open(gateway.address, &[]);
    let mut stream = 1;
    for method in METHODS {
        for announced in ALL {
            for path in ["/x", "/guarded/x"] {
                let mut fields = vec![("x-api-key", &*secret)];
                match announced {
                    Announced::Zero => fields.push(("content-length", "0")),
                    Announced::Length => fields.push(("content-length", "2")),
                    _ => {}
                }
                let ends = matches!(announced, Announced::Nothing | Announced::Zero);
                let flags = if ends { END_STREAM } else { 0 };
                connection.write(&http2::request(stream, flags, method, path, &fields));
                if !ends {
                    // A stream that ends together with its head, and empty, says the same as a head that ends it.
                    std::thread::sleep(std::time::Duration::from_millis(20));
                    connection.write(&frame(DATA, END_STREAM, stream, announced.body().as_bytes()));
                }
                let before = echo.seen().len();
                while connection.frame().is_some_and(|frame| {
                    assert_ne!(frame.kind, RST_STREAM, "{method} {announced:?} {path}");
                    frame.stream != stream || frame.flags & END_STREAM == 0
                }) {}
                assert!(echo.seen().len() <= before + 1);
                announced.arrived(&echo.last(), method, path);
                stream += 2;
            }
        }
    }
    assert_eq!(echo.seen().len(), 2 * METHODS.len() * ALL.len());
}

#[tokio::test]
async fn a_signed_body_of_an_open_stream_arrives_in_chunks() {
    let (lab, key) = Lab::keyed();
    let stream = tokio::net::TcpStream::connect(lab.gateway.address).await.unwrap();
    let (mut client, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    for method in METHODS {
        for (covered, status) in [(Announced::Chunks, 200), (Announced::Nothing, 401)] {
            let draft = draft(method, "/signature/x", covered, &key);
            let mut request = http::Request::new(Open(Some(Bytes::from("{}"))));
            *request.method_mut() = draft.method.clone();
            *request.uri_mut() =
                format!("{}/signature/x", countersign_testing::signed::PUBLIC).parse().unwrap();
            *request.headers_mut() = draft.headers.clone();
            let answer = client.send_request(request).await.unwrap();
            assert_eq!(answer.status(), status, "{method} {covered:?}");
            if status == 200 {
                Announced::Chunks.arrived(&lab.echo.last(), method, "signed, by HTTP/2");
            }
        }
    }
}
