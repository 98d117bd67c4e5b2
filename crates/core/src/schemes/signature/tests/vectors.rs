//! The examples of RFC 9421, from `vectors/rfc9421.json`.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::{HeaderMap, HeaderName, Method, Uri};
use serde::Deserialize;

use crate::crypto::{Ed25519Key, Secret};
use crate::schemes::signature::*;

#[derive(Deserialize)]
struct Vectors {
    cases: Vec<Case>,
    request: Request,
    keys: serde_json::Value,
    values: Vec<Value>,
}

#[derive(Deserialize)]
struct Request {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: String,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    input: String,
    base: Vec<String>,
    algorithm: Option<String>,
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

/// The request of appendix B.2, with the signature of a case. Examples that have no tag get one for
/// reading alone.
fn read(case: &Case, headers: &HeaderMap) -> Signed {
    let mut headers = headers.clone();
    let tag = if case.input.contains(";tag=") { "" } else { ";tag=\"header-example\"" };
    let signature = case.signature.as_deref().unwrap_or_default();
    headers.insert("signature-input", format!("{}={}{tag}", case.name, case.input).parse().unwrap());
    headers.insert("signature", format!("{}=:{signature}:", case.name).parse().unwrap());
    Signed::read(&headers, &["header-example"]).unwrap().remove(0)
}

#[test]
fn the_signature_bases_are_those_of_the_rfc() {
    let Vectors { cases, request, .. } = vectors();
    let method = Method::from_bytes(request.method.as_bytes()).unwrap();
    let (target, headers) = (request.target.parse::<Uri>().unwrap(), headers(&request.headers));
    let message = Message::request(&method, &target, &headers);
    for case in &cases {
        let signed = read(case, &headers);
        assert!(signed.signature_params().starts_with(&case.input), "{}", case.name);
        let base = signature_base(&signed.components, &case.input, &message).unwrap();
        assert_eq!(base, case.base.join("\n"), "{}", case.name);
    }
    assert_eq!(cases.len(), 6);
    ContentDigest::read(&headers).unwrap().unwrap().matches(request.body.as_bytes()).unwrap();
}

#[test]
fn the_ed25519_signature_is_that_of_the_rfc() {
    let Vectors { cases, request, keys, .. } = vectors();
    let part = |name: &str| {
        let text = keys["test-key-ed25519"][name].as_str().unwrap();
        <[u8; 32]>::try_from(URL_SAFE_NO_PAD.decode(text).unwrap()).unwrap()
    };
    let key = Ed25519Key::from_seed(Secret::new(part("d")));
    assert_eq!(key.public(), part("x"));

    let case = cases.iter().find(|case| case.algorithm.as_deref() == Some("ed25519")).unwrap();
    let signature = STANDARD.decode(case.signature.as_ref().unwrap()).unwrap();
    assert_eq!(key.sign(case.base.join("\n").as_bytes())[..], signature);

    // Signed by us, the request has the very headers of the example.
    let mut headers = headers(&request.headers);
    let components = read(case, &headers).components;
    let parameters = Parameters {
        created: Some(crate::Timestamp::from_secs(1_618_884_473)),
        keyid: Some("test-key-ed25519".to_owned()),
        ..Parameters::default()
    };
    let target = request.target.parse().unwrap();
    sign(&mut headers, &Method::POST, &target, &case.name, &components, &parameters, &key).unwrap();
    assert_eq!(headers["signature-input"], format!("{}={}", case.name, case.input));
    assert_eq!(headers["signature"], format!("{}=:{}:", case.name, STANDARD.encode(&signature)));
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
