//! APIs that share no secret: each attack on the webhook scheme, against a running gateway.

use std::sync::Arc;
use std::time::Duration;

use countersign::schemes::webhook::Algorithm;
use countersign_testing::peer::{Language, Peer};
use countersign_testing::webhook::{Book, SeedPeer, WebhookApi, response};
use countersign_testing::{Echo, Gateway, Request, Response};
use serde_json::json;

const LAB: &str = "[egress]\nallow_http_loopback = true\n";

/// A gateway that lets `callers` call `/orders/*`.
fn receiver(echo: &Echo, callers: &[&str]) -> Gateway {
    receiver_with(echo, callers, "")
}

fn receiver_with(echo: &Echo, callers: &[&str], route: &str) -> Gateway {
    let listed: Vec<String> = callers.iter().map(|caller| format!("{caller:?}")).collect();
    Gateway::started(&format!(
        "{LAB}[webhook]\ncallers = [{}]\n[[route]]\npath = \"/orders/*\"\nupstream = \"{}\"\naccept = [\"webhook\"]\n{route}\n",
        listed.join(", "),
        echo.url()
    ))
}

/// Alice, who keeps to the protocol, at her webhook URL.
struct Alice {
    api: WebhookApi,
    book: Book,
}

impl Alice {
    fn start() -> Self {
        let book = Book::default();
        let answers = book.clone();
        Self { api: WebhookApi::answering(move |_, question| answers.answer(question)), book }
    }

    fn url(&self) -> String {
        self.api.url("/hook")
    }

    /// The credential of a request to `/orders/1` of `gateway`.
    fn credential(&self, gateway: &Gateway) -> String {
        self.credential_for(&format!("http://{}/orders/1", gateway.address), Algorithm::Sha256)
    }

    fn credential_for(&self, receiver: &str, algorithm: Algorithm) -> String {
        format!("Webhook {} {}", self.url(), self.book.token_for(receiver, algorithm))
    }

    /// Alice's own request passes, whatever was tried before.
    fn passes(&self, gateway: &Gateway) {
        let passed = send(gateway, &self.credential(gateway));
        assert_eq!(passed.status, 200, "{}", passed.text());
    }
}

fn send(gateway: &Gateway, authorization: &str) -> Response {
    gateway.send(&Request::get("/orders/1").header("Authorization", authorization))
}

/// A hash that nobody has a token for.
fn hash_of_nothing() -> String {
    Book::default().token_for("", Algorithm::Sha256)
}

#[test]
fn an_api_proves_itself_in_both_header_forms_and_by_both_hashes() {
    let echo = Echo::start();
    let alice = Alice::start();
    let gateway = receiver(&echo, &[&alice.url()]);
    let own_url = format!("http://{}/orders/1", gateway.address);
    for algorithm in [Algorithm::Sha256, Algorithm::Bcrypt] {
        let hash = alice.book.token_for(&own_url, algorithm);
        let passed = send(&gateway, &format!("Webhook {} {hash}", alice.url()));
        assert_eq!(passed.status, 200, "{}", passed.text());
        assert_eq!(passed.header("authentication-info"), Some("alg=\"sha-256 bcrypt\", keys=\"ed25519\""));
        let hash = alice.book.token_for(&own_url, algorithm);
        let parameters = format!("Webhook hash=\"{hash}\", url=\"{}\"", alice.url());
        assert_eq!(send(&gateway, &parameters).status, 200);
    }
    let seen = echo.last();
    assert_eq!(seen.header("countersign-subject"), Some(&*format!("webhook:{}", alice.url())));
    assert_eq!(seen.header("countersign-scheme"), Some("webhook"));
    assert_eq!(seen.header("authorization"), None);
    let (path, question) = alice.api.asked()[0].clone();
    assert_eq!(path, "/hook");
    assert_eq!(question["url"], own_url.as_str(), "without the query, and never by the Host header");
    assert_eq!(question.as_object().unwrap().len(), 2);
}

#[test]
fn without_a_credential_the_challenge_says_what_is_taken() {
    let echo = Echo::start();
    let gateway = receiver(&echo, &["http://127.0.0.1:9/hook"]);
    let refused = gateway.get("/orders/1", None);
    refused.is(401, "credential_missing");
    assert_eq!(refused.header("www-authenticate"), Some("Webhook alg=\"sha-256 bcrypt\", keys=\"ed25519\""));
    assert_eq!(refused.header("authentication-info"), None);
}

