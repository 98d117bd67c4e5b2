//! Where a key may have been written down, it is looked for: 1,000 keys, used well and badly, and
//! then every byte that the gateway left behind.

#![allow(clippy::print_stdout, reason = "the figures are for whoever reads the log")]

use std::collections::{HashMap, HashSet};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Stdio;
use std::time::Duration;

use countersign::schemes::api_key::ApiKey;
use countersign_testing::keep_alive::Connection;
use countersign_testing::{Echo, Gateway, Process, wait_for};

const KEYS: usize = 1000;
/// Characters that are compared at once.
const WINDOW: usize = 12;

/// Finds any of many needles by their first [`WINDOW`] bytes.
#[derive(Default)]
struct Needles(HashMap<[u8; WINDOW], Vec<(String, Vec<u8>)>>);

impl Needles {
    fn add(&mut self, what: &str, needle: Vec<u8>) {
        let first: [u8; WINDOW] = needle[..WINDOW].try_into().unwrap();
        self.0.entry(first).or_default().push((what.to_owned(), needle));
    }

    fn find(&self, hay: &[u8]) -> HashSet<String> {
        let mut found = HashSet::new();
        for (at, window) in hay.windows(WINDOW).enumerate() {
            let known = self.0.get(<&[u8; WINDOW]>::try_from(window).unwrap());
            for (what, needle) in known.into_iter().flatten() {
                if hay[at..].starts_with(needle) {
                    let end = (at + needle.len() + 40).min(hay.len());
                    let around = String::from_utf8_lossy(&hay[at.saturating_sub(80)..end]).into_owned();
                    found.insert(format!("{what}: {around}"));
                }
            }
        }
        found
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn base64(bytes: &[u8], last: [u8; 2]) -> Vec<u8> {
    let mut alphabet: Vec<u8> = (b'A'..=b'Z').chain(b'a'..=b'z').chain(b'0'..=b'9').collect();
    alphabet.extend(last);
    let sextet = |bits: u32, place: u32| alphabet[(bits >> (18 - 6 * place) & 63) as usize];
    let threes = bytes.chunks_exact(3);
    threes
        .flat_map(|three| {
            let bits = u32::from(three[0]) << 16 | u32::from(three[1]) << 8 | u32::from(three[2]);
            (0..4).map(move |place| (bits, place)).collect::<Vec<_>>()
        })
        .map(|(bits, place)| sextet(bits, place))
        .collect()
}

/// Everything as which a key could be recognised.
fn needles(keys: &[(String, String)]) -> Needles {
    let mut needles = Needles::default();
    for (_, key) in keys {
        let secret = *ApiKey::parse(key).unwrap().secret.expose();
        let reversed: Vec<u8> = secret.iter().rev().copied().collect();
        let text = &key["cs_0123456789AB_".len()..];
        // Halves as well: a key that is cut in two is half a secret.
        needles.add("secret part", text[..20].into());
        needles.add("secret part", text[22..42].into());
        needles.add("reversed text", text.bytes().rev().collect());
        needles.add("small letters", text.to_ascii_lowercase()[..20].into());
        needles
            .add("escaped text", text[..8].bytes().flat_map(|b| format!("%{b:02X}").into_bytes()).collect());
        for (name, bytes) in [("bytes", &secret[..]), ("reversed bytes", &reversed)] {
            needles.add(name, bytes[..16].into());
            needles.add(name, hex(bytes)[..32].into());
            needles.add(name, hex(bytes).to_uppercase()[..32].into());
            let escaped = bytes.iter().take(16).map(|byte| format!("%{byte:02X}")).collect::<String>();
            needles.add(name, escaped.clone().into_bytes());
            needles.add(name, escaped.to_lowercase().into_bytes());
            let numbers: Vec<String> = bytes.iter().take(12).map(u8::to_string).collect();
            needles.add(name, numbers.join(", ").into_bytes());
            needles.add(name, numbers.join(",").into_bytes());
            for last in [*b"+/", *b"-_"] {
                for start in 0..3 {
                    needles.add(name, base64(&bytes[start..], last)[..24].into());
                }
            }
        }
    }
    needles
}

fn escaped(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02x}")).collect()
}

/// One key in all the places in which somebody might put it.
fn uses(key: &str) -> Vec<String> {
    let get = |path: &str, header: &str| format!("GET {path} HTTP/1.1\r\nHost: gateway\r\n{header}\r\n");
    let broken = format!("{}.{}", &key[..40], &key[40..]);
    let mistyped = format!("{}{}", &key[..64], if key.ends_with('x') { 'y' } else { 'x' });
    let mut uses = vec![
        get("/orders/1", &format!("Authorization: Bearer {key}\r\n")),
        get("/orders/1", &format!("X-API-Key: {key}\r\n")),
        get(&format!("/query/1?a=b&_key={key}"), ""),
        get(&format!("/query/1?a=b&_key={key}&_key={key}"), ""),
        get("/orders/1", &format!("Authorization: Bearer {mistyped}\r\n")),
        get("/orders/1", &format!("Authorization: Bearer {key}\r\nX-API-Key: {key}\r\n")),
        get("/orders/1", &format!("Authorization: Basic {key}\r\n")),
        get("/orders/1", &format!("Authorization: {key}\r\n")),
        get("/orders/1", &format!("X-Auth: {key}\r\nCookie: key={key}\r\nReferer: http://x/?k={key}\r\n")),
        get("/orders/1", &format!("{key}: 1\r\nHost2: {key}\r\n")),
        get("/orders/1", &format!("Upgrade: {key}\r\nConnection: upgrade\r\n")),
        get(&format!("/public/{key}?key={key}"), &format!("X-API-Key: {key}\r\n")),
        get(&format!("/down/{key}?key={key}"), ""),
        get(&format!("/nowhere/{key}?key={key}"), ""),
        get(&format!("http://gateway/nowhere/{key}"), ""),
        format!("{key} /orders/1 HTTP/1.1\r\nHost: gateway\r\n\r\n"),
        format!("{key} /only-get HTTP/1.1\r\nHost: gateway\r\n\r\n"),
    ];
    let underscores = key.replace('_', "%5F");
    let twice = escaped(key).replace('%', "%25");
    for path in
        [key, &key[1..], &key[3..], &key[16..], &mistyped, &broken, &underscores, &escaped(key), &twice]
    {
        uses.push(get(&format!("/orders/{path}/items"), ""));
    }
    for path in
        [key.replace('_', "-"), key.replace("cs_", "CS_"), format!("%2F..%2F{key}"), format!("a;{key}")]
    {
        uses.push(get(&format!("/orders/{path}"), ""));
    }
    uses
}

#[test]
fn nothing_that_the_gateway_leaves_behind_holds_a_key() {
    let echo = Echo::start();
    let mut gateway = Gateway::new(&format!(
        "[[route]]\npath = \"/orders/*\"\nupstream = \"{0}\"\naccept = [\"api-key\"]\n\
         [[route]]\npath = \"/query/*\"\nupstream = \"{0}\"\naccept = [\"api-key\"]\nkey_in_query = true\n\
         [[route]]\npath = \"/public/*\"\nupstream = \"{0}\"\npublic = true\n\
         [[route]]\npath = \"/only-get\"\nmethods = [\"GET\"]\nupstream = \"{0}\"\npublic = true\n\
         [[route]]\npath = \"/down/*\"\nupstream = \"http://{1}\"\npublic = true\n",
        echo.url(),
        countersign_testing::free_address()
    ));
    let log = std::fs::File::create(gateway.path("log")).unwrap();
    let mut serve = gateway.command(&["serve"]);
    serve.env("COUNTERSIGN_LOG", "trace").stdout(log.try_clone().unwrap()).stderr(log);
    let process = Process::start(&mut serve);
    wait_for(gateway.admin);

    let mut management = Connection::management(&gateway.path("management.sock")).unwrap();
    let keys: Vec<_> = (0..KEYS).map(|_| management.new_key(&[]).expect("a key")).collect();
    let needles = needles(&keys);
    let known = [keys[0].1.clone(), hex(ApiKey::parse(&keys[1].1).unwrap().secret.expose())].concat();
    assert!(needles.find(known.as_bytes()).len() >= 2, "the search finds what there is");

    let mut found = HashSet::new();
    let mut answered: HashMap<u16, usize> = HashMap::new();
    let mut connection = Connection::to(gateway.address).unwrap();
    for (id, key) in &keys {
        for request in uses(key) {
            let answer = match connection.exchange(&request) {
                Some(answer) => answer,
                None => {
                    connection = Connection::to(gateway.address).unwrap();
                    connection.exchange(&request).unwrap_or_else(|| panic!("no answer to {request}"))
                }
            };
            *answered.entry(answer.status).or_default() += 1;
            if answer.status >= 400 {
                found.extend(
                    needles.find(&answer.body).into_iter().map(|leak| format!("to the caller: {leak}")),
                );
            }
            if answer.header("connection") == Some("close") {
                connection = Connection::to(gateway.address).unwrap();
            }
        }
        let request = format!("GET /orders/{key}?_key={key} HTTP/1.1\r\nHost: x\r\nX-API-Key: {key}\r\n\r\n");
        let story = management.ask("POST", "/v1/explain", &request).unwrap();
        assert_eq!(story.json()["subject"], format!("key:{id}"));
        found.extend(needles.find(&story.body).into_iter().map(|leak| format!("explain: {leak}")));
    }
    for key in keys.iter().step_by(20) {
        http2_with_a_broken_path(gateway.address, &key.1);
        management.ask("POST", &format!("/v1/keys/{}/rotate", key.0), "{\"overlap\":\"1h\"}").unwrap();
    }
    let explained = explain_on_file(&gateway, &keys[0].1);
    assert!(answered[&200] > KEYS * 3 && answered[&401] > KEYS * 10, "{answered:?}");

    let mut left = vec![("explain --request", explained)];
    let mut admin = Connection::to(gateway.admin).unwrap();
    left.push(("metrics", admin.get("/metrics", None).unwrap().body));
    left.push(("decisions", management.ask("GET", "/v1/decisions?last=10000", "").unwrap().body));
    left.push(("listing", management.ask("GET", "/v1/keys", "").unwrap().body));
    drop((management, connection, admin));
    process.signal("-TERM");
    countersign_testing::eventually("the end", || TcpStream::connect(gateway.address).is_err());
    std::thread::sleep(Duration::from_millis(500));
    drop(process);
    for name in ["countersign.redb", "audit.jsonl", "log", "seal.key"] {
        left.push((name, std::fs::read(gateway.path(name)).unwrap()));
    }
    let mut bytes = 0;
    for (name, hay) in &left {
        assert!(!hay.is_empty(), "{name}");
        bytes += hay.len();
        found.extend(needles.find(hay).into_iter().map(|leak| format!("{name}: {leak}")));
    }
    let mut shown: Vec<_> = found.iter().collect();
    shown.sort();
    let requests: usize = answered.values().sum();
    println!("secrecy: {KEYS} keys, {requests} requests, {bytes} bytes searched, {} leaks", found.len());
    assert!(found.is_empty(), "{} leaks, such as {:#?}", shown.len(), &shown[..shown.len().min(10)]);
    gateway.start();
    assert_eq!(gateway.get("/orders/1", Some(&keys[7].1)).status, 200);
}

/// The command line, with the request on its standard input.
fn explain_on_file(gateway: &Gateway, key: &str) -> Vec<u8> {
    let mut printed = Vec::new();
    for extra in [&["--json"][..], &[]] {
        let mut command = gateway.command(&[&["explain", "--request", "-"][..], extra].concat());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let request = format!("{key} /orders/{key} HTTP/1.1\r\nHost: x\r\n{key}: {key}\r\n\r\n");
        child.stdin.take().unwrap().write_all(request.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        printed.extend([output.stdout, output.stderr].concat());
    }
    printed
}

/// What an HTTP/2 library complains about is the caller's own words: a path that is none.
fn http2_with_a_broken_path(gateway: std::net::SocketAddr, key: &str) {
    let path = format!("/a b?_key={key}");
    let mut block = vec![0x82, 0x86, 0x04, u8::try_from(path.len()).unwrap()];
    block.extend(path.as_bytes());
    let frame = |kind: u8, flags: u8, stream: u8, payload: &[u8]| {
        let length = u8::try_from(payload.len()).unwrap();
        [&[0, 0, length, kind, flags, 0, 0, 0, stream], payload].concat()
    };
    let mut stream = TcpStream::connect(gateway).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    stream.write_all(&[&preface[..], &frame(4, 0, 0, &[]), &frame(1, 5, 1, &block)].concat()).unwrap();
    let mut answer = [0; 64];
    assert!(stream.read(&mut answer).unwrap() > 0);
    std::thread::sleep(Duration::from_millis(5));
}
