//! Keys that sign, of every algorithm: from PEM, from a JWK, or from a secret.

use std::fmt;

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPairComponents;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm,
    KeyPair as _, RSA_PKCS1_SHA256, RSA_PSS_SHA512, RsaEncoding, RsaKeyPair, RsaPublicKeyComponents,
};

use super::der::{self, Reader};
use super::jwk::Jwk;
use super::public_form::{Curve, Named, PublicForm};
use super::{Algorithm, Ed25519Key, KeyError, Random, Secret, VerifyingKey};
use zeroize::{Zeroize as _, Zeroizing};

/// What signs messages by one algorithm: a key in memory here, or one that somebody keeps elsewhere.
pub trait Signer {
    /// How it signs.
    fn algorithm(&self) -> Algorithm;

    /// The signature of `message`, in the form that RFC 9421 §3.3 gives it. `None` if the key could
    /// not be used.
    fn sign(&self, message: &[u8]) -> Option<Vec<u8>>;
}

/// A private key, or the secret of an HMAC, ready to sign. AWS-LC holds it, and wipes it when it is
/// dropped; it takes the randomness of ECDSA and RSA-PSS from its own generator, and from no other.
pub struct SigningKey {
    kind: Kind,
    verifying: VerifyingKey,
}

enum Kind {
    Ed25519(Ed25519Key),
    Ecdsa(EcdsaKeyPair),
    Rsa(Box<RsaKeyPair>),
    Hmac(Box<hmac::Key>),
}

impl SigningKey {
    /// Reads PEM: `PRIVATE KEY` (PKCS#8, RFC 5958), `EC PRIVATE KEY` (SEC 1, RFC 5915) or
    /// `RSA PRIVATE KEY` (PKCS#1, RFC 8017 §A.1.2). `algorithm` as in [`VerifyingKey::from_pem`].
    ///
    /// # Errors
    /// [`KeyError`]; public keys, certificates and encrypted keys are told apart from the rest.
    pub fn from_pem(pem: &str, algorithm: Option<Algorithm>) -> Result<Self, KeyError> {
        let block = super::pem::read(pem)?;
        match block.label {
            "PRIVATE KEY" => Self::from_pkcs8(&block.bytes, algorithm),
            "EC PRIVATE KEY" => {
                // The curve is in it, for nothing around it names one.
                let curve = sec1_curve(&block.bytes).ok_or(KeyError::Malformed("it is no ECPrivateKey"))?;
                Self::from_ec(curve?, algorithm, |signing| {
                    EcdsaKeyPair::from_private_key_der(signing, &block.bytes).ok()
                })
            }
            "RSA PRIVATE KEY" => Self::from_rsa(RsaKeyPair::from_der(&block.bytes).ok(), algorithm, false),
            label if label.ends_with("PUBLIC KEY") => Err(KeyError::Public),
            label => Err(KeyError::Kind(label.chars().take(40).collect())),
        }
    }

    /// Reads a private JWK (RFC 7517): `OKP` with Ed25519, `EC` with P-256 or P-384, `RSA` with all
    /// its numbers. `algorithm` as in [`VerifyingKey::from_jwk`].
    ///
    /// # Errors
    /// [`KeyError`]; also if the public members are not the private ones' own.
    pub fn from_jwk(jwk: &str, algorithm: Option<Algorithm>) -> Result<Self, KeyError> {
        let jwk = Jwk::read(jwk)?;
        jwk.check_use("sign")?;
        let (form, named) = jwk.public()?;
        let algorithm = match (named, algorithm) {
            (Some(named), Some(wanted)) if named != wanted => return Err(KeyError::Algorithm(wanted)),
            _ => named.or(algorithm),
        };
        let key = match &form {
            PublicForm::Ed25519(_) => Self::from_seed(&jwk.d()?, algorithm)?,
            PublicForm::Ec(curve, _) => {
                let d = jwk.d()?;
                // Of full length (RFC 7518 §6.2.2.1).
                if d.len() != curve.size() {
                    return Err(KeyError::Malformed(
                        "its private number has another length than its curve's",
                    ));
                }
                let point = form.to_raw();
                Self::from_ec(*curve, algorithm, |signing| {
                    EcdsaKeyPair::from_private_key_and_public_key(signing, &d, &point).ok()
                })
                .map_err(|_| KeyError::Halves)?
            }
            PublicForm::Rsa { modulus, exponent, .. } => {
                let numbers = jwk.rsa()?;
                let pair = RsaKeyPair::from_components(&KeyPairComponents {
                    public_key: RsaPublicKeyComponents { n: &modulus[..], e: &exponent[..] },
                    d: &numbers.d[..],
                    p: &numbers.p[..],
                    q: &numbers.q[..],
                    dP: &numbers.dp[..],
                    dQ: &numbers.dq[..],
                    qInv: &numbers.qi[..],
                });
                Self::from_rsa(pair.ok(), algorithm, false)?
            }
        };
        if key.verifying == VerifyingKey::new(form, Some(key.verifying.algorithm()))? {
            Ok(key)
        } else {
            Err(KeyError::Halves)
        }
    }