#[test]
fn the_query_is_not_part_of_the_receivers_url_and_the_host_header_says_nothing() {
    let echo = Echo::start();
    let alice = Alice::start();
    let gateway = receiver(&echo, &[&alice.url()]);
    let credential = alice.credential(&gateway);
    let request = Request::get("/orders/1?as=admin").header("Authorization", &credential);
    assert_eq!(gateway.send(&request.header("X-Forwarded-Host", "eve.example")).status, 200);
    assert_eq!(echo.last().request_line(), "GET /orders/1?as=admin HTTP/1.1");
}

#[test]
fn eve_can_name_alices_url_and_cannot_have_it_confirmed() {
    let echo = Echo::start();
    let alice = Alice::start();
    let gateway = receiver(&echo, &[&alice.url()]);
    send(&gateway, &format!("Webhook {} {}", alice.url(), hash_of_nothing())).is(401, "webhook_denied");
    alice.passes(&gateway);
    assert_eq!(echo.seen().len(), 1);
}

#[test]
fn eves_own_url_is_not_listed_and_nobody_dials_it() {
    let echo = Echo::start();
    let (alice, eve) = (Alice::start(), Alice::start());
    let gateway = receiver(&echo, &[&alice.url()]);
    send(&gateway, &eve.credential(&gateway)).is(403, "webhook_caller");
    assert_eq!(eve.api.asked().len(), 0);
    // Another path on Alice's host is not Alice.
    let other = alice.url().replace("/hook", "/uploads/eve");
    send(&gateway, &format!("Webhook {other} {}", hash_of_nothing())).is(403, "webhook_caller");
    assert_eq!(alice.api.asked().len(), 0);
}

#[test]
fn a_hash_that_was_meant_for_another_receiver_is_not_confirmed_and_not_burned() {
    let echo = Echo::start();
    let alice = Alice::start();
    let gateway = receiver(&echo, &[&alice.url()]);
    // Alice calls Eve, and Eve hands the header on.
    let relayed = alice.credential_for("http://eve.example/orders/1", Algorithm::Sha256);
    send(&gateway, &relayed).is(401, "webhook_denied");
    assert_eq!(alice.book.waiting(), 1, "it still waits for the one it is for");
    alice.passes(&gateway);
}

#[test]
fn the_same_header_passes_once() {
    let echo = Echo::start();
    let alice = Alice::start();
    let gateway = receiver(&echo, &[&alice.url()]);
    let credential = alice.credential(&gateway);
    assert_eq!(send(&gateway, &credential).status, 200);
    send(&gateway, &credential).is(401, "webhook_denied");
    assert_eq!(echo.seen().len(), 1);
}

#[test]
fn of_sixty_four_at_once_one_passes() {
    let echo = Echo::start();
    let alice = Alice::start();
    let gateway = Arc::new(receiver(&echo, &[&alice.url()]));
    let credential = Arc::new(alice.credential(&gateway));
    let tries: Vec<_> = (0..64)
        .map(|_| {
            let (gateway, credential) = (gateway.clone(), credential.clone());
            std::thread::spawn(move || send(&gateway, &credential))
        })
        .collect();
    let answers: Vec<Response> = tries.into_iter().map(|tried| tried.join().unwrap()).collect();
    let passed = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!(passed, 1);
    for refused in answers.iter().filter(|answer| answer.status != 200) {
        refused.is(401, "webhook_denied");
    }
    assert_eq!(echo.seen().len(), 1);
}

#[test]
fn whatever_is_no_token_denies() {
    let echo = Echo::start();
    let api = WebhookApi::answering(|path, question| match path {
        "/echo" => response(200, &question.to_string()),
        "/health" => response(200, "OK"),
        "/page" => response(200, "<html>welcome</html>"),
        "/empty" => response(200, ""),
        "/long" => response(200, &"a".repeat(73)),
        "/huge" => response(200, &"a".repeat(9000)),
        "/other" => response(200, &"a".repeat(43)),
        "/created" => response(201, &"a".repeat(43)),
        "/redirect" => "HTTP/1.1 307 x\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n".to_owned(),
        _ => response(500, ""),
    });
    let paths = [
        "/echo",
        "/health",
        "/page",
        "/empty",
        "/long",
        "/huge",
        "/other",
        "/created",
        "/redirect",
        "/error",
    ];
    let urls: Vec<String> = paths.iter().map(|path| api.url(path)).collect();
    let gateway = receiver(&echo, &urls.iter().map(String::as_str).collect::<Vec<_>>());
    for url in &urls {
        send(&gateway, &format!("Webhook {url} {}", hash_of_nothing())).is(401, "webhook_denied");
    }
    assert_eq!(api.asked().len(), paths.len(), "each was asked once, and no redirect was followed");
    assert_eq!(echo.seen().len(), 0);
}

