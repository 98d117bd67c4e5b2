//! What a client and a wallet send to the issuer, made with our own tools.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign::crypto::ethereum::{EthereumKey, encode_hex};
use countersign::crypto::jwt::{JwtHeader, sign};
use countersign::crypto::{Ed25519Key, Random as _, Secret, SigningKey, SystemRandom, sha256};
use serde_json::json;

use crate::signed::now;
use crate::{Gateway, Request, Response};

pub const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
pub const SIWE: &str = "urn:countersign:grant-type:siwe";
/// A private key, in hex.
pub const WALLET: &str = "4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318";
/// The client `shop`, as the configuration describes it.
pub const SHOP: &str = "{ id = \"shop\", public_key_file = \"shop.jwk\", scopes = [\"orders:read\"] }";

pub fn wallet() -> EthereumKey {
    EthereumKey::from_hex(WALLET).unwrap()
}

pub fn shop() -> SigningKey {
    Ed25519Key::from_seed(Secret::new([1; 32])).into()
}

/// Writes the file that [`SHOP`] names.
pub fn write_shop(gateway: &Gateway) {
    std::fs::write(gateway.path("shop.jwk"), shop().verifying_key().to_jwk().unwrap()).unwrap();
}

/// What callers address.
pub fn url(gateway: &Gateway) -> String {
    format!("http://{}", gateway.address)
}

/// The client `shop` says that it is itself: once, for five minutes.
pub fn client_assertion(gateway: &Gateway) -> String {
    let mut jti = [0; 12];
    SystemRandom.fill(&mut jti);
    let claims = json!({
        "iss": "shop", "sub": "shop", "aud": url(gateway), "jti": encode_hex(&jti),
        "iat": now().as_secs(), "exp": now().as_secs() + 300,
    });
    sign(&shop(), &JwtHeader::default(), &claims).unwrap()
}

/// How a form says that it is a client's.
pub fn proven_by(client_assertion: &str) -> String {
    let by = "client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer";
    format!("{by}&client_assertion={client_assertion}")
}

pub fn post(gateway: &Gateway, path: &str, body: &str, proof: Option<&str>) -> Response {
    let mut request = Request::new("POST", path).body(body.as_bytes());
    request = request.header("Content-Type", "application/x-www-form-urlencoded");
    if let Some(proof) = proof {
        request = request.header("DPoP", proof);
    }
    gateway.send(&request)
}

/// A DPoP proof whose `htu` is written so.
pub fn proof(key: &SigningKey, method: &str, htu: &str, token: Option<&str>) -> String {
    let mut jti = [0; 12];
    SystemRandom.fill(&mut jti);
    let mut claims = json!({ "jti": encode_hex(&jti), "htm": method, "htu": htu, "iat": now().as_secs() });
    if let Some(token) = token {
        claims["ath"] = URL_SAFE_NO_PAD.encode(sha256(token.as_bytes())).into();
    }
    let jwk = key.verifying_key().to_jwk().unwrap();
    sign(key, &JwtHeader { typ: Some("dpop+jwt"), kid: None, jwk: Some(&jwk) }, &claims).unwrap()
}

/// A nonce of the gateway's for a wallet's message.
pub fn siwe_nonce(gateway: &Gateway) -> String {
    post(gateway, "/oauth/nonce", "", None).json()["nonce"].as_str().unwrap().to_owned()
}

/// EIP-4361's message with this nonce, and its signature, as JSON.
pub fn siwe_message(gateway: &Gateway, key: &EthereumKey, nonce: &str) -> String {
    let text = format!(
        "{} wants you to sign in with your Ethereum account:\n{}\n\n\nURI: {}\nVersion: 1\nChain ID: 1\nNonce: {nonce}\nIssued At: {}",
        gateway.address,
        key.address().checksummed(),
        url(gateway),
        now()
    );
    let signature = format!("0x{}", encode_hex(&key.sign_personal_message(text.as_bytes())));
    json!({ "message": text, "signature": signature }).to_string()
}
