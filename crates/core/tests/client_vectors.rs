//! The vectors that the client in `web/` reads too: what it sends is what is read and made here.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use countersign::crypto::ethereum::{EthereumKey, decode_hex, personal_message_hash, recover};
use countersign::crypto::{Secret, SigningKey, VerifyingKey, derive_ed25519, sha256};
use countersign::schemes::api_key::{ApiKey, DERIVATION};
use countersign::schemes::signature::{
    CONTENT_DIGEST, Erc8128Form, Message, RequestSigner, SIGNATURE, SIGNATURE_INPUT, SignAs, Signed,
    signature_base,
};
use countersign::schemes::webhook::signer::OutgoingBody;
use countersign::testing::Given;
use countersign::time::Timestamp;
use http::{HeaderMap, HeaderName, Method, Uri};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

fn vectors<T: DeserializeOwned>(name: &str) -> T {
    let file = format!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../vectors/{}.json"), name);
    serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn bytes<const LENGTH: usize>(hex: &Value) -> [u8; LENGTH] {
    decode_hex(text(hex)).unwrap()
}

#[test]
fn api_keys_are_read_and_yield_the_keys_that_they_sign_with() {
    let vectors: Value = vectors("api_key");
    let keys = vectors["keys"].as_array().unwrap();
    for case in keys {
        let key = ApiKey::parse(text(&case["key"])).unwrap();
        assert_eq!((key.id.as_str(), &key.reveal().expose()[..]), (text(&case["id"]), text(&case["key"])));
        assert_eq!(*key.secret.expose(), bytes::<32>(&case["secret"]));
        assert_eq!(sha256(key.secret.expose()), bytes::<32>(&case["secret_digest"]));
        let (seed, public) = derive_ed25519(key.secret.expose(), DERIVATION);
        assert_eq!(*seed.expose(), bytes::<32>(&case["seed"]));
        assert_eq!(URL_SAFE_NO_PAD.encode(public), text(&case["public"]));
    }
    assert_eq!(keys.len(), 4);
    for case in vectors["refused"].as_array().unwrap() {
        assert!(ApiKey::parse(text(&case["key"])).is_err(), "{}", case["what"]);
    }
}

#[derive(Deserialize)]
struct Signing {
    created: u64,
    signers: Vec<Value>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    signer: String,
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Option<String>,
    nonce: Value,
    digest: Option<String>,
    base: Vec<String>,
    input: String,
    signature: String,
}

fn signer(described: &Value, nonce: [u8; 16]) -> RequestSigner {
    let random = Arc::new(Given::new(nonce));
    let keyid = || text(&described["keyid"]).to_owned();
    match text(&described["kind"]) {
        "api-key" => RequestSigner::of_api_key(&ApiKey::parse(text(&described["key"])).unwrap(), random),
        "hmac-sha256" => {
            let secret = Secret::new(bytes::<64>(&described["secret"]).to_vec());
            RequestSigner::new(SigningKey::from_hmac_secret(&secret).unwrap(), keyid(), random)
        }
        "erc8128" => {
            let key = EthereumKey::from_hex(text(&described["key"])).unwrap();
            let form = match described["form"].as_str() {
                Some("untagged") => Erc8128Form::Untagged,
                _ => Erc8128Form::Tagged,
            };
            RequestSigner::of_wallet(
                key,
                SignAs { chain: described["chain"].as_u64().unwrap(), form },
                random,
            )
        }
        _ => {
            let key = SigningKey::from_jwk(&described["jwk"].to_string(), None).unwrap();
            RequestSigner::new(key, keyid(), random)
        }
    }
}

#[test]
fn signed_requests_are_those_that_other_libraries_make() {
    let Signing { created, signers, cases } = vectors("signing");
    for case in &cases {
        let (method, target): (Method, Uri) = (case.method.parse().unwrap(), case.target.parse().unwrap());
        let mut headers = HeaderMap::new();
        for (name, value) in &case.headers {
            headers.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
        }
        let described = signers.iter().find(|signer| signer["name"] == case.signer).unwrap();
        let body =
            case.body.as_ref().map_or(OutgoingBody::Absent, |body| OutgoingBody::Whole(body.as_bytes()));
        let now = Timestamp::from_secs(created);
        signer(described, bytes(&case.nonce))
            .sign_request(&method, &target, &mut headers, body, now)
            .unwrap();

        let shown = format!("{} {} {}", case.signer, case.method, case.target);
        let header = |name| headers.get(name).map(|value| value.to_str().unwrap());
        assert_eq!(header(CONTENT_DIGEST), case.digest.as_deref(), "{shown}");
        assert_eq!(header(SIGNATURE_INPUT), Some(&*case.input), "{shown}");
        let signed = Signed::read(&headers, &["countersign", "erc8128", ""]).unwrap().remove(0);
        let message = Message::request(&method, &target, &headers);
        let base = signature_base(&signed.components, signed.signature_params(), &message).unwrap();
        assert_eq!(base, case.base.join("\n"), "{shown}");
        if described["kind"] == "ecdsa-p256-sha256" {
            let key = SigningKey::from_jwk(&described["jwk"].to_string(), None).unwrap();
            let signature = case.signature.strip_prefix("sig1=:").unwrap().strip_suffix(':').unwrap();
            assert!(
                key.verifying_key().verify(base.as_bytes(), &STANDARD.decode(signature).unwrap()),
                "{shown}"
            );
        } else {
            assert_eq!(header(SIGNATURE), Some(&*case.signature), "{shown}");
        }
    }
    assert_eq!((signers.len(), cases.len()), (6, 30));
}

#[test]
fn proofs_of_possession_are_those_of_the_rfc() {
    let vectors: Value = vectors("dpop");
    let key = VerifyingKey::from_jwk(&vectors["jwk"].to_string(), None).unwrap();
    assert_eq!(key.thumbprint().as_deref(), vectors["thumbprint"].as_str());
    let ath = URL_SAFE_NO_PAD.encode(sha256(text(&vectors["token"]).as_bytes()));
    assert_eq!(ath, text(&vectors["ath"]));
    for case in vectors["proofs"].as_array().unwrap() {
        let (signed, signature) = text(&case["proof"]).rsplit_once('.').unwrap();
        assert!(key.verify(signed.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).unwrap()));
        let (header, payload) = signed.split_once('.').unwrap();
        let read = |part| serde_json::from_slice::<Value>(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
        assert_eq!(read(header)["jwk"], vectors["jwk"]);
        assert_eq!(read(payload), case["payload"]);
    }
}

#[test]
fn messages_to_sign_in_with_are_signed_by_their_accounts() {
    let vectors: Value = vectors("siwe");
    let key = EthereumKey::from_hex(text(&vectors["key"])).unwrap();
    for case in vectors["cases"].as_array().unwrap() {
        let message = text(&case["message"]).as_bytes();
        let signature: [u8; 65] = decode_hex(&text(&case["signature"])[2..]).unwrap();
        assert_eq!(key.sign_personal_message(message), signature);
        assert_eq!(recover(&personal_message_hash(message), &signature), Some(key.address()));
        assert_eq!(key.address().checksummed(), text(&case["fields"]["address"]));
        let assertion = URL_SAFE_NO_PAD.decode(text(&case["assertion"])).unwrap();
        let assertion: Value = serde_json::from_slice(&assertion).unwrap();
        assert_eq!((&assertion["message"], &assertion["signature"]), (&case["message"], &case["signature"]));
    }
}
