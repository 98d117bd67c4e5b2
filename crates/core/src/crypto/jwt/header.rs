//! A token's header: which key is meant, and what kind of token it is. It chooses nothing.

use std::borrow::Cow;

use super::JwtError;
use super::json::Json;

/// The members that matter here (RFC 7515 §4.1); others are passed over, except those that would have to be
/// understood.
#[derive(Clone)]
pub(super) struct Header<'a> {
    pub(super) algorithm: Cow<'a, str>,
    pub(super) key_id: Option<Cow<'a, str>>,
    pub(super) typ: Option<Cow<'a, str>>,
    pub(super) own_key: Option<Json<'a>>,
}

impl<'a> Header<'a> {
    /// Reads a header in JSON.
    ///
    /// # Errors
    /// [`JwtError::Malformed`] and [`JwtError::Critical`].
    pub(super) fn read(json: &'a [u8]) -> Result<Self, JwtError> {
        const MALFORMED: JwtError =
            JwtError::Malformed("its header is no JSON object with `alg`, each member once");
        let text = |value| match value {
            Json::Text(text) => Ok(text),
            _ => Err(MALFORMED),
        };
        let Some(Json::Object(members)) = Json::parse(json) else { return Err(MALFORMED) };
        let (mut algorithm, mut key_id, mut typ, mut own_key) = (None, None, None, None);
        for (name, value) in members {
            match &*name {
                "alg" => algorithm = Some(text(value)?),
                "kid" => key_id = Some(text(value)?),
                "typ" => typ = Some(text(value)?),
                "jwk" => own_key = Some(value),
                // RFC 7797's unencoded payloads need `crit`.
                "crit" | "b64" => return Err(JwtError::Critical),
                "enc" => return Err(JwtError::Malformed("it is encrypted")),
                _ => {}
            }
        }
        Ok(Self { algorithm: algorithm.ok_or(MALFORMED)?, key_id, typ, own_key })
    }
}
