//! Every algorithm through signing and verifying, on requests and on responses; and that one changed
//! byte anywhere makes it fail.

use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};

use super::fields;
use crate::crypto::samples::samples;
use crate::crypto::{Algorithm, Secret, Signer, SigningKey};
use crate::denial::Code;
use crate::schemes::signature::*;
use crate::time::Timestamp;

const TARGET: &str = "https://example.com/a?b=c";

pub(super) fn keys() -> Vec<SigningKey> {
    let mut keys: Vec<_> = samples()
        .keys
        .iter()
        .map(|key| SigningKey::from_pem(&key.private[0], Algorithm::from_name(&key.algorithm)).unwrap())
        .collect();
    keys.push(SigningKey::from_hmac_secret(&Secret::new(vec![7; 32])).unwrap());
    keys
}

pub(super) fn parameters() -> Parameters {
    let text = |text: &str| Some(text.to_owned());
    Parameters {
        created: Some(Timestamp::from_secs(1000)),
        expires: Some(Timestamp::from_secs(1060)),
        nonce: text("n"),
        alg: None,
        keyid: text("k"),
        tag: text("t"),
    }
}

fn request_fields() -> HeaderMap {
    fields(&[("content-type", "text/plain"), ("content-digest", "sha-256=:AQ==:")])
}

fn verified(headers: &HeaderMap, target: &str, key: &SigningKey) -> Result<(), Code> {
    let target = target.parse().unwrap();
    let message = Message::request(&Method::POST, &target, headers);
    let signed = Signed::read(headers, &["t"]).map_err(|denial| denial.code())?.remove(0);
    verify(&signed, &message, key.verifying_key()).map_err(|denial| denial.code())
}

#[test]
fn a_signed_request_verifies_under_its_key_alone_by_every_algorithm() {
    let keys = keys();
    for key in &keys {
        for alg in [None, Some(key.algorithm())] {
            let mut headers = request_fields();
            let parameters = Parameters { alg: alg.map(|alg| alg.to_string()), ..parameters() };
            let floor = cover_floor(&headers, true);
            let target = Uri::from_static(TARGET);
            sign(&mut headers, &Method::POST, &target, "s", &floor, &parameters, key).unwrap();
            for other in &keys {
                let same = other.algorithm() == key.algorithm();
                let expected = if same { Ok(()) } else { Err(Code::SignatureInvalid) };
                assert_eq!(verified(&headers, TARGET, other), expected, "{key:?} {other:?}");
            }
        }
    }
}

#[test]
fn an_algorithm_that_is_named_must_be_the_keys_though_the_signature_holds() {
    for key in keys() {
        for alg in Algorithm::ALL.map(Algorithm::as_str).into_iter().chain(["", "ED25519"]) {
            let mut headers = request_fields();
            let parameters = Parameters { alg: Some(alg.to_owned()), ..parameters() };
            let target = Uri::from_static(TARGET);
            sign(&mut headers, &Method::POST, &target, "s", &[], &parameters, &key).unwrap();
            let expected = if alg == key.algorithm().as_str() { Ok(()) } else { Err(Code::SignatureInvalid) };
            assert_eq!(verified(&headers, TARGET, &key), expected, "{alg} {key:?}");
        }
    }
}

