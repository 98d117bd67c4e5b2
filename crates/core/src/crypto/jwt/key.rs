//! Keys that verify tokens. Each has its algorithms, nearly always one, which no token can change.

use std::fmt;

use aws_lc_rs::signature::{
    ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512,
    RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, VerificationAlgorithm,
};

use crate::crypto::jwk::Jwk;
use crate::crypto::public_form::{PublicForm, Stated};
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

    /// The algorithm of this name in RFC 7518 or RFC 8037.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        // RFC 9864 names the curve.
        let name = if name == "Ed25519" { "EdDSA" } else { name };
        Self::ALL.into_iter().find(|algorithm| algorithm.as_str() == name)
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

    /// How a signature by an RSA key is verified; `None` for other keys' algorithms.
    fn rsa(self) -> Option<&'static dyn VerificationAlgorithm> {
        Some(match self {
            Self::Rs256 => &RSA_PKCS1_2048_8192_SHA256,
            Self::Rs384 => &RSA_PKCS1_2048_8192_SHA384,
            Self::Rs512 => &RSA_PKCS1_2048_8192_SHA512,
            Self::Ps256 => &RSA_PSS_2048_8192_SHA256,
            Self::Ps384 => &RSA_PSS_2048_8192_SHA384,
            Self::Ps512 => &RSA_PSS_2048_8192_SHA512,
            Self::EdDsa | Self::Es256 | Self::Es384 | Self::Hs256 => return None,
        })
    }

    const fn is_pss(self) -> bool {
        matches!(self, Self::Ps256 | Self::Ps384 | Self::Ps512)
    }
}

impl fmt::Display for JwtAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A key that verifies tokens: by one algorithm or, where it is of RSA and names none, by each of RSA.
#[derive(Clone)]
pub struct JwtKey(Kind);

#[derive(Clone)]
enum Kind {
    /// By the one algorithm that it signs messages with too.
    One(VerifyingKey),
    /// RSA, ready for each algorithm that it allows.
    Rsa { parsed: Vec<(JwtAlgorithm, ParsedPublicKey)>, thumbprint: String },
}

impl JwtKey {
    /// Reads a public JWK (RFC 7517). Its algorithm is the one that it names or, where it names none, the
    /// only one of its curve; an RSA key that names none allows each of RSA (`alg` is optional, RFC 7517 §4.4).
    ///
    /// # Errors
    /// [`KeyError`]; also for private and symmetric keys, and those with another `use` than `sig`.
    pub fn from_jwk(jwk: &str) -> Result<Self, KeyError> {
        let jwk = Jwk::read(jwk)?;
        jwk.refuse_private()?;
        jwk.check_use("verify")?;
        let form = jwk.form()?;
        let unusable = KeyError::Jwk("its alg is none that its key is used with here");
        let named = match jwk.alg() {
            None => None,
            Some(name) => Some(JwtAlgorithm::from_name(name).ok_or_else(|| unusable.clone())?),
        };
        if matches!(form, PublicForm::Rsa { .. }) {
            let is_named = |algorithm: JwtAlgorithm| named.is_none_or(|named| named == algorithm);
            return Self::of_rsa(&form, is_named)?.ok_or(unusable);
        }
        match named {
            Some(named) if named != JwtAlgorithm::of(form.default_algorithm()) => Err(unusable),
            _ => Ok(Self(Kind::One(VerifyingKey::new(form, None)?))),
        }
    }

    /// `None` if no algorithm of RSA is allowed.
    fn of_rsa(form: &PublicForm, allowed: impl Fn(JwtAlgorithm) -> bool) -> Result<Option<Self>, KeyError> {
        let mut parsed = Vec::new();
        for algorithm in JwtAlgorithm::ALL.into_iter().filter(|algorithm| allowed(*algorithm)) {
            if let Some(rsa) = algorithm.rsa() {
                let key = ParsedPublicKey::new(rsa, form.to_raw()).map_err(|_| KeyError::Malformed("RSA"))?;
                parsed.push((algorithm, key));
            }
        }
        let thumbprint = URL_SAFE_NO_PAD.encode(sha256(form.to_jwk().as_bytes()));
        Ok((!parsed.is_empty()).then_some(Self(Kind::Rsa { parsed, thumbprint })))
    }

    /// The algorithms that it allows.
    pub fn algorithms(&self) -> impl Iterator<Item = JwtAlgorithm> {
        let (one, rsa) = match &self.0 {
            Kind::One(key) => (Some(JwtAlgorithm::of(key.algorithm())), &[][..]),
            Kind::Rsa { parsed, .. } => (None, &parsed[..]),
        };
        one.into_iter().chain(rsa.iter().map(|(algorithm, _)| *algorithm))
    }

    /// Whether it allows this one.
    #[must_use]
    pub fn allows(&self, algorithm: JwtAlgorithm) -> bool {
        self.algorithms().any(|allowed| allowed == algorithm)
    }

    /// The RFC 7638 thumbprint; `None` for a secret.
    #[must_use]
    pub fn thumbprint(&self) -> Option<String> {
        match &self.0 {
            Kind::One(key) => key.thumbprint(),
            Kind::Rsa { thumbprint, .. } => Some(thumbprint.clone()),
        }
    }

    /// By an algorithm that it allows.
    pub(super) fn verify(&self, algorithm: JwtAlgorithm, signed: &[u8], signature: &[u8]) -> bool {
        match &self.0 {
            Kind::One(key) => key.verify(signed, signature),
            Kind::Rsa { parsed, .. } => parsed
                .iter()
                .any(|(allowed, key)| *allowed == algorithm && key.verify_sig(signed, signature).is_ok()),
        }
    }
}

/// For which algorithm of RSA a key is that signs messages depends on whether somebody said it: where nobody did, it
/// allows each.
impl From<VerifyingKey> for JwtKey {
    fn from(key: VerifyingKey) -> Self {
        let rsa = key.rsa().and_then(|(form, stated)| {
            let own = JwtAlgorithm::of(key.algorithm());
            let allowed = |algorithm: JwtAlgorithm| match stated {
                Stated::Algorithm => algorithm == own,
                Stated::Pss => algorithm.is_pss(),
                Stated::Nothing => true,
            };
            Self::of_rsa(form, allowed).ok().flatten()
        });
        rsa.unwrap_or(Self(Kind::One(key)))
    }
}

impl fmt::Debug for JwtKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.algorithms().map(JwtAlgorithm::as_str).collect();
        write!(f, "JwtKey({})", names.join(", "))
    }
}
