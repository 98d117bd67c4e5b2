//! Nonces that a server hands out and need not remember: the time, and a MAC over it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderValue;
use std::time::Duration;

use crate::crypto::{Secret, Signer as _, SigningKey, equal};
use crate::time::{SKEW, Timestamp};

/// How long a nonce is good for.
pub const NONCE_LIFE: Duration = Duration::from_secs(60);

/// What the MAC is over, before the time: another use of the same secret makes other MACs.
const PURPOSE: &[u8] = b"countersign/dpop-nonce/1";
const TIME: usize = 8;
const MAC: usize = 16;

/// Makes nonces and knows them again. Every machine that has the secret knows the others' nonces.
pub(super) struct Nonces(SigningKey);

impl Nonces {
    /// # Panics
    /// Never: 32 bytes are enough for a secret.
    pub(super) fn new(secret: &Secret<[u8; 32]>) -> Self {
        let secret = Secret::new(secret.expose().to_vec());
        Self(SigningKey::from_hmac_secret(&secret).expect("32 bytes are a secret"))
    }

    /// The nonce of this moment: 32 base64url characters.
    pub(super) fn at(&self, now: Timestamp) -> HeaderValue {
        let mut nonce = [0; TIME + MAC];
        nonce[..TIME].copy_from_slice(&now.as_millis().to_be_bytes());
        nonce[TIME..].copy_from_slice(&self.mac(now));
        // base64url is visible ASCII.
        HeaderValue::try_from(URL_SAFE_NO_PAD.encode(nonce)).unwrap_or(HeaderValue::from_static("0"))
    }

    /// When a nonce was handed out, if that was by us, and lately. Another machine's clock may be ahead.
    pub(super) fn made_at(&self, nonce: &str, now: Timestamp) -> Option<Timestamp> {
        let mut bytes = [0; TIME + MAC];
        let length = URL_SAFE_NO_PAD.decode_slice(nonce, &mut bytes).ok()?;
        let (time, mac) = bytes.split_first_chunk::<TIME>()?;
        let made_at = Timestamp::from_millis(u64::from_be_bytes(*time));
        let ours = length == bytes.len() && equal(&self.mac(made_at), mac);
        let lately = made_at <= now.plus(SKEW) && now < made_at.plus(NONCE_LIFE);
        (ours && lately).then_some(made_at)
    }

    fn mac(&self, moment: Timestamp) -> [u8; MAC] {
        let message = [PURPOSE, &moment.as_millis().to_be_bytes()].concat();
        let whole = self.0.sign(&message).unwrap_or_default();
        let mut mac = [0; MAC];
        // An HMAC-SHA256 has 32 bytes, and never fails.
        mac.copy_from_slice(&whole[..MAC]);
        mac
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_is_known_for_a_minute_by_whoever_has_the_secret() {
        let (ours, theirs) = (Nonces::new(&Secret::new([1; 32])), Nonces::new(&Secret::new([2; 32])));
        let now = Timestamp::from_millis(1_800_000_000_123);
        let nonce = ours.at(now);
        let nonce = nonce.to_str().unwrap();
        assert_eq!(nonce.len(), 32);
        assert_eq!(ours.made_at(nonce, now), Some(now));
        assert_eq!(theirs.made_at(nonce, now), None);
        let end = now.plus(NONCE_LIFE);
        assert_eq!(ours.made_at(nonce, end.minus(Duration::from_millis(1))), Some(now));
        assert_eq!(ours.made_at(nonce, end), None);
        assert_eq!(ours.made_at(nonce, now.minus(SKEW)), Some(now));
        assert_eq!(ours.made_at(nonce, now.minus(SKEW).minus(Duration::from_millis(1))), None);
        // The time of one and the MAC of another.
        let later = ours.at(now.plus(Duration::from_secs(1)));
        let mixed = format!("{}{}", &later.to_str().unwrap()[..11], &nonce[11..]);
        assert_eq!(ours.made_at(&mixed, now), None);
        for other in ["", "0", &nonce[..31], &format!("{nonce}A"), &format!("{nonce}AAAA")] {
            assert_eq!(ours.made_at(other, now), None, "{other}");
        }
    }
}
