//! What looks like a token in anything that a run leaves behind is tried, on every door that there is: none
//! opens.

#![allow(clippy::print_stdout, reason = "the figures are for whoever reads the log")]

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign::assertion::{ASSERTION, AssertionKeys, AssertionVerifier, PATH};
use countersign::crypto::ethereum::EthereumKey;
use countersign::crypto::{Ed25519Key, Secret, SystemRandom};
use countersign::dpop::DpopSigner;
use countersign::request::Body;
use countersign::{Clock as _, PublicUrl, RequestView};
use countersign_io::SystemClock;
use countersign_testing::callbacks::{Callback, ROUTE};
use countersign_testing::keep_alive::Connection;
use countersign_testing::{Echo, Gateway, Process, Request, Response, oauth, wait_for};
use http::{HeaderMap, Method};
use serde_json::Value;

/// Something that opens something: how to have one, and whether a string is one.
struct Kind {
    name: &'static str,
    make: fn(&Scene) -> String,
    opens: fn(&Scene, &str) -> bool,
    /// Whether it opens its door at all, for whoever has it and nothing else of its owner's.
    is_enough: bool,
}

/// Every kind of token, one line each. Doors that need more than the token are tried with all that the token's
/// owner would need besides, so that the token alone decides; those of what is never enough, with Eve's own keys.
const KINDS: &[Kind] = &[
    Kind { name: "API key", make: Scene::key, opens: Scene::opens_by_key, is_enough: true },
    Kind { name: "API key in a query", make: Scene::key, opens: Scene::opens_by_query, is_enough: true },
    Kind { name: "assertion", make: Scene::assertion, opens: Scene::opens_the_upstream, is_enough: true },
    Kind { name: "access token", make: Scene::access, opens: Scene::opens_as_bearer, is_enough: true },
    Kind { name: "ID token", make: Scene::id_token, opens: Scene::opens_as_bearer, is_enough: true },
    Kind {
        name: "bound access token",
        make: Scene::bound,
        opens: Scene::opens_with_eves_proof,
        is_enough: false,
    },
    Kind { name: "DPoP proof", make: Scene::proof, opens: Scene::opens_as_proof, is_enough: true },
    Kind { name: "refresh token", make: Scene::refresh, opens: Scene::refreshes, is_enough: true },
    Kind { name: "client assertion", make: Scene::client, opens: Scene::proves_the_client, is_enough: true },
    Kind { name: "message of a wallet", make: Scene::message, opens: Scene::signs_in, is_enough: true },
    Kind { name: "nonce for a wallet", make: Scene::nonce, opens: Scene::signs_eve_in, is_enough: false },
    Kind { name: "callback URL", make: Scene::callback, opens: Scene::delivers, is_enough: true },
    Kind { name: "static callback URL", make: Scene::fixed, opens: Scene::delivers, is_enough: true },
];

/// How long what might be a token is, at least.
const SHORTEST: usize = 20;
/// The request that assertions are about.
const ASSERTED: &str = "/orders/1?page=2";

struct Scene {
    gateway: Gateway,
    echo: Echo,
    /// A token that is bound to the key of [`holder`], which everybody knows here.
    known: String,
    /// What the gateway said where it refused a request that had a token somewhere.
    refusals: RefCell<Vec<u8>>,
}

/// Whose key a bound token needs.
fn holder() -> DpopSigner {
    DpopSigner::new(Ed25519Key::from_seed(Secret::new([9; 32])).into(), Arc::new(SystemRandom)).unwrap()
}

fn eve() -> DpopSigner {
    DpopSigner::new(Ed25519Key::from_seed(Secret::new([66; 32])).into(), Arc::new(SystemRandom)).unwrap()
}

