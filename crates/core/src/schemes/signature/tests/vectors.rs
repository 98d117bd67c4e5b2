//! The examples of RFC 9421, from `vectors/rfc9421.json`.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::{HeaderMap, HeaderName, Method, StatusCode, Uri};
use serde::Deserialize;

use crate::crypto::{Algorithm, Ed25519Key, Secret, Signer, SigningKey, VerifyingKey};
use crate::denial::Code;
use crate::schemes::signature::*;

#[derive(Deserialize)]
struct Vectors {
    cases: Vec<Case>,
    messages: HashMap<String, Example>,
    transformed: Vec<Transformed>,
    keys: serde_json::Value,
    values: Vec<Value>,
}

/// A request, or a response and the name of the request that it answers.
#[derive(Deserialize)]
struct Example {
    method: Option<String>,
    target: Option<String>,
    status: Option<u16>,
    answers: Option<String>,
    headers: Vec<(String, String)>,
    body: Option<String>,
}

#[derive(Deserialize)]
struct Transformed {
    holds: bool,
    what: String,
    #[serde(flatten)]
    request: Example,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    message: String,
    input: String,
    base: Vec<String>,
    algorithm: Option<String>,
    key: Option<String>,
    signature: Option<String>,
}

#[derive(Deserialize)]
struct Value {
    section: String,
    target: String,
    headers: Vec<(String, String)>,
    component: String,
    value: String,
}

fn vectors() -> Vectors {
    let text = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../vectors/rfc9421.json"));
    serde_json::from_str(text).unwrap()
}

fn headers(lines: &[(String, String)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
    }
    headers
}

impl Example {
    /// Judges the message, with the headers of its signature beside its own.
    fn with(&self, all: &HashMap<String, Self>, judge: &dyn Fn(&Message<'_>)) {
        let headers = headers(&self.headers);
        if let Some(status) = self.status {
            let status = StatusCode::from_u16(status).unwrap();
            return match &self.answers {
                Some(name) => {
                    all[name]
                        .with(all, &|request| judge(&Message::response(status, &headers, Some(request))));
                }
                None => judge(&Message::response(status, &headers, None)),
            };
        }
        let method = Method::from_bytes(self.method.as_ref().unwrap().as_bytes()).unwrap();
        let target: Uri = self.target.as_ref().unwrap().parse().unwrap();
        judge(&Message::request(&method, &target, &headers));
    }
}

impl Case {
    /// Its signature as it is read. Examples that have no tag get one, for reading alone.
    fn signed(&self) -> Signed {
        let tag = if self.input.contains(";tag=") { "" } else { ";tag=\"header-example\"" };
        let signature = self.signature.as_deref().unwrap_or_default();
        let mut headers = HeaderMap::new();
        headers.insert("signature-input", format!("{}={}{tag}", self.name, self.input).parse().unwrap());
        headers.insert("signature", format!("{}=:{signature}:", self.name).parse().unwrap());
        Signed::read(&headers, &["header-example"]).unwrap().remove(0)
    }

    fn algorithm(&self) -> Option<Algorithm> {
        self.algorithm.as_deref().map(|name| Algorithm::from_name(name).unwrap())
    }

    fn verifying_key(&self, keys: &serde_json::Value) -> VerifyingKey {
        let key = &keys[self.key.as_ref().unwrap()];
        match key["public"].as_str() {
            Some(pem) => VerifyingKey::from_pem(pem, self.algorithm()).unwrap(),
            None => VerifyingKey::from_hmac_secret(&secret(key)).unwrap(),
        }
    }

