//! What an upstream reads in headers: nothing that a caller could have written in our name or in another proxy's.

mod support;

use std::collections::{BTreeSet, VecDeque};
use std::io::Write as _;
use std::pin::Pin;
use std::sync::mpsc::{Receiver, channel};
use std::task::{Context, Poll};

use bytes::Bytes;
use countersign::field_names::{Meaning, RESERVED, meaning};
use http::{HeaderMap, HeaderName, HeaderValue, Request as Http2Request};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::{Body, Frame};
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use support::raw::{Upstream, connect, ok, read_bytes, read_head, routes};
use support::{Echo, Gateway, Request, Response, Seen};

/// Every byte that a name may hold between its letters (RFC 9110, 5.6.2).
const BETWEEN: [char; 15] = ['!', '#', '$', '%', '&', '\'', '*', '+', '-', '.', '^', '_', '`', '|', '~'];

/// What a test writes into a header that must not arrive.
const FORGED: &str = "forged";

/// Each reserved name that does not frame a message, with each of those bytes, in lower case.
fn spellings() -> Vec<String> {
    let mut spelled = BTreeSet::new();
    for (known, _) in RESERVED.iter().filter(|(_, meaning)| *meaning != Meaning::Hop) {
        let whole = known.replace('*', "admin").to_ascii_lowercase();
        for between in BETWEEN {
            let join = |byte: char| if byte.is_ascii_alphanumeric() { byte } else { between };
            spelled.insert(whole.chars().map(join).collect::<String>());
        }
        if !known.ends_with('*') {
            spelled.insert(whole.replace(|byte: char| !byte.is_ascii_alphanumeric(), ""));
        }
    }
    spelled.into_iter().collect()
}

async fn client<B>(gateway: &Gateway) -> SendRequest<B>
where
    B: Body<Data = Bytes, Error = std::convert::Infallible> + Send + Unpin + 'static,
{
    let stream = tokio::net::TcpStream::connect(gateway.address).await.unwrap();
    let (client, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    client
}

fn is_clean(seen: &Seen, what: &str) {
    assert!(!seen.head.contains(FORGED), "{what}: {}", seen.head);
}

#[test]
fn no_spelling_of_a_reserved_header_arrives_by_http_1_on_keyed_and_public_routes() {
    let echo = Echo::start();
    let gateway = Gateway::started(&routes(&echo.url(), ""));
    let (id, key) = gateway.key(&[]);
    let bearer = format!("Bearer {key}");
    let spelled = spellings();
    assert!(spelled.len() > 1000, "{}", spelled.len());
    for (path, authorization) in [("/guarded/x", &*bearer), ("/open", "Basic YTpi")] {
        for some in spelled.chunks(80) {
            let mut request = Request::get(path).header("Authorization", authorization);
            for name in some {
                request = request.header(name, FORGED);
            }
            assert_eq!(gateway.send(&request).status, 200);
            let seen = echo.last();
            is_clean(&seen, path);
            assert_eq!(seen.headers("x-forwarded-for"), ["127.0.0.1"]);
            let subject = format!("key:{id}");
            let subjects = if path == "/open" { vec![] } else { vec![&*subject] };
            assert_eq!(seen.headers("countersign-subject"), subjects);
        }
    }
}

#[tokio::test]
async fn no_spelling_of_a_reserved_header_arrives_by_http_2_on_keyed_and_public_routes() {
    let echo = Echo::start();
    let gateway = Gateway::started(&routes(&echo.url(), ""));
    let (id, key) = gateway.key(&[]);
    let mut client = client(&gateway).await;
    let mut spelled = spellings();
    // What the guard refuses by HTTP/1, HTTP/2 carries.
    for name in ["content_length", "content.length", "transfer~encoding", "contentlength", "connection."] {
        spelled.push(name.to_owned());
    }
    for path in ["/guarded/x", "/open"] {
        for some in spelled.chunks(80) {
            let mut request = Http2Request::get(format!("http://{}{path}", gateway.address))
                .header("authorization", format!("Bearer {key}"));
            for name in some {
                request = request.header(name, FORGED);
            }
            let answered = client.send_request(request.body(Empty::<Bytes>::new()).unwrap()).await.unwrap();
            assert_eq!(answered.status(), 200);
            let seen = echo.last();
            is_clean(&seen, path);
            let subject = format!("key:{id}");
            let subjects = if path == "/open" { vec![] } else { vec![&*subject] };
            assert_eq!(seen.headers("countersign-subject"), subjects);
        }
    }
}

#[test]
fn a_request_for_an_upgrade_carries_no_look_alike_either() {
    let echo = Echo::start();
    let gateway = Gateway::started(&routes(&echo.url(), ""));
    let mut stream = connect(gateway.address);
    let names =
        ["Countersign.Subject", "X.Forwarded.For", "X~Forwarded~User", "Remote|User", "CF-Connecting-IP"];
    let forged: String = names.iter().map(|name| format!("{name}: {FORGED}\r\n")).collect();
    let named = "Connection: upgrade, Countersign.Subject, Countersign-Subject, X-Forwarded-For\r\n";
    write!(stream, "GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n{named}{forged}\r\n").unwrap();
    assert_eq!(Response::read(&mut stream).status, 200);
    let seen = echo.last();
    assert_eq!(seen.headers("upgrade"), ["websocket"]);
    assert_eq!(seen.headers("x-forwarded-for"), ["127.0.0.1"]);
    is_clean(&seen, "an upgrade");
}

/// A body of what is there already.
struct Frames(VecDeque<Frame<Bytes>>);

impl Body for Frames {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Poll::Ready(self.0.pop_front().map(Ok))
    }
}