#[test]
fn a_hash_that_costs_too_much_is_refused_before_anybody_is_dialled() {
    let echo = Echo::start();
    let alice = Alice::start();
    let gateway = receiver(&echo, &[&alice.url()]);
    let rest = "Y8FP2QNi3xUqr3cIc1e/S.43dPA1/8ng2kg4cYJ.WioUZozIoW3cy";
    for cost in ["31", "13", "03"] {
        let refused = send(&gateway, &format!("Webhook {} $2b${cost}${rest}", alice.url()));
        refused.is(400, "hash_cost");
        assert!(refused.header("www-authenticate").unwrap().starts_with("Webhook "));
    }
    for hash in ["md5.abc", "$2b$04$short", "$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA", "sha-256.abc"] {
        let refused = send(&gateway, &format!("Webhook {} {hash}", alice.url()));
        refused.is(400, "hash_format");
        assert!(refused.header("www-authenticate").unwrap().starts_with("Webhook "));
    }
    assert_eq!(alice.api.asked().len(), 0);
}

#[test]
fn a_url_that_is_no_webhook_url_is_refused() {
    let echo = Echo::start();
    let gateway = receiver(&echo, &["https://alice.example/hook"]);
    for url in [
        "http://alice.example/hook",
        "https://user@alice.example/hook",
        "https://alice.example/hook?a",
        "https://alice.example/hook#a",
        "https://alice.example:8443/hook",
        "https://alice.example./hook",
        "https://alice.example/a/../hook",
        "ftp://alice.example/hook",
    ] {
        send(&gateway, &format!("Webhook {url} {}", hash_of_nothing())).is(400, "webhook_url");
    }
    for credential in [
        "Webhook",
        "Webhook https://alice.example/hook",
        "Webhook a b c",
        "Webhook url=\"https://alice.example/hook\"",
    ] {
        send(&gateway, credential).is(400, "credential_malformed");
    }
    let twice = Request::get("/orders/1")
        .header("Authorization", "Webhook https://alice.example/hook sha-256.x")
        .header("Authorization", "Webhook https://alice.example/hook sha-256.x");
    gateway.send(&twice).is(400, "credential_ambiguous");
}

#[test]
fn addresses_that_are_not_public_are_not_dialled_even_for_listed_callers() {
    let echo = Echo::start();
    let hosts = [
        "127.0.0.1",
        "10.0.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "[::1]",
        "[fe80::1]",
        "[fd00:ec2::254]",
        "[::ffff:127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "2130706433",
        "0177.0.0.1",
        "0x7f.1",
        "localhost",
    ];
    let urls: Vec<String> = hosts.iter().map(|host| format!("https://{host}/hook")).collect();
    let listed: Vec<String> = urls.iter().map(|url| format!("{url:?}")).collect();
    let gateway = Gateway::started(&format!(
        "[webhook]\ncallers = [{}]\n[[route]]\npath = \"/orders/*\"\nupstream = \"{}\"\naccept = [\"webhook\"]\n",
        listed.join(", "),
        echo.url()
    ));
    for url in &urls {
        send(&gateway, &format!("Webhook {url} {}", hash_of_nothing())).is(403, "webhook_address_forbidden");
    }
}

#[test]
fn nobody_there_is_502_and_no_answer_in_time_is_504() {
    let echo = Echo::start();
    let slow = WebhookApi::answering(|_, _| {
        std::thread::sleep(Duration::from_secs(4));
        response(200, "")
    });
    let nobody = format!("http://{}/hook", countersign_testing::free_address());
    let gateway = receiver(&echo, &[&nobody, &slow.url("/hook")]);
    send(&gateway, &format!("Webhook {nobody} {}", hash_of_nothing())).is(502, "webhook_unreachable");
    let late = send(&gateway, &format!("Webhook {} {}", slow.url("/hook"), hash_of_nothing()));
    late.is(504, "webhook_timeout");
}

