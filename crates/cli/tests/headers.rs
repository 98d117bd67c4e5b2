//! What an upstream reads in headers: nothing that a caller could have written in our name or in another proxy's.

use std::collections::{BTreeSet, VecDeque};
use std::io::Write as _;
use std::pin::Pin;
use std::sync::mpsc::{Receiver, channel};
use std::task::{Context, Poll};

use bytes::Bytes;
use countersign::field_names::{Meaning, RESERVED, meaning};
use countersign_testing::raw::{Upstream, connect, ok, read_bytes, read_head, routes};
use countersign_testing::{Echo, Gateway, Request, Response, Seen};
use http::{HeaderMap, HeaderName, HeaderValue, Request as Http2Request};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::{Body, Frame};
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};

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

/// What `explain` says of a request that was answered so.
fn told_of(gateway: &Gateway, answered: &Response, status: u16) -> serde_json::Value {
    assert_eq!(answered.status, status, "{}", answered.text());
    gateway.json_of(&["explain", answered.header("countersign-decision").unwrap()])
}

/// Routes that ask for a key in every way, for a key or a token, for a callback's URL, and for nothing.
fn asking(echo: &Echo) -> String {
    let route = |path: &str, more: &str| {
        format!("[[route]]\npath = \"{path}\"\nupstream = \"{}\"\n{more}\n", echo.url())
    };
    [
        "[callback]\nmax_ttl = \"1h\"\n",
        &route("/key/*", "accept = [\"api-key\"]\nkey_in_query = true"),
        &route("/token/*", "accept = [\"api-key\", \"bearer\"]"),
        &route("/v1/results/{res_id}/{token}", "accept = [\"callback-url\"]"),
        &route("/open", "public = true"),
    ]
    .concat()
}

#[test]
fn no_header_carries_a_copy_of_a_credential_to_an_upstream() {
    let echo = Echo::start();
    let gateway = Gateway::started(&asking(&echo));
    let (_, key) = gateway.key(&[]);
    let escaped: String = key.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let refresh = format!("csr_{}", "aB3-".repeat(22));
    let half = "aB3_".repeat(10) + "aB3";
    let callback = format!("http://{}/v1/results/42/{half}", gateway.address);
    let bearer = format!("Bearer {key}");
    for (path, authorization) in [("/key/x", &*bearer), ("/open", "Basic YTpi")] {
        for secret in [
            &*key,
            &escaped,
            &refresh,
            &format!("__Host-session={half}"),
            &format!("countersign.half.{half}"),
            &callback,
        ] {
            let secret: &str = secret;
            let page = format!("https://bob.example:1/page?a=1&_key={secret}");
            let cookie = format!("theirs=1; last=/p?_key={}; more=2", secret.replace(';', ""));
            let json = format!("{{\"was\":\"{secret}\"}}");
            let protocols = if secret == callback { "chat".to_owned() } else { format!("chat, x.{secret}") };
            let request = Request::get(path)
                .header("Authorization", authorization)
                .header("Referer", &page)
                .header("Cookie", &cookie)
                .header("Sec-WebSocket-Protocol", &protocols)
                .header("X-Last", &json)
                .header("X-Last", "kept")
                .header("User-Agent", secret)
                .header("Origin", secret)
                .header("Handshake", &half);
            assert_eq!(gateway.send(&request).status, 200, "{path} {secret}");
            let seen = echo.last();
            for secret in [&*key, &escaped, &refresh, &half] {
                assert!(!seen.head.contains(secret), "{}", seen.head);
            }
            assert_eq!(seen.headers("referer"), ["https://bob.example:1/"], "{secret}");
            assert_eq!(seen.headers("cookie"), ["theirs=1; more=2"], "{secret}");
            assert_eq!(seen.headers("x-last"), ["kept"], "{secret}");
            assert_eq!(seen.headers("sec-websocket-protocol"), ["chat"], "{secret}");
            assert_eq!((seen.header("user-agent"), seen.header("origin")), (None, None), "{secret}");
        }
    }
    let plain = Request::get("/open")
        .header("Referer", "https://bob.example/p?a=1")
        .header("Cookie", "a=_key; b=%20");
    assert_eq!(gateway.send(&plain).status, 200);
    assert_eq!(echo.last().header("referer"), Some("https://bob.example/p?a=1"));
    assert_eq!(echo.last().header("cookie"), Some("a=_key; b=%20"));
    // A parameter that no route reads carries no key either.
    assert_eq!(gateway.get(&format!("/open?a=1&api_key={key}&b=%20"), None).status, 200);
    assert_eq!(echo.last().request_line(), "GET /open?a=1&b=%20 HTTP/1.1");
    let encoded = callback.replace(':', "%3A").replace('/', "%2F");
    for url in [callback.clone(), encoded.clone(), encoded.replace("http", "HTTP"), format!("x,{callback}?y")]
    {
        for (path, authorization) in [("/key/x", &*bearer), ("/open", "Basic YTpi")] {
            let target = format!("{path}?a=1&next={url}&b=%20");
            let answered = gateway.send(&Request::get(&target).header("Authorization", authorization));
            assert_eq!(answered.status, 200, "{target}");
            assert_eq!(answered.header("referrer-policy"), Some("no-referrer"), "{target}");
            assert_eq!(echo.last().request_line(), format!("GET {path}?a=1&b=%20 HTTP/1.1"), "{target}");
        }
    }
    let theirs = callback.replace("/v1/", "/v2/");
    assert_eq!(gateway.get(&format!("/open?next={theirs}"), None).header("referrer-policy"), None);
    assert_eq!(echo.last().request_line(), format!("GET /open?next={theirs} HTTP/1.1"));
}