/// An upstream that tells all of a chunked request.
fn telling() -> (Upstream, Receiver<String>) {
    let (tell, told) = channel();
    let upstream = Upstream::start(move |mut stream| {
        while let Some(mut seen) = read_head(&mut stream) {
            while !seen.contains("\r\n0\r\n") || !seen.ends_with("\r\n\r\n") {
                let Some(byte) = read_bytes(&mut stream, 1) else { return };
                seen.push_str(&byte);
            }
            let _ = tell.send(seen);
            let _ = stream.write_all(ok("x").as_bytes());
        }
    });
    (upstream, told)
}

#[tokio::test]
async fn no_spelling_of_a_reserved_header_arrives_in_trailers_by_http_2() {
    let (upstream, told) = telling();
    let gateway = Gateway::started(&routes(&upstream.url(), ""));
    let (_, key) = gateway.key(&[]);
    let mut client = client(&gateway).await;
    for path in ["/guarded/x", "/open"] {
        for some in spellings().chunks(80) {
            let named =
                |name: &String| (HeaderName::try_from(name).unwrap(), HeaderValue::from_static(FORGED));
            let mut trailers: HeaderMap = some.iter().map(named).collect();
            trailers.insert("checksum", HeaderValue::from_static("1"));
            let frames = VecDeque::from([Frame::data(Bytes::from("hi")), Frame::trailers(trailers)]);
            let request = Http2Request::post(format!("http://{}{path}", gateway.address))
                .header("authorization", format!("Bearer {key}"))
                .header("trailer", "checksum")
                .body(Frames(frames))
                .unwrap();
            let answered = client.send_request(request).await.unwrap();
            assert_eq!(answered.status(), 200);
            answered.into_body().collect().await.unwrap();
            let seen = told.recv().unwrap();
            assert!(!seen.contains(FORGED), "{path}: {seen}");
        }
    }
}