#[test]
fn the_gateways_own_listeners_are_never_asked() {
    let echo = Echo::start();
    let mut gateway = Gateway::new("");
    let own = format!("http://{}/.well-known/webhook-auth", gateway.address);
    let admin = format!("http://{}/readyz", gateway.admin);
    gateway.configure(
        "",
        &format!(
            "{LAB}[webhook]\ncallers = [{own:?}, {admin:?}]\n[[route]]\npath = \"/orders/*\"\nupstream = \"{}\"\naccept = [\"webhook\"]\n",
            echo.url()
        ),
    );
    gateway.start();
    for url in [own, admin] {
        send(&gateway, &format!("Webhook {url} {}", hash_of_nothing())).is(403, "webhook_address_forbidden");
    }
}

#[test]
fn a_webhook_url_that_is_itself_guarded_by_webhook_denies_and_does_not_loop() {
    let echo = Echo::start();
    let alice = Alice::start();
    // Carol's endpoint is behind a gateway that asks for a webhook credential itself.
    let carol = receiver(&echo, &[&alice.url()]);
    let url = format!("http://{}/orders/hook", carol.address);
    let gateway = receiver(&echo, &[&url]);
    send(&gateway, &format!("Webhook {url} {}", hash_of_nothing())).is(401, "webhook_denied");
    assert_eq!((alice.api.asked().len(), echo.seen().len()), (0, 0));
    assert_eq!(carol.explain_latest()["code"], "credential_missing");
}

#[test]
fn the_policy_judges_the_claimed_url_before_anybody_is_dialled() {
    let echo = Echo::start();
    let alice = Alice::start();
    let gateway = receiver_with(
        &echo,
        &[&alice.url()],
        "require = { subject = [\"webhook:https://carol.example/hook\"] }",
    );
    send(&gateway, &alice.credential(&gateway)).is(403, "permission_missing");
    assert_eq!(alice.api.asked().len(), 0);
    assert_eq!(alice.book.waiting(), 1);
}

#[test]
fn callers_have_the_permissions_that_the_operator_gives_them() {
    let echo = Echo::start();
    let alice = Alice::start();
    let gateway = Gateway::started(&format!(
        "{LAB}[webhook]\ncallers = [{0:?}]\npermissions = {{ {0:?} = [\"orders:read\"] }}\n\
         [[route]]\npath = \"/orders/*\"\nupstream = \"{1}\"\naccept = [\"webhook\"]\nrequire = {{ permission = [\"orders:read\"] }}\n\
         [[route]]\npath = \"/admin\"\nupstream = \"{1}\"\naccept = [\"webhook\"]\nrequire = {{ permission = [\"admin\"] }}\n",
        alice.url(),
        echo.url()
    ));
    alice.passes(&gateway);
    let credential = alice.credential_for(&format!("http://{}/admin", gateway.address), Algorithm::Sha256);
    gateway.send(&Request::get("/admin").header("Authorization", &credential)).is(403, "permission_missing");
}