    fn signing_key(&self, keys: &serde_json::Value) -> Option<SigningKey> {
        let key = &keys[self.key.as_ref().unwrap()];
        match key["private"].as_str() {
            Some(pem) => Some(SigningKey::from_pem(pem, self.algorithm()).unwrap()),
            None if key["k"].is_string() => Some(SigningKey::from_hmac_secret(&secret(key)).unwrap()),
            None => None,
        }
    }
}

fn secret(key: &serde_json::Value) -> Secret<Vec<u8>> {
    Secret::new(STANDARD.decode(key["k"].as_str().unwrap()).unwrap())
}

#[test]
fn the_signature_bases_are_those_of_the_rfc() {
    let Vectors { cases, messages, .. } = vectors();
    for case in &cases {
        messages[&case.message].with(&messages, &|message| {
            let signed = case.signed();
            assert!(signed.signature_params().starts_with(&case.input), "{}", case.name);
            let base = signature_base(&signed.components, &case.input, message).unwrap();
            assert_eq!(base, case.base.join("\n"), "{}", case.name);
        });
    }
    assert_eq!(cases.len(), 12);
    for name in ["request", "response"] {
        let body = messages[name].body.as_ref().unwrap();
        let headers = headers(&messages[name].headers);
        ContentDigest::read(&headers).unwrap().unwrap().matches(body.as_bytes()).unwrap();
    }
}

#[test]
fn the_signatures_of_the_rfc_verify_under_their_keys_and_sign_anew() {
    let Vectors { cases, messages, keys, .. } = vectors();
    let mut signed_anew = 0;
    for case in cases.iter().filter(|case| case.signature.is_some()) {
        let key = case.verifying_key(&keys);
        let base = case.base.join("\n");
        let signature = STANDARD.decode(case.signature.as_ref().unwrap()).unwrap();
        assert!(key.verify(base.as_bytes(), &signature), "{}", case.name);
        if let Some(signing) = case.signing_key(&keys) {
            let anew = signing.sign(base.as_bytes()).unwrap();
            assert!(key.verify(base.as_bytes(), &anew), "{}", case.name);
            let deterministic = matches!(key.algorithm(), Algorithm::Ed25519 | Algorithm::HmacSha256);
            assert_eq!(anew == signature, deterministic, "{}", case.name);
            signed_anew += 1;
        }
        // Through the whole of verifying, with the parameters as the RFC has them.
        messages[&case.message].with(&messages, &|message| {
            let tagged = case.input.contains(";tag=");
            let judged = verify(&case.signed(), message, &key).map_err(|denial| denial.code());
            // A tag that the reading needed is not in the base that was signed.
            assert_eq!(judged, if tagged { Ok(()) } else { Err(Code::SignatureInvalid) }, "{}", case.name);
        });
    }
    assert_eq!(signed_anew, 10);
}

/// Appendix B.4.
#[test]
fn a_signature_holds_over_the_changes_that_the_rfc_allows_and_over_no_others() {
    let Vectors { cases, messages, transformed, keys, .. } = vectors();
    let case = cases.iter().find(|case| case.name == "transform").unwrap();
    let (key, signature) =
        (case.verifying_key(&keys), STANDARD.decode(case.signature.as_ref().unwrap()).unwrap());
    let components = case.signed().components;
    for Transformed { holds, what, request } in &transformed {
        request.with(&messages, &|message| {
            let base = signature_base(&components, &case.input, message).unwrap();
            assert_eq!(key.verify(base.as_bytes(), &signature), *holds, "{what}");
        });
    }
    assert_eq!(transformed.len(), 5);
}

#[test]
fn the_ed25519_signature_is_that_of_the_rfc() {
    let Vectors { cases, messages, keys, .. } = vectors();
    let part = |name: &str| {
        let text = keys["test-key-ed25519"][name].as_str().unwrap();
        <[u8; 32]>::try_from(URL_SAFE_NO_PAD.decode(text).unwrap()).unwrap()
    };
    let key = Ed25519Key::from_seed(Secret::new(part("d")));
    assert_eq!(key.public(), part("x"));

    // Signed by us, the request has the very headers of the example.
    let case = cases.iter().find(|case| case.name == "sig-b26").unwrap();
    let mut headers = headers(&messages["request"].headers);
    let parameters = Parameters {
        created: Some(crate::Timestamp::from_secs(1_618_884_473)),
        keyid: Some("test-key-ed25519".to_owned()),
        ..Parameters::default()
    };
    let target = messages["request"].target.as_ref().unwrap().parse().unwrap();
    let components = case.signed().components;
    sign(&mut headers, &Method::POST, &target, &case.name, &components, &parameters, &key).unwrap();
    assert_eq!(headers["signature-input"], format!("{}={}", case.name, case.input));
    assert_eq!(headers["signature"], format!("{}=:{}:", case.name, case.signature.as_ref().unwrap()));
}

#[test]
fn the_values_of_components_are_those_of_the_rfc() {
    let values = vectors().values;
    for Value { section, target, headers: lines, component, value } in &values {
        let (target, headers) = (target.parse::<Uri>().unwrap(), headers(lines));
        let message = Message::request(&Method::POST, &target, &headers);
        let component = Component::parse(component).unwrap();
        let base = signature_base(std::slice::from_ref(&component), "()", &message).unwrap();
        assert_eq!(base, format!("{component}: {value}\n\"@signature-params\": ()"), "section {section}");
    }
    assert_eq!(values.len(), 26);
}
