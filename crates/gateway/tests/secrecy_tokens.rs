//! What looks like a token in anything that a run leaves behind is tried, on every door that there is: none
//! opens.

#![allow(clippy::print_stdout, reason = "the figures are for whoever reads the log")]

mod support;

use std::collections::BTreeSet;

use countersign::assertion::{ASSERTION, AssertionKeys, AssertionVerifier, PATH};
use countersign::request::Body;
use countersign::{Clock as _, PublicUrl, Purpose, RequestView};
use countersign_io::SystemClock;
use http::{HeaderMap, Method};
use support::keep_alive::Connection;
use support::{Echo, Gateway, Process, Request, wait_for};

/// Something that opens something: how to have one, and whether a string is one.
struct Kind {
    name: &'static str,
    make: fn(&Scene) -> String,
    opens: fn(&Scene, &str) -> bool,
}

/// Every kind of token, one line each.
const KINDS: &[Kind] = &[
    Kind { name: "api key", make: Scene::key, opens: Scene::opens_by_key },
    Kind { name: "api key in a query", make: Scene::key, opens: Scene::opens_by_query },
    Kind { name: "assertion", make: Scene::assertion, opens: Scene::opens_the_upstream },
];

/// How long what might be a token is, at least.
const SHORTEST: usize = 20;
/// The request that assertions are about.
const ASSERTED: &str = "/orders/1?page=2";

struct Scene {
    gateway: Gateway,
    echo: Echo,
}

impl Scene {
    fn new() -> (Self, Process) {
        let echo = Echo::start();
        let route = |path: &str, more: &str| {
            format!("[[route]]\npath = \"{path}\"\nupstream = \"{}\"\n{more}\n", echo.url())
        };
        let gateway = Gateway::new(
            &[
                route("/orders/*", "accept = [\"api-key\"]"),
                route("/query/*", "accept = [\"api-key\"]\nkey_in_query = true"),
                route("/public/*", "public = true"),
            ]
            .concat(),
        );
        let log = std::fs::File::create(gateway.path("log")).unwrap();
        let mut serve = gateway.command(&["serve"]);
        serve.env("COUNTERSIGN_LOG", "trace").stdout(log.try_clone().unwrap()).stderr(log);
        let process = Process::start(&mut serve);
        wait_for(gateway.admin);
        (Self { gateway, echo }, process)
    }

    fn key(&self) -> String {
        self.gateway.key(&[]).1
    }

    /// One that the upstream got, as somebody there may have written it down.
    fn assertion(&self) -> String {
        self.gateway.get(ASSERTED, Some(&self.key())).is(200, "");
        self.echo.last().header(ASSERTION.as_str()).unwrap().to_owned()
    }

    fn opens_by_key(&self, text: &str) -> bool {
        let bearer = format!("Bearer {text}");
        [("Authorization", &*bearer), ("X-API-Key", text)].into_iter().any(|(name, value)| {
            self.gateway.send(&Request::get("/orders/1").header(name, value)).status == 200
        })
    }

    fn opens_by_query(&self, text: &str) -> bool {
        self.gateway.send(&Request::get(&format!("/query/1?_key={text}"))).status == 200
    }

    /// Past the gateway, at an upstream that verifies.
    fn opens_the_upstream(&self, text: &str) -> bool {
        let public = PublicUrl::parse(&format!("http://{}", self.gateway.address)).unwrap();
        let keys = AssertionKeys::told(&self.gateway.get(PATH, None).body).unwrap();
        let Ok(value) = text.parse() else { return false };
        let view = RequestView {
            method: &Method::GET,
            target: &public.target(&ASSERTED.parse().unwrap()),
            headers: &HeaderMap::from_iter([(ASSERTION, value)]),
            body: Body::Absent,
            source: None,
            received_at: SystemClock.now(),
            purpose: Purpose::Decide,
        };
        let verifier = AssertionVerifier::new(&public, self.echo.url(), keys);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(verifier.verify(&view)).is_ok()
    }

