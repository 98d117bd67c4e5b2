//! Web bots against a running gateway: two agents that publish their keys, and what becomes of what they
//! sign; and the quota of nonces.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use countersign::crypto::{Ed25519Key, Secret, VerifyingKey};
use countersign::schemes::signature::{
    Component, Derived, Parameters, SIGNATURE, SIGNATURE_AGENT, SIGNATURE_INPUT, sign,
};
use countersign::{Clock as _, Timestamp};
use countersign_io::SystemClock;
use countersign_testing::raw::Upstream;
use countersign_testing::{Echo, Gateway, Request, Response};
use http::{HeaderMap, Method};

const LAB: &str = "[egress]\nallow_http_loopback = true\n";

/// An agent with one key and the server that publishes it.
struct Agent {
    server: Upstream,
    seed: u8,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Agent {
    fn start(seed: u8) -> Self {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let kept = asked.clone();
        let body = format!("{{\"keys\":[{}]}}", public(seed).to_jwk().unwrap());
        let server = Upstream::answering(move |head| {
            kept.lock().unwrap().push(head.to_owned());
            format!(
                "HTTP/1.1 200 OK\r\nContent-Type: application/http-message-signatures-directory+json\r\n\
                 Cache-Control: max-age=600\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            )
        });
        Self { server, seed, asked }
    }

    fn origin(&self) -> String {
        self.server.url()
    }

    fn asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }

    /// What it signs for `gateway`.
    fn signed(&self, gateway: &Gateway) -> HeaderMap {
        signed(gateway, &Method::GET, &self.origin(), self.seed)
    }
}

fn public(seed: u8) -> VerifyingKey {
    VerifyingKey::from_ed25519(Ed25519Key::from_seed(Secret::new([seed; 32])).public()).unwrap()
}

/// The headers of a request to `/pages/1` in the name of the agent at `origin`, signed by a key.
fn signed(gateway: &Gateway, method: &Method, origin: &str, seed: u8) -> HeaderMap {
    static NONCES: AtomicUsize = AtomicUsize::new(0);
    let now = Timestamp::from_secs(SystemClock.now().as_secs());
    let mut headers = HeaderMap::from_iter([(SIGNATURE_AGENT, format!("bot={origin:?}").parse().unwrap())]);
    let target = format!("http://{}/pages/1", gateway.address).parse().unwrap();
    let agent = Component::member(SIGNATURE_AGENT, "bot").unwrap();
    let parameters = Parameters {
        created: Some(now),
        expires: Some(now.plus(Duration::from_secs(300))),
        nonce: Some(NONCES.fetch_add(1, Ordering::Relaxed).to_string()),
        keyid: public(seed).thumbprint(),
        tag: Some("web-bot-auth".to_owned()),
        alg: None,
    };
    let components = [Component::derived(Derived::Authority), agent];
    let key = Ed25519Key::from_seed(Secret::new([seed; 32]));
    sign(&mut headers, method, &target, "bot", &components, &parameters, &key).unwrap();
    headers
}

fn send(gateway: &Gateway, method: &str, headers: &HeaderMap) -> Response {
    let mut request = Request::new(method, "/pages/1");
    for name in [SIGNATURE_AGENT, SIGNATURE_INPUT, SIGNATURE] {
        request = request.header(
            match name.as_str() {
                "signature-agent" => "Signature-Agent",
                "signature" => "Signature",
                _ => "Signature-Input",
            },
            headers[&name].to_str().unwrap(),
        );
    }
    gateway.send(&request)
}

fn configuration(echo: &Echo, agents: &[&Agent], more: &str) -> String {
    let listed: Vec<String> = agents.iter().map(|agent| format!("{:?}", agent.origin())).collect();
    format!(
        "{LAB}[signature]\nweb_bot_auth = [{}]\n{more}\n[[route]]\npath = \"/pages/*\"\nupstream = \"{}\"\n\
         accept = [\"signature\"]\n",
        listed.join(", "),
        echo.url()
    )
}

#[test]
fn listed_agents_pass_each_as_itself_and_are_asked_once() {
    let (echo, one, two) = (Echo::start(), Agent::start(1), Agent::start(2));
    let gateway = Gateway::started(&configuration(&echo, &[&one, &two], ""));
    for agent in [&one, &two, &one, &two] {
        let passed = send(&gateway, "GET", &agent.signed(&gateway));
        assert_eq!(passed.status, 200, "{}", passed.text());
        let subject = format!("{}#{}", agent.origin(), public(agent.seed).thumbprint().unwrap());
        let seen = echo.last();
        assert_eq!(seen.header("countersign-subject"), Some(&*subject));
        assert_eq!(seen.header("countersign-scheme"), Some("signature"));
        assert_eq!((seen.header("signature"), seen.header("signature-agent")), (None, None));
    }
    assert_eq!((one.asked(), two.asked()), (1, 1));
    let head = one.asked.lock().unwrap()[0].clone();
    assert!(head.starts_with("GET /.well-known/http-message-signatures-directory HTTP/1.1\r\n"), "{head}");
}

#[test]
fn replays_other_agents_keys_strangers_and_unsafe_methods_are_refused() {
    let (echo, one, two, eve) = (Echo::start(), Agent::start(1), Agent::start(2), Agent::start(3));
    let gateway = Gateway::started(&configuration(&echo, &[&one, &two], ""));
    let request = one.signed(&gateway);
    assert_eq!(send(&gateway, "GET", &request).status, 200);
    send(&gateway, "GET", &request).is(401, "signature_replayed");
    let as_another = signed(&gateway, &Method::GET, &two.origin(), one.seed);
    send(&gateway, "GET", &as_another).is(401, "signature_invalid");
    send(&gateway, "GET", &eve.signed(&gateway)).is(401, "signature_invalid");
    send(&gateway, "DELETE", &one.signed(&gateway)).is(401, "signature_coverage");
    assert_eq!((one.asked(), two.asked(), eve.asked()), (1, 1, 0));
    assert_eq!(echo.seen().len(), 1);
}

#[test]
fn an_agent_that_cannot_be_reached_is_503_and_one_that_stays_listed_is_not_asked_anew() {
    let (echo, one) = (Echo::start(), Agent::start(1));
    let mut away = Agent::start(2);
    away.server.address = countersign_testing::free_address();
    let gateway = Gateway::started(&configuration(&echo, &[&one, &away], ""));
    let refused = send(&gateway, "GET", &away.signed(&gateway));
    refused.is(503, "keys_unavailable");
    assert_eq!(refused.header("retry-after"), Some("10"));
    assert_eq!(send(&gateway, "GET", &one.signed(&gateway)).status, 200);
    gateway.configure("", &configuration(&echo, &[&one], ""));
    countersign_testing::eventually("the reload", || {
        send(&gateway, "GET", &away.signed(&gateway)).code() == "signature_invalid"
    });
    assert_eq!(send(&gateway, "GET", &one.signed(&gateway)).status, 200);
    assert_eq!(one.asked(), 1, "what was known outlived the reload");
}

#[test]
fn agents_that_cannot_be_asked_are_mistakes_in_the_file() {
    let echo = Echo::start();
    for (agents, why) in [
        ("[]", "`web_bot_auth` is empty"),
        ("[\"https://agent.example/keys\"]", "no path and no query"),
        ("[\"http://agent.example\"]", "http://agent.example cannot be asked for its keys"),
        ("[\"https://agent.example:8443\"]", "https://agent.example:8443 cannot be asked for its keys"),
    ] {
        let text = configuration(&echo, &[], "");
        let gateway = Gateway::new(&text.replace("web_bot_auth = []", &format!("web_bot_auth = {agents}")));
        let output = gateway.run(&["config", "check"]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(why), "{agents}: {said}");
    }
}

#[test]
fn a_signer_over_its_quota_is_429_and_others_are_not() {
    let (echo, one, two) = (Echo::start(), Agent::start(1), Agent::start(2));
    let gateway = Gateway::started(&configuration(&echo, &[&one, &two], "[limits]\nnonces = \"2/h\""));
    for _ in 0..2 {
        assert_eq!(send(&gateway, "GET", &one.signed(&gateway)).status, 200);
    }
    let refused = send(&gateway, "GET", &one.signed(&gateway));
    refused.is(429, "nonce_quota");
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1700..=1800).contains(&wait), "{wait}");
    assert_eq!(send(&gateway, "GET", &two.signed(&gateway)).status, 200);
    // A reload that changes nothing about it forgets nothing.
    gateway.configure("", &configuration(&echo, &[&one], "[limits]\nnonces = \"2/h\""));
    countersign_testing::eventually("the reload", || {
        send(&gateway, "GET", &two.signed(&gateway)).code() == "signature_invalid"
    });
    send(&gateway, "GET", &one.signed(&gateway)).is(429, "nonce_quota");
    gateway.configure("", &configuration(&echo, &[&one], "[limits]\nnonces = \"3/h\""));
    countersign_testing::eventually("the new quota", || {
        send(&gateway, "GET", &one.signed(&gateway)).status == 200
    });
}
