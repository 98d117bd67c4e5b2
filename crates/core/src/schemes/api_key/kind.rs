//! What kinds of keys there are, and what verifies their signatures.

use serde::{Deserialize, Serialize};

use crate::crypto::{Algorithm, Digest, KeyError, Random, SealKey, Secret, VerifyingKey};
use crate::denial::{Code, Denial};

use crate::principal::KeyId;

/// What a secret is sealed for, so that it opens as nothing else.
const PURPOSE: &str = "hmac";

/// What is kept of a key itself. The order is that of the bytes that are kept: new kinds come last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeyKind {
    /// An API key, of which there are two traces and no copy.
    ApiKey {
        /// SHA-256 of the 32 secret bytes.
        secret_digest: Digest,
        /// The public half of the Ed25519 key that is derived from the secret.
        public_key: [u8; 32],
    },
    /// The public key of somebody who keeps the private one.
    Public {
        /// As [`VerifyingKey::encode`] writes it.
        key: Vec<u8>,
    },
    /// The secret of an HMAC, which both sides keep.
    Hmac {
        /// Sealed for the key's id.
        sealed: Vec<u8>,
    },
}

/// Why a registered key cannot verify anything at this moment. For the caller it is 503
/// `keys_unavailable`: whoever signed did nothing wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyUnavailable {
    /// There is no sealing key.
    #[error("the secret of {0} is sealed, and there is no sealing key")]
    NoSealKey(KeyId),
    /// It was sealed under another key, or for another id.
    #[error("the secret of {0} does not open with this sealing key")]
    Sealed(KeyId),
    /// What is kept is no key.
    #[error("the key {0} cannot be read: {1}")]
    Stored(KeyId, KeyError),
}

impl From<KeyUnavailable> for Denial {
    fn from(error: KeyUnavailable) -> Self {
        Self::new(Code::KeysUnavailable, error.to_string())
    }
}

impl KeyKind {
    /// A public key, to be kept. `None` for an HMAC secret.
    pub(super) fn public(key: &VerifyingKey) -> Option<Self> {
        Some(Self::Public { key: key.encode()? })
    }

    /// An HMAC secret, sealed for `id`.
    pub(super) fn hmac(
        secret: &Secret<Vec<u8>>,
        id: KeyId,
        seal: &SealKey,
        random: &dyn Random,
    ) -> Result<Self, KeyError> {
        // Nobody is to register what could never verify.
        VerifyingKey::from_hmac_secret(secret)?;
        Ok(Self::Hmac { sealed: seal.seal(random, PURPOSE, id.as_str().as_bytes(), secret.expose()) })
    }

    /// The name, as it is listed.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::ApiKey { .. } => "api-key",
            Self::Public { .. } => "public",
            Self::Hmac { .. } => "hmac",
        }
    }

    /// In words.
    pub(super) const fn in_words(&self) -> &'static str {
        match self {
            Self::ApiKey { .. } => "an API key",
            Self::Public { .. } => "a registered public key",
            Self::Hmac { .. } => "an HMAC secret",
        }
    }

    /// Whether it is an API key, which we made and can make again.
    #[must_use]
    pub const fn is_api_key(&self) -> bool {
        matches!(self, Self::ApiKey { .. })
    }

    /// SHA-256 of an API key's secret; other keys are never sent as themselves.
    #[must_use]
    pub const fn secret_digest(&self) -> Option<&Digest> {
        match self {
            Self::ApiKey { secret_digest, .. } => Some(secret_digest),
            _ => None,
        }
    }

    /// How the key signs, and the RFC 7638 thumbprint of its public half, for lists. An HMAC secret
    /// has no thumbprint: it would let anybody test guesses. `None` for what cannot be read.
    #[must_use]
    pub fn described(&self) -> Option<(Algorithm, Option<String>)> {
        match self {
            Self::Hmac { .. } => Some((Algorithm::HmacSha256, None)),
            public => {
                let key = public.parse_public()?.ok()?;
                Some((key.algorithm(), key.thumbprint()))
            }
        }
    }

    /// What verifies signatures of the key `id`, which is of this kind.
    pub(super) fn verifying_key(
        &self,
        id: KeyId,
        seal: Option<&SealKey>,
    ) -> Result<VerifyingKey, KeyUnavailable> {
        let stored = |error| KeyUnavailable::Stored(id, error);
        match self {
            Self::Hmac { sealed } => {
                let seal = seal.ok_or(KeyUnavailable::NoSealKey(id))?;
                let secret = seal.open(PURPOSE, id.as_str().as_bytes(), sealed);
                let secret = secret.map_err(|_| KeyUnavailable::Sealed(id))?;
                VerifyingKey::from_hmac_secret(&secret).map_err(stored)
            }
            public => public.parse_public().unwrap_or(Err(KeyError::Stored)).map_err(stored),
        }
    }

    fn parse_public(&self) -> Option<Result<VerifyingKey, KeyError>> {
        match self {
            Self::ApiKey { public_key, .. } => Some(VerifyingKey::from_ed25519(*public_key)),
            Self::Public { key } => Some(VerifyingKey::decode(key)),
            Self::Hmac { .. } => None,
        }
    }
}
