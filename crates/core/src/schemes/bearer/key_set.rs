//! The keys that an issuer's tokens are signed with (RFC 7517 §5).

use std::sync::Arc;

use serde_json::Value;

use super::left_out::{LeftOut, shown, told};
use crate::crypto::jwt::{JwtAlgorithm, JwtKey};
use crate::crypto::{KeyError, Secret, VerifyingKey};
use crate::remote_keys::jwk_set;

/// A set with more keys is nobody's.
const MOST_KEYS: usize = 256;
/// How many keys are tried for one token: each costs a signature's time, and anybody may ask for it.
pub const MOST_TRIED: usize = 4;

/// Keys by the names that their issuer gives them, and why others of its set are none here.
#[derive(Clone, Debug, Default)]
pub struct KeySet {
    keys: Vec<(Option<String>, Arc<JwtKey>)>,
    left_out: Vec<LeftOut>,
}

/// The keys that may have signed a token: those that its `kid` names come first.
#[derive(Clone, Debug, Default)]
pub struct Candidates {
    keys: [Option<Arc<JwtKey>>; MOST_TRIED],
    /// How many fit, tried or not.
    fitting: usize,
}

impl Candidates {
    /// Those that are tried.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<JwtKey>> {
        self.keys.iter().flatten()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.fitting == 0
    }

    fn add(&mut self, key: &Arc<JwtKey>) {
        if let Some(place) = self.keys.get_mut(self.fitting) {
            *place = Some(key.clone());
        }
        self.fitting += 1;
    }
}