    /// A token in all the places in which somebody might put it.
    fn put_everywhere(&self, token: &str) {
        let escaped: String = token.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let spelled = [token, &token[1..], &token.replace('.', "%2E"), &token.replace('_', "%5F"), &escaped];
        let mut targets = vec![format!("/nowhere/{token}?token={token}"), format!("http://x/orders/{token}")];
        for text in spelled {
            targets.push(format!("/orders/{text}/items?token={text}"));
            targets.push(format!("/public/{text}?access_token={text}&_key={text}"));
            targets.push(format!("/query/1?_key={text}"));
            targets.push(format!("/orders/a;t={text}"));
        }
        for target in &targets {
            self.gateway.send(&Request::get(target));
        }
        for (name, value) in [
            ("Authorization", format!("Bearer {token}")),
            ("Authorization", format!("DPoP {token}")),
            ("Authorization", token.to_owned()),
            ("X-API-Key", token.to_owned()),
            ("Countersign-Assertion", token.to_owned()),
            ("Cookie", format!("session={token}")),
            ("Referer", format!("https://x/{token}")),
            ("Connection", token.to_owned()),
        ] {
            self.gateway.send(&Request::get("/orders/1").header(name, &value));
            self.gateway.send(&Request::new("POST", "/orders/1").header(name, &value).body(token.as_bytes()));
        }
        self.gateway.send(&Request::new(token, "/orders/1"));
    }

    /// All that the run left behind.
    fn left(&self) -> Vec<(&'static str, Vec<u8>)> {
        let mut management = Connection::management(&self.gateway.path("management.sock")).unwrap();
        let mut admin = Connection::to(self.gateway.admin).unwrap();
        vec![
            ("metrics", admin.get("/metrics", None).unwrap().body),
            ("decisions", management.ask("GET", "/v1/decisions?last=10000", "").unwrap().body),
            ("listing", management.ask("GET", "/v1/keys", "").unwrap().body),
            ("audit log", std::fs::read(self.gateway.path("audit.jsonl")).unwrap()),
            ("log", std::fs::read(self.gateway.path("log")).unwrap()),
        ]
    }
}

/// What might be a token in a text, as it stands and with its escapes undone.
fn token_like(text: &[u8]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut text = text.to_vec();
    for _ in 0..3 {
        let is_of_tokens = |byte: &u8| byte.is_ascii_alphanumeric() || b"._-~".contains(byte);
        for run in text.split(|byte| !is_of_tokens(byte)).filter(|run| run.len() >= SHORTEST) {
            let run = String::from_utf8_lossy(run);
            // Whatever stands before it, and whatever sentence it ends.
            let begins = run.match_indices("eyJ").chain(run.match_indices("cs_")).map(|(at, _)| at);
            for at in begins.chain([0]) {
                found.insert(run[at..].to_owned());
                found.insert(run[at..].trim_matches(['.', '-', '~']).to_owned());
            }
        }
        text = unescaped(&text);
    }
    found
}

fn unescaped(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        let digits = text.get(at + 1..at + 3).and_then(|two| std::str::from_utf8(two).ok());
        let byte = digits.filter(|_| text[at] == b'%').and_then(|two| u8::from_str_radix(two, 16).ok());
        out.push(byte.unwrap_or(text[at]));
        at += if byte.is_some() { 3 } else { 1 };
    }
    out
}

#[test]
fn nothing_that_looks_like_a_token_in_what_is_left_behind_opens_anything() {
    let (scene, _process) = Scene::new();
    let has_a_door = |kind: &Kind| {
        let token = (kind.make)(&scene);
        assert!((kind.opens)(&scene, &token), "{}: its door is shut to the token itself", kind.name);
    };
    for kind in KINDS {
        has_a_door(kind);
        // Another, which has opened nothing yet.
        let token = (kind.make)(&scene);
        let line = format!("x path=\"/a/{token}\". and %2f{}", token.replace('e', "%65"));
        assert!(token_like(line.as_bytes()).contains(&token), "{}: it would not be found", kind.name);
        scene.put_everywhere(&token);
    }
    let (mut tried, mut bytes) = (0, 0);
    for (place, text) in scene.left() {
        assert!(!text.is_empty(), "{place}");
        bytes += text.len();
        for candidate in token_like(&text) {
            tried += 1;
            for kind in KINDS {
                assert!(!(kind.opens)(&scene, &candidate), "{place} holds an {}: {candidate}", kind.name);
            }
        }
    }
    // Doors that had been shut meanwhile would show nothing.
    KINDS.iter().for_each(has_a_door);
    assert!(tried > 100, "{tried}");
    println!("secrecy of tokens: {} kinds, {bytes} bytes, {tried} strings tried, none opens", KINDS.len());
}
