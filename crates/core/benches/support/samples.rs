//! Keys and a request to measure with: a POST with six components and a body under Content-Digest.

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA512, VerificationAlgorithm,
};
use countersign::Timestamp;
use countersign::crypto::{Algorithm, Secret, Signer, SigningKey};
use countersign::schemes::signature::{Component, ContentDigest, Parameters, cover_floor, sign};
use http::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Uri};

/// The request's body.
pub(crate) const BODY: &[u8] = br#"{"order":"01890a5d-ac96-774b-bcce-b302099a8057","quantity":3}"#;
/// What its signature is for.
pub(crate) const TAGS: &[&str] = &["countersign"];
/// What HMACs are under.
pub(crate) const SECRET: [u8; 32] = [7; 32];

/// A key of each algorithm, from `vectors/keys.json`, and the primitive that it stands on.
pub(crate) fn keys() -> Vec<(SigningKey, Primitive)> {
    let text = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../vectors/keys.json"));
    let samples: serde_json::Value = serde_json::from_str(text).expect("JSON");
    let mut keys = Vec::new();
    for sample in samples["keys"].as_array().expect("keys") {
        let algorithm = Algorithm::from_name(sample["algorithm"].as_str().expect("a name"));
        let pem = sample["private"][0].as_str().expect("PEM");
        let key = SigningKey::from_pem(pem, algorithm).expect("a key");
        let primitive: &'static dyn VerificationAlgorithm = match key.algorithm() {
            Algorithm::EcdsaP256Sha256 => &ECDSA_P256_SHA256_FIXED,
            Algorithm::EcdsaP384Sha384 => &ECDSA_P384_SHA384_FIXED,
            Algorithm::RsaPssSha512 => &RSA_PSS_2048_8192_SHA512,
            Algorithm::RsaV15Sha256 => &RSA_PKCS1_2048_8192_SHA256,
            _ => &ED25519,
        };
        // Behind the version and the algorithm, the stored form is what the primitive reads.
        let raw = key.verifying_key().encode().expect("a public key").split_off(2);
        keys.push((key, Primitive::Public(ParsedPublicKey::new(primitive, raw).expect("a key"))));
    }
    let key = SigningKey::from_hmac_secret(&Secret::new(SECRET.to_vec())).expect("a key");
    keys.push((key, Primitive::Hmac(Box::new(hmac::Key::new(hmac::HMAC_SHA256, &SECRET)))));
    keys
}

/// An algorithm with its key prepared, and nothing around it.
pub(crate) enum Primitive {
    Public(ParsedPublicKey),
    Hmac(Box<hmac::Key>),
}

impl Primitive {
    pub(crate) fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Public(key) => key.verify_sig(message, signature).is_ok(),
            Self::Hmac(key) => hmac::verify(key, message, signature).is_ok(),
        }
    }
}

/// A request's head as a client would send it, signed.
pub(crate) fn signed(target: &Uri, key: &SigningKey) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(HOST, HeaderValue::from_static("api.example"));
    headers.insert(USER_AGENT, HeaderValue::from_static("bench/1"));
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(BODY.len()));
    headers.insert("content-digest", ContentDigest::of_sha256(BODY));
    // Method, scheme, authority, path, query, type and digest: the floor, of which `@scheme` is left
    // out, for six is what is quoted elsewhere.
    let floor = cover_floor(&headers, true);
    let six: Vec<Component> =
        floor.into_iter().filter(|component| component.as_str() != "\"@scheme\"").collect();
    let text = |text: &str| Some(text.to_owned());
    let parameters = Parameters {
        created: Some(Timestamp::from_secs(1_800_000_000)),
        expires: Some(Timestamp::from_secs(1_800_000_060)),
        nonce: text("bm9uY2Utb2YtMjItY2hhcnM"),
        alg: None,
        keyid: text("0123456789AB"),
        tag: text("countersign"),
    };
    sign(&mut headers, &Method::POST, target, "sig1", &six, &parameters, key).expect("a signature");
    headers
}
