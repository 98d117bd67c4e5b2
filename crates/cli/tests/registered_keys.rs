//! Keys that somebody else made, as an operator registers them: with a gateway that runs and without.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Output;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use countersign::KeyId;
use countersign::crypto::Secret;
use countersign::schemes::api_key::ApiKey;
use countersign_testing::keep_alive::Connection;
use countersign_testing::{Echo, Gateway, Process, eventually};
use serde_json::{Value, json};

const ED25519: &str = include_str!("registered_keys_files/ed25519.pem");
const P256: &str = include_str!("registered_keys_files/p256.pem");
const RSA: &str = include_str!("registered_keys_files/rsa2048.pem");
const RSA_1024: &str = include_str!("registered_keys_files/rsa1024.pem");
const PRIVATE: &str = include_str!("registered_keys_files/private.pem");
/// The key of `P256`.
const P256_JWK: &str = r#"{"kty":"EC","crv":"P-256","kid":"x","use":"sig",
    "x":"jIqRqKiV7TarAoYzMc8f06LO27z7crbT-v6ctbc7Aas","y":"z5rzl-92YF4t9wLXH2OHnQIETNqZn7qdx4ek_aR2RMU"}"#;
const SECRET: &[u8; 40] = b"correct horse battery staple and so on \xff";

fn keyed(echo: &Echo) -> String {
    format!("[[route]]\npath = \"/*\"\nupstream = \"{}\"\naccept = [\"api-key\"]\n", echo.url())
}

