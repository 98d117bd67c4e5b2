//! Keys that verify tokens. Each has one algorithm, which no token can change.

use std::fmt;

use aws_lc_rs::signature::{
    ParsedPublicKey, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA384, VerificationAlgorithm,
};

use crate::crypto::jwk::Jwk;
use crate::crypto::public_form::PublicForm;
use crate::crypto::{Algorithm, KeyError, VerifyingKey, sha256};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// A signature algorithm, by the names of RFC 7518 §3.1 and RFC 8037.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum JwtAlgorithm {
    /// Ed25519.
    EdDsa,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// ECDSA on P-384 with SHA-384.
    Es384,
    /// HMAC with SHA-256.
    Hs256,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    Rs384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    Rs512,
    /// RSASSA-PSS with SHA-256.
    Ps256,
    /// RSASSA-PSS with SHA-384.
    Ps384,
    /// RSASSA-PSS with SHA-512.
    Ps512,
}

impl JwtAlgorithm {
    /// Every algorithm.
    pub const ALL: [Self; 10] = [
        Self::EdDsa,
        Self::Es256,
        Self::Es384,
        Self::Hs256,
        Self::Rs256,
        Self::Rs384,
        Self::Rs512,
        Self::Ps256,
        Self::Ps384,
        Self::Ps512,
    ];

    /// The name in a header.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::EdDsa => "EdDSA",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::Hs256 => "HS256",
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
        }
    }

    /// The algorithm of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.is_called(name))
    }

    /// By its name in RFC 7518 or RFC 8037; RFC 9864 names the curve.
    pub(super) fn is_called(self, name: &str) -> bool {
        self.as_str() == name || (self == Self::EdDsa && name == "Ed25519")
    }

    /// The token algorithm that signs as this one does.
    #[must_use]
    pub const fn of(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Ed25519 => Self::EdDsa,
            Algorithm::EcdsaP256Sha256 => Self::Es256,
            Algorithm::EcdsaP384Sha384 => Self::Es384,
            Algorithm::HmacSha256 => Self::Hs256,
            Algorithm::RsaPssSha512 => Self::Ps512,
            Algorithm::RsaV15Sha256 => Self::Rs256,
        }
    }

    const fn is_rsa(self) -> bool {
        matches!(self, Self::Rs256 | Self::Rs384 | Self::Rs512 | Self::Ps256 | Self::Ps384 | Self::Ps512)
    }
}

impl fmt::Display for JwtAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A key that verifies tokens by one algorithm.
#[derive(Clone)]
pub struct JwtKey {
    algorithm: JwtAlgorithm,
    kind: Kind,
}

#[derive(Clone)]
enum Kind {
    /// By an algorithm that signs messages too.
    Shared(VerifyingKey),
    /// RSA with another hash.
    Rsa { parsed: ParsedPublicKey, thumbprint: String },
}

impl JwtKey {
    /// Reads a public JWK (RFC 7517). Its algorithm is the one that it names or, where it names none, the
    /// only one of its curve; for RSA that is RS256, the one that issuers who say nothing use.
    ///
    /// # Errors
    /// [`KeyError`]; also for private and symmetric keys, and those with another `use` than `sig`.
    pub fn from_jwk(jwk: &str) -> Result<Self, KeyError> {
        let jwk = Jwk::read(jwk)?;
        jwk.refuse_private()?;
        jwk.check_use("verify")?;
        let form = jwk.form()?;
        let named = match jwk.alg() {
            None => None,
            Some(name) => {
                let unknown = KeyError::Jwk("its alg is none that its key is used with here");
                Some(JwtAlgorithm::from_name(name).ok_or(unknown)?)
            }
        };
        Self::of_form(form, named)
    }

    fn of_form(form: PublicForm, named: Option<JwtAlgorithm>) -> Result<Self, KeyError> {
        let is_rsa = matches!(form, PublicForm::Rsa { .. });
        let only = if is_rsa { JwtAlgorithm::Rs256 } else { JwtAlgorithm::of(form.default_algorithm()) };
        let algorithm = named.unwrap_or(only);
        if algorithm != only && !(is_rsa && algorithm.is_rsa()) {
            return Err(KeyError::Jwk("its alg is none that its key is used with here"));
        }
        let other: &'static dyn VerificationAlgorithm = match algorithm {
            JwtAlgorithm::Rs384 => &RSA_PKCS1_2048_8192_SHA384,
            JwtAlgorithm::Rs512 => &RSA_PKCS1_2048_8192_SHA512,
            JwtAlgorithm::Ps256 => &RSA_PSS_2048_8192_SHA256,
            JwtAlgorithm::Ps384 => &RSA_PSS_2048_8192_SHA384,
            JwtAlgorithm::Rs256 => {
                let key = VerifyingKey::new(form, Some(Algorithm::RsaV15Sha256))?;
                return Ok(key.into());
            }
            _ => return Ok(VerifyingKey::new(form, None)?.into()),
        };
        let parsed = ParsedPublicKey::new(other, form.to_raw()).map_err(|_| KeyError::Malformed("RSA"))?;
        let thumbprint = URL_SAFE_NO_PAD.encode(sha256(form.to_jwk().as_bytes()));
        Ok(Self { algorithm, kind: Kind::Rsa { parsed, thumbprint } })
    }

    /// Its algorithm.
    #[must_use]
    pub const fn algorithm(&self) -> JwtAlgorithm {
        self.algorithm
    }

    /// The RFC 7638 thumbprint; `None` for a secret.
    #[must_use]
    pub fn thumbprint(&self) -> Option<String> {
        match &self.kind {
            Kind::Shared(key) => key.thumbprint(),
            Kind::Rsa { thumbprint, .. } => Some(thumbprint.clone()),
        }
    }

    pub(super) fn verify(&self, signed: &[u8], signature: &[u8]) -> bool {
        match &self.kind {
            Kind::Shared(key) => key.verify(signed, signature),
            Kind::Rsa { parsed, .. } => parsed.verify_sig(signed, signature).is_ok(),
        }
    }
}

impl From<VerifyingKey> for JwtKey {
    fn from(key: VerifyingKey) -> Self {
        Self { algorithm: JwtAlgorithm::of(key.algorithm()), kind: Kind::Shared(key) }
    }
}

impl fmt::Debug for JwtKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JwtKey({})", self.algorithm)
    }
}
