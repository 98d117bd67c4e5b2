//! Keys that verify: read once, strictly, and ready for many signatures.

use std::fmt;

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA512, VerificationAlgorithm,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::ed25519::is_weak;
use super::public_form::{Curve, PublicForm, Stated};
use super::{Algorithm, KeyError, Secret, sha256};

const HMAC_SECRET: std::ops::RangeInclusive<usize> = 32..=4096;

/// A key that verifies the signatures of one algorithm: a public key, or the secret of an HMAC.
///
/// Cheap to keep and to use many times; [`VerifyingKey::decode`] and the other ways to make one
/// cost some microseconds.
#[derive(Clone)]
pub struct VerifyingKey {
    algorithm: Algorithm,
    kind: Kind,
}

#[derive(Clone)]
enum Kind {
    /// `stated`: whether the algorithm is what somebody said, or only what an RSA key signs messages with otherwise.
    Public {
        form: PublicForm,
        parsed: ParsedPublicKey,
        stated: Stated,
    },
    // Boxed, for it is many times as large as the other.
    Hmac(Box<hmac::Key>),
}

impl VerifyingKey {
    /// Reads PEM: `PUBLIC KEY` (SubjectPublicKeyInfo, RFC 5280 §4.1.2.7) or `RSA PUBLIC KEY`
    /// (PKCS#1, RFC 8017 §A.1.1). RSA keys do not name their algorithm; `algorithm` does, or it is
    /// `rsa-pss-sha512`. For other keys `algorithm`, if given, must be the key's own.
    ///
    /// # Errors
    /// [`KeyError`]; certificates and private keys are told apart from the rest.
    pub fn from_pem(pem: &str, algorithm: Option<Algorithm>) -> Result<Self, KeyError> {
        let block = super::pem::read(pem)?;
        let form = match block.label {
            "PUBLIC KEY" => PublicForm::from_spki(&block.bytes)?,
            "RSA PUBLIC KEY" => PublicForm::from_pkcs1(&block.bytes)?,
            label if label.ends_with("PRIVATE KEY") => return Err(KeyError::Private),
            label => return Err(KeyError::Kind(label.chars().take(40).collect())),
        };
        Self::new(form, algorithm)
    }

    /// Reads a JWK (RFC 7517, RFC 7518 §6, RFC 8037): `OKP` with Ed25519, `EC` with P-256 or P-384,
    /// `RSA`, whose `alg` says `PS512` or `RS256`; without one, as [`VerifyingKey::from_pem`].
    ///
    /// # Errors
    /// [`KeyError`]; `oct` and private keys are refused, and so is a key whose `use`, `key_ops` or
    /// `alg` says that it is for something else.
    pub fn from_jwk(jwk: &str, algorithm: Option<Algorithm>) -> Result<Self, KeyError> {
        let jwk = super::jwk::Jwk::read(jwk)?;
        jwk.refuse_private()?;
        jwk.check_use("verify")?;
        let (form, named) = jwk.public()?;
        match (named, algorithm) {
            (Some(named), Some(wanted)) if named != wanted => Err(KeyError::Algorithm(wanted)),
            _ => Self::new(form, named.or(algorithm)),
        }
    }

    /// The Ed25519 key of these 32 bytes (RFC 8032 §5.1.2).
    ///
    /// # Errors
    /// [`KeyError::Point`].
    pub fn from_ed25519(public: [u8; 32]) -> Result<Self, KeyError> {
        Self::new(PublicForm::Ed25519(public), None)
    }

    /// The key of an HMAC-SHA256 whose secret has 32 to 4096 bytes. It cannot be stored by
    /// [`VerifyingKey::encode`]: whoever keeps the secret seals it.
    ///
    /// # Errors
    /// [`KeyError::SecretLength`].
    pub fn from_hmac_secret(secret: &Secret<Vec<u8>>) -> Result<Self, KeyError> {
        let length = secret.expose().len();
        if !HMAC_SECRET.contains(&length) {
            return Err(KeyError::SecretLength(length));
        }
        Ok(Self::from_any_hmac_secret(secret.expose()))
    }

