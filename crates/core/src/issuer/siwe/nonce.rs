//! Nonces that we hand out and need not remember: whoever asks for many fills nothing. What is remembered is
//! their use.

use std::time::Duration;

use crate::crypto::Random;
use crate::crypto::ethereum::{decode_hex, encode_hex};
use crate::issuer::mac::{MARK, Marks};
use crate::time::{SKEW, Timestamp};

/// How long a nonce is good for.
pub const NONCE_LIFE: Duration = Duration::from_secs(600);

const PURPOSE: &[u8] = b"countersign/siwe-nonce/1";
const TIME: usize = 8;
/// So many nonces of one millisecond are still different.
const CHANCE: usize = 8;
const TEXT: usize = TIME + CHANCE;

/// Makes nonces of 64 hexadecimal digits, for EIP-4361 allows letters and digits alone, and knows them again.
pub(in crate::issuer) struct Nonces<'a>(pub(in crate::issuer) &'a Marks);

impl Nonces<'_> {
    /// A nonce of this moment.
    pub(in crate::issuer) fn make(&self, now: Timestamp, random: &dyn Random) -> String {
        let mut nonce = [0; TEXT + MARK];
        nonce[..TIME].copy_from_slice(&now.as_millis().to_be_bytes());
        random.fill(&mut nonce[TIME..TEXT]);
        let mark = self.0.mark(PURPOSE, &nonce[..TEXT]);
        nonce[TEXT..].copy_from_slice(&mark);
        encode_hex(&nonce)
    }

    /// When a nonce was handed out, if that was by us, and lately. Another machine's clock may be ahead.
    pub(super) fn made_at(&self, nonce: &str, now: Timestamp) -> Option<Timestamp> {
        // One nonce has one spelling: another would be another use.
        if nonce.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return None;
        }
        let bytes = decode_hex::<{ TEXT + MARK }>(nonce)?;
        let (text, mark) = bytes.split_at(TEXT);
        let time = text.first_chunk::<TIME>()?;
        let made_at = Timestamp::from_millis(u64::from_be_bytes(*time));
        let lately = made_at <= now.plus(SKEW) && now < made_at.plus(NONCE_LIFE);
        (lately && self.0.is_ours(PURPOSE, text, mark)).then_some(made_at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::{Secret, SystemRandom};

    #[test]
    fn a_nonce_is_known_for_ten_minutes_by_whoever_has_the_secret() {
        let (ours, theirs) = (Marks::new(&Secret::new([1; 32])), Marks::new(&Secret::new([2; 32])));
        let now = Timestamp::from_secs(1_800_000_000);
        let nonce = Nonces(&ours).make(now, &SystemRandom);
        assert!(nonce.len() == 64 && nonce.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        assert_ne!(nonce, Nonces(&ours).make(now, &SystemRandom));
        let known = |marks: &Marks, nonce: &str, now| Nonces(marks).made_at(nonce, now);
        assert_eq!(known(&ours, &nonce, now), Some(now));
        assert_eq!(known(&theirs, &nonce, now), None);
        let millisecond = Duration::from_millis(1);
        assert_eq!(known(&ours, &nonce, now.plus(NONCE_LIFE).minus(millisecond)), Some(now));
        assert_eq!(known(&ours, &nonce, now.plus(NONCE_LIFE)), None);
        assert_eq!(known(&ours, &nonce, now.minus(SKEW)), Some(now));
        assert_eq!(known(&ours, &nonce, now.minus(SKEW).minus(millisecond)), None);
        for position in 0..64 {
            let mut other = nonce.clone().into_bytes();
            other[position] = if other[position] == b'0' { b'1' } else { b'0' };
            assert_eq!(known(&ours, std::str::from_utf8(&other).unwrap(), now), None, "{position}");
        }
        for other in ["", &nonce[2..], &format!("{nonce}00"), "z"] {
            assert_eq!(known(&ours, other, now), None);
        }
        if nonce.bytes().any(|byte| byte.is_ascii_lowercase()) {
            assert_eq!(known(&ours, &nonce.to_ascii_uppercase(), now), None);
        }
    }
}
