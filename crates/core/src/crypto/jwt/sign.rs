//! Making tokens.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;

use super::JwtAlgorithm;
use crate::crypto::Signer;

/// What a token's header says besides its algorithm, which is the key's.
#[derive(Clone, Copy, Debug, Default)]
pub struct JwtHeader<'a> {
    /// Its type, `at+jwt` for example.
    pub typ: Option<&'a str>,
    /// What the key is called.
    pub kid: Option<&'a str>,
    /// The public key itself, as a JWK in JSON: in proofs of possession alone.
    pub jwk: Option<&'a str>,
}

/// A token over `claims`. `None` if the key could not be used, or the claims are no JSON object.
#[must_use]
pub fn sign(key: &(impl Signer + ?Sized), header: &JwtHeader<'_>, claims: &impl Serialize) -> Option<String> {
    let claims = serde_json::to_vec(claims).ok().filter(|json| json.first() == Some(&b'{'))?;
    let mut json = format!(r#"{{"alg":"{}""#, JwtAlgorithm::of(key.algorithm()));
    for (name, value) in [("typ", header.typ), ("kid", header.kid)] {
        if let Some(value) = value {
            json.push_str(&format!(r#","{name}":{}"#, serde_json::to_string(value).ok()?));
        }
    }
    if let Some(jwk) = header.jwk {
        json.push_str(&format!(r#","jwk":{jwk}"#));
    }
    json.push('}');
    let mut token = String::with_capacity(4 * (json.len() + claims.len()) / 3 + 96);
    URL_SAFE_NO_PAD.encode_string(json, &mut token);
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(claims, &mut token);
    let signature = key.sign(token.as_bytes())?;
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut token);
    Some(token)
}