#[test]
fn no_spelling_of_an_identity_arrives_in_trailers_by_http_1() {
    let (upstream, told) = telling();
    let gateway = Gateway::started(&routes(&upstream.url(), ""));
    for name in spellings() {
        // The guard refuses what is ours or forwards; what other proxies say is taken out.
        let refused = matches!(meaning(name.as_bytes()), Some(Meaning::Ours | Meaning::Forwarding));
        let mut stream = connect(gateway.address);
        let head =
            "POST /open HTTP/1.1\r\nHost: x\r\nTrailer: checksum\r\nTransfer-Encoding: chunked\r\n\r\n";
        write!(stream, "{head}2\r\nhi\r\n0\r\nChecksum: 1\r\n{name}: {FORGED}\r\n\r\n").unwrap();
        let answered = Response::read(&mut stream);
        match refused {
            true => drop(answered.is(400, "framing")),
            false => {
                assert_eq!(answered.status, 200, "{name}");
                let seen = told.recv().unwrap().to_ascii_lowercase();
                assert!(!seen.contains(FORGED), "{name}: {seen}");
            }
        }
    }
}

#[test]
fn what_another_proxy_says_of_a_user_passes_where_a_route_names_it_in_that_spelling_alone() {
    let echo = Echo::start();
    let passing = format!(
        "[[route]]\npath = \"/named/*\"\nupstream = \"{}\"\npublic = true\n\
         pass_headers = [\"X-Real-IP\", \"cf-connecting-ip\"]\n",
        echo.url()
    );
    let gateway = Gateway::started(&routes(&echo.url(), &passing));
    let request = |path| {
        Request::get(path)
            .header("X-Real-IP", "198.51.100.9")
            .header("X.Real.IP", FORGED)
            .header("X_Real_IP", FORGED)
            .header("CF-Connecting-IP", "198.51.100.9")
            .header("CF-Access-Jwt-Assertion", FORGED)
            .header("X-Forwarded-User", FORGED)
            .header("Remote-User", FORGED)
    };
    assert_eq!(gateway.send(&request("/named/x")).status, 200);
    let seen = echo.last();
    assert_eq!(seen.headers("x-real-ip"), ["198.51.100.9"]);
    assert_eq!(seen.headers("cf-connecting-ip"), ["198.51.100.9"]);
    is_clean(&seen, "a route that names two");
    assert_eq!(gateway.send(&request("/other")).status, 200);
    let seen = echo.last();
    assert_eq!((seen.header("x-real-ip"), seen.header("cf-connecting-ip")), (None, None));
    is_clean(&seen, "a route that names none");
}

#[test]
fn an_upstream_cannot_answer_in_our_name() {
    let names = ["Countersign-Subject", "Countersign.Decision", "countersign_decision", "Countersign~Status"];
    let forged: String = names.iter().map(|name| format!("{name}: {FORGED}\r\n")).collect();
    let upstream = Upstream::answering(move |_| {
        format!("HTTP/1.1 200 OK\r\nX-User: theirs\r\n{forged}Content-Length: 0\r\n\r\n")
    });
    let gateway = Gateway::started(&routes(&upstream.url(), ""));
    let answered = gateway.get("/open", None);
    assert_eq!((answered.status, answered.header("x-user")), (200, Some("theirs")));
    assert!(!format!("{answered:?}").contains(FORGED), "{answered:?}");
    assert_eq!(answered.header("countersign-decision").map(str::len), Some(36));
}

#[test]
fn the_reference_lists_every_reserved_name_and_no_other() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/headers.md");
    let page = std::fs::read_to_string(page).unwrap();
    let tables = page.split("\n## ").find(|section| section.starts_with("What is reserved")).unwrap();
    let rows = tables.lines().filter_map(|line| line.strip_prefix("| `")?.split(" | ").next());
    let listed: Vec<&str> =
        rows.flat_map(|row| row.split(['`', ' ']).filter(|name| !name.is_empty())).collect();
    let told: BTreeSet<&str> = listed.iter().copied().collect();
    assert_eq!(listed.len(), told.len(), "each once");
    let reserved: BTreeSet<&str> = RESERVED.iter().map(|(name, _)| *name).collect();
    assert_eq!(told, reserved);
}
