//! Registering keys that somebody else made: public keys, and HMAC secrets, which come in and never
//! go out.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Json};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use countersign::crypto::{Algorithm, Secret, VerifyingKey};
use countersign::schemes::api_key::{KeyTerms, MintRights};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroize as _;

use crate::management::answer::{Answer, bad, note, parse_json};
use crate::management::keys::{api_key, shown};
use crate::open::Opened;
use crate::settings::quantities::parse_duration;

/// What `key add` asks for: a public key or a secret, never both.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Registration {
    /// What people call it.
    pub label: String,
    /// Who answers for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// What it may do.
    #[serde(default)]
    pub permissions: Vec<String>,
    /// For how long it is valid, `30d`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
    /// Which callback URLs it may mint.
    #[serde(default)]
    pub mint: MintRights,
    /// A public key, PEM or a JWK.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public: Option<String>,
    /// How it signs, where the key does not say so: a name of RFC 9421's registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub algorithm: Option<String>,
    /// The secret of an HMAC, in base64url.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hmac_secret: Option<SharedSecret>,
}

/// The secret of an HMAC on its way in.
#[derive(Debug)]
pub struct SharedSecret(Secret<Vec<u8>>);

impl From<Secret<Vec<u8>>> for SharedSecret {
    fn from(secret: Secret<Vec<u8>>) -> Self {
        Self(secret)
    }
}

impl Serialize for SharedSecret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut text = URL_SAFE_NO_PAD.encode(self.0.expose());
        let written = serializer.serialize_str(&text);
        text.zeroize();
        written
    }
}

impl<'de> Deserialize<'de> for SharedSecret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Secret::new(String::deserialize(deserializer)?);
        // The library's own words might quote it.
        let secret = URL_SAFE_NO_PAD.decode(text.expose());
        let secret = secret.map_err(|_| serde::de::Error::custom("hmac_secret is not base64url"))?;
        Ok(Self(Secret::new(secret)))
    }
}

/// Reads a public key, whichever of the two forms it has.
///
/// # Errors
/// What is wrong with it, in a sentence that holds nothing of the key.
pub fn read_public(text: &str, algorithm: Option<&str>) -> Result<VerifyingKey, String> {
    let algorithm = match algorithm {
        None => None,
        Some(name) => Some(Algorithm::from_name(name).ok_or_else(|| {
            let known: Vec<_> = Algorithm::ALL.iter().map(|algorithm| algorithm.as_str()).collect();
            format!("`{name}` is no algorithm; there are {}", known.join(", "))
        })?),
    };
    let read = match text.trim_start().starts_with('{') {
        true => VerifyingKey::from_jwk(text, algorithm),
        false if text.contains("-----BEGIN ") => VerifyingKey::from_pem(text, algorithm),
        false => {
            let neither = "this is neither PEM (-----BEGIN PUBLIC KEY-----) nor a JWK ({\"kty\": …})";
            return Err(neither.to_owned());
        }
    };
    read.map_err(|error| error.to_string())
}

pub(super) async fn register(State(opened): State<Opened>, body: Bytes) -> Answer {
    let wanted: Registration = parse_json(&body)?;
    let now = opened.shared.clock.now();
    let expires = wanted.expires.as_deref().map(parse_duration).transpose().map_err(bad)?;
    let terms = KeyTerms {
        label: wanted.label,
        owner: wanted.owner,
        permissions: wanted.permissions,
        expires: expires.map(|after| now.plus(after)),
        signed_only: true,
        mint: wanted.mint,
    };
    let keys = api_key(&opened).keys();
    let record = match (wanted.public, wanted.hmac_secret) {
        (Some(public), None) => {
            let key = read_public(&public, wanted.algorithm.as_deref()).map_err(bad)?;
            keys.add_public(&key, terms, now, &opened.shared.random).await?
        }
        (None, Some(secret)) => {
            if wanted.algorithm.is_some_and(|name| name != Algorithm::HmacSha256.as_str()) {
                return Err(bad("a secret is used with hmac-sha256 and nothing else"));
            }
            keys.add_hmac(&secret.0, &opened.shared.seal_key, terms, now, &opened.shared.random).await?
        }
        _ => return Err(bad("a registration has either `public` or `hmac_secret`")),
    };
    let details = shown(&record, now, None);
    if let Err(unaudited) = note(&opened, now, "key-added", &details).await {
        // Its holder has it already: nobody is to find that it passes, and nobody know since when.
        keys.revoke(record.id, now).await?;
        return Err(unaudited);
    }
    Ok((StatusCode::OK, Json(details)).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_travels_and_is_not_printed() {
        let secret = SharedSecret(Secret::new(b"thirty-two bytes that are shared".to_vec()));
        let wanted = Registration { hmac_secret: Some(secret), ..Registration::default() };
        let printed = format!("{wanted:?}");
        assert!(printed.contains("[redacted]") && !printed.contains("116"), "{printed}");
        let text = serde_json::to_string(&wanted).unwrap();
        let read: Registration = serde_json::from_str(&text).unwrap();
        assert_eq!(read.hmac_secret.unwrap().0.expose(), b"thirty-two bytes that are shared");
        let error = serde_json::from_str::<Registration>(r#"{"label":"x","hmac_secret":"s3cret!"}"#);
        let error = error.unwrap_err().to_string();
        assert!(error.starts_with("hmac_secret is not base64url") && !error.contains("s3cret"), "{error}");
    }
}