    /// Of any length: for published test vectors, whose keys are shorter than ours may be.
    pub(super) fn from_any_hmac_secret(secret: &[u8]) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
        Self { algorithm: Algorithm::HmacSha256, kind: Kind::Hmac(Box::new(key)) }
    }

    pub(super) fn new(mut form: PublicForm, algorithm: Option<Algorithm>) -> Result<Self, KeyError> {
        let stated = form.stated(algorithm);
        let algorithm = algorithm.unwrap_or_else(|| form.default_algorithm());
        if !form.suits(algorithm) {
            return Err(KeyError::Algorithm(algorithm));
        }
        // From here on the algorithm says it, and the same numbers are the same key.
        form.forget_pss();
        if matches!(&form, PublicForm::Ed25519(public) if is_weak(public)) {
            return Err(KeyError::Point);
        }
        let refused = if algorithm.is_rsa() { KeyError::Malformed("RSA") } else { KeyError::Point };
        let parsed = ParsedPublicKey::new(primitive(algorithm), form.to_raw()).map_err(|_| refused)?;
        Ok(Self { algorithm, kind: Kind::Public { form, parsed, stated } })
    }

    /// The algorithm, which no message changes.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Whether `signature` is one of `message` by the holder of this key. ECDSA signatures are
    /// r and s at their full lengths (RFC 9421 §3.3.4), nothing else.
    #[must_use]
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        match &self.kind {
            Kind::Public { parsed, .. } => parsed.verify_sig(message, signature).is_ok(),
            Kind::Hmac(key) => hmac::verify(key, message, signature).is_ok(),
        }
    }

    /// The RFC 7638 thumbprint: SHA-256, 43 base64url characters. `None` for an HMAC secret, of which
    /// it would let anybody test guesses.
    #[must_use]
    pub fn thumbprint(&self) -> Option<String> {
        Some(URL_SAFE_NO_PAD.encode(sha256(self.to_jwk()?.as_bytes())))
    }

    /// The public key as a JWK with its required members alone, in the order of RFC 7638 §3.2.
    /// `None` for an HMAC secret.
    #[must_use]
    pub fn to_jwk(&self) -> Option<String> {
        match &self.kind {
            Kind::Public { form, .. } => Some(form.to_jwk()),
            Kind::Hmac(_) => None,
        }
    }

    /// The public key for a store: a version, the algorithm, the key; 34 to about 1040 bytes.
    /// `None` for an HMAC secret.
    #[must_use]
    pub fn encode(&self) -> Option<Vec<u8>> {
        match &self.kind {
            Kind::Public { form, stated, .. } => Some(form.encode(self.algorithm, *stated)),
            Kind::Hmac(_) => None,
        }
    }

    /// Reads what [`VerifyingKey::encode`] wrote.
    ///
    /// # Errors
    /// [`KeyError::Stored`], or what is wrong with the key.
    pub fn decode(stored: &[u8]) -> Result<Self, KeyError> {
        let (form, algorithm) = PublicForm::decode(stored)?;
        Self::new(form, algorithm)
    }

    /// An RSA key's numbers, and what was said of its algorithm.
    pub(super) const fn rsa(&self) -> Option<(&PublicForm, Stated)> {
        match &self.kind {
            Kind::Public { form: form @ PublicForm::Rsa { .. }, stated, .. } => Some((form, *stated)),
            _ => None,
        }
    }
}

/// Keys are equal if they verify the same signatures; two HMAC secrets are not compared.
impl PartialEq for VerifyingKey {
    fn eq(&self, other: &Self) -> bool {
        match (&self.kind, &other.kind) {
            (Kind::Public { form, .. }, Kind::Public { form: other_form, .. }) => {
                self.algorithm == other.algorithm && form == other_form
            }
            _ => false,
        }
    }
}

/// The algorithm, and the name of a public key.
impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.thumbprint();
        write!(f, "VerifyingKey({}, {})", self.algorithm, name.as_deref().unwrap_or("[redacted]"))
    }
}

fn primitive(algorithm: Algorithm) -> &'static dyn VerificationAlgorithm {
    match algorithm {
        Algorithm::EcdsaP256Sha256 => &ECDSA_P256_SHA256_FIXED,
        Algorithm::EcdsaP384Sha384 => &ECDSA_P384_SHA384_FIXED,
        Algorithm::RsaPssSha512 => &RSA_PSS_2048_8192_SHA512,
        Algorithm::RsaV15Sha256 => &RSA_PKCS1_2048_8192_SHA256,
        // No public form suits an HMAC: it never comes here.
        Algorithm::Ed25519 | Algorithm::HmacSha256 => &ED25519,
    }
}

impl Curve {
    /// The algorithm that goes with the curve.
    pub(super) const fn algorithm(self) -> Algorithm {
        match self {
            Self::P256 => Algorithm::EcdsaP256Sha256,
            Self::P384 => Algorithm::EcdsaP384Sha384,
        }
    }
}
