//! One signature and what it says of itself: read, not yet believed.

use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::component::Component;
use crate::crypto::Random;
use crate::time::Timestamp;

/// From `created` to `expires`, at most.
pub(super) const MAX_LIFE: Duration = Duration::from_secs(60);

/// What a signature says of itself (RFC 9421 §2.3). Moments are whole seconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parameters {
    /// When it was made.
    pub created: Option<Timestamp>,
    /// From when on it counts no more.
    pub expires: Option<Timestamp>,
    /// What makes it differ from every other.
    pub nonce: Option<String>,
    /// The algorithm's name in the IANA registry.
    pub alg: Option<String>,
    /// The name of the key.
    pub keyid: Option<String>,
    /// What it is for.
    pub tag: Option<String>,
}

/// One signature: read, not yet believed.
#[derive(Clone)]
pub struct Signed {
    /// Its name on this message.
    pub label: String,
    /// What it covers, in its order.
    pub components: Vec<Component>,
    /// What it says of itself.
    pub parameters: Parameters,
    /// The signature.
    pub signature: Vec<u8>,
    pub(super) text: String,
}

/// Not the signature, which until it is spent is as good as the request.
impl fmt::Debug for Signed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signed")
            .field("label", &self.label)
            .field("input", &self.text)
            .finish_non_exhaustive()
    }
}

impl Parameters {
    /// Those of a signature that counts for as long as a verifier lets it, and passes once: `created`,
    /// `expires` and a fresh nonce.
    #[must_use]
    pub fn fresh(now: Timestamp, random: &dyn Random) -> Self {
        // Signatures know whole seconds; expiry counts from what they say, not from what we meant.
        let created = Timestamp::from_secs(now.as_secs());
        let mut nonce = [0; 16];
        random.fill(&mut nonce);
        Self {
            created: Some(created),
            expires: Some(created.plus(MAX_LIFE)),
            nonce: Some(URL_SAFE_NO_PAD.encode(nonce)),
            ..Self::default()
        }
    }
}

impl Signed {
    /// The value of `@signature-params`: what the last line of the signature base says.
    #[must_use]
    pub fn signature_params(&self) -> &str {
        &self.text
    }
}