/// A gateway that does not run yet, and files beside its configuration.
fn prepared() -> Gateway {
    let gateway = Gateway::new(&keyed(&Echo::start()));
    for (name, content) in [
        ("ed25519.pem", ED25519),
        ("p256.pem", P256),
        ("p256.jwk", P256_JWK),
        ("rsa.pem", RSA),
        ("rsa1024.pem", RSA_1024),
        ("private.pem", PRIVATE),
        (
            "private.jwk",
            r#"{"kty":"OKP","crv":"Ed25519","x":"LD8tp1p1NEsnY9KP4Wg4fiPv4VkdIreghP_rme2dZ_o","d":"AA"}"#,
        ),
        ("oct.jwk", r#"{"kty":"oct","k":"AAAA"}"#),
        ("notes.txt", "no key at all"),
    ] {
        std::fs::write(gateway.path(name), content).unwrap();
    }
    std::fs::write(gateway.path("key.der"), [0x30, 0x2a, 0xff, 0xfe]).unwrap();
    secret_file(&gateway, "secret", SECRET, 0o600);
    gateway
}

fn secret_file(gateway: &Gateway, name: &str, bytes: &[u8], mode: u32) {
    std::fs::write(gateway.path(name), bytes).unwrap();
    std::fs::set_permissions(gateway.path(name), std::fs::Permissions::from_mode(mode)).unwrap();
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn add(gateway: &Gateway, more: &[&str]) -> Value {
    gateway.json(&[&["key", "add", "--label", "partner"][..], more].concat())
}

/// A command that must fail as a mistake, and say why.
#[track_caller]
fn refused(gateway: &Gateway, arguments: &[&str], why: &str) {
    let output = gateway.run(arguments);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    let heard = String::from_utf8_lossy(&output.stderr);
    assert!(heard.contains(why) && output.stdout.is_empty(), "{arguments:?}: {}", said(&output));
}

#[track_caller]
fn add_refused(gateway: &Gateway, more: &[&str], why: &str) {
    refused(gateway, &[&["key", "add", "--label", "partner"][..], more].concat(), why);
}

fn audit(gateway: &Gateway) -> Vec<Value> {
    let text = std::fs::read_to_string(gateway.path("audit.jsonl")).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn id(key: &Value) -> String {
    key["id"].as_str().unwrap().to_owned()
}

#[test]
fn keys_of_every_kind_are_registered_whether_or_not_a_gateway_runs() {
    for running in [false, true] {
        let mut gateway = prepared();
        if running {
            gateway.start();
        }
        let mut added = Vec::new();
        for (arguments, algorithm, thumbprint) in [
            (&["--public", "ed25519.pem"][..], "ed25519", "MtDDcorMxpm0US8eCnQOdeyBPP_FqsCrmkCzexbaS78"),
            (&["--public", "p256.jwk"], "ecdsa-p256-sha256", "G-3Jb3vE0-x4BQGe9IiRLiwNOKQ-a907WcGRwh_SR_c"),
            (
                &["--public", "rsa.pem", "--algorithm", "rsa-v1_5-sha256"],
                "rsa-v1_5-sha256",
                "dELPl5zZ2zeeFfhEUHnolbDorQBAUdsSDjoAUT-03Xg",
            ),
        ] {
            let key = add(&gateway, &[arguments, &["--permission", "a", "--permission", "b"]].concat());
            assert!(KeyId::parse(&id(&key)).is_some(), "{key}");
            assert_eq!((&key["kind"], &key["algorithm"]), (&json!("public"), &json!(algorithm)));
            assert_eq!(key["thumbprint"], thumbprint);
            assert_eq!((&key["permissions"], &key["label"]), (&json!(["a", "b"]), &json!("partner")));
            added.push(key);
        }
        let shared = add(&gateway, &["--hmac-secret-file", "secret", "--owner", "them", "--expires", "30d"]);
        assert_eq!((&shared["kind"], &shared["algorithm"]), (&json!("hmac"), &json!("hmac-sha256")));
        assert_eq!((&shared["thumbprint"], &shared["owner"]), (&Value::Null, &json!("them")));
        assert!(shared["expires"].is_string() && added[0]["expires"].is_null());
        added.push(shared);
        for key in &added {
            assert_eq!((&key["bearer_class"], &key["signed_only"]), (&json!(false), &json!(true)), "{key}");
            assert_eq!((&key["state"], &key["key"]), (&json!("active"), &Value::Null), "{key}");
            assert_eq!(gateway.json(&["key", "show", &id(key)]), *key);
        }
        gateway.key(&[]);
        let listed = gateway.json(&["key", "list"]);
        let listed = listed.as_array().unwrap();
        assert_eq!(listed.len(), 5);
        assert!(added.iter().all(|key| listed.contains(key)));
        let own = listed.iter().find(|key| key["kind"] == "api-key").unwrap();
        assert_eq!((&own["algorithm"], &own["bearer_class"]), (&json!("ed25519"), &json!(true)));
        let text = said(&gateway.run(&["key", "list"]));
        for what in
            ["public, ed25519 ", "public, rsa-v1_5-sha256 ", "hmac, hmac-sha256 ", "api key, bearer-class "]
        {
            assert!(text.contains(what), "{text}");
        }
        if running {
            gateway.stop();
        }
        gateway.start();
        assert_eq!(gateway.json(&["key", "list"]).as_array().unwrap().len(), 5, "they outlive the gateway");
    }
}

#[test]
fn a_registered_key_is_told_in_a_line_that_scripts_can_read() {
    let gateway = prepared();
    let output = gateway.run(&["key", "add", "--label", "x", "--public", "ed25519.pem"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(KeyId::parse(text.lines().next().unwrap()).is_some(), "{text}");
    assert!(text.contains("This is the keyid of signatures by this key, ed25519."), "{text}");
}

#[test]
fn what_is_no_public_key_is_refused_in_a_sentence_and_opens_nothing() {
    let gateway = prepared();
    for (file, why) in [
        ("private.pem", "private.pem: this is a private key: keep it, and give its public key"),
        ("private.jwk", "private.jwk: this is a private key: keep it, and give its public key"),
        ("oct.jwk", "oct, a shared secret: give it as an HMAC secret"),
        ("notes.txt", "notes.txt: this is neither PEM (-----BEGIN PUBLIC KEY-----) nor a JWK"),
        ("key.der", "key.der: this is no text; a key in DER becomes PEM with"),
        ("rsa1024.pem", "rsa1024.pem: this RSA key has 1024 bits: 2048 to 8192 are taken"),
        ("absent.pem", "absent.pem: No such file or directory"),
    ] {
        add_refused(&gateway, &["--public", file], why);
    }
    let ed25519 = ["--public", "ed25519.pem", "--algorithm"];
    add_refused(
        &gateway,
        &[&ed25519[..], &["rsa-pss-sha512"]].concat(),
        "this key is not for rsa-pss-sha512",
    );
    add_refused(&gateway, &[&ed25519[..], &["hmac-sha256"]].concat(), "invalid value 'hmac-sha256'");
    add_refused(
        &gateway,
        &["--public", "ed25519.pem", "--hmac-secret-file", "secret"],
        "cannot be used with",
    );
    add_refused(&gateway, &["--hmac-secret-file", "secret", "--algorithm", "ed25519"], "cannot be used with");
    add_refused(&gateway, &[], "required arguments were not provided");
    refused(&gateway, &["key", "add", "--public", "ed25519.pem"], "--label");
    assert!(!gateway.path("countersign.redb").exists(), "a mistake opens no store");
    add_refused(&gateway, &["--public", "ed25519.pem", "--expires", "soon"], "soon");
    refused(
        &gateway,
        &["key", "add", "--public", "ed25519.pem", "--label", " "],
        "a label is 1 to 200 bytes",
    );
    assert_eq!(gateway.json(&["key", "list"]), json!([]));
}

#[test]
fn a_secret_that_others_can_read_or_guess_is_refused() {
    let gateway = prepared();
    for (name, bytes, mode, why) in [
        ("open", &SECRET[..], 0o644, "open can be read by others (mode 644): run `chmod 600 open`"),
        ("others", SECRET, 0o644, "can be read by others (mode 644)"),
        ("short", &SECRET[..31], 0o600, "short holds 31 bytes: an HMAC secret has 32 to 4096"),
        ("long", &[7; 4097], 0o600, "long holds 4097 bytes: an HMAC secret has 32 to 4096"),
        ("huge", &[7; 70_000], 0o600, "huge is larger than 64 KiB"),
        ("line", &[&[b'x'; 31][..], b"\n"].concat(), 0o600, "line holds 31 bytes"),
        ("empty", b"", 0o600, "empty holds 0 bytes"),
    ] {
        secret_file(&gateway, name, bytes, mode);
        add_refused(&gateway, &["--hmac-secret-file", name], why);
    }
    add_refused(&gateway, &["--hmac-secret-file", "absent"], "absent: No such file or directory");
    assert!(!gateway.path("countersign.redb").exists());
}

#[test]
fn a_public_key_is_registered_once_and_again_when_its_name_is_revoked() {
    for running in [false, true] {
        let mut gateway = prepared();
        if running {
            gateway.start();
        }
        let first = id(&add(&gateway, &["--public", "p256.pem"]));
        let why = format!("this public key is registered already, as {first}");
        add_refused(&gateway, &["--public", "p256.jwk"], &why);
        assert_eq!(gateway.json(&["key", "list"]).as_array().unwrap().len(), 1);
        assert_eq!(gateway.json(&["key", "revoke", &first])["state"], "revoked");
        let second = id(&add(&gateway, &["--public", "p256.jwk"]));
        assert_eq!(gateway.json(&["key", "show", &first])["state"], "revoked");
        assert_eq!(gateway.json(&["key", "show", &second])["state"], "active");
    }
}

#[test]
fn only_its_holder_can_replace_a_registered_key() {
    for running in [false, true] {
        let mut gateway = prepared();
        if running {
            gateway.start();
        }
        for (arguments, kind) in [
            (["--public", "ed25519.pem"], "a registered public key"),
            (["--hmac-secret-file", "secret"], "an HMAC secret"),
        ] {
            let key = add(&gateway, &arguments);
            let why = format!(
                "{} is {kind}, which only its holder can replace: add the new key and revoke the old one",
                id(&key)
            );
            refused(&gateway, &["key", "rotate", &id(&key), "--overlap", "1h"], &why);
            assert_eq!(gateway.json(&["key", "show", &id(&key)]), key, "it is as it was");
        }
    }
}

#[test]
fn management_answers_each_mistake_with_its_status() {
    let mut gateway = prepared();
    gateway.start();
    let mut management = Connection::management(&gateway.path("management.sock")).unwrap();
    let mut ask = |body: Value| {
        let answer = management.ask("POST", "/v1/registered-keys", &body.to_string()).unwrap();
        let said = answer.json()["error"].as_str().unwrap_or_default().to_owned();
        (answer.status, said, answer.json()["id"].as_str().map(str::to_owned))
    };
    let secret = URL_SAFE_NO_PAD.encode(SECRET);
    for (body, status, why) in [
        (json!({ "label": "x" }), 400, "a registration has either `public` or `hmac_secret`"),
        (
            json!({ "label": "x", "public": ED25519, "hmac_secret": secret }),
            400,
            "a registration has either `public` or `hmac_secret`",
        ),
        (json!({ "label": "x", "public": PRIVATE }), 400, "this is a private key: keep it"),
        (json!({ "label": "x", "public": RSA_1024 }), 400, "this RSA key has 1024 bits"),
        (json!({ "label": "x", "public": "hello" }), 400, "this is neither PEM"),
        (json!({ "label": "x", "public": ED25519, "algorithm": "none" }), 400, "`none` is no algorithm"),
        (json!({ "label": "x", "public": ED25519, "algorithm": "hmac-sha256" }), 400, "not for hmac-sha256"),
        (
            json!({ "label": "x", "hmac_secret": secret, "algorithm": "ed25519" }),
            400,
            "hmac-sha256 and nothing else",
        ),
        (json!({ "label": "x", "hmac_secret": "c2hvcnQ" }), 400, "this secret has 5 bytes: 32 to 4096"),
        (json!({ "label": "x", "hmac_secret": "p$ssw0rd" }), 400, "hmac_secret is not base64url"),
        (json!({ "label": "", "hmac_secret": secret }), 400, "a label is 1 to 200 bytes"),
        (
            json!({ "label": "x", "signed_only": false, "public": ED25519 }),
            400,
            "unknown field `signed_only`",
        ),
    ] {
        let (answered, said, _) = ask(body);
        assert_eq!(answered, status, "{said}");
        assert!(said.contains(why), "{said}");
        assert!(!said.contains("ssw0rd") && !said.contains("MC4CAQAw") && !said.contains(&secret), "{said}");
    }
    let (status, _, first) = ask(json!({ "label": "x", "public": ED25519, "algorithm": "ed25519" }));
    assert_eq!(status, 200);
    let (status, said, _) = ask(json!({ "label": "x", "public": ED25519 }));
    assert_eq!((status, said.contains("is registered already, as")), (409, true), "{said}");
    let (status, _, shared) = ask(json!({ "label": "x", "hmac_secret": secret, "algorithm": "hmac-sha256" }));
    assert_eq!(status, 200);
    for key in [first, shared].into_iter().flatten() {
        let path = format!("/v1/keys/{key}/rotate");
        assert_eq!(management.ask("POST", &path, "{\"overlap\":\"1h\"}").unwrap().status, 409);
    }
}

#[test]
fn a_registered_key_cannot_be_sent_as_if_it_were_an_api_key() {
    let mut gateway = prepared();
    gateway.start();
    let public = id(&add(&gateway, &["--public", "ed25519.pem"]));
    let shared = id(&add(&gateway, &["--hmac-secret-file", "secret"]));
    let mut bodies = Vec::new();
    for (name, cause) in [
        (public.as_str(), "is a registered public key, which is never sent"),
        (&shared, "is an HMAC secret, which is never sent"),
        ("AAAAAAAAAAAA", "no key is called AAAAAAAAAAAA"),
    ] {
        let sent = ApiKey { id: KeyId::parse(name).unwrap(), secret: Secret::new([0; 32]) };
        let answer = gateway.get("/", Some(sent.reveal().expose()));
        answer.is(401, "key_invalid");
        let mut body = answer.json();
        body.as_object_mut().unwrap().remove("decision");
        bodies.push(body);
        assert!(gateway.explain_latest().to_string().contains(cause), "{}", gateway.explain_latest());
    }
    assert!(bodies.iter().all(|body| *body == bodies[0]), "{bodies:?}");
}

#[test]
fn registering_is_in_the_audit_log_before_it_is_acknowledged() {
    let mut gateway = prepared();
    gateway.start();
    for arguments in [["--public", "rsa.pem"], ["--hmac-secret-file", "secret"]] {
        let key = add(&gateway, &arguments);
        let line = audit(&gateway).pop().unwrap();
        assert_eq!(line["change"], "key-added");
        for what in ["id", "kind", "label", "algorithm"] {
            assert_eq!((what, &line["details"][what]), (what, &key[what]));
            assert!(key[what].is_string());
        }
    }
    gateway.stop();
    gateway.configure("", &format!("[audit]\nfile = \"/dev/full\"\n{}", keyed(&Echo::start())));
    gateway.start();
    for arguments in [["--public", "ed25519.pem"], ["--hmac-secret-file", "secret"]] {
        add_refused(&gateway, &arguments, "the audit log cannot be written");
    }
    let listed = gateway.json(&["key", "list"]);
    let states: Vec<_> =
        listed.as_array().unwrap().iter().map(|key| key["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["active", "active", "revoked", "revoked"], "what is in no log does not pass");
}

#[test]
fn a_store_in_memory_seals_with_a_key_of_its_own() {
    let mut gateway = prepared();
    let more = format!("[store]\nurl = \"memory:\"\n{}", keyed(&Echo::start()));
    gateway.configure("management_socket = \"management.sock\"", &more);
    gateway.start();
    assert_eq!(add(&gateway, &["--hmac-secret-file", "secret"])["kind"], "hmac");
    assert!(!gateway.path("seal.key").exists());
}

/// Every way in which eight bytes or more of the secret could be written down.
fn traces() -> Vec<(String, Vec<u8>)> {
    let mut traces = Vec::new();
    let hex: String = SECRET.iter().map(|byte| format!("{byte:02x}")).collect();
    let numbers: Vec<String> = SECRET.iter().map(u8::to_string).collect();
    traces.push(("numbers".to_owned(), numbers[..8].join(",").into_bytes()));
    traces.push(("numbers".to_owned(), numbers[..8].join(", ").into_bytes()));
    for start in (0..32).step_by(4) {
        traces.push(("raw".to_owned(), SECRET[start..start + 8].to_vec()));
        traces.push(("hex".to_owned(), hex.as_bytes()[2 * start..2 * start + 16].to_vec()));
        traces.push(("hex".to_owned(), hex.to_uppercase().as_bytes()[2 * start..2 * start + 16].to_vec()));
    }
    for engine in [STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD] {
        for start in 0..3 {
            let text = engine.encode(&SECRET[start..]);
            traces.push(("base64".to_owned(), text.as_bytes()[..16].to_vec()));
            traces.push(("base64".to_owned(), text.as_bytes()[20..36].to_vec()));
        }
    }
    traces
}

#[test]
fn a_secret_is_nowhere_but_in_the_file_it_came_from() {
    let gateway = prepared();
    let mut printed = Vec::new();
    let mut run = |arguments: &[&str]| {
        let output = gateway.run(arguments);
        printed.extend([output.stdout, output.stderr].concat());
    };
    let add = ["key", "add", "--label", "x", "--hmac-secret-file", "secret"];
    run(&add);
    let log = std::fs::File::create(gateway.path("log")).unwrap();
    let mut serve = gateway.command(&["serve"]);
    serve.env("COUNTERSIGN_LOG", "trace").stdout(log.try_clone().unwrap()).stderr(log);
    let process = Process::start(&mut serve);
    eventually("the start", || gateway.ready());
    run(&add);
    run(&[&add[..], &["--json"]].concat());
    run(&[&add[..], &["--expires", "never"]].concat());
    run(&["key", "list"]);
    let listed = gateway.json(&["key", "list"]);
    assert_eq!(listed.as_array().unwrap().len(), 3);
    run(&["key", "list", "--json"]);
    for key in listed.as_array().unwrap() {
        run(&["key", "show", &id(key)]);
        run(&["key", "rotate", &id(key)]);
        run(&["key", "revoke", &id(key), "--json"]);
    }
    let metrics = Connection::to(gateway.admin).unwrap().get("/metrics", None).unwrap().body;
    let mut management = Connection::management(&gateway.path("management.sock")).unwrap();
    // What is wrong around it must not bring it out either.
    for body in [
        json!({ "label": "", "hmac_secret": URL_SAFE_NO_PAD.encode(SECRET) }),
        json!({ "label": "x", "hmac_secret": STANDARD.encode(SECRET) + "$" }),
        json!({ "label": "x", "hmac_secret": URL_SAFE_NO_PAD.encode(SECRET), "algorithm": "x" }),
    ] {
        let answer = management.ask("POST", "/v1/registered-keys", &body.to_string()).unwrap();
        assert_eq!(answer.status, 400);
        printed.extend(answer.body);
    }
    process.signal("-TERM");
    eventually("the end", || !gateway.ready());
    std::thread::sleep(std::time::Duration::from_millis(500));
    drop(process);

    let mut left = vec![("printed".to_owned(), printed), ("metrics".to_owned(), metrics)];
    for entry in std::fs::read_dir(gateway.folder.path()).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if entry.file_type().unwrap().is_file() && name != "secret" {
            left.push((name, std::fs::read(entry.path()).unwrap()));
        }
    }
    for name in ["countersign.redb", "audit.jsonl", "log"] {
        assert!(left.iter().any(|(known, bytes)| known == name && !bytes.is_empty()), "{name}");
    }
    let finds = |hay: &[u8], trace: &[u8]| hay.windows(trace.len()).any(|window| window == trace);
    assert!(traces().iter().any(|(_, trace)| finds(SECRET, trace)), "the search finds what there is");
    for (name, hay) in &left {
        for (form, trace) in traces() {
            assert!(!finds(hay, &trace), "{form} in {name}");
        }
    }
}