/// RSA keys of 8192 bits and their signatures find room.
#[test]
fn a_key_that_does_not_sign_leaves_the_headers_as_they_are() {
    struct Broken;
    impl Signer for Broken {
        fn algorithm(&self) -> Algorithm {
            Algorithm::Ed25519
        }
        fn sign(&self, _: &[u8]) -> Option<Vec<u8>> {
            None
        }
    }
    let mut headers = HeaderMap::new();
    let target = Uri::from_static(TARGET);
    let refused = sign(&mut headers, &Method::GET, &target, "s", &[], &parameters(), &Broken);
    assert_eq!(refused, Err(SignError::Key));
    assert!(headers.is_empty());
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(48))]
    #[test]
    fn any_single_changed_byte_makes_it_fail_by_every_algorithm(
        field in "[!-~]([ -~]{0,10}[!-~])?",
        position: usize,
        byte in b'!'..=b'~',
    ) {
        for key in &keys() {
            let mut headers = request_fields();
            headers.insert("x-thing", field.parse().unwrap());
            let mut components = cover_floor(&headers, true);
            components.push(Component::parse("\"x-thing\"").unwrap());
            let target = Uri::from_static(TARGET);
            sign(&mut headers, &Method::POST, &target, "s", &components, &parameters(), key).unwrap();
            proptest::prop_assert_eq!(verified(&headers, TARGET, key), Ok(()));
            let original = Signed::read(&headers, &["t"]).unwrap().remove(0);
            for name in ["x-thing", "content-type", "content-digest", "signature-input", "signature"] {
                let mut bytes = headers[name].as_bytes().to_vec();
                let position = position % bytes.len();
                if bytes[position] == byte {
                    continue;
                }
                bytes[position] = byte;
                let mut changed = headers.clone();
                changed.insert(name, HeaderValue::from_bytes(&bytes).unwrap());
                // Nothing of ours is left, or it is malformed, or it does not verify.
                let passes = match Signed::read(&changed, &["t"]) {
                    // Structured fields forgive the bits that base64 leaves over (RFC 9651 §4.2.7).
                    Ok(found) if found.first().is_some_and(|one| {
                        one.signature == original.signature && one.signature_params() == original.signature_params()
                            && name == "signature"
                    }) => false,
                    Ok(found) if !found.is_empty() => verified(&changed, TARGET, key).is_ok(),
                    _ => false,
                };
                // The label is on both headers; what is changed there alone is not paired.
                proptest::prop_assert!(!passes, "{} {} {:?}", name, position, key);
            }
        }
    }
}

/// A response to a signed request, signed over the floor.
fn answered(key: &SigningKey, judge: impl FnOnce(&HeaderMap, &Message<'_>)) {
    let mut request_headers = request_fields();
    let target = Uri::from_static(TARGET);
    let floor = cover_floor(&request_headers, true);
    sign(&mut request_headers, &Method::POST, &target, "s", &floor, &parameters(), key).unwrap();
    let request = Message::request(&Method::POST, &target, &request_headers);
    let mut headers = fields(&[("content-type", "text/html"), ("content-digest", "sha-256=:Ag==:")]);
    let floor = cover_response_floor(&Message::response(StatusCode::OK, &headers, Some(&request)), true);
    sign_response(&mut headers, StatusCode::OK, Some(&request), "r", &floor, &parameters(), key).unwrap();
    judge(&headers, &request);
}

#[test]
fn a_signed_response_is_bound_to_its_request_by_every_algorithm() {
    for key in keys() {
        answered(&key, |headers, request| {
            let signed = Signed::read(headers, &["t"]).unwrap().remove(0);
            let judged = |status: StatusCode, headers: &HeaderMap, request: Option<&Message<'_>>| {
                let response = Message::response(status, headers, request);
                verify(&signed, &response, key.verifying_key()).map_err(|denial| denial.code())
            };
            assert_eq!(judged(StatusCode::OK, headers, Some(request)), Ok(()));
            let bad = Err(Code::SignatureInvalid);
            assert_eq!(judged(StatusCode::CREATED, headers, Some(request)), bad);
            assert_eq!(judged(StatusCode::OK, headers, None), bad);
            let mut changed = headers.clone();
            changed.insert("content-digest", HeaderValue::from_static("sha-256=:AQ==:"));
            assert_eq!(judged(StatusCode::OK, &changed, Some(request)), bad);
            let other = Uri::from_static("https://example.com/a?b=d");
            let mut resigned = request_fields();
            resigned.insert("signature", HeaderValue::from_static("s=:AQ==:"));
            for (method, target, headers_of_other) in [
                (&Method::PUT, &Uri::from_static(TARGET), request.headers),
                (&Method::POST, &other, request.headers),
                (&Method::POST, &Uri::from_static(TARGET), &resigned),
            ] {
                let other = Message::request(method, target, headers_of_other);
                assert_eq!(judged(StatusCode::OK, headers, Some(&other)), bad);
            }
        });
    }
}

