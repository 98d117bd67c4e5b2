//! The secret values of a session: two halves and handshakes, 256 random bits each.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::crypto::{Random, Secret};

/// How many base64url characters 256 bits take.
const CHARACTERS: usize = 43;

/// 256 random bits, sent as 43 base64url characters: one half of a session, or a handshake.
#[derive(Clone, Debug)]
pub struct Half(Secret<[u8; 32]>);

impl Half {
    /// A new one.
    #[must_use]
    pub fn generate(random: &dyn Random) -> Self {
        let mut bytes = [0_u8; 32];
        random.fill(&mut bytes);
        Self(Secret::new(bytes))
    }

    /// Reads exactly 43 base64url characters without padding, the last of which has no bits to spare: one
    /// value has one form.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        if text.len() != CHARACTERS {
            return None;
        }
        let mut bytes = [0_u8; 32];
        let length = URL_SAFE_NO_PAD.decode_slice(text, &mut bytes).ok()?;
        (length == bytes.len()).then(|| Self(Secret::new(bytes)))
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn expose(&self) -> &[u8; 32] {
        self.0.expose()
    }

    /// The 43 characters, as they are sent.
    #[must_use]
    pub fn reveal(&self) -> Secret<String> {
        Secret::new(URL_SAFE_NO_PAD.encode(self.0.expose()))
    }
}

/// Both halves of one session. They are independent: neither says anything of the other.
#[derive(Clone, Debug)]
pub struct Halves {
    /// What the browser keeps from scripts and sends by itself.
    pub cookie: Half,
    /// What a script holds and other sites' pages cannot send.
    pub token: Half,
}

impl Halves {
    /// Two new ones.
    #[must_use]
    pub fn generate(random: &dyn Random) -> Self {
        Self { cookie: Half::generate(random), token: Half::generate(random) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::SystemRandom;

    #[test]
    fn a_half_has_one_form_and_does_not_print() {
        let half = Half::generate(&SystemRandom);
        let text = half.reveal();
        assert_eq!(text.expose().len(), CHARACTERS);
        assert_eq!(format!("{half:?}"), "Half([redacted])");
        for other in [
            format!("{}=", text.expose()),
            format!("{}B", "A".repeat(42)),
            format!("{}+", "A".repeat(42)),
            "A".repeat(42),
            "A".repeat(44),
            String::new(),
        ] {
            assert!(Half::parse(other.as_bytes()).is_none(), "{other}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_written_is_read_back_and_nothing_else_is_read(
            bytes: [u8; 32],
            text in "[A-Za-z0-9_-]{42,44}|\\PC{0,50}",
        ) {
            let half = Half(Secret::new(bytes));
            let read = Half::parse(half.reveal().expose().as_bytes());
            proptest::prop_assert_eq!(read.as_ref().map(Half::expose), Some(&bytes));
            if let Some(read) = Half::parse(text.as_bytes()) {
                let written = read.reveal();
                proptest::prop_assert_eq!(written.expose(), &text);
            }
        }
    }
}