impl KeySet {
    /// Reads a JWK set. Keys that verify no tokens here are left out, for others may use them
    /// (RFC 7517 §5): encryption keys, shared secrets, curves that are not known. Why is remembered.
    ///
    /// # Errors
    /// It is no JWK set, or has more than 256 keys.
    pub fn read(json: &[u8]) -> Result<Self, &'static str> {
        let written = jwk_set(json)?;
        if written.len() > MOST_KEYS {
            return Err("it has more than 256 keys");
        }
        let mut set = Self::default();
        for (jwk, number) in written.into_iter().zip(1..) {
            let name = jwk.get("kid").and_then(Value::as_str).map(str::to_owned);
            match JwtKey::from_jwk(&jwk.to_string()) {
                Ok(key) => set.keys.push((name, Arc::new(key))),
                Err(error) => set.left_out.push(LeftOut::new(number, name, &jwk, &error)),
            }
        }
        Ok(set)
    }

    /// One secret of 32 to 4096 bytes, shared with an issuer who signs by HS256; whatever its tokens call
    /// it.
    ///
    /// # Errors
    /// [`KeyError::SecretLength`].
    pub fn of_secret(secret: &Secret<Vec<u8>>) -> Result<Self, KeyError> {
        let key = VerifyingKey::from_hmac_secret(secret)?;
        Ok(Self { keys: vec![(None, Arc::new(key.into()))], left_out: Vec::new() })
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The keys of this algorithm that a token means by `kid`: of that name, or without one, which may be meant by
    /// any; where the token names none, all.
    #[must_use]
    pub fn find(&self, kid: Option<&str>, algorithm: JwtAlgorithm) -> Candidates {
        let mut found = Candidates::default();
        let fitting = || self.meant(kid).filter(|(_, key)| key.allows(algorithm));
        let is_named = |name: &Option<String>| kid.is_some() && name.as_deref() == kid;
        for (_, key) in fitting().filter(|(name, _)| is_named(name)) {
            found.add(key);
        }
        for (_, key) in fitting().filter(|(name, _)| !is_named(name)) {
            found.add(key);
        }
        found
    }

    /// Whether there is a key that a token may mean by `kid`, of whichever algorithm.
    #[must_use]
    pub fn has(&self, kid: Option<&str>) -> bool {
        self.meant(kid).next().is_some()
    }

    /// Whether a key has this very name.
    pub(super) fn names(&self, kid: Option<&str>) -> bool {
        kid.is_some() && self.keys.iter().any(|(name, _)| name.as_deref() == kid)
    }

    fn meant<'s>(&'s self, kid: Option<&'s str>) -> impl Iterator<Item = &'s (Option<String>, Arc<JwtKey>)> {
        self.keys.iter().filter(move |(name, _)| kid.is_none() || name.is_none() || name.as_deref() == kid)
    }

    /// Why [`KeySet::find`] found nothing.
    pub(super) fn why_none(&self, kid: Option<&str>, algorithm: JwtAlgorithm) -> String {
        let mut allowed: Vec<_> =
            self.meant(kid).flat_map(|(_, key)| key.algorithms()).map(JwtAlgorithm::as_str).collect();
        allowed.sort_unstable();
        allowed.dedup();
        let why = match (allowed.is_empty(), kid) {
            (true, Some(kid)) => format!("it lists no such key as {}", shown(kid)),
            (true, None) => "it lists no key".to_owned(),
            (false, _) => {
                let allowed = allowed.join(", ");
                format!("the key is of another algorithm than the token says: {allowed}, not {algorithm}")
            }
        };
        format!("{why}{}", self.left_out_for(kid))
    }

    /// Why none of the candidates will do.
    pub(super) fn why_in_vain(&self, kid: Option<&str>, candidates: &Candidates) -> String {
        let why = match candidates.fitting {
            1 => "the token's signature is not by the key that it means".to_owned(),
            few @ ..=MOST_TRIED => format!("the token's signature is by none of the {few} keys that fit"),
            many => format!(
                "the token's signature is by none of the first {MOST_TRIED} of {many} keys that fit: \
                 it should say which by its kid"
            ),
        };
        format!("{why}{}", self.left_out_for(kid))
    }

    /// The keys that were left out and that a token may mean by `kid`.
    fn left_out_for(&self, kid: Option<&str>) -> String {
        told(self.left_out.iter().filter(|left| left.is_meant(kid)))
    }

    /// Which keys were left out, and why, in words: empty if none was.
    #[must_use]
    pub fn left_out(&self) -> String {
        told(self.left_out.iter())
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use serde_json::json;

    use super::*;
    use crate::crypto::Ed25519Key;

    fn public(seed: u8) -> VerifyingKey {
        VerifyingKey::from_ed25519(Ed25519Key::from_seed(Secret::new([seed; 32])).public()).unwrap()
    }

    fn jwk(seed: u8, kid: Option<&str>) -> String {
        let mut jwk: Value = serde_json::from_str(&public(seed).to_jwk().unwrap()).unwrap();
        if let Some(kid) = kid {
            jwk["kid"] = kid.into();
        }
        jwk.to_string()
    }

    fn set(keys: &[String]) -> KeySet {
        KeySet::read(format!(r#"{{"keys":[{}]}}"#, keys.join(",")).as_bytes()).unwrap()
    }

    /// Which of the keys of these seeds are tried, in turn.
    fn tried(set: &KeySet, kid: Option<&str>) -> Vec<u8> {
        let seed = |key: &Arc<JwtKey>| {
            let is_of = |seed: &u8| key.thumbprint() == public(*seed).thumbprint();
            (1..=9).find(is_of).unwrap()
        };
        set.find(kid, JwtAlgorithm::EdDsa).iter().map(seed).collect()
    }

    #[test]
    fn a_name_finds_its_keys_and_no_name_all_that_fit() {
        let two = set(&[jwk(1, Some("a")), jwk(2, Some("b"))]);
        assert_eq!(tried(&two, Some("b")), [2]);
        assert!(tried(&two, Some("c")).is_empty());
        assert_eq!(tried(&two, None), [1, 2]);
        assert!(two.find(Some("a"), JwtAlgorithm::Es256).is_empty());
        assert!(two.has(Some("a")) && two.has(None) && !two.has(Some("c")) && !KeySet::default().has(None));
        assert_eq!(tried(&set(&[jwk(1, None)]), Some("a")), [1], "it may be meant by any name");
        let same = set(&[jwk(1, None), jwk(2, Some("a")), jwk(3, Some("b")), jwk(4, Some("a"))]);
        assert_eq!(tried(&same, Some("a")), [2, 4, 1], "those of the name come first");
        assert_eq!(tried(&same, Some("")), [1]);
        let odd = "../%2e \u{e9}'\u{7f}";
        assert_eq!(tried(&set(&[jwk(1, Some(odd)), jwk(2, Some("../%2e"))]), Some(odd)), [1]);
    }

    #[test]
    fn however_many_keys_fit_four_are_tried() {
        for kid in [None, Some("a")] {
            let many: Vec<_> = (1..=9).map(|seed| jwk(seed, kid)).collect();
            let many = set(&many);
            assert_eq!(tried(&many, kid), [1, 2, 3, 4]);
            assert_eq!(tried(&many, Some("a")), [1, 2, 3, 4]);
            let found = many.find(kid, JwtAlgorithm::EdDsa);
            assert!(many.why_in_vain(kid, &found).contains("the first 4 of 9"), "{kid:?}");
        }
    }

    #[test]
    fn why_a_key_was_left_out_is_remembered() {
        let rsa = |bits: usize| URL_SAFE_NO_PAD.encode(vec![0xff; bits / 8]);
        let (small, large, fits) = (rsa(1024), rsa(16384), rsa(2048));
        for (jwk, why) in [
            (json!({ "kty": "oct", "k": "c2VjcmV0" }), "a shared secret"),
            (json!({ "kty": "RSA", "use": "enc", "n": fits, "e": "AQAB" }), "not for signatures"),
            (json!({ "kty": "RSA", "key_ops": ["encrypt"], "n": fits, "e": "AQAB" }), "not for signatures"),
            (json!({ "kty": "RSA", "n": small, "e": "AQAB" }), "1024 bits"),
            (json!({ "kty": "RSA", "n": large, "e": "AQAB" }), "16384 bits"),
            (json!({ "kty": "RSA", "alg": "RSA-OAEP", "n": fits, "e": "AQAB" }), "its alg \"RSA-OAEP\""),
            (json!({ "kty": "RSA", "alg": "ES256", "n": fits, "e": "AQAB" }), "its alg is none"),
            (json!({ "kty": "RSA", "n": "AP__", "e": "AQAB" }), "no leading zeros"),
            (json!({ "kty": "RSA", "n": "a+b/", "e": "AQAB" }), "not base64url"),
            (json!({ "kty": "RSA", "n": fits, "e": "AQAB", "d": "c2VjcmV0" }), "a private key"),
            (json!({ "kty": "RSA", "x5c": ["MIIB"] }), "certificate (x5c)"),
            (json!({ "kty": "RSA", "n": fits }), "a member that its kind needs"),
            (json!({ "kty": "EC", "crv": "P-521", "x": "AA", "y": "AA" }), "EC P-521"),
            (json!({ "kty": "EC", "crv": "P-256", "x": "AA", "y": "AA" }), "no point"),
            (json!({ "kty": "OKP", "crv": "Ed448", "x": "AA" }), "OKP Ed448"),
            (json!({ "kty": "AKP" }), "AKP"),
            (json!({ "kty": 7 }), "of another type"),
            (json!({}), "no JSON object"),
            (json!(7), "no JSON object"),
        ] {
            let mut named = jwk.clone();
            if let Some(members) = named.as_object_mut() {
                members.insert("kid".into(), "one".into());
            }
            let set = set(&[self::jwk(1, Some("other")), named.to_string()]);
            assert_eq!(set.keys.len(), 1, "{jwk}");
            for told in [set.why_none(Some("one"), JwtAlgorithm::Rs256), set.left_out()] {
                assert!(told.contains(why) && told.contains("key 2"), "{jwk}: {told}");
                assert!(!told.contains("c2VjcmV0"), "{told}");
            }
            let another = set.why_none(Some("two"), JwtAlgorithm::Rs256);
            assert_eq!(another.contains(why), !named.is_object(), "of others nothing is said: {another}");
            assert!(set.why_none(None, JwtAlgorithm::Rs256).contains(why));
            let found = set.find(None, JwtAlgorithm::EdDsa);
            assert!(set.why_in_vain(None, &found).contains(why), "it may have been the one");
        }
        let many = set(&vec!["{}".to_owned(); 7]);
        assert!(many.left_out().ends_with("and 3 more"), "{}", many.left_out());
    }

    #[test]
    fn a_cause_names_what_others_wrote_short_and_escaped() {
        let long = format!("\n\u{1b}[31m{}", "x".repeat(500));
        let told = set(&[jwk(1, Some("a"))]).why_none(Some(&long), JwtAlgorithm::EdDsa);
        assert!(told.len() < 200 && !told.contains(['\n', '\u{1b}']), "{told}");
    }

    #[test]
    fn what_verifies_no_token_is_passed_over_and_what_is_no_set_is_refused() {
        let oct = r#"{"kty":"oct","k":"AAAA","kid":"a"}"#.to_owned();
        let encrypts = jwk(1, Some("a")).replacen('{', r#"{"use":"enc","#, 1);
        assert!(set(&[oct, encrypts, "7".to_owned()]).is_empty());
        for no_set in ["", "[]", "{}", r#"{"keys":7}"#, r#"{"keys":[],"keys":[]}"#] {
            assert!(KeySet::read(no_set.as_bytes()).is_err(), "{no_set}");
        }
        let of = |count: usize| format!("{{\"keys\":[{}]}}\r\n", vec![jwk(1, None); count].join(","));
        assert_eq!(KeySet::read(of(256).as_bytes()).unwrap().keys.len(), 256);
        assert!(KeySet::read(of(257).as_bytes()).is_err());
    }
}