impl Scene {
    fn new() -> (Self, Process) {
        let echo = Echo::start();
        let route = |path: &str, more: &str| {
            format!("[[route]]\npath = \"{path}\"\nupstream = \"{}\"\n{more}\n", echo.url())
        };
        let gateway = Gateway::new("");
        let issuer = format!(
            "[limits]\nunproven = \"100000000/min\"\n\
             [issuer]\nenabled = true\naudience = \"orders\"\nclients = [{}]\nwallets = [\"{}\"]\n\
             [[bearer.issuer]]\nissuer = \"{}\"\naudience = [\"orders\", \"shop\"]\nid_tokens = true\n\
             names_keys = true\n",
            oauth::SHOP,
            oauth::wallet().address(),
            oauth::url(&gateway),
        );
        let routes = [
            route("/orders/*", "accept = [\"api-key\"]"),
            route("/query/*", "accept = [\"api-key\"]\nkey_in_query = true"),
            route("/public/*", "public = true"),
            route("/plain/*", "accept = [\"bearer\"]\nanyone = true"),
            route(ROUTE, "accept = [\"callback-url\"]"),
        ];
        oauth::write_shop(&gateway);
        gateway.configure("", &format!("{issuer}{}", routes.concat()));
        let log = std::fs::File::create(gateway.path("log")).unwrap();
        let mut serve = gateway.command(&["serve"]);
        serve.env("COUNTERSIGN_LOG", "trace").stdout(log.try_clone().unwrap()).stderr(log);
        let process = Process::start(&mut serve);
        wait_for(gateway.admin);
        let mut scene = Self { gateway, echo, known: String::new(), refusals: RefCell::default() };
        scene.known = scene.bound();
        (scene, process)
    }

    /// Tokens for the client, bound to the key of whoever signs `proof`.
    fn tokens(&self, prover: Option<&DpopSigner>) -> Value {
        let target = format!("{}/oauth/token", oauth::url(&self.gateway)).parse().unwrap();
        let proof =
            prover.map(|prover| prover.prove(&Method::POST, &target, None, None, SystemClock.now()).unwrap());
        let (grant, assertion) = (oauth::JWT_BEARER, oauth::client_assertion(&self.gateway));
        let body = format!("grant_type={grant}&scope=openid+orders%3Aread&assertion={assertion}");
        let answer = oauth::post(&self.gateway, "/oauth/token", &body, proof.as_deref());
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    }

    fn access(&self) -> String {
        self.tokens(None)["access_token"].as_str().unwrap().to_owned()
    }

    fn id_token(&self) -> String {
        self.tokens(None)["id_token"].as_str().unwrap().to_owned()
    }

    fn bound(&self) -> String {
        self.tokens(Some(&holder()))["access_token"].as_str().unwrap().to_owned()
    }

    fn refresh(&self) -> String {
        self.tokens(None)["refresh_token"].as_str().unwrap().to_owned()
    }

    fn client(&self) -> String {
        oauth::client_assertion(&self.gateway)
    }

    fn nonce(&self) -> String {
        oauth::siwe_nonce(&self.gateway)
    }

    fn message(&self) -> String {
        URL_SAFE_NO_PAD.encode(oauth::siwe_message(&self.gateway, &oauth::wallet(), &self.nonce()))
    }

    fn callback(&self) -> String {
        Callback::mint(&self.gateway, &[]).token().to_owned()
    }

    fn fixed(&self) -> String {
        Callback::mint(&self.gateway, &["--static"]).token().to_owned()
    }

    fn prove(&self, prover: &DpopSigner, token: &str) -> String {
        let target = format!("{}/plain/1", oauth::url(&self.gateway)).parse().unwrap();
        prover.prove(&Method::GET, &target, Some(token), None, SystemClock.now()).unwrap()
    }

    /// One that nobody has used yet, for the token that everybody knows.
    fn proof(&self) -> String {
        self.prove(&holder(), &self.known)
    }

    fn opens_as_bearer(&self, text: &str) -> bool {
        let bearer = format!("Bearer {text}");
        self.gateway.send(&Request::get("/plain/1").header("Authorization", &bearer)).status == 200
    }

    fn opens_with_proof(&self, token: &str, proof: &str) -> bool {
        let authorization = format!("DPoP {token}");
        let request = Request::get("/plain/1").header("Authorization", &authorization);
        self.gateway.send(&request.header("DPoP", proof)).status == 200
    }

    fn opens_with_eves_proof(&self, text: &str) -> bool {
        self.opens_as_bearer(text) || self.opens_with_proof(text, &self.prove(&eve(), text))
    }

    fn opens_as_proof(&self, text: &str) -> bool {
        self.opens_with_proof(&self.known, text)
    }

    fn gets_tokens(&self, form: &str) -> bool {
        oauth::post(&self.gateway, "/oauth/token", form, None).status == 200
    }

    fn refreshes(&self, text: &str) -> bool {
        let by = oauth::proven_by(&oauth::client_assertion(&self.gateway));
        self.gets_tokens(&format!("grant_type=refresh_token&refresh_token={text}&{by}"))
    }

