//! Clients that others wrote, in Python and in JavaScript: what they sign passes, and they verify what
//! we sign.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Stdio;

use countersign::crypto::Algorithm;
use countersign::crypto::ethereum::EthereumKey;
use countersign_testing::peer::{Language, Peer};
use countersign_testing::signed::{Draft, Key, Lab, PUBLIC, pem, private_key, registered, shared};
use serde_json::{Value, json};

const SECRET: &str = "forty characters that both know and no o";
const WALLET: &str = "0x4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318";
const PARTS: [&str; 5] = ["@method", "@scheme", "@authority", "@path", "@query"];

trait Proving {
    /// Lets it put headers on a draft.
    fn proves(&mut self, what: &str, draft: &Draft, more: &Value) -> Draft;
}

impl Proving for Peer {
    fn proves(&mut self, what: &str, draft: &Draft, more: &Value) -> Draft {
        let made: BTreeMap<String, String> =
            serde_json::from_value(self.ask(&order(what, draft, more))).unwrap();
        let mut draft = draft.clone();
        for (name, value) in made {
            let name: http::HeaderName = name.to_ascii_lowercase().parse().unwrap();
            draft.headers.insert(name, value.parse().unwrap());
        }
        draft
    }
}

/// What a peer is told of a request.
fn order(what: &str, draft: &Draft, more: &Value) -> Value {
    let headers: BTreeMap<_, _> =
        draft.headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
    let mut components = PARTS.to_vec();
    if !draft.body.is_empty() {
        components.extend(["content-type", "content-digest"]);
    }
    let mut order = json!({
        "do": what,
        "method": draft.method.as_str(),
        "url": format!("{PUBLIC}{}", draft.target),
        "target": draft.target,
        "headers": headers,
        "body": std::str::from_utf8(&draft.body).unwrap(),
        "components": components,
    });
    order.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    order
}

/// A GET and a POST, which peers make the digest of.
fn drafts(route: &str) -> [Draft; 2] {
    let mut post = Draft::post(&format!("{route}/1?to=b%20c&empty="), "{\"to\":\"Zoë\"}".as_bytes());
    post.headers.remove("content-digest");
    [Draft::get(&format!("{route}/1")), post]
}

/// Keys that peers know too: ours, and what a peer is told of it.
fn keys(lab: &Lab) -> Vec<(Key, Value)> {
    let mut keys = Vec::new();
    for (name, algorithm) in [
        ("ed25519", Algorithm::Ed25519),
        ("p256", Algorithm::EcdsaP256Sha256),
        ("rsa", Algorithm::RsaPssSha512),
    ] {
        let key = registered(&lab.gateway, private_key(name, Some(algorithm)), &[]);
        let told = json!({ "algorithm": algorithm.as_str(), "key": pem(name), "keyid": key.id });
        keys.push((key, told));
    }
    let key = shared(&lab.gateway, SECRET.as_bytes());
    let told = json!({ "algorithm": "hmac-sha256", "key": SECRET, "keyid": key.id });
    keys.push((key, told));
    keys
}

#[test]
fn what_other_libraries_sign_passes_once_and_unchanged() {
    let lab = Lab::start();
    let keys = keys(&lab);
    for mut peer in Peer::both("signing_peer") {
        for (key, told) in &keys {
            if told["algorithm"] == "rsa-pss-sha512" && peer.language == Language::JavaScript {
                // Its salt is as long as it may be, where RFC 9421 §3.3.1 says 64 bytes.
                let signed = peer.proves("sign", &Draft::get("/signature/1"), told);
                lab.refuses(&signed, 401, "signature_invalid");
                continue;
            }
            for draft in drafts("/signature") {
                let signed = peer.proves("sign", &draft, told);
                let seen = lab.passes(&signed);
                assert_eq!(
                    seen.header("countersign-subject"),
                    Some(&*format!("key:{}", key.id)),
                    "{:?}",
                    peer.language
                );
                lab.refuses(&signed, 401, "signature_replayed");
                let other = peer.proves("sign", &draft, told).to("/signature/1?to=eve");
                lab.refuses(&other, 401, "signature_invalid");
            }
        }
    }
}