#[test]
fn explain_asks_nobody_and_names_the_cause() {
    let echo = Echo::start();
    let alice = Alice::start();
    let gateway = receiver(&echo, &[&alice.url()]);
    let request = format!(
        "GET /orders/1 HTTP/1.1\r\nHost: {}\r\nAuthorization: {}\r\n\r\n",
        gateway.address,
        alice.credential(&gateway)
    );
    std::fs::write(gateway.path("request"), request).unwrap();
    let output = gateway.run(&["explain", "--request", "request", "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let story: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (story["outcome"].as_str(), story["code"].as_str()),
        (Some("deny"), Some("webhook_not_asked"))
    );
    assert_eq!(alice.api.asked().len(), 0);
    send(&gateway, &format!("Webhook {} {}", alice.url(), hash_of_nothing())).is(401, "webhook_denied");
    let story = gateway.explain_latest();
    let cause =
        story["steps"].as_array().unwrap().iter().find(|step| step["passed"] == false).unwrap()["note"]
            .clone();
    assert!(cause.as_str().unwrap().contains("answered 404"), "{cause}");
}

#[test]
fn a_caller_that_is_taken_off_the_list_is_refused_from_the_reload_on() {
    let echo = Echo::start();
    let alice = Alice::start();
    let gateway = receiver(&echo, &[&alice.url()]);
    alice.passes(&gateway);
    let more = format!(
        "{LAB}[webhook]\ncallers = [\"https://carol.example/hook\"]\n[[route]]\npath = \"/orders/*\"\nupstream = \"{}\"\naccept = [\"webhook\"]\n",
        echo.url()
    );
    gateway.configure("", &more);
    countersign_testing::eventually("the reload", || {
        send(&gateway, &alice.credential(&gateway)).code() == "webhook_caller"
    });
}

#[test]
fn a_requester_that_a_stranger_wrote_introduces_its_key_and_is_asked_no_more() {
    let echo = Echo::start();
    let mut peer = Peer::start(Language::Python, "webhook_peer");
    let url = peer.answer()["url"].as_str().unwrap().to_owned();
    let vectors = concat!(env!("CARGO_MANIFEST_DIR"), "/../../vectors/requests/webhook.json");
    let verified = peer.ask(&json!({ "vectors": vectors }))["verified"].as_u64().unwrap();
    assert!(verified > 40, "{verified} requests of the vectors have its bases, and hold");

    let gateway = receiver(&echo, &[&url]);
    let orders = |path: &str| format!("http://{}/orders/{path}", gateway.address);
    let called = |how: &str, status: u16, code: Option<&str>, asked: u64| json!({ "how": how, "status": status, "code": code, "asked": asked });
    let get = |path: &str| json!({ "method": "GET", "url": orders(path) });
    let post = |path: &str| json!({ "method": "POST", "url": orders(path), "body": "{\"count\":2}" });
    assert_eq!(peer.ask(&post("1?dry=yes")), called("introduce", 200, None, 1));
    for order in [get("1"), get("1?"), get("1?a=%2F&b=+"), post("1")] {
        assert_eq!(peer.ask(&order), called("later", 200, None, 1), "{order}");
        assert_eq!(echo.last().header("countersign-subject"), Some(&*format!("webhook:{url}")));
    }
    let again = peer.ask(&json!({ "again": true }));
    assert_eq!(again, json!({ "status": 401, "code": "signature_replayed", "asked": 1 }));

    // Withdrawn, unknown, and introduced anew; a query that is empty is another target than none.
    let withdrawing = json!({ "method": "GET", "url": orders("1"), "how": "introduce", "exp": 0 });
    assert_eq!(peer.ask(&withdrawing), called("introduce", 200, None, 2));
    let unknown = json!({ "method": "GET", "url": orders("1"), "how": "later" });
    assert_eq!(peer.ask(&unknown), called("later", 401, Some("webhook_key_unknown"), 2));
    assert_eq!(peer.ask(&get("1?")), called("introduce", 200, None, 3));
    let plain = json!({ "method": "GET", "url": orders("1"), "how": "plain" });
    assert_eq!(peer.ask(&plain), called("plain", 200, None, 4));
}

/// Alice, who takes a while to answer.
fn thoughtful(pause: Duration) -> Alice {
    let book = Book::default();
    let answers = book.clone();
    let api = WebhookApi::answering(move |_, question| {
        std::thread::sleep(pause);
        answers.answer(question)
    });
    Alice { api, book }
}

/// Eight calls at once, each with a credential of its own; what they were answered.
fn at_once(gateway: &Gateway, credential: impl Fn() -> String) -> Vec<Response> {
    let credentials: Vec<String> = (0..8).map(|_| credential()).collect();
    std::thread::scope(|scope| {
        let calls: Vec<_> =
            credentials.iter().map(|credential| scope.spawn(move || send(gateway, credential))).collect();
        calls.into_iter().map(|call| call.join().unwrap()).collect()
    })
}

#[test]
fn eight_calls_at_once_from_a_caller_that_is_listed_whole_all_pass() {
    let echo = Echo::start();
    for in_flight in [4, 8] {
        let alice = thoughtful(Duration::from_millis(100));
        let gateway = Gateway::started(&format!(
            "{LAB}[webhook]\ncallers = [{:?}]\nin_flight = {in_flight}\n[[route]]\npath = \"/orders/*\"\nupstream = \"{}\"\naccept = [\"webhook\"]\n",
            alice.url(),
            echo.url()
        ));
        for _ in 0..2 {
            let answers = at_once(&gateway, || alice.credential(&gateway));
            let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
            assert_eq!(statuses, [200; 8]);
        }
        assert!(alice.api.most_at_once() <= in_flight, "{}", alice.api.most_at_once());
    }
}

#[test]
fn nobody_waits_for_a_caller_that_is_listed_by_its_origin() {
    let echo = Echo::start();
    let alice = thoughtful(Duration::from_millis(300));
    let origin = alice.api.url("");
    let gateway = receiver(&echo, &[&origin]);
    let own_url = format!("http://{}/orders/1", gateway.address);
    let credential = || {
        let hash = alice.book.token_for(&own_url, Algorithm::Sha256);
        format!("Webhook {origin}/.well-known/webhook-auth {hash}")
    };
    let answers = at_once(&gateway, credential);
    let over = answers.iter().filter(|answer| answer.status == 429).collect::<Vec<_>>();
    assert!(!over.is_empty());
    over.iter().for_each(|answer| {
        answer.is(429, "webhook_budget");
    });
}

#[test]
fn a_queue_for_one_caller_does_not_hold_up_another() {
    let echo = Echo::start();
    let (slow, alice) = (thoughtful(Duration::from_millis(1_500)), Alice::start());
    let mut gateway = Gateway::new("");
    gateway.configure(
        "trusted_proxies = [\"127.0.0.1\"]",
        &format!(
            "{LAB}[webhook]\ncallers = [{:?}, {:?}]\nin_flight = 32\n[[route]]\npath = \"/orders/*\"\nupstream = \"{}\"\naccept = [\"webhook\"]\n",
            slow.url(),
            alice.url(),
            echo.url()
        ),
    );
    gateway.start();
    let from = |source: usize, credential: String| {
        let request = Request::get("/orders/1").header("Authorization", &credential);
        gateway.send(&request.header("X-Forwarded-For", &format!("192.0.2.{source}")))
    };
    std::thread::scope(|scope| {
        for source in 0..40 {
            let (from, slow, gateway) = (&from, &slow, &gateway);
            scope.spawn(move || from(source, slow.credential(gateway)));
        }
        countersign_testing::eventually("a queue", || slow.api.most_at_once() > 1);
        let start = std::time::Instant::now();
        for _ in 0..5 {
            assert_eq!(from(99, alice.credential(&gateway)).status, 200);
        }
        assert!(start.elapsed() < Duration::from_millis(1_400), "{:?}", start.elapsed());
    });
}

#[test]
fn none_of_two_hundred_calls_is_lost_to_a_requester_that_closes_idle_connections_before_we_do() {
    let echo = Echo::start();
    let mut gateway = Gateway::new("");
    let peer = SeedPeer::closing_after("0.2", &format!("http://{}/orders/1", gateway.address), 4);
    gateway.configure(
        "",
        &format!(
            "{LAB}[webhook]\ncallers = [{:?}]\n[[route]]\npath = \"/orders/*\"\nupstream = \"{}\"\naccept = [\"webhook\"]\n",
            peer.url("/webhook"),
            echo.url()
        ),
    );
    gateway.start();
    let address = peer.address;
    std::thread::scope(|scope| {
        for caller in 0..4_u64 {
            scope.spawn(move || {
                for call in 0..50 {
                    let answer = Request::get("/example").send(address);
                    assert_eq!(answer.text(), "{\"allowed\": true}", "{call} of {caller}");
                    // About as long as it keeps a connection.
                    std::thread::sleep(Duration::from_millis(180 + 10 * caller));
                }
            });
        }
    });
    assert_eq!(echo.seen().len(), 200);
}

#[test]
fn a_requester_that_knows_only_the_seeds_protocol_is_let_in() {
    let echo = Echo::start();
    let mut gateway = Gateway::new("");
    let peer = SeedPeer::start(&format!("http://{}/orders/1", gateway.address), 12);
    let stranger = SeedPeer::start(&format!("http://{}/orders/1", gateway.address), 4);
    gateway.configure(
        "",
        &format!(
            "{LAB}[webhook]\ncallers = [{:?}]\n[[route]]\npath = \"/orders/*\"\nupstream = \"{}\"\naccept = [\"webhook\"]\n",
            peer.url("/webhook"),
            echo.url()
        ),
    );
    gateway.start();
    for _ in 0..3 {
        let answer = Request::get("/example").send(peer.address);
        assert_eq!(answer.text(), "{\"allowed\": true}");
    }
    assert_eq!(Request::get("/example").send(stranger.address).text(), "{\"allowed\": false}");
    assert_eq!(gateway.explain_latest()["code"], "webhook_caller");
    assert_eq!(echo.seen().len(), 3);
}