#[tokio::test]
async fn no_trailer_carries_a_copy_of_a_credential_to_an_upstream() {
    let (upstream, told) = telling();
    let callbacks = format!(
        "[callback]\nmax_ttl = \"1h\"\n[[route]]\npath = \"/v1/results/{{id}}/{{token}}\"\nupstream = \"{}\"\n\
         accept = [\"callback-url\"]\n",
        upstream.url()
    );
    let gateway = Gateway::started(&routes(&upstream.url(), &callbacks));
    let (_, key) = gateway.key(&[]);
    let half = "aB3_".repeat(10) + "aB3";
    let callback = format!("http://{}/v1/results/42/{half}", gateway.address);
    let trailers = HeaderMap::from_iter([
        (HeaderName::from_static("x-last"), HeaderValue::try_from(format!("/p?_key={key}")).unwrap()),
        (HeaderName::from_static("x-next"), HeaderValue::try_from(&callback).unwrap()),
        (HeaderName::from_static("handshake"), HeaderValue::try_from(&half).unwrap()),
        (HeaderName::from_static("asymmetricauthentication"), HeaderValue::from_static("0x0 forged")),
        (HeaderName::from_static("checksum"), HeaderValue::from_static("1")),
    ]);
    let frames = VecDeque::from([Frame::data(Bytes::from("hi")), Frame::trailers(trailers)]);
    let request = Http2Request::post(format!("http://{}/open", gateway.address))
        .header("trailer", "checksum, x-last, x-next, handshake, asymmetricauthentication")
        .body(Frames(frames))
        .unwrap();
    assert_eq!(client(&gateway).await.send_request(request).await.unwrap().status(), 200);
    let seen = told.recv().unwrap();
    let is_clean = |seen: &str| {
        let trailers = seen.rsplit("\r\n0\r\n").next().unwrap();
        assert_eq!(trailers, "checksum: 1\r\n\r\n", "{seen}");
    };
    is_clean(&seen);
    let mut stream = connect(gateway.address);
    let head =
        "POST /open HTTP/1.1\r\nHost: x\r\nTrailer: checksum, x-last\r\nTransfer-Encoding: chunked\r\n\r\n";
    for last in [
        format!("x-last: {key}"),
        format!("x-last: {callback}"),
        format!("x-last: {}", callback.replace('/', "%2f")),
        format!("Handshake: {half}"),
        format!("hand_shake: {half}"),
        "AsymmetricAuthentication: 0x0 forged".to_owned(),
    ] {
        write!(stream, "{head}2\r\nhi\r\n0\r\nchecksum: 1\r\n{last}\r\n\r\n").unwrap();
        assert_eq!(Response::read(&mut stream).status, 200, "{last}");
        is_clean(&told.recv().unwrap());
    }
}

