//! Outbound listeners that prove requests with keys on file.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;

use countersign::crypto::SigningKey;
use countersign_testing::{Echo, Gateway, Request, Response, eventually, free_address};

const PRIVATE: &str = include_str!("registered_keys_files/private.pem");
const SECRET: &str = "correct horse battery staple and so on";
const WALLET: &str = "0x4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318\n";
const ACCOUNT: &str = "eip155:0x2c7536e3605d9c16a7a3d7b1898e529396a65c23";
const LIMIT: usize = 1 << 20;

/// Bob: a gateway that takes all that keys can prove.
fn receiver(echo: &Echo) -> Gateway {
    let route = |path: &str, accept: &str| {
        format!("[[route]]\npath = \"{path}\"\nupstream = \"{}\"\n{accept}\n", echo.url())
    };
    Gateway::started(&format!(
        "[signature]\nwallets = true\n{}{}{}",
        route("/api-key", "accept = [\"api-key\"]\nanyone = true"),
        route("/signature", "accept = [\"signature\"]\nanyone = true"),
        route("/asymmetric", "accept = [\"asymmetric\"]\nanyone = true"),
    ))
}

fn secret_file(gateway: &Gateway, name: &str, content: &str, mode: u32) {
    std::fs::write(gateway.path(name), content).unwrap();
    std::fs::set_permissions(gateway.path(name), std::fs::Permissions::from_mode(mode)).unwrap();
}

/// An application's gateway towards `target`, which does not run yet, and where the application connects.
fn outbound(target: &str, prove: &str) -> (Gateway, SocketAddr) {
    let address = free_address();
    let gateway = Gateway::new(&format!(
        "[egress]\nallow_http_loopback = true\n[[outbound]]\nlisten = \"{address}\"\ntarget = \"{target}\"\nprove = {{ {prove} }}\n"
    ));
    for (name, content) in [("private.pem", PRIVATE), ("secret", SECRET), ("wallet", WALLET)] {
        secret_file(&gateway, name, content, 0o600);
    }
    (gateway, address)
}

/// A request as an application sends it.
fn call(outbound: SocketAddr, request: &Request<'_>) -> Response {
    let host = format!("Host: {outbound}\r\n");
    let bytes = String::from_utf8(request.bytes()).unwrap().replacen("Host: gateway\r\n", &host, 1);
    countersign_testing::exchange(outbound, bytes.as_bytes())
}

#[test]
fn each_kind_of_key_proves_what_an_application_sends() {
    let echo = Echo::start();
    let bob = receiver(&echo);
    let target = format!("http://{}", bob.address);
    let public = SigningKey::from_pem(PRIVATE, None).unwrap().verifying_key().to_jwk().unwrap();
    std::fs::write(bob.path("public.jwk"), public).unwrap();
    secret_file(&bob, "secret", SECRET, 0o600);
    let text = |made: &serde_json::Value, name: &str| made[name].as_str().unwrap().to_owned();
    let signed_only = bob.json(&["key", "new", "--label", "x", "--signed-only"]);
    let bearer = bob.json(&["key", "new", "--label", "x"]);
    let own = text(&bob.json(&["key", "add", "--label", "x", "--public", "public.jwk"]), "id");
    let shared = text(&bob.json(&["key", "add", "--label", "x", "--hmac-secret-file", "secret"]), "id");
    let named = |id: &str| format!("key:{id}");
    for (prove, key, scheme, subject) in [
        ("key_file = \"key\"".to_owned(), Some(&signed_only), "api-key", named(&text(&signed_only, "id"))),
        (
            "key_file = \"key\", bearer = true".to_owned(),
            Some(&bearer),
            "api-key",
            named(&text(&bearer, "id")),
        ),
        (format!("private_key_file = \"private.pem\", key_id = \"{own}\""), None, "signature", named(&own)),
        (format!("hmac_secret_file = \"secret\", key_id = \"{shared}\""), None, "signature", named(&shared)),
        ("wallet_file = \"wallet\", form = \"erc8128\"".to_owned(), None, "signature", ACCOUNT.to_owned()),
        (
            "wallet_file = \"wallet\", form = \"erc8128-untagged\"".to_owned(),
            None,
            "signature",
            ACCOUNT.to_owned(),
        ),
        ("wallet_file = \"wallet\"".to_owned(), None, "asymmetric", ACCOUNT.to_owned()),
    ] {
        let (mut alice, address) = outbound(&target, &prove);
        if let Some(key) = key {
            secret_file(&alice, "key", &text(key, "key"), 0o600);
        }
        alice.start();
        let path = format!("/{scheme}?page=2");
        // Until then, what was made in the second of Bob's start may have been made before it.
        eventually("signatures are of after the start", || call(address, &Request::get(&path)).status == 200);
        for body in [&b""[..], b"{\"cups\":2}"] {
            let request = Request::new("POST", &path).header("Content-Type", "application/json").body(body);
            let answer = call(address, &request);
            assert_eq!(answer.status, 200, "{prove}: {}", answer.text());
            let seen = echo.last();
            assert_eq!(seen.body, body);
            assert_eq!(seen.header("countersign-scheme"), Some(scheme), "{prove}");
            assert_eq!(seen.header("countersign-subject"), Some(&*subject), "{prove}");
            for credential in ["authorization", "signature", "signature-input", "asymmetricauthentication"] {
                assert_eq!(seen.header(credential), None);
            }
        }
        let log = alice.log();
        assert!(key.is_none_or(|key| !log.contains(&text(key, "key")[16..])), "{log}");
    }
}

