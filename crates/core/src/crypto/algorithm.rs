//! The algorithms that sign messages, by the names of RFC 9421's registry (§6.2.2).

use std::fmt;

/// How a message is signed. A key has one, and no message chooses another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Algorithm {
    /// EdDSA over Curve25519 (RFC 9421 §3.3.6).
    Ed25519,
    /// ECDSA over P-256 with SHA-256; a signature is r and s, 64 bytes (§3.3.4).
    EcdsaP256Sha256,
    /// ECDSA over P-384 with SHA-384; a signature is r and s, 96 bytes (§3.3.5).
    EcdsaP384Sha384,
    /// HMAC with SHA-256, whose key signs and verifies (§3.3.3).
    HmacSha256,
    /// RSASSA-PSS with SHA-512, MGF1 with SHA-512 and a salt of 64 bytes (§3.3.1).
    RsaPssSha512,
    /// RSASSA-PKCS1-v1_5 with SHA-256 (§3.3.2).
    RsaV15Sha256,
}

impl Algorithm {
    /// Every algorithm.
    pub const ALL: [Self; 6] = [
        Self::Ed25519,
        Self::EcdsaP256Sha256,
        Self::EcdsaP384Sha384,
        Self::HmacSha256,
        Self::RsaPssSha512,
        Self::RsaV15Sha256,
    ];

    /// The name in the registry, as the parameter `alg` has it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ed25519 => "ed25519",
            Self::EcdsaP256Sha256 => "ecdsa-p256-sha256",
            Self::EcdsaP384Sha384 => "ecdsa-p384-sha384",
            Self::HmacSha256 => "hmac-sha256",
            Self::RsaPssSha512 => "rsa-pss-sha512",
            Self::RsaV15Sha256 => "rsa-v1_5-sha256",
        }
    }

    /// The algorithm of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.as_str() == name)
    }

    /// Whether it is one of the two for RSA keys, which do not name theirs.
    #[must_use]
    pub const fn is_rsa(self) -> bool {
        matches!(self, Self::RsaPssSha512 | Self::RsaV15Sha256)
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for algorithm in Algorithm::ALL {
            assert_eq!(Algorithm::from_name(algorithm.as_str()), Some(algorithm));
        }
        for name in ["", "Ed25519", "none", "hmac-sha256 "] {
            assert_eq!(Algorithm::from_name(name), None);
        }
    }
}
