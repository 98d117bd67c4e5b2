//! `sign` and `verify`: raw requests in pipes, judged by `explain` and by whoever has the public key.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Output, Stdio};

use countersign::crypto::SigningKey;
use countersign_testing::raw::converse;
use countersign_testing::{Echo, Gateway};
use serde_json::Value;

const PRIVATE: &str = include_str!("registered_keys_files/private.pem");
const WALLET: &str = "0x4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318\n";
const SECRET: &[u8] = b"correct horse battery staple and so on";
/// Ends the head, and with its answer the connection.
const CLOSING: &str = "\r\nConnection: close\r\n\r\n";
const BODY: &str = "{\"item\":\"tea\"}";

/// A gateway that does not run, with every kind of route, and key files beside its configuration.
fn prepared() -> Gateway {
    let echo = Echo::start();
    let route = |path: &str, accept: &str| {
        format!("[[route]]\npath = \"{path}\"\nupstream = \"{}\"\n{accept}\n", echo.url())
    };
    let gateway = Gateway::new(&format!(
        "[signature]\nwallets = true\n{}{}{}",
        route("/keys/*", "accept = [\"api-key\"]\nanyone = true"),
        route("/signed/*", "accept = [\"signature\"]\nanyone = true"),
        route("/wallets/*", "accept = [\"asymmetric\"]\nanyone = true"),
    ));
    let public = SigningKey::from_pem(PRIVATE, None).unwrap().verifying_key().to_jwk().unwrap();
    std::fs::write(gateway.path("public.jwk"), public).unwrap();
    for (name, content) in
        [("private.pem", PRIVATE.as_bytes()), ("secret", SECRET), ("wallet", WALLET.as_bytes())]
    {
        secret_file(&gateway, name, content);
    }
    gateway
}

fn secret_file(gateway: &Gateway, name: &str, content: &[u8]) {
    std::fs::write(gateway.path(name), content).unwrap();
    std::fs::set_permissions(gateway.path(name), std::fs::Permissions::from_mode(0o600)).unwrap();
}