    fn proves_the_client(&self, text: &str) -> bool {
        self.gets_tokens(&format!("grant_type=client_credentials&{}", oauth::proven_by(text)))
    }

    fn signs_in(&self, text: &str) -> bool {
        self.gets_tokens(&format!("grant_type={}&assertion={text}", oauth::SIWE))
    }

    fn signs_eve_in(&self, text: &str) -> bool {
        let key = EthereumKey::from_bytes(Secret::new([6; 32])).unwrap();
        self.signs_in(&URL_SAFE_NO_PAD.encode(oauth::siwe_message(&self.gateway, &key, text)))
    }

    fn delivers(&self, text: &str) -> bool {
        let target = format!("/v1/results/42/{text}");
        self.gateway.send(&Request::new("POST", &target).body(b"stolen")).status == 200
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
        };
        let verifier = AssertionVerifier::new(&public, self.echo.url(), keys);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(verifier.verify(&view)).is_ok()
    }

    /// Sends what has a token somewhere. Of the answers, those that the gateway makes itself are looked through:
    /// the upstream repeats what it is asked.
    fn put(&self, request: &Request<'_>) {
        self.hear(self.gateway.send(request));
    }

    fn hear(&self, answer: Response) {
        if answer.status >= 400 {
            let mut refusals = self.refusals.borrow_mut();
            for (name, value) in answer.headers {
                refusals.extend(format!("{name}: {value}\n").into_bytes());
            }
            refusals.extend(answer.body);
        }
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
            targets.push(format!("/v1/results/43/{text}?token={text}"));
            targets.push(format!("/oauth/{text}"));
        }
        for target in &targets {
            self.put(&Request::get(target));
        }
        for (name, value) in [
            ("Authorization", format!("Bearer {token}")),
            ("Authorization", format!("DPoP {token}")),
            ("Authorization", token.to_owned()),
            ("DPoP", token.to_owned()),
            ("X-API-Key", token.to_owned()),
            ("Countersign-Assertion", token.to_owned()),
            ("Cookie", format!("session={token}")),
            ("Referer", format!("https://x/{token}")),
            ("Connection", token.to_owned()),
        ] {
            self.put(&Request::get("/orders/1").header(name, &value));
            self.put(&Request::new("POST", "/orders/1").header(name, &value).body(token.as_bytes()));
        }
        self.put(&Request::new(token, "/orders/1"));
        // A grant that is not known is refused before anything else in the form is used.
        let form = ["assertion", "refresh_token", "client_assertion", "token", "scope", token];
        let form = form.map(|name| format!("&{name}={token}")).concat();
        for path in ["/oauth/token", "/oauth/introspect", "/oauth/revoke", "/oauth/nonce", "/callbacks"] {
            self.hear(oauth::post(&self.gateway, path, &format!("grant_type={token}{form}"), Some(token)));
        }
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
            ("database", std::fs::read(self.gateway.path("countersign.redb")).unwrap()),
            ("refusals", self.refusals.take()),
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
        assert_eq!((kind.opens)(&scene, &token), kind.is_enough, "{}: alone, at its own door", kind.name);
    };
    for kind in KINDS {
        has_a_door(kind);
        // Another, which has opened nothing yet.
        let token = (kind.make)(&scene);
        let line = format!("x path=\"/a/{token}\". and %2f{}", token.replace('e', "%65"));
        assert!(token_like(line.as_bytes()).contains(&token), "{}: it would not be found", kind.name);
        scene.put_everywhere(&token);
    }
    let (mut tried, mut bytes) = (BTreeSet::new(), 0);
    for (place, text) in scene.left() {
        assert!(!text.is_empty(), "{place}");
        bytes += text.len();
        for candidate in token_like(&text) {
            if !tried.insert(candidate.clone()) {
                continue;
            }
            for kind in KINDS {
                assert!(!(kind.opens)(&scene, &candidate), "{place} holds an {}: {candidate}", kind.name);
            }
        }
    }
    // Doors that had been shut meanwhile would show nothing.
    KINDS.iter().for_each(has_a_door);
    let tried = tried.len();
    assert!(tried > 100, "{tried}");
    println!("secrecy of tokens: {} kinds, {bytes} bytes, {tried} strings tried, none opens", KINDS.len());
}
