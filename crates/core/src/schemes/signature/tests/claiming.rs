//! The claimant's half, judged by the verifier's.

use std::sync::Arc;

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method, Uri};

use super::super::*;
use crate::crypto::ethereum::EthereumKey;
use crate::crypto::{SystemRandom, VerifyingKey};
use crate::request::Body;
use crate::schemes::api_key::{ApiKey, DERIVATION};
use crate::schemes::proof::ProofError;
use crate::schemes::webhook::signer::OutgoingBody;
use crate::testing::{Request, ed25519};
use crate::time::Timestamp;

/// Almost a second later: what is signed has whole ones.
const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_999);
const BODY: &[u8] = b"{\"item\":\"tea\"}";

fn target() -> Uri {
    Uri::from_static("https://bob.example/orders?page=2")
}

fn typed() -> HeaderMap {
    HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))])
}

fn signer() -> (RequestSigner, VerifyingKey) {
    let key = ed25519(7);
    let public = key.verifying_key().clone();
    (RequestSigner::new(key, "abcdefghijkl", Arc::new(SystemRandom)), public)
}

fn signed(signer: &RequestSigner, mut headers: HeaderMap, body: OutgoingBody<'_>) -> HeaderMap {
    signer.sign_request(&Method::POST, &target(), &mut headers, body, NOW).unwrap();
    headers
}

/// As the verifier goes about it.
fn judged(headers: &HeaderMap, signed: &Signed, body: Body, key: &VerifyingKey) {
    let request = Request { target: target(), headers: headers.clone(), ..Request::post("/", "") };
    let request = request.announcing(body);
    let request = request.view(NOW);
    fresh(signed, NOW).unwrap();
    covers(signed, &request, &[]).unwrap();
    verify(signed, &Message::from(&request), key).unwrap();
}

#[test]
fn what_is_signed_is_taken_with_a_body_and_without_one() {
    let (signer, public) = signer();
    for (outgoing, body) in [
        (OutgoingBody::Absent, Body::Absent),
        (OutgoingBody::Whole(BODY), Body::Announced),
        (OutgoingBody::Whole(b""), Body::Announced),
    ] {
        let headers = signed(&signer, typed(), outgoing);
        let [signature] = &Signed::read(&headers, &[COUNTERSIGN]).unwrap()[..] else { panic!() };
        judged(&headers, signature, body, &public);
        assert_eq!(signature.label, "sig1");
        assert_eq!(signature.parameters.created, Some(Timestamp::from_secs(1_800_000_000)));
        assert_eq!(signature.parameters.expires, Some(Timestamp::from_secs(1_800_000_060)));
        assert_eq!(signature.parameters.keyid.as_deref(), Some("abcdefghijkl"));
        assert!(!headers.contains_key(BASE_DIGESTS));
    }
}

#[test]
fn a_digest_that_is_there_is_replaced_by_that_of_the_body() {
    let mut headers = typed();
    for other in [&b"another body"[..], b"a third"] {
        headers.append(CONTENT_DIGEST, ContentDigest::of_sha256(other));
    }
    let headers = signed(&signer().0, headers, OutgoingBody::Whole(BODY));
    assert_eq!(headers.get_all(CONTENT_DIGEST).iter().count(), 1);
    ContentDigest::read(&headers).unwrap().unwrap().matches(BODY).unwrap();
}

#[test]
fn a_body_that_is_not_known_is_an_error_that_changes_nothing() {
    let mut headers = typed();
    let streaming = OutgoingBody::Streaming;
    let refused = signer().0.sign_request(&Method::POST, &target(), &mut headers, streaming, NOW);
    assert_eq!(refused, Err(ProofError::Streaming));
    assert_eq!(headers, typed());
    let nowhere = Uri::from_static("/orders");
    let body = OutgoingBody::Whole(BODY);
    let refused = signer().0.sign_request(&Method::POST, &nowhere, &mut headers, body, NOW);
    assert_eq!(refused, Err(ProofError::Target("/orders".to_owned())));
    assert_eq!(headers, typed());
}