#[test]
fn an_answer_to_a_request_with_a_credential_in_its_address_names_it_to_nobody() {
    let echo = Echo::start();
    let gateway = Gateway::started(&asking(&echo));
    let (_, key) = gateway.key(&[]);
    let policy = |path: &str, status: u16| {
        let answered = gateway.get(path, None);
        assert_eq!(answered.status, status, "{path}");
        answered.header("referrer-policy").map(str::to_owned)
    };
    for (path, status) in [
        (format!("/key/x?_key={key}"), 200),
        (format!("/key/x?_key={}x", &key[1..]), 401),
        (format!("/token/x?_key={key}"), 401),
        (format!("/open?_key={key}"), 200),
        (format!("/open?other={key}"), 200),
        (format!("/nowhere?_key={key}"), 404),
        ("/key/x?_key=".to_owned(), 401),
        (format!("/v1/results/42/{}", "a".repeat(43)), 401),
    ] {
        assert_eq!(policy(&path, status).as_deref(), Some("no-referrer"), "{path}");
    }
    assert_eq!(policy("/open?a=1", 200), None);
    assert_eq!(policy("/key/x", 401), None);
}

#[test]
fn an_authorization_that_proved_nothing_goes_on_unless_it_is_ours_and_what_is_in_doubt_is_refused() {
    let echo = Echo::start();
    let gateway = Gateway::started(&asking(&echo));
    let (_, key) = gateway.key(&[]);
    let half = format!("Bearer {}", "a".repeat(43));
    let (jwt, dpop) = ("Bearer eyJhbGciOiJub25lIn0.e30.x", "DPoP eyJhbGciOiJub25lIn0.e30.x");
    let ours = format!("Bearer {key}");
    let (goes, stops) = (Ok(true), Ok(false));
    // Beside X-API-Key with a key of ours; on a public route.
    for (value, asked, open) in [
        ("Basic YTpi", goes, goes),
        ("Bearer the-APIs-own", goes, goes),
        ("Token abc", goes, goes),
        (jwt, goes, goes),
        (dpop, goes, goes),
        (&*half, Err((400, "credential_ambiguous")), goes),
        ("Webhook https://a.example/ sha-256.x", stops, goes),
        (&*ours, Err((400, "credential_ambiguous")), stops),
        ("Bearer cs_mistyped", Err((400, "credential_ambiguous")), stops),
    ] {
        for (path, expected) in [("/key/x", asked), ("/open", open)] {
            let answered = gateway.send(
                &Request::get(path)
                    .header("X-API-Key", &key)
                    .header("Authorization", value)
                    .header("DPoP", "p"),
            );
            match expected {
                Ok(arrives) => {
                    assert_eq!(answered.status, 200, "{path} {value}: {}", answered.text());
                    let seen = echo.last();
                    assert_eq!(seen.header("authorization"), arrives.then_some(value), "{path}");
                    assert_eq!((seen.header("dpop"), seen.header("x-api-key")), (Some("p"), None), "{path}");
                }
                Err((status, code)) => drop(answered.is(status, code)),
            }
        }
    }
    // A route that reads tokens judges them, and lets nothing beside them pass.
    for value in [jwt, dpop] {
        let both = Request::get("/token/x").header("X-API-Key", &key).header("Authorization", value);
        let answered = gateway.send(&both);
        assert!(matches!(answered.status, 400 | 401), "{value}: {}", answered.text());
    }
    let opaque =
        Request::get("/token/x").header("X-API-Key", &key).header("Authorization", "Bearer the-APIs-own");
    gateway.send(&opaque).is(401, "token_invalid");
    let basic = Request::get("/token/x").header("X-API-Key", &key).header("Authorization", "Basic YTpi");
    let basic =
        basic.header("DPoP", "theirs").header("Signature-Input", "sig=()").header("Signature", "sig=:AA==:");
    assert_eq!(gateway.send(&basic).status, 200);
    let seen = echo.last();
    assert_eq!(seen.header("authorization"), Some("Basic YTpi"));
    // What a scheme of the route would have carried there, had it been presented.
    assert_eq!(seen.header("dpop"), Some("theirs"));
    assert_eq!(
        (seen.header("signature-input"), seen.header("signature")),
        (Some("sig=()"), Some("sig=:AA==:"))
    );
    // Alone it is no credential, as before.
    gateway.send(&Request::get("/key/x").header("Authorization", &half)).is(401, "credential_missing");
    // Two lines are two readings, also where no scheme of the route reads them.
    let twice = Request::get("/key/x").header("X-API-Key", &key).header("Authorization", jwt);
    gateway.send(&twice.header("Authorization", "Basic YTpi")).is(400, "credential_ambiguous");
    // And the operator is told.
    let both = Request::get("/key/x").header("X-API-Key", &key).header("Authorization", jwt);
    let told = told_of(&gateway, &gateway.send(&both), 200).to_string();
    assert!(told.contains("the token in Authorization is not read here, and is forwarded"), "{told}");
}

