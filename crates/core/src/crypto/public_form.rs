//! The ways to write a public key: SubjectPublicKeyInfo, PKCS#1, JWK, and ours for the store.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::der::{self, Reader};
use super::{Algorithm, KeyError};

/// 1.3.101.112, RFC 8410 §3.
const ED25519: &[u8] = &[0x2b, 0x65, 0x70];
/// 1.2.840.10045.2.1, RFC 5480 §2.1.1.
const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
/// 1.2.840.113549.1.1.1, RFC 8017 §A.1.
const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
/// 1.2.840.113549.1.1.10, RFC 8017 §A.2.3.
const RSA_PSS: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0a];
const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const P384: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];

/// The version of the stored form.
const VERSION: u8 = 1;

/// A NIST curve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Curve {
    P256,
    P384,
}

impl Curve {
    /// Bytes of a coordinate.
    pub(super) const fn size(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
        }
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::P256 => "P-256",
            Self::P384 => "P-384",
        }
    }

    /// Its object identifier.
    pub(super) const fn object(self) -> &'static [u8] {
        match self {
            Self::P256 => P256,
            Self::P384 => P384,
        }
    }

    /// By its object identifier.
    pub(super) fn from_object(object: &[u8]) -> Option<Self> {
        match object {
            object if object == P256 => Some(Self::P256),
            object if object == P384 => Some(Self::P384),
            _ => None,
        }
    }

    pub(super) fn from_name(name: &str) -> Option<Self> {
        [Self::P256, Self::P384].into_iter().find(|curve| curve.name() == name)
    }
}

/// What kind of key an AlgorithmIdentifier names (RFC 5280 §4.1.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Named {
    Ed25519,
    Ec(Curve),
    /// Whether for PSS alone.
    Rsa {
        pss: bool,
    },
}

impl Named {
    pub(super) fn read(contents: &[u8]) -> Result<Self, KeyError> {
        let malformed = KeyError::Malformed("its algorithm is not well-formed");
        let mut identifier = Reader::new(contents);
        let object = identifier.take(der::OBJECT).ok_or(malformed.clone())?;
        let named = match object {
            object if object == ED25519 => Self::Ed25519,
            object if object == EC => {
                let curve = identifier.take(der::OBJECT).ok_or(malformed.clone())?;
                let curve = Curve::from_object(curve);
                Self::Ec(curve.ok_or_else(|| KeyError::Kind("another curve than P-256 and P-384".into()))?)
            }
            object if object == RSA => {
                if identifier.take(der::NULL).is_none_or(|contents| !contents.is_empty()) {
                    return Err(malformed);
                }
                Self::Rsa { pss: false }
            }
            // Parameters would restrict it to one hash and salt; RFC 9421's own key has none.
            object if object == RSA_PSS && identifier.is_empty() => Self::Rsa { pss: true },
            object if object == RSA_PSS => return Err(KeyError::Kind("RSA-PSS with parameters".into())),
            _ => return Err(KeyError::Kind("neither Ed25519, ECDSA nor RSA".into())),
        };
        if identifier.is_empty() { Ok(named) } else { Err(malformed) }
    }
}

/// What somebody said of an RSA key's algorithm, which its numbers do not tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stated {
    /// The algorithm. Of other keys there is one.
    Algorithm,
    /// PSS, with whichever hash.
    Pss,
    /// Nothing.
    Nothing,
}

/// A public key's own numbers, each in the one way to write it.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum PublicForm {
    Ed25519([u8; 32]),
    /// x and y, each at the curve's size.
    Ec(Curve, Vec<u8>),
    /// Without leading zeros.
    Rsa {
        modulus: Vec<u8>,
        exponent: Vec<u8>,
        /// Named as a key for PSS alone.
        pss: bool,
    },
}

impl PublicForm {
    /// SubjectPublicKeyInfo, RFC 5280 §4.1.2.7.
    pub(super) fn from_spki(bytes: &[u8]) -> Result<Self, KeyError> {
        let malformed = || KeyError::Malformed("it is no SubjectPublicKeyInfo");
        let mut info = Reader::new(Reader::only(bytes, der::SEQUENCE).ok_or_else(malformed)?);
        let named = Named::read(info.take(der::SEQUENCE).ok_or_else(malformed)?)?;
        let key = info.bits().ok_or_else(malformed)?;
        if !info.is_empty() {
            return Err(malformed());
        }
        match named {
            Named::Ed25519 => Ok(Self::Ed25519(key.try_into().map_err(|_| KeyError::Point)?)),
            Named::Ec(curve) => Self::from_point(curve, key),
            Named::Rsa { pss: false } => Self::from_pkcs1(key),
            Named::Rsa { pss: true } => Ok(Self::from_pkcs1(key)?.for_pss_alone()),
        }
    }

    /// RSAPublicKey, RFC 8017 §A.1.1.
    pub(super) fn from_pkcs1(bytes: &[u8]) -> Result<Self, KeyError> {
        let malformed = || KeyError::Malformed("it is no RSAPublicKey");
        let mut key = Reader::new(Reader::only(bytes, der::SEQUENCE).ok_or_else(malformed)?);
        let modulus = key.unsigned().ok_or_else(malformed)?;
        let exponent = key.unsigned().ok_or_else(malformed)?;
        if !key.is_empty() {
            return Err(malformed());
        }
        Self::from_numbers(modulus, exponent)
    }

    fn for_pss_alone(mut self) -> Self {
        if let Self::Rsa { pss, .. } = &mut self {
            *pss = true;
        }
        self
    }