    /// The key of an HMAC-SHA256 whose secret has 32 to 4096 bytes.
    ///
    /// # Errors
    /// [`KeyError::SecretLength`].
    pub fn from_hmac_secret(secret: &Secret<Vec<u8>>) -> Result<Self, KeyError> {
        let verifying = VerifyingKey::from_hmac_secret(secret)?;
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose());
        Ok(Self { kind: Kind::Hmac(Box::new(key)), verifying })
    }

    /// A new key for Ed25519 or ECDSA on P-256, and its private half: 32 bytes, which
    /// [`SigningKey::from_private_bytes`] reads back. `None` for other algorithms.
    #[must_use]
    pub fn generate(algorithm: Algorithm, random: &dyn Random) -> Option<(Self, Secret<Vec<u8>>)> {
        // Of all numbers of 256 bits, 1 in 2^32 is no private key of P-256; then another is taken.
        for _ in 0..4 {
            let mut private = vec![0; 32];
            random.fill(&mut private);
            let private = Secret::new(private);
            if let Some(key) = Self::from_private_bytes(algorithm, &private) {
                return Some((key, private));
            }
        }
        None
    }

    /// The key whose private half [`SigningKey::generate`] gave.
    #[must_use]
    pub fn from_private_bytes(algorithm: Algorithm, private: &Secret<Vec<u8>>) -> Option<Self> {
        match algorithm {
            Algorithm::Ed25519 => Self::from_seed(private.expose(), None).ok(),
            Algorithm::EcdsaP256Sha256 if private.expose().len() == Curve::P256.size() => {
                let key = Zeroizing::new(sec1(Curve::P256, private.expose()));
                Self::from_ec(Curve::P256, None, |signing| {
                    EcdsaKeyPair::from_private_key_der(signing, &key).ok()
                })
                .ok()
            }
            _ => None,
        }
    }

    /// What verifies this key's signatures: its public key, or for an HMAC the same secret.
    #[must_use]
    pub const fn verifying_key(&self) -> &VerifyingKey {
        &self.verifying
    }

    fn from_pkcs8(bytes: &[u8], algorithm: Option<Algorithm>) -> Result<Self, KeyError> {
        let malformed = || KeyError::Malformed("it is no PrivateKeyInfo");
        let mut info = Reader::new(Reader::only(bytes, der::SEQUENCE).ok_or_else(malformed)?);
        let version = info.take(der::INTEGER).ok_or_else(malformed)?;
        let named = Named::read(info.take(der::SEQUENCE).ok_or_else(malformed)?)?;
        let key = info.take(der::OCTET_STRING).ok_or_else(malformed)?;
        // What may follow is attributes and, in version 2, the public key; the latter is made anew.
        if !matches!(version, [0 | 1]) {
            return Err(malformed());
        }
        match named {
            Named::Ed25519 => {
                let seed = Reader::only(key, der::OCTET_STRING).ok_or_else(malformed)?;
                Self::from_seed(seed, algorithm)
            }
            Named::Ec(curve) => {
                Self::from_ec(curve, algorithm, |signing| EcdsaKeyPair::from_pkcs8(signing, bytes).ok())
            }
            Named::Rsa { pss } => Self::from_rsa(RsaKeyPair::from_der(key).ok(), algorithm, pss),
        }
    }

    fn from_seed(seed: &[u8], algorithm: Option<Algorithm>) -> Result<Self, KeyError> {
        let seed = seed.try_into().map_err(|_| KeyError::Malformed("an Ed25519 seed has 32 bytes"))?;
        let key = Ed25519Key::from_seed(Secret::new(seed));
        let verifying = VerifyingKey::new(PublicForm::Ed25519(key.public()), algorithm)?;
        Ok(Self { kind: Kind::Ed25519(key), verifying })
    }

    fn from_ec(
        curve: Curve,
        algorithm: Option<Algorithm>,
        read: impl FnOnce(&'static EcdsaSigningAlgorithm) -> Option<EcdsaKeyPair>,
    ) -> Result<Self, KeyError> {
        let signing = match curve {
            Curve::P256 => &ECDSA_P256_SHA256_FIXED_SIGNING,
            Curve::P384 => &ECDSA_P384_SHA384_FIXED_SIGNING,
        };
        let pair = read(signing).ok_or(KeyError::Malformed("its numbers are no private key"))?;
        let form = PublicForm::from_point(curve, pair.public_key().as_ref())?;
        Ok(Self { kind: Kind::Ecdsa(pair), verifying: VerifyingKey::new(form, algorithm)? })
    }

    fn from_rsa(pair: Option<RsaKeyPair>, algorithm: Option<Algorithm>, pss: bool) -> Result<Self, KeyError> {
        let pair =
            pair.ok_or(KeyError::Malformed("its numbers are no RSA private key of 2048 to 8192 bits"))?;
        if pss && algorithm == Some(Algorithm::RsaV15Sha256) {
            return Err(KeyError::Algorithm(Algorithm::RsaV15Sha256));
        }
        let form = PublicForm::from_pkcs1(pair.public_key().as_ref())?;
        Ok(Self { kind: Kind::Rsa(Box::new(pair)), verifying: VerifyingKey::new(form, algorithm)? })
    }
}