#[test]
fn every_signature_has_another_nonce_and_the_next_free_label() {
    let (signer, public) = signer();
    let twice = signed(&signer, signed(&signer, typed(), OutgoingBody::Absent), OutgoingBody::Absent);
    let signatures = Signed::read(&twice, &[COUNTERSIGN]).unwrap();
    let labels: Vec<_> = signatures.iter().map(|signed| &*signed.label).collect();
    assert_eq!(labels, ["sig1", "sig2"]);
    assert_ne!(signatures[0].parameters.nonce, signatures[1].parameters.nonce);
    for signature in &signatures {
        judged(&twice, signature, Body::Absent, &public);
    }
}

#[test]
fn digests_of_the_base_say_that_nothing_differs_or_what() {
    let headers = signed(&signer().0.with_base_digests(true), typed(), OutgoingBody::Whole(BODY));
    let signature = &Signed::read(&headers, &[COUNTERSIGN]).unwrap()[0];
    let differs =
        |target: &Uri| difference(&headers, signature, &Message::request(&Method::POST, target, &headers));
    assert_eq!(differs(&target()), Some(Difference::Nowhere));
    let elsewhere = Uri::from_static("https://eve.example/orders?page=2");
    assert_eq!(differs(&elsewhere), Some(Difference::At("\"@authority\"".to_owned())));
}

#[test]
fn an_api_key_signs_with_what_its_secret_yields_and_does_not_travel() {
    let key = ApiKey::generate(&SystemRandom);
    let (_, public) = crate::crypto::derive_ed25519(key.secret.expose(), DERIVATION);
    let signer = RequestSigner::of_api_key(&key, Arc::new(SystemRandom));
    let headers = signed(&signer, typed(), OutgoingBody::Whole(BODY));
    let signature = &Signed::read(&headers, &[COUNTERSIGN]).unwrap()[0];
    judged(&headers, signature, Body::Announced, &VerifyingKey::from_ed25519(public).unwrap());
    assert_eq!(signature.parameters.keyid.as_deref(), Some(key.id.as_str()));
    let all = format!("{headers:?} {signer:?}");
    assert!(!all.contains(&key.reveal().expose()[16..]), "{all}");
}

#[test]
fn a_wallet_signs_as_erc_8128_says() {
    let key = EthereumKey::generate(&SystemRandom);
    let address = key.address();
    let signer =
        RequestSigner::of_wallet(key, SignAs::default(), Arc::new(SystemRandom)).with_base_digests(true);
    let headers = signed(&signer, signed(&signer, typed(), OutgoingBody::Absent), OutgoingBody::Whole(BODY));
    let signatures = Signed::read(&headers, &[ERC8128]).unwrap();
    assert_eq!(signatures.len(), 2);
    let message = (Method::POST, target());
    let message = Message::request(&message.0, &message.1, &headers);
    assert_eq!(verify_erc8128(&signatures[1], &message).unwrap().address, address);
    assert_eq!(signatures[1].label, "sig2");
    assert_eq!(fresh(&signatures[1], NOW).unwrap().created, Timestamp::from_secs(1_800_000_000));
    assert!(!headers.contains_key(BASE_DIGESTS));
}

#[test]
fn signatures_of_every_tag_are_read_for_whoever_only_looks() {
    let wallet = RequestSigner::of_wallet(
        EthereumKey::generate(&SystemRandom),
        SignAs::default(),
        Arc::new(SystemRandom),
    );
    let headers = signed(&wallet, signed(&signer().0, typed(), OutgoingBody::Absent), OutgoingBody::Absent);
    assert_eq!(Signed::read(&headers, &[COUNTERSIGN]).unwrap().len(), 1);
    assert_eq!(Signed::read_all(&headers).unwrap().len(), 2);
}