    pub(super) fn from_numbers(modulus: &[u8], exponent: &[u8]) -> Result<Self, KeyError> {
        let bits = modulus.len() * 8 - modulus.first().map_or(0, |byte| byte.leading_zeros() as usize);
        if !(2048..=8192).contains(&bits) {
            return Err(KeyError::RsaSize(bits));
        }
        Ok(Self::Rsa { modulus: modulus.to_vec(), exponent: exponent.to_vec(), pss: false })
    }

    /// An uncompressed point (SEC 1 §2.3.3), the form that RFC 5480 §2.2 demands support for.
    pub(super) fn from_point(curve: Curve, point: &[u8]) -> Result<Self, KeyError> {
        match point {
            [4, coordinates @ ..] if coordinates.len() == 2 * curve.size() => {
                Ok(Self::Ec(curve, coordinates.to_vec()))
            }
            [2 | 3, x @ ..] if x.len() == curve.size() => {
                Err(KeyError::Kind("a compressed point: write it uncompressed".into()))
            }
            _ => Err(KeyError::Point),
        }
    }

    /// The algorithm of a key of which nothing more is known.
    pub(super) const fn default_algorithm(&self) -> Algorithm {
        match self {
            Self::Ed25519(_) => Algorithm::Ed25519,
            Self::Ec(curve, _) => curve.algorithm(),
            Self::Rsa { .. } => Algorithm::RsaPssSha512,
        }
    }

    /// What is known if `algorithm` was said.
    pub(super) const fn stated(&self, algorithm: Option<Algorithm>) -> Stated {
        match (self, algorithm) {
            (Self::Rsa { pss: true, .. }, None) => Stated::Pss,
            (Self::Rsa { pss: false, .. }, None) => Stated::Nothing,
            _ => Stated::Algorithm,
        }
    }

    /// Whether such a key can be used with this algorithm.
    pub(super) fn suits(&self, algorithm: Algorithm) -> bool {
        match self {
            Self::Rsa { pss, .. } => {
                algorithm == Algorithm::RsaPssSha512 || (algorithm == Algorithm::RsaV15Sha256 && !pss)
            }
            _ => algorithm == self.default_algorithm(),
        }
    }

    /// Drops the mark that `suits` has judged.
    pub(super) const fn forget_pss(&mut self) {
        if let Self::Rsa { pss, .. } = self {
            *pss = false;
        }
    }

    /// As the primitives read it: 32 bytes, an uncompressed point, or an RSAPublicKey.
    pub(super) fn to_raw(&self) -> Vec<u8> {
        match self {
            Self::Ed25519(public) => public.to_vec(),
            Self::Ec(_, coordinates) => [&[4], &coordinates[..]].concat(),
            Self::Rsa { modulus, exponent, .. } => {
                let (mut numbers, mut key) = (Vec::new(), Vec::new());
                der::write_unsigned(&mut numbers, modulus);
                der::write_unsigned(&mut numbers, exponent);
                der::write(&mut key, der::SEQUENCE, &numbers);
                key
            }
        }
    }

    /// Required members alone, in lexicographic order (RFC 7638 §3).
    pub(super) fn to_jwk(&self) -> String {
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        match self {
            Self::Ed25519(public) => format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, text(public)),
            Self::Ec(curve, coordinates) => {
                let (x, y) = coordinates.split_at(curve.size());
                let name = curve.name();
                format!(r#"{{"crv":"{name}","kty":"EC","x":"{}","y":"{}"}}"#, text(x), text(y))
            }
            Self::Rsa { modulus, exponent, .. } => {
                format!(r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#, text(exponent), text(modulus))
            }
        }
    }

    pub(super) fn encode(&self, algorithm: Algorithm, stated: Stated) -> Vec<u8> {
        let algorithm = match algorithm {
            Algorithm::Ed25519 => 1,
            Algorithm::EcdsaP256Sha256 => 2,
            Algorithm::EcdsaP384Sha384 => 3,
            Algorithm::RsaPssSha512 => match stated {
                Stated::Algorithm => 4,
                Stated::Nothing => 6,
                Stated::Pss => 7,
            },
            Algorithm::RsaV15Sha256 => 5,
            // No public form suits an HMAC, and what has this number is not read.
            Algorithm::HmacSha256 => 0,
        };
        let mut stored = vec![VERSION, algorithm];
        stored.extend(self.to_raw());
        stored
    }

    /// The key, and the algorithm if one was said.
    pub(super) fn decode(stored: &[u8]) -> Result<(Self, Option<Algorithm>), KeyError> {
        let [VERSION, algorithm, raw @ ..] = stored else { return Err(KeyError::Stored) };
        let (form, algorithm) = match algorithm {
            1 => {
                let public = raw.try_into().map_err(|_| KeyError::Stored)?;
                (Self::Ed25519(public), Some(Algorithm::Ed25519))
            }
            2 => (Self::from_point(Curve::P256, raw)?, Some(Algorithm::EcdsaP256Sha256)),
            3 => (Self::from_point(Curve::P384, raw)?, Some(Algorithm::EcdsaP384Sha384)),
            4 => (Self::from_pkcs1(raw)?, Some(Algorithm::RsaPssSha512)),
            5 => (Self::from_pkcs1(raw)?, Some(Algorithm::RsaV15Sha256)),
            6 => (Self::from_pkcs1(raw)?, None),
            7 => (Self::from_pkcs1(raw)?.for_pss_alone(), None),
            _ => return Err(KeyError::Stored),
        };
        Ok((form, algorithm))
    }
}