#[test]
fn a_source_is_read_with_its_port_and_one_that_cannot_be_read_is_not_its_proxy() {
    let echo = Echo::start();
    let limits = "[limits]\nunproven = \"4/h\"\n";
    let mut gateway = Gateway::with_server("trusted_proxies = [\"127.0.0.1\"]", &routes(&echo.url(), limits));
    gateway.start();
    let (_, key) = gateway.key(&[]);
    let bearer = format!("Bearer {key}");
    let bad = |name: &str, value: &str| {
        gateway
            .send(&Request::get("/guarded/x").header(name, value).header("Authorization", "Bearer cs_x"))
            .status
    };
    let good = |name: &str, value: &str| {
        gateway.send(&Request::get("/guarded/x").header(name, value).header("Authorization", &bearer)).status
    };
    for (name, template) in [
        ("X-Forwarded-For", "6.6.6.6, 198.51.100.HOST:PORT"),
        ("X-Forwarded-For", "[2001:db8:0:HOST::1]:PORT"),
        ("Forwarded", "for=6.6.6.6, For=\"203.0.113.HOST:PORT\";proto=http"),
        ("Forwarded", "for=\"[2001:db8:1:HOST::1]:PORT\""),
        ("Forwarded", "for=_hiddenHOST"),
    ] {
        let of = |host: u8, port: u16| {
            template.replace("HOST", &host.to_string()).replace("PORT", &port.to_string())
        };
        for port in 1..=4 {
            assert_eq!(bad(name, &of(1, port)), 401, "{template}");
        }
        assert_eq!(bad(name, &of(1, 5)), 429, "{template}: one caller, whatever its port");
        assert_eq!(good(name, &of(1, 5)), 429, "{template}");
        assert_eq!(good(name, &of(2, 5)), 200, "{template}: another is not locked out");
    }
    // What cannot be read at all is one, and neither the proxy nor anybody else.
    for value in ["unknown", "bob.example", "6.6.6.6,", "198.51.100.7:x"] {
        assert_eq!(bad("X-Forwarded-For", value), 401, "{value}");
    }
    assert_eq!(bad("Forwarded", "for=unknown"), 429);
    let unknown = gateway.send(&Request::get("/open").header("Forwarded", "for=unknown"));
    let told = told_of(&gateway, &unknown, 200);
    assert_eq!(told["source"], "unread, through 127.0.0.1");
    assert!(told.to_string().contains("the source could not be read"), "{told}");
    assert_eq!(good("X-Forwarded-For", "198.51.100.7"), 200);
    assert_eq!(good("Accept", "*/*"), 200, "the proxy itself");
    assert_eq!(echo.last().headers("x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(gateway.log().matches("names sources that cannot be read").count(), 1, "{}", gateway.log());
    // A proxy that writes one of the two passes on whatever a caller says in the other.
    let both =
        Request::get("/open").header("X-Forwarded-For", "198.51.100.8:1").header("Forwarded", "for=6.6.6.6");
    assert_eq!(told_of(&gateway, &gateway.send(&both), 200)["source"], "unread, through 127.0.0.1");
    assert_eq!(echo.last().headers("x-forwarded-for"), ["unknown, 127.0.0.1"]);
    let chain = Request::get("/open").header("X-Forwarded-For", "6.6.6.6, 198.51.100.8:1");
    assert_eq!(told_of(&gateway, &gateway.send(&chain), 200)["source"], "198.51.100.8");
    assert_eq!(echo.last().headers("x-forwarded-for"), ["198.51.100.8, 127.0.0.1"]);
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