#[test]
fn other_libraries_verify_what_we_sign_and_refuse_it_changed() {
    let lab = Lab::start();
    let keys = keys(&lab);
    for mut peer in Peer::both("signing_peer") {
        for (key, told) in &keys {
            let draft = Draft::post("/signature/1?a=b", b"{}").signed(key);
            let verified = peer.ask(&order("verify", &draft, told));
            assert_eq!(verified["verified"], true, "{:?} {verified} {draft:?}", peer.language);
            for changed in [draft.clone().to("/signature/1?a=c"), draft.with("content-type", "text/plain")] {
                assert_eq!(
                    peer.ask(&order("verify", &changed, told))["verified"],
                    false,
                    "{:?}",
                    peer.language
                );
            }
        }
    }
}

/// `draft` as `countersign sign` hands it back.
fn signed_by_command(folder: &Path, draft: &Draft, key: &Value) -> Draft {
    let flag = if key["algorithm"] == "hmac-sha256" { "--hmac-secret-file" } else { "--private-key" };
    signed_with(folder, draft, key, &["--key-id", key["keyid"].as_str().unwrap()], flag)
}

/// The same with a key in a file that `flag` names.
fn signed_with(folder: &Path, draft: &Draft, key: &Value, more: &[&str], flag: &str) -> Draft {
    let mut request = format!("POST {PUBLIC}{} HTTP/1.1\r\nHost: orders.example\r\n", draft.target);
    request
        .push_str(&format!("Content-Type: application/json\r\nContent-Length: {}\r\n\r\n", draft.body.len()));
    let file = folder.join("key");
    std::fs::write(&file, key["key"].as_str().unwrap()).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let mut command = countersign_testing::countersign(&["sign", flag]);
    command.arg(file).args(more).current_dir(folder);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(&[request.as_bytes(), &draft.body].concat()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let signed = String::from_utf8(output.stdout).unwrap();
    let (head, body) = signed.split_once("\r\n\r\n").unwrap();
    assert_eq!(body.as_bytes(), draft.body);
    let mut made = Draft { headers: http::HeaderMap::new(), ..draft.clone() };
    for line in head.lines().skip(1) {
        let (name, value) = line.split_once(':').unwrap();
        made.headers.append(name.parse::<http::HeaderName>().unwrap(), value.trim().parse().unwrap());
    }
    made
}

#[test]
fn other_libraries_verify_what_the_command_line_signs_and_refuse_it_changed() {
    let lab = Lab::start();
    let folder = tempfile::tempdir().unwrap();
    let keys = keys(&lab);
    for mut peer in Peer::both("signing_peer") {
        for (_, told) in &keys {
            let draft = Draft::post("/signature/1?a=b", b"{}");
            let signed = signed_by_command(folder.path(), &draft, told);
            let verified = peer.ask(&order("verify", &signed, told));
            assert_eq!(verified["verified"], true, "{:?} {verified} {signed:?}", peer.language);
            let changed = peer.ask(&order("verify", &signed.to("/signature/1?a=c"), told));
            assert_eq!(changed["verified"], false, "{:?}", peer.language);
        }
    }
}

/// Wallets of other libraries sign what they are told to by `form`: each request passes once, and nowhere else.
fn wallets_pass_once(lab: &Lab, form: &str, path: &str) {
    let address = EthereumKey::from_hex(WALLET).unwrap().address();
    for mut peer in Peer::both("signing_peer") {
        for draft in drafts(path) {
            let signed = peer.proves(form, &draft, &json!({ "key": WALLET }));
            let seen = lab.passes(&signed);
            assert_eq!(
                seen.header("countersign-subject"),
                Some(&*format!("eip155:{address}")),
                "{:?}",
                peer.language
            );
            lab.refuses(&signed, 401, "signature_replayed");
            let other = peer.proves(form, &draft, &json!({ "key": WALLET }));
            lab.refuses(&other.to(&format!("{path}/2")), 401, "signature_invalid");
        }
    }
}

#[test]
fn wallets_of_other_libraries_sign_the_seeds_message_and_pass_once() {
    wallets_pass_once(&Lab::start(), "asymmetric", "/asymmetric");
}

/// The seed's client signs the URL that it is given, and what it calls with it escapes it.
#[test]
fn the_seeds_client_signs_a_path_as_it_is_written_and_passes() {
    let lab = Lab::start();
    for mut peer in Peer::both("signing_peer") {
        for (sent, written) in [("a%20b", "a b"), ("caf%C3%A9?page=2", "café?page=2")] {
            let draft = Draft::get(&format!("/asymmetric/{sent}"));
            let told = json!({ "key": WALLET, "target": format!("/asymmetric/{written}") });
            let signed = peer.proves("asymmetric", &draft, &told);
            let seen = lab.passes(&signed);
            assert_eq!(
                seen.request_line(),
                format!("GET /asymmetric/{sent} HTTP/1.1"),
                "{:?}",
                peer.language
            );
            lab.refuses(&signed, 401, "signature_replayed");
            let other = peer.proves("asymmetric", &draft, &told).to("/asymmetric/%61%20b");
            lab.refuses(&other, 401, "signature_invalid");
        }
    }
}

#[test]
fn wallets_of_other_libraries_sign_by_erc_8128_and_pass_once() {
    wallets_pass_once(&Lab::with("[signature]\nwallets = true\n", ""), "erc8128", "/signature");
}

#[test]
fn a_published_library_signs_by_erc_8128_and_passes_once() {
    let lab = Lab::with("[signature]\nwallets = true\n", "");
    let address = EthereumKey::from_hex(WALLET).unwrap().address();
    let mut peer = Peer::start(Language::JavaScript, "signing_peer");
    for (chain, draft) in [1, 8453].into_iter().zip(drafts("/signature")) {
        let told = json!({ "key": WALLET, "chain": chain });
        let signed = peer.proves("published_sign", &draft, &told);
        let input = signed.headers["signature-input"].to_str().unwrap();
        assert!(input.ends_with(&format!("keyid=\"erc8128:{chain}:{address}\"")), "{input}");
        let seen = lab.passes(&signed);
        assert_eq!(seen.header("countersign-subject"), Some(&*format!("eip155:{address}")));
        lab.refuses(&signed, 401, "signature_replayed");
        let other = peer.proves("published_sign", &draft, &told);
        let changed = other.clone().to("/signature/2");
        lab.refuses(&changed, 401, "signature_invalid");
        let queried = other.clone().to("/signature/1?to=eve");
        // Where there was no query, none was covered.
        let code = if draft.target.contains('?') { "signature_invalid" } else { "signature_coverage" };
        lab.refuses(&queried, 401, code);
        lab.passes(&other);
    }
    // Where wallets are not let in, it is nothing of ours.
    let draft =
        peer.proves("published_sign", &drafts("/signature")[0], &json!({ "key": WALLET, "chain": 1 }));
    Lab::start().refuses(&draft, 401, "credential_missing");
}

/// `draft` as `countersign sign` hands it back, signed by the wallet in this form.
fn signed_by_wallet(draft: &Draft, form: &str) -> Draft {
    let folder = tempfile::tempdir().unwrap();
    let key = json!({ "key": WALLET.trim_start_matches("0x") });
    signed_with(folder.path(), draft, &key, &["--form", form], "--wallet")
}

#[test]
fn a_published_library_verifies_what_the_command_line_signs_in_its_form_alone() {
    let address = EthereumKey::from_hex(WALLET).unwrap().address();
    let mut peer = Peer::start(Language::JavaScript, "signing_peer");
    for target in ["/signature/1", "/signature/1?a=b"] {
        let draft = Draft::post(target, b"{}");
        let signed = signed_by_wallet(&draft, "erc8128-untagged");
        let verified = peer.ask(&order("published_verify", &signed, &json!({})));
        assert_eq!(verified, json!({ "verified": true, "address": address.to_string(), "chain": 1 }));
        let changed = order("published_verify", &signed.to("/signature/2"), &json!({}));
        assert_eq!(peer.ask(&changed)["verified"], false);
        let tagged = peer.ask(&order("published_verify", &signed_by_wallet(&draft, "erc8128"), &json!({})));
        assert_eq!((&tagged["verified"], &tagged["why"]), (&json!(false), &json!("bad_keyid")));
    }
}
