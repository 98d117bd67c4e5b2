//! APIs in other languages behind the gateway, with verifiers that others wrote: `jose` in Express, PyJWT in
//! Flask. They take what the gateway forwards, and nothing that comes around it.

use std::io::Write as _;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use countersign::Clock as _;
use countersign::assertion::{Asserter, TYPE};
use countersign::crypto::{SealKey, Secret, SystemRandom};
use countersign_io::{AnyStore, StoreUrl, SystemClock};
use countersign_testing::{Gateway, Process, Request, Response, free_address, installed, root, wait_for};
use serde_json::{Value, json};

const ASSERTION: &str = "countersign-assertion";

/// An example of `examples/upstreams`, and between the gateway and it somebody who writes down what passes.
struct Scene {
    gateway: Gateway,
    /// The example itself, past the gateway.
    upstream: SocketAddr,
    /// What the gateway calls it.
    origin: String,
    passed: Arc<Mutex<Vec<u8>>>,
    key: String,
    subject: String,
    _process: Process,
}

impl Scene {
    fn new(command: impl FnOnce(&Path) -> Command) -> Self {
        let upstream = free_address();
        let (tap, passed) = tapped(upstream);
        let origin = format!("http://{tap}");
        let gateway = Gateway::started(&format!(
            "[[route]]\npath = \"/*\"\nupstream = \"{origin}\"\naccept = [\"api-key\"]\n"
        ));
        let (id, key) = gateway.key(&["orders:read"]);
        let mut command = command(gateway.folder.path());
        command
            .env("GATEWAY", format!("http://{}", gateway.address))
            .env("ORIGIN", &origin)
            .env("PORT", upstream.port().to_string())
            .env("NO_PROXY", "127.0.0.1")
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let process = Process::start(&mut command);
        wait_for(upstream);
        Self { gateway, upstream, origin, passed, key, subject: format!("key:{id}"), _process: process }
    }

    /// Node finds packages beside the script alone.
    fn express() -> Self {
        Self::new(|folder| {
            let script = folder.join("express.mjs");
            std::fs::copy(example("express.mjs"), &script).unwrap();
            let modules = installed("node/node_modules");
            std::os::unix::fs::symlink(modules, folder.join("node_modules")).unwrap();
            let mut command = Command::new("node");
            command.arg(script);
            command
        })
    }

    fn flask() -> Self {
        Self::new(|_| {
            let mut command = Command::new(installed("python/bin/python"));
            command.arg(example("flask_app.py"));
            command
        })
    }

    /// The assertion of the last request that passed.
    fn stolen(&self) -> String {
        let passed = String::from_utf8_lossy(&self.passed.lock().unwrap()).into_owned();
        let lines = passed.lines().rev().filter_map(|line| line.split_once(": "));
        let mut assertions = lines.filter(|(name, _)| name.eq_ignore_ascii_case(ASSERTION));
        assertions.next().expect("an assertion").1.to_owned()
    }

    /// A request to the example, past the gateway.
    fn around(&self, method: &str, target: &str, body: &[u8], assertion: Option<&str>) -> Response {
        let mut request = Request::new(method, target).header("Countersign-Subject", "key:admin").body(body);
        if let Some(assertion) = assertion {
            request = request.header(ASSERTION, assertion);
        }
        request.send(self.upstream)
    }