/// An ECPrivateKey (RFC 5915 §3) without its public half, which is made anew.
fn sec1(curve: Curve, private: &[u8]) -> Vec<u8> {
    let (mut numbers, mut named, mut key) = (Vec::new(), Vec::new(), Vec::new());
    der::write_unsigned(&mut numbers, &[1]);
    der::write(&mut numbers, der::OCTET_STRING, private);
    der::write(&mut named, der::OBJECT, curve.object());
    der::write(&mut numbers, PARAMETERS, &named);
    der::write(&mut key, der::SEQUENCE, &numbers);
    numbers.zeroize();
    key
}

/// The tag of an ECPrivateKey's parameters.
const PARAMETERS: u8 = 0xa0;

/// The curve that an ECPrivateKey names (RFC 5915 §3): SEQUENCE { 1, OCTET STRING, [0] { OID }, … }.
fn sec1_curve(bytes: &[u8]) -> Option<Result<Curve, KeyError>> {
    let mut key = Reader::new(Reader::only(bytes, der::SEQUENCE)?);
    key.take(der::INTEGER)?;
    key.take(der::OCTET_STRING)?;
    let object = Reader::only(key.take(PARAMETERS)?, der::OBJECT)?;
    let unknown = || KeyError::Kind("another curve than P-256 and P-384".into());
    Some(Curve::from_object(object).ok_or_else(unknown))
}

impl Signer for SigningKey {
    fn algorithm(&self) -> Algorithm {
        self.verifying.algorithm()
    }

    fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        // AWS-LC asks for a generator and uses its own.
        let random = SystemRandom::new();
        match &self.kind {
            Kind::Ed25519(key) => Some(key.sign(message).to_vec()),
            Kind::Ecdsa(pair) => {
                pair.sign(&random, message).ok().map(|signature| signature.as_ref().to_vec())
            }
            Kind::Hmac(key) => Some(hmac::sign(key, message).as_ref().to_vec()),
            Kind::Rsa(pair) => {
                let encoding: &'static dyn RsaEncoding = match self.algorithm() {
                    Algorithm::RsaV15Sha256 => &RSA_PKCS1_SHA256,
                    _ => &RSA_PSS_SHA512,
                };
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(encoding, &random, message, &mut signature).ok().map(|()| signature)
            }
        }
    }
}

impl Signer for Ed25519Key {
    fn algorithm(&self) -> Algorithm {
        Algorithm::Ed25519
    }

    fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        Some(Self::sign(self, message).to_vec())
    }
}

impl From<Ed25519Key> for SigningKey {
    fn from(key: Ed25519Key) -> Self {
        let verifying =
            VerifyingKey::from_ed25519(key.public()).expect("a private key has a good public key");
        Self { kind: Kind::Ed25519(key), verifying }
    }
}

/// Of a public key its name, of a secret nothing.
impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.verifying.thumbprint();
        write!(f, "SigningKey({}, {})", self.algorithm(), name.as_deref().unwrap_or("[redacted]"))
    }
}