#[test]
fn a_body_that_cannot_be_read_first_is_not_sent_where_it_must_be_signed() {
    let echo = Echo::start();
    let bob = receiver(&echo);
    let (_, key) = bob.key(&[]);
    let large = vec![b'x'; LIMIT + 1];
    for (prove, signs) in [
        ("key_file = \"key\"", true),
        ("key_file = \"key\", bearer = true", false),
        ("wallet_file = \"wallet\"", true),
    ] {
        let (mut alice, address) = outbound(&format!("http://{}", bob.address), prove);
        secret_file(&alice, "key", &key, 0o600);
        alice.start();
        let too_large = call(address, &Request::new("POST", "/api-key").body(&large));
        let chunked = format!(
            "POST /api-key HTTP/1.1\r\nHost: {address}\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
        );
        let unknown = countersign_testing::exchange(address, chunked.as_bytes());
        for answer in [too_large, unknown] {
            match signs {
                true => drop(answer.is(413, "body_too_large")),
                false => assert_eq!(answer.status, 200, "{}", answer.text()),
            }
        }
        assert_eq!(echo.seen().is_empty(), prove == "key_file = \"key\"", "{prove}");
    }
}

#[test]
fn what_cannot_be_signed_is_refused_with_its_own_code() {
    let echo = Echo::start();
    let (mut alice, address) = outbound(&echo.url(), "wallet_file = \"wallet\"");
    alice.start();
    call(address, &Request::get("/a?b=|")).is(400, "path_ambiguous");
    alice.stop();
    let (mut alice, address) = outbound(&echo.url(), "private_key_file = \"private.pem\", key_id = \"x\"");
    alice.start();
    call(address, &Request::get("/a").header("Signature-Input", "=")).is(400, "credential_malformed");
    assert!(echo.seen().is_empty());
}

#[test]
fn exactly_one_kind_with_what_belongs_to_it_is_taken() {
    for (prove, said) in [
        ("", "`prove` says nothing"),
        ("bearer = true", "`prove` says nothing"),
        ("key_file = \"key\", wallet_file = \"wallet\"", "`prove` names key_file and wallet_file"),
        ("webhook = \"https://alice.example/x\", key_file = \"key\"", "`prove` names webhook and key_file"),
        ("private_key_file = \"private.pem\"", "`key_id` is missing"),
        ("hmac_secret_file = \"secret\"", "`key_id` is missing"),
        ("private_key_file = \"private.pem\", key_id = \"\"", "printable ASCII"),
        (
            "key_file = \"key\", key_id = \"x\"",
            "`key_id` goes with private_key_file or hmac_secret_file, not with key_file",
        ),
        ("wallet_file = \"wallet\", bearer = true", "`bearer` goes with key_file"),
        ("key_file = \"key\", form = \"erc8128\"", "`form` goes with wallet_file"),
        ("key_file = \"key\", password_file = \"x\"", "`password_file` goes with wallet_file"),
        ("key_file = \"key\", hash = \"bcrypt\"", "`hash` goes with webhook"),
        ("key_file = \"key\", scope = \"x\"", "`scope` goes with webhook"),
        ("wallet_file = \"wallet\", form = \"x\"", "write asymmetric, erc8128 or erc8128-untagged"),
    ] {
        let (gateway, _) = outbound("http://127.0.0.1:1", prove);
        let output = gateway.run(&["config", "check"]);
        let heard = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{prove}: {heard}");
        assert!(heard.contains(said) && heard.contains("countersign.toml:"), "{prove}: {heard}");
    }
}

#[test]
fn a_key_that_cannot_be_had_stops_the_start() {
    for (prove, file, mode, said) in [
        ("key_file = \"key\"", "nothing of the kind", 0o600, "no API key"),
        ("key_file = \"key\"", "anything", 0o644, "chmod 600"),
        ("wallet_file = \"key\"", "0x1", 0o600, "64 hexadecimal digits"),
        ("private_key_file = \"key\", key_id = \"x\"", "secret words", 0o600, "neither PEM"),
        ("hmac_secret_file = \"key\", key_id = \"x\"", "short words", 0o600, "32 to 4096"),
        ("key_file = \"nowhere\"", "", 0o600, "nowhere"),
    ] {
        let (gateway, _) = outbound("http://127.0.0.1:1", prove);
        secret_file(&gateway, "key", file, mode);
        let output = gateway.refuses_to_start(&[]);
        let heard =
            format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(2), "{prove}: {heard}");
        assert!(heard.contains(said) && heard.contains("outbound.prove"), "{prove}: {heard}");
        assert!(!heard.contains("words"), "{heard}");
    }
}