/// A command with `input` on standard input.
fn piped(gateway: &Gateway, arguments: &[&str], input: &[u8]) -> Output {
    let mut command = gateway.command(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A command that refuses its flags does not read.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[track_caller]
fn is_a_mistake(output: &Output, why: &str) {
    assert_eq!(output.status.code(), Some(2), "{}", said(output));
    assert!(said(output).contains(why) && output.stdout.is_empty(), "{}", said(output));
}

fn post(gateway: &Gateway, path: &str) -> String {
    format!(
        "POST {path}?page=2 HTTP/1.1\r\nhOST: {}\r\nContent-Type: application/json\r\nX-Note:  kept \r\n\
         Content-Length: {}\r\n\r\n{BODY}",
        gateway.address,
        BODY.len()
    )
}

/// `request`, signed.
#[track_caller]
fn signed(gateway: &Gateway, proof: &[&str], request: &str) -> String {
    let output = piped(gateway, &[&["sign"], proof].concat(), request.as_bytes());
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// What the gateway would decide: exit code and decision.
fn explained(gateway: &Gateway, request: &str) -> (i32, Value) {
    let output = piped(gateway, &["explain", "--request", "-", "--json"], request.as_bytes());
    let decision = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", said(&output)));
    (output.status.code().unwrap(), decision)
}

#[track_caller]
fn is_permitted(gateway: &Gateway, request: &str, scheme: &str, subject: &str) {
    let (exit, decision) = explained(gateway, request);
    assert_eq!(exit, 0, "{decision}\n{request}");
    assert_eq!((&decision["scheme"], &decision["subject"]), (&scheme.into(), &subject.into()));
}

#[track_caller]
fn is_denied(gateway: &Gateway, request: &str, code: &str) {
    let (exit, decision) = explained(gateway, request);
    assert_eq!((exit, &decision["code"]), (1, &code.into()), "{decision}\n{request}");
}

/// Each part that is covered, with something else in its place.
fn changed(request: &str, gateway: &Gateway) -> Vec<(String, &'static str)> {
    let port = gateway.address.port().to_string();
    [
        ("POST", "PUT", "signature_invalid"),
        ("page=2", "page=3", "signature_invalid"),
        ("/1?", "/2?", "signature_invalid"),
        ("application/json", "text/plain", "signature_invalid"),
        ("\"tea\"", "\"gin\"", "content_digest"),
        ("content-digest: sha-256=:", "content-digest: sha-256=:A", "signature_invalid"),
        ("nonce=\"", "nonce=\"A", "signature_invalid"),
        (";expires=1", ";expires=2", "proof_expired"),
        (&*port, "1", ""),
    ]
    .into_iter()
    // The gateway judges by the URL that it has, whatever the request says; `verify` by the latter.
    .filter(|(_, _, code)| !code.is_empty())
    .map(|(old, new, code)| {
        assert!(request.contains(old), "{old}: {request}");
        (request.replacen(old, new, 1), code)
    })
    .collect()
}

#[test]
fn an_api_key_signs_and_every_covered_byte_counts() {
    let gateway = prepared();
    let made = gateway.json(&["key", "new", "--label", "x", "--signed-only"]);
    let (id, key) = (made["id"].as_str().unwrap(), made["key"].as_str().unwrap());
    secret_file(&gateway, "key", format!("{key}\n").as_bytes());
    let request = post(&gateway, "/keys/1");
    for proof in [["--key", key], ["--key-file", "key"]] {
        let signed = signed(&gateway, &proof, &request);
        assert!(!signed.contains(&key[16..]), "the key stays at home");
        is_permitted(&gateway, &signed, "api-key", &format!("key:{id}"));
        for (changed, code) in changed(&signed, &gateway) {
            is_denied(&gateway, &changed, code);
        }
    }
    let bearer = signed(&gateway, &["--key-file", "key", "--bearer"], &request);
    assert!(bearer.contains(&format!("\r\nauthorization: Bearer {key}\r\n")));
    is_denied(&gateway, &bearer, "key_invalid");
}

#[test]
fn all_but_the_added_lines_stays_byte_for_byte() {
    let gateway = prepared();
    let request =
        post(&gateway, "/signed/1").replace("\r\n\r\n{", "\r\nContent-Digest: sha-256=:AAAA:\r\n\r\n{");
    let signed = signed(&gateway, &["--private-key", "private.pem", "--key-id", "partner"], &request);
    let (head, body) = signed.split_once("\r\n\r\n").unwrap();
    assert_eq!(body, BODY);
    let unsigned = post(&gateway, "/signed/1");
    let added = head.strip_prefix(unsigned.split_once("\r\n\r\n").unwrap().0).unwrap();
    let mut names: Vec<_> = added.trim().split("\r\n").map(|line| line.split(':').next().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, ["content-digest", "signature", "signature-input"]);

    let twice = piped(&gateway, &["sign", "--wallet", "wallet", "--form", "erc8128"], signed.as_bytes());
    let twice = String::from_utf8(twice.stdout).unwrap();
    assert!(twice.starts_with(head.split_once("content-digest").unwrap().0), "{twice}");
    assert!(twice.contains("\r\nsignature-input: sig1=(") && twice.contains("\r\nsignature-input: sig2=("));
}

#[test]
fn registered_keys_and_wallets_pass() {
    let gateway = prepared();
    let public = gateway.json(&["key", "add", "--public", "public.jwk", "--label", "x"]);
    let shared = gateway.json(&["key", "add", "--hmac-secret-file", "secret", "--label", "y"]);
    let id = |key: &Value| key["id"].as_str().unwrap().to_owned();
    let by_key = format!("key:{}", id(&public));
    let by_secret = format!("key:{}", id(&shared));
    let account = "eip155:0x2c7536e3605d9c16a7a3d7b1898e529396a65c23";
    for (path, proof, scheme, subject) in [
        ("/signed/1", &["--private-key", "private.pem", "--key-id", &id(&public)][..], "signature", &*by_key),
        ("/signed/1", &["--hmac-secret-file", "secret", "--key-id", &id(&shared)], "signature", &by_secret),
        ("/signed/1", &["--wallet", "wallet", "--form", "erc8128"], "signature", account),
        ("/wallets/1", &["--wallet", "wallet"], "asymmetric", account),
    ] {
        let signed = signed(&gateway, proof, &post(&gateway, path));
        is_permitted(&gateway, &signed, scheme, subject);
        is_denied(
            &gateway,
            &signed.replacen("\"tea\"", "\"gin\"", 1),
            match scheme {
                "asymmetric" => "signature_invalid",
                _ => "content_digest",
            },
        );
        is_denied(&gateway, &signed.replacen("page=2", "page=3", 1), "signature_invalid");
        let get = format!("GET {path} HTTP/1.1\nHost: {}\n\n", gateway.address);
        let without_body = self::signed(&gateway, proof, &get);
        assert!(!without_body.contains("content-digest") && !without_body.contains('\r'));
        is_permitted(&gateway, &without_body, scheme, subject);
    }
}

#[test]
fn a_request_that_has_passed_is_explained_as_a_replay_and_one_that_was_explained_still_passes() {
    let mut gateway = prepared();
    gateway.start();
    let (_, key) = gateway.key(&[]);
    let send = |request: &str| converse(gateway.address, &request.replace("\r\n\r\n", CLOSING));
    for (path, proof) in [("/keys/1", &["--key", &*key][..]), ("/wallets/1", &["--wallet", "wallet"])] {
        let signed = signed(&gateway, proof, &post(&gateway, path));
        for _ in 0..2 {
            assert_eq!(explained(&gateway, &signed).0, 0, "{path}");
        }
        let answer = send(&signed);
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        for _ in 0..2 {
            is_denied(&gateway, &signed, "signature_replayed");
        }
        let answer = send(&signed);
        assert!(answer.starts_with("HTTP/1.1 401 ") && answer.contains("signature_replayed"), "{answer}");
        let next = self::signed(&gateway, proof, &post(&gateway, path));
        assert_eq!(explained(&gateway, &next).0, 0, "{path}: another one was not spent");
    }
}

#[test]
fn digests_of_what_was_signed_are_sent_where_they_are_asked_for() {
    let gateway = prepared();
    let (_, key) = gateway.key(&[]);
    let request = post(&gateway, "/keys/1").replace(&gateway.address.to_string(), "localhost:1");
    let signed = signed(&gateway, &["--key", &key, "--base-digests"], &request);
    let (_, decision) = explained(&gateway, &signed);
    assert_eq!(decision["code"], "signature_invalid");
    assert!(decision.to_string().contains("@authority"), "{decision}");
}

#[test]
fn what_was_signed_is_verified_by_the_public_key() {
    let gateway = prepared();
    let request = post(&gateway, "/signed/1");
    for (proof, key) in [
        (&["--private-key", "private.pem", "--key-id", "partner"][..], &["--public", "public.jwk"]),
        (&["--hmac-secret-file", "secret", "--key-id", "partner"], &["--hmac-secret-file", "secret"]),
    ] {
        let signed = signed(&gateway, proof, &request);
        let verify = |request: &str, more: &[&str]| {
            piped(&gateway, &[&["verify"], &key[..], more].concat(), request.as_bytes())
        };
        let good = verify(&signed, &[]);
        assert_eq!(good.status.code(), Some(0), "{}", said(&good));
        let story = String::from_utf8(good.stdout).unwrap();
        assert!(story.starts_with("good: POST http://127.0.0.1:") && story.contains("partner"), "{story}");
        let json: Value = serde_json::from_slice(&verify(&signed, &["--json"]).stdout).unwrap();
        assert_eq!((&json["outcome"], &json["code"]), (&"good".into(), &Value::Null));
        assert_eq!((&json["keyid"], &json["label"]), (&"partner".into(), &"sig1".into()));
        assert_eq!(json["covered"].as_array().unwrap().len(), 7, "{json}");
        let elsewhere = signed.replacen(&gateway.address.to_string(), "127.0.0.1:1", 1);
        for (changed, code) in
            changed(&signed, &gateway).into_iter().chain([(elsewhere, "signature_invalid")])
        {
            let bad = verify(&changed, &[]);
            assert_eq!(bad.status.code(), Some(1), "{changed}");
            assert!(bad.stdout.is_empty());
            assert!(said(&bad).starts_with(&format!("countersign: {code}: ")), "{}", said(&bad));
            let json: Value = serde_json::from_slice(&verify(&changed, &["--json"]).stdout).unwrap();
            assert_eq!((&json["outcome"], &json["code"]), (&"bad".into(), &code.into()), "{json}");
        }
        for (more, code) in [
            (&["--at", "2020-01-01T00:00:00Z"][..], "proof_future"),
            (&["--at", "2090-01-01T00:00:00Z"], "proof_expired"),
            (&["--scheme", "https"], "signature_invalid"),
        ] {
            let bad = verify(&signed, more);
            assert_eq!(bad.status.code(), Some(1));
            assert!(said(&bad).starts_with(&format!("countersign: {code}: ")), "{}", said(&bad));
        }
    }
}

#[test]
fn verify_says_what_is_missing() {
    let gateway = prepared();
    let request = post(&gateway, "/signed/1");
    let verify = |request: &str, more: &[&str]| {
        piped(&gateway, &[&["verify", "--public", "public.jwk"], more].concat(), request.as_bytes())
    };
    let code = |output: &Output| {
        assert_eq!(output.status.code(), Some(1), "{}", said(output));
        said(output).split(": ").nth(1).unwrap().to_owned()
    };
    assert_eq!(code(&verify(&request, &[])), "credential_missing");
    let by_another = signed(&gateway, &["--hmac-secret-file", "secret", "--key-id", "x"], &request);
    assert_eq!(code(&verify(&by_another, &[])), "signature_invalid");
    let proof = ["--private-key", "private.pem", "--key-id", "partner"];
    // Of several signatures the one that the key made counts.
    let both = signed(&gateway, &proof, &by_another);
    let good = verify(&both, &["--json"]);
    assert_eq!(serde_json::from_slice::<Value>(&good.stdout).unwrap()["label"], "sig2", "{}", said(&good));
    let two_others = signed(&gateway, &["--wallet", "wallet", "--form", "erc8128"], &by_another);
    assert_eq!(code(&verify(&two_others, &[])), "signature_invalid");
    // What was signed is shown where it is clear which, and where that is what is wrong.
    let shows_base = |request: &str| said(&verify(request, &[])).contains("what would have been signed");
    assert!(shows_base(&by_another) && !shows_base(&two_others));
    let json = verify(&two_others, &["--json"]);
    assert_eq!(serde_json::from_slice::<Value>(&json.stdout).unwrap()["label"], Value::Null);
    let without_body = format!("GET /signed/1 HTTP/1.1\r\nHost: {}\r\n\r\n", gateway.address);
    let signed_get = signed(&gateway, &proof, &without_body);
    let with_body = signed_get.replacen("\r\n\r\n", "\r\nContent-Length: 2\r\n\r\nhi", 1);
    assert_eq!(code(&verify(&with_body, &[])), "signature_coverage");
    let typed = signed_get.replacen("\r\n\r\n", "\r\nContent-Type: text/plain\r\n\r\n", 1);
    assert_eq!(code(&verify(&typed, &[])), "signature_coverage");
    assert!(!shows_base(&typed));
    // A body that was cut off takes its length along.
    let signed_post = signed(&gateway, &proof, &request);
    let cut = signed_post.replace(BODY, "").replace("Content-Length: 14\r\n", "");
    assert_eq!(code(&verify(&cut, &[])), "content_digest");
}

#[test]
fn mistakes_say_what_to_do_and_print_no_secret() {
    let gateway = prepared();
    let (_, key) = gateway.key(&[]);
    let request = post(&gateway, "/signed/1");
    let sign =
        |flags: &[&str], request: &str| piped(&gateway, &[&["sign"], flags].concat(), request.as_bytes());
    is_a_mistake(&sign(&[], &request), "--key-file FILE");
    is_a_mistake(&sign(&["--key", &key, "--wallet", "wallet"], &request), "cannot be used with");
    is_a_mistake(&sign(&["--private-key", "private.pem"], &request), "--key-id");
    is_a_mistake(&sign(&["--key-id", "x"], &request), "--private-key FILE");
    is_a_mistake(&sign(&["--base-digests"], &request), "--key-file FILE");
    is_a_mistake(&sign(&["--bearer"], &request), "--key-file FILE");
    is_a_mistake(&sign(&["--bearer", "--wallet", "wallet"], &request), "cannot be used with");
    is_a_mistake(&sign(&["--form", "erc8128"], &request), "--wallet");
    for flag in
        [["--form", "erc8128"], ["--password-file", "secret"], ["--hash", "bcrypt"], ["--key-id", "x"]]
    {
        is_a_mistake(&sign(&[&flag[..], &["--key", &key]].concat(), &request), "cannot be used with");
    }
    is_a_mistake(&sign(&["--private-key", "public.jwk", "--key-id", "x"], &request), "chmod 600");
    is_a_mistake(&sign(&["--private-key", "secret", "--key-id", "x"], &request), "neither PEM");
    is_a_mistake(&sign(&["--private-key", "private.pem", "--key-id", "ü"], &request), "keyid");
    let mistyped = sign(&["--key", &key[..key.len() - 1]], &request);
    is_a_mistake(&mistyped, "--key holds no API key");
    assert!(!said(&mistyped).contains(&key[16..40]));
    is_a_mistake(&sign(&["--key-file", "wallet"], &request), "no API key");
    is_a_mistake(&sign(&["--key", &key], "nonsense"), "countersign: ");
    is_a_mistake(&sign(&["--key", &key], "GET / HTTP/1.1\r\n\r\n"), "Host");
    let divided = request.replace("page=2", "page=|");
    is_a_mistake(&sign(&["--wallet", "wallet"], &divided), "vertical line");
    let authorized = request.replace("X-Note:", "Authorization: Basic eA==\r\nX-Note:");
    is_a_mistake(&sign(&["--key", &key, "--bearer"], &authorized), "exclude each other");
    assert_eq!(sign(&["--key", &key], &authorized).status.code(), Some(0), "a signature goes beside it");
    let webhook = ["--webhook", "https://alice.example/.well-known/webhook-auth"];
    is_a_mistake(&sign(&webhook, &request), "use a Redis store");

    let verify = |flags: &[&str]| piped(&gateway, &[&["verify"], flags].concat(), request.as_bytes());
    is_a_mistake(&verify(&[]), "--public");
    is_a_mistake(&verify(&["--public", "private.pem"]), "this is a private key");
    is_a_mistake(&verify(&["--public", "nowhere"]), "nowhere");
    is_a_mistake(&verify(&["--public", "public.jwk", "--at", "yesterday"]), "write RFC 3339");
}

#[test]
fn a_wallet_under_a_password_signs_and_a_wrong_password_does_not() {
    let gateway = prepared();
    // The test vector of Web3 Secret Storage with PBKDF2.
    let keystore = r#"{"crypto":{"cipher":"aes-128-ctr","cipherparams":{"iv":"6087dab2f9fdbbfaddc31a909735c1e6"},
        "ciphertext":"5318b4d5bcd28de64ee5559e671353e16f075ecae9f99c7a79a38af5f869aa46","kdf":"pbkdf2",
        "kdfparams":{"c":262144,"dklen":32,"prf":"hmac-sha256","salt":"ae3cd4e7013836a3df6bd7241b12db061dbe2c6785853cce422d148a624ce0bd"},
        "mac":"517ead924a9d0dc3124507e3393d175ce3ff7c1e96529c6c555ce9e51205e9b2"},"id":"3198bc9c-6672-5ab3-d995-4942343ae5b6","version":3}"#;
    secret_file(&gateway, "locked", keystore.as_bytes());
    secret_file(&gateway, "password", b"testpassword\n");
    secret_file(&gateway, "wrong", b"testpasswort\n");
    let request = post(&gateway, "/wallets/1");
    let sign = |flags: &[&str]| {
        piped(&gateway, &[&["sign", "--wallet", "locked"], flags].concat(), request.as_bytes())
    };
    let signed = sign(&["--password-file", "password"]);
    assert_eq!(signed.status.code(), Some(0), "{}", said(&signed));
    let (exit, decision) = explained(&gateway, &String::from_utf8(signed.stdout).unwrap());
    assert_eq!((exit, &decision["scheme"]), (0, &"asymmetric".into()), "{decision}");
    is_a_mistake(&sign(&[]), "password file");
    let wrong = sign(&["--password-file", "wrong"]);
    is_a_mistake(&wrong, "the password is wrong");
    assert!(!said(&wrong).contains("testpasswor"));
}

/// What `decode --json` finds.
fn decoded(gateway: &Gateway, input: &str) -> Value {
    let output = piped(gateway, &["decode", "--json"], input.as_bytes());
    assert_eq!(output.status.code(), Some(0), "{input}: {}", said(&output));
    let human = piped(gateway, &["decode"], input.as_bytes());
    assert_eq!(human.status.code(), Some(0));
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = String::from_utf8(human.stdout).unwrap();
    assert!(text.starts_with(found[0]["kind"].as_str().unwrap()), "{text}");
    // What people are shown hides what programs are not told.
    assert!(!text.contains("\u{1b}"));
    found
}

#[test]
fn decode_shows_what_a_credential_says_and_not_its_secret() {
    let gateway = prepared();
    let (id, key) = gateway.key(&[]);
    let last = if key.ends_with('x') { 'y' } else { 'x' };
    let mistyped = format!("{}{last}", &key[..key.len() - 1]);
    for (text, check) in
        [(&key, "fits"), (&format!("Bearer {key}\n"), "fits"), (&mistyped, "mistyped or cut")]
    {
        let found = decoded(&gateway, text);
        assert_eq!((&found[0]["kind"], &found[0]["id"]), (&"api key".into(), &id.as_str().into()));
        assert!(found[0]["check"].as_str().unwrap().contains(check), "{found}");
        assert!(!found.to_string().contains(&key[16..40]), "{found}");
    }
    // What is no API key has no name, wherever it is found.
    let found = decoded(&gateway, "X-API-Key: hunter2hunter2hunter2");
    assert_eq!((&found[0]["kind"], &found[0]["id"]), (&"api key".into(), &Value::Null));
    let given = gateway.run(&["decode", &key]);
    assert!(String::from_utf8(given.stdout).unwrap().contains(&id));

    let token = "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJhXHUwMDFiWzMxbSJ9.c2VjcmV0";
    let found = decoded(&gateway, &format!("Authorization: Bearer {token}\n"));
    assert_eq!((&found[0]["kind"], &found[0]["header"]["alg"]), (&"token".into(), &"EdDSA".into()));
    assert_eq!(found[0]["claims"]["sub"], "a\u{1b}[31m");
    assert!(!found.to_string().contains("c2VjcmV0"), "{found}");

    let hash = "$2b$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy";
    let found = decoded(&gateway, &format!("Webhook https://alice.example/hook {hash}"));
    assert_eq!(
        (&found[0]["kind"], &found[0]["url"]),
        (&"webhook".into(), &"https://alice.example/hook".into())
    );
    assert_eq!(found[0]["hash"], "bcrypt");
}

#[test]
fn decode_shows_every_credential_of_a_request() {
    let gateway = prepared();
    let (id, key) = gateway.key(&[]);
    let by_key = signed(&gateway, &["--key", &key], &post(&gateway, "/keys/1"));
    let by_wallet = signed(&gateway, &["--wallet", "wallet"], &by_key);
    let all = signed(&gateway, &["--key", &key, "--bearer"], &by_wallet);
    let found = decoded(&gateway, &all);
    let kinds: Vec<_> =
        found.as_array().unwrap().iter().map(|found| found["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["api key", "asymmetric", "signature"]);
    assert_eq!(found[1]["address"], "0x2c7536e3605d9c16a7a3d7b1898e529396a65c23");
    assert_eq!((&found[2]["keyid"], &found[2]["tag"]), (&id.into(), &"countersign".into()));
    assert_eq!(found[2]["covered"].as_array().unwrap().len(), 7);
    assert!(!found.to_string().contains(&key[16..]), "{found}");
    assert_eq!((&found[1]["signature"], &found[2]["signature"]), (&"(hidden)".into(), &"(64 bytes)".into()));
    for start in ["signature: sig1=:", "asymmetricauthentication: {"] {
        let line = all.lines().find(|line| line.starts_with(start)).unwrap();
        let from = line.find("\"Signature\":\"0x").map_or(start.len(), |found| found + 15);
        assert!(!found.to_string().contains(&line[from..from + 20]), "{start}");
    }
    let lines: Vec<_> = by_key.lines().filter(|line| line.starts_with("signature")).collect();
    assert_eq!(decoded(&gateway, &lines.join("\n"))[0]["label"], "sig1");
    let json = by_wallet.lines().find_map(|line| line.strip_prefix("asymmetricauthentication: ")).unwrap();
    assert_eq!(decoded(&gateway, json)[0]["kind"], "asymmetric");
}

#[test]
fn decode_does_not_repeat_what_it_does_not_know() {
    let gateway = prepared();
    for text in ["", "hunter2", "a.b.c", "Basic aHVudGVyMg==", "GET / HTTP/1.1\r\nHost: hunter2\r\n\r\n"] {
        let output = piped(&gateway, &["decode"], text.as_bytes());
        is_a_mistake(&output, "this is none of what is read here");
        assert!(
            !said(&output).contains("hunter2") && !said(&output).contains("aHVudGVyMg"),
            "{}",
            said(&output)
        );
    }
}
