//! The keys that an issuer's tokens are signed with (RFC 7517 §5).

use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;

use crate::crypto::jwt::{JwtAlgorithm, JwtKey};
use crate::crypto::{KeyError, Secret, VerifyingKey};

/// A set with more keys is nobody's.
const MOST_KEYS: usize = 64;

/// Keys by the names that their issuer gives them.
#[derive(Clone, Debug, Default)]
pub struct KeySet {
    keys: Vec<(Option<String>, Arc<JwtKey>)>,
}

/// What is found in a set for a token.
#[derive(Debug)]
pub enum Found {
    /// The one key that fits.
    Key(Arc<JwtKey>),
    /// A key has the name, and another algorithm than the token says.
    OtherAlgorithm,
    /// Several keys fit, and nothing says which.
    Several,
    /// No key has the name.
    Nothing,
}

#[derive(Deserialize)]
struct Written {
    keys: Vec<Value>,
}

impl KeySet {
    /// Reads a JWK set. Keys that verify no tokens here are passed over, for others may use them
    /// (RFC 7517 §5): encryption keys, shared secrets, curves that are not known.
    ///
    /// # Errors
    /// It is no JWK set, or has more than 64 keys.
    pub fn read(json: &[u8]) -> Result<Self, &'static str> {
        let written: Written = serde_json::from_slice(json).map_err(|_| "it is no JWK set")?;
        if written.keys.len() > MOST_KEYS {
            return Err("it has more than 64 keys");
        }
        let key = |jwk: Value| {
            let name = jwk.get("kid").and_then(Value::as_str).map(str::to_owned);
            JwtKey::from_jwk(&jwk.to_string()).ok().map(|key| (name, Arc::new(key)))
        };
        Ok(Self { keys: written.keys.into_iter().filter_map(key).collect() })
    }

    /// One secret of 32 to 4096 bytes, shared with an issuer who signs by HS256; whatever its tokens call
    /// it.
    ///
    /// # Errors
    /// [`KeyError::SecretLength`].
    pub fn of_secret(secret: &Secret<Vec<u8>>) -> Result<Self, KeyError> {
        let key = VerifyingKey::from_hmac_secret(secret)?;
        Ok(Self { keys: vec![(None, Arc::new(key.into()))] })
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The key that a token means by `kid`; without one, the only key of its algorithm. A key without a
    /// name may be meant by any.
    #[must_use]
    pub fn find(&self, kid: Option<&str>, algorithm: JwtAlgorithm) -> Found {
        let mut found = Found::Nothing;
        for (name, key) in &self.keys {
            if !(kid.is_none() || name.is_none() || name.as_deref() == kid) {
                continue;
            }
            found = match (key.algorithm() == algorithm, found) {
                (true, Found::Key(_) | Found::Several) => return Found::Several,
                (true, _) => Found::Key(key.clone()),
                (false, Found::Nothing) => Found::OtherAlgorithm,
                (false, found) => found,
            };
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::Ed25519Key;

    fn jwk(seed: u8, kid: Option<&str>) -> String {
        let key = VerifyingKey::from_ed25519(Ed25519Key::from_seed(Secret::new([seed; 32])).public());
        let jwk = key.unwrap().to_jwk().unwrap();
        kid.map_or(jwk.clone(), |kid| jwk.replacen('{', &format!(r#"{{"kid":"{kid}","#), 1))
    }

    fn set(keys: &[String]) -> KeySet {
        KeySet::read(format!(r#"{{"keys":[{}]}}"#, keys.join(",")).as_bytes()).unwrap()
    }

    #[test]
    fn a_name_finds_its_key_and_no_name_the_only_one_that_fits() {
        let two = set(&[jwk(1, Some("a")), jwk(2, Some("b"))]);
        let find = |set: &KeySet, kid| set.find(kid, JwtAlgorithm::EdDsa);
        assert!(matches!(find(&two, Some("b")), Found::Key(_)));
        assert!(matches!(find(&two, Some("c")), Found::Nothing));
        assert!(matches!(find(&two, None), Found::Several));
        assert!(matches!(two.find(Some("a"), JwtAlgorithm::Es256), Found::OtherAlgorithm));
        assert!(matches!(find(&set(&[jwk(1, Some("a"))]), None), Found::Key(_)));
        assert!(matches!(find(&set(&[jwk(1, None)]), Some("a")), Found::Key(_)));
        assert!(matches!(find(&set(&[jwk(1, Some("a")), jwk(2, Some("a"))]), Some("a")), Found::Several));
    }

    #[test]
    fn what_verifies_no_token_is_passed_over_and_what_is_no_set_is_refused() {
        let oct = r#"{"kty":"oct","k":"AAAA","kid":"a"}"#.to_owned();
        let encrypts = jwk(1, Some("a")).replacen('{', r#"{"use":"enc","#, 1);
        assert!(set(&[oct, encrypts, "7".to_owned()]).is_empty());
        for no_set in ["", "[]", "{}", r#"{"keys":7}"#, r#"{"keys":[],"keys":[]}"#] {
            assert!(KeySet::read(no_set.as_bytes()).is_err(), "{no_set}");
        }
        let many = format!(r#"{{"keys":[{}]}}"#, ["{}"; 65].join(","));
        assert!(KeySet::read(many.as_bytes()).is_err());
    }
}