    #[track_caller]
    fn takes(&self, answer: &Response) {
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.json(), json!({"subject": self.subject, "permissions": ["orders:read"]}));
    }

    /// Plays it all.
    fn play(mut self) {
        let target = "/orders/1%20a?page=2&name=%C3%A9&empty=";
        // A key that is sent as itself, and a body that streams; and a signed request, whose body the gateway read.
        let bearer = format!("Bearer {}", self.key);
        let plain = Request::new("POST", target).header("Authorization", &bearer).body(b"one coffee");
        self.takes(&self.gateway.send(&plain));
        self.takes(&self.gateway.get("/?", Some(&self.key)));
        let url = format!("http://{}{target}", self.gateway.address);
        let called = self.gateway.run(&["call", "--key", &self.key, "-X", "POST", "-d", "one coffee", &url]);
        assert!(called.status.success(), "{called:?}");

        let stolen = self.stolen();
        let refuses = |method: &str, target: &str, body: &[u8], assertion: Option<&str>| {
            let answer = self.around(method, target, body, assertion);
            assert_eq!(answer.status, 401, "{method} {target}: {}", answer.text());
        };
        self.takes(&self.around("POST", target, b"one coffee", Some(&stolen)));
        refuses("POST", target, b"one coffee", None);
        refuses("POST", target, b"one coffee", Some("a.b.c"));
        refuses("POST", target, b"two coffees", Some(&stolen));
        refuses("POST", target, b"", Some(&stolen));
        refuses("PUT", target, b"one coffee", Some(&stolen));
        for other in [
            "/orders/1%20a",
            "/orders/1%20a?page=2&name=%C3%A9",
            "/orders/1%20a?page=2&name=%c3%a9&empty=",
            "/orders/1+a?page=2&name=%C3%A9&empty=",
            "/orders/2?page=2&name=%C3%A9&empty=",
        ] {
            refuses("POST", other, b"one coffee", Some(&stolen));
        }

        let now = SystemClock.now().as_secs();
        let claims = json!({
            "iss": format!("http://{}/assertion", self.gateway.address),
            "aud": self.origin,
            "sub": self.subject,
            "scheme": "api-key",
            "permissions": ["orders:read"],
            "htm": "GET",
            "htu": format!("http://{}/orders", self.gateway.address),
            "digest": "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:",
            "iat": now,
            "exp": now + 60,
        });
        let with = |name: &str, value: Value| {
            let mut claims = claims.clone();
            claims[name] = value;
            (TYPE, claims)
        };
        let expired = {
            let (typ, mut claims) = with("exp", json!(now - 120));
            claims["iat"] = json!(now - 180);
            (typ, claims)
        };
        let tokens = self.signed_by_the_gateway(&[
            (TYPE, claims.clone()),
            expired,
            with("aud", json!("http://127.0.0.1:1")),
            with("iss", json!("https://eve.example/assertion")),
            with("digest", json!("sha-256=:AAAA:")),
            ("at+jwt", claims.clone()),
        ]);
        self.takes(&self.around("GET", "/orders", b"", Some(&tokens[0])));
        for (number, token) in tokens.iter().enumerate().skip(1) {
            let answer = self.around("GET", "/orders", b"", Some(token));
            assert_eq!(answer.status, 401, "number {number}: {}", answer.text());
        }
    }

    /// Tokens by the gateway's own key, of which it makes no such thing: out of its store, while it rests.
    fn signed_by_the_gateway(&mut self, tokens: &[(&str, Value)]) -> Vec<String> {
        self.gateway.stop();
        let seal = std::fs::read(self.gateway.path("seal.key")).unwrap();
        let seal = SealKey::new(Secret::new(seal.try_into().unwrap()));
        let url = StoreUrl::Redb(self.gateway.path("countersign.redb"));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let signed = runtime.block_on(async {
            let store = Arc::new(AnyStore::open(&url, Arc::new(SystemClock)).await.unwrap());
            let asserter = Asserter::new(store, seal, Arc::new(SystemRandom));
            let keys = asserter.keys(SystemClock.now()).await.unwrap();
            tokens.iter().map(|(typ, claims)| keys.sign(typ, claims).unwrap()).collect()
        });
        drop(runtime);
        self.gateway.start();
        signed
    }
}

fn example(name: &str) -> PathBuf {
    root().join("examples/upstreams").join(name)
}

/// Hands bytes on to `upstream` and back, and keeps those that go there.
fn tapped(upstream: SocketAddr) -> (SocketAddr, Arc<Mutex<Vec<u8>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let passed = Arc::new(Mutex::new(Vec::new()));
    let kept = passed.clone();
    std::thread::spawn(move || {
        for caller in listener.incoming().flatten() {
            let Ok(upstream) = TcpStream::connect(upstream) else { continue };
            let kept = kept.clone();
            let (mut from, mut to) = (caller.try_clone().unwrap(), upstream.try_clone().unwrap());
            std::thread::spawn(move || {
                let mut buffer = [0; 16 * 1024];
                while let Ok(count @ 1..) = std::io::Read::read(&mut from, &mut buffer) {
                    kept.lock().unwrap().extend(&buffer[..count]);
                    if to.write_all(&buffer[..count]).is_err() {
                        break;
                    }
                }
                let _ = to.shutdown(std::net::Shutdown::Write);
            });
            let (mut from, mut to) = (upstream, caller);
            std::thread::spawn(move || {
                let _ = std::io::copy(&mut from, &mut to);
                let _ = to.shutdown(std::net::Shutdown::Write);
            });
        }
    });
    (address, passed)
}

#[test]
fn express_believes_the_gateway_and_nobody_else() {
    Scene::express().play();
}

#[test]
fn flask_believes_the_gateway_and_nobody_else() {
    Scene::flask().play();
}