#[test]
fn the_floor_of_a_response_must_be_covered() {
    let key = keys().remove(0);
    answered(&key, |headers, request| {
        let response = Message::response(StatusCode::OK, headers, Some(request));
        let floor = cover_response_floor(&response, true);
        assert_eq!(floor.len(), 10);
        let judged = |components: &[Component]| {
            let mut headers = headers.clone();
            headers.remove("signature");
            headers.remove("signature-input");
            sign_response(&mut headers, StatusCode::OK, Some(request), "r", components, &parameters(), &key)
                .unwrap();
            let signed = Signed::read(&headers, &["t"]).unwrap().remove(0);
            covers_response(&signed, &response, true).map_err(|denial| denial.cause().to_owned())
        };
        assert_eq!(judged(&floor), Ok(()));
        for position in 0..floor.len() {
            let mut less = floor.clone();
            let left_out = less.remove(position);
            assert_eq!(judged(&less), Err(format!("{left_out} is not covered")));
        }
        // The whole target stands for its parts, and for nothing else.
        let whole = Component::parse("\"@target-uri\";req").unwrap();
        let mut with_whole: Vec<_> =
            floor.iter().filter(|component| !component.as_str().contains("@query")).cloned().collect();
        assert!(judged(&with_whole).is_err());
        with_whole.push(whole.clone());
        assert_eq!(judged(&with_whole), Ok(()));
        assert_eq!(judged(&[whole]), Err("\"@status\" is not covered".to_owned()));
    });
    // Alone, it has but itself.
    let headers = fields(&[]);
    let alone = Message::response(StatusCode::OK, &headers, None);
    assert_eq!(cover_response_floor(&alone, false), [Component::parse("\"@status\"").unwrap()]);
    assert_eq!(cover_response_floor(&alone, true).len(), 2);
}

#[test]
fn parts_that_a_message_has_not_have_no_base() {
    let (headers, trailers) = (fields(&[("x", "header")]), fields(&[("x", "trailer")]));
    let target = Uri::from_static(TARGET);
    let request = Message::request(&Method::GET, &target, &headers).with_trailers(&trailers);
    let response = Message::response(StatusCode::NOT_FOUND, &headers, Some(&request));
    let alone = Message::response(StatusCode::NOT_FOUND, &headers, None);
    let value = |message: &Message<'_>, name: &str| {
        let base = signature_base(&[Component::parse(name).unwrap()], "()", message)?;
        Ok(base.lines().next().unwrap().strip_prefix(&format!("{name}: ")).unwrap().to_owned())
    };
    let not_given = |name: &str| Err(BaseError::NotGiven(name.to_owned()));
    assert_eq!(value(&response, "\"@status\"").as_deref(), Ok("404"));
    assert_eq!(value(&request, "\"@status\""), not_given("\"@status\""));
    assert_eq!(value(&response, "\"@path\";req").as_deref(), Ok("/a"));
    assert_eq!(value(&response, "\"@query-param\";name=\"b\";req").as_deref(), Ok("c"));
    assert_eq!(value(&response, "\"@path\""), not_given("\"@path\""));
    assert_eq!(value(&response, "\"@query-param\";name=\"b\""), not_given("\"@query-param\";name=\"b\""));
    assert_eq!(value(&alone, "\"@path\";req"), not_given("\"@path\";req"));
    assert_eq!(value(&request, "\"x\";tr").as_deref(), Ok("trailer"));
    assert_eq!(value(&request, "\"x\"").as_deref(), Ok("header"));
    assert_eq!(value(&response, "\"x\";tr"), not_given("\"x\";tr"));
    assert_eq!(value(&response, "\"x\";tr;req").as_deref(), Ok("trailer"));
    assert_eq!(value(&response, "\"x\";req").as_deref(), Ok("header"));
    let other = response.with_trailers(&headers);
    assert_eq!(value(&other, "\"x\";tr").as_deref(), Ok("header"));
    assert_eq!(value(&other, "\"x\";sf;tr"), Err(BaseError::NotStructured("\"x\";sf;tr".to_owned())));
}

#[test]
fn trailers_can_be_signed_and_carry_the_signature() {
    let key = keys().remove(0);
    let (headers, mut trailers) = (fields(&[("x", "header")]), fields(&[("x", "trailer")]));
    let target = Uri::from_static(TARGET);
    let covered = [Component::parse("\"x\";tr").unwrap()];
    let message = Message::request(&Method::GET, &target, &headers);
    let with = message.with_trailers(&trailers);
    let signature = NewSignature::make(&with, "s", &covered, &parameters(), &key).unwrap();
    signature.put_on(&mut trailers).unwrap();
    assert_eq!(signature.put_on(&mut trailers), Err(SignError::LabelTaken("s".to_owned())));
    let signed = Signed::read(&trailers, &["t"]).unwrap().remove(0);
    assert!(verify(&signed, &message.with_trailers(&trailers), key.verifying_key()).is_ok());
    trailers.insert("x", HeaderValue::from_static("header"));
    assert!(verify(&signed, &message.with_trailers(&trailers), key.verifying_key()).is_err());
}
