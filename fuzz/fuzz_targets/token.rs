//! Access tokens and DPoP proofs: no bytes make reading panic, and nothing that nobody signed holds.
#![no_main]

use countersign::crypto::jwt::{Jwt, JwtKey};
use countersign::crypto::{Secret, VerifyingKey};
use countersign::dpop::{DPOP, Dpop, NoncePolicy, Proof};
use countersign::schemes::bearer::{Credential, KeySet, LONGEST_TOKEN};
use countersign::{Body, RequestView, Timestamp};
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue, Method, Uri};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = KeySet::read(bytes);
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let mut buffer = Vec::new();
    if let Ok(jwt) = Jwt::parse(text, LONGEST_TOKEN, &mut buffer) {
        let _ = jwt.unverified_claims();
        let secret = VerifyingKey::from_hmac_secret(&Secret::new(vec![7; 32])).expect("a secret");
        assert!(jwt.verify(&JwtKey::from(secret)).is_err());
    }
    let Ok(proof) = HeaderValue::from_str(text) else { return };
    let Ok(authorization) = HeaderValue::try_from(format!("DPoP {text}")) else { return };
    let headers = HeaderMap::from_iter([(AUTHORIZATION, authorization), (DPOP, proof)]);
    let target = Uri::from_static("https://bob.example/orders/1");
    let request = RequestView {
        method: &Method::GET,
        target: &target,
        headers: &headers,
        body: Body::Absent,
        source: None,
        received_at: Timestamp::from_secs(1_800_000_000),
    };
    let _ = Credential::read(&request, LONGEST_TOKEN);
    if let Ok(Some(proof)) = Proof::of(&request) {
        let dpop = Dpop::new(&Secret::new([9; 32]), NoncePolicy::Required);
        assert!(dpop.verify(proof, Some(text), &request).is_err());
    }
});
