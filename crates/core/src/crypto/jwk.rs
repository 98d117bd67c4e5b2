//! JSON Web Keys (RFC 7517; members: RFC 7518 §6, RFC 8037): read strictly, wiped afterwards.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use zeroize::{Zeroize, Zeroizing};

use super::public_form::{Curve, PublicForm};
use super::{Algorithm, KeyError};

/// No key that is taken here comes near.
const MAX_BYTES: usize = 64 * 1024;

/// The members that matter here; others are passed over (RFC 7517 §4), one of these twice is not.
#[derive(Deserialize)]
pub(super) struct Jwk {
    kty: String,
    crv: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    key_ops: Option<Vec<String>>,
    x: Option<String>,
    y: Option<String>,
    n: Option<String>,
    e: Option<String>,
    d: Option<Private>,
    p: Option<Private>,
    q: Option<Private>,
    dp: Option<Private>,
    dq: Option<Private>,
    qi: Option<Private>,
    k: Option<Private>,
    /// Further primes (RFC 7518 §6.3.2.7).
    oth: Option<serde::de::IgnoredAny>,
}

/// A member that nobody else may see.
#[derive(Deserialize)]
#[serde(transparent)]
struct Private(String);

impl Drop for Private {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// The numbers of an RSA private key.
pub(super) struct RsaNumbers {
    pub(super) d: Zeroizing<Vec<u8>>,
    pub(super) p: Zeroizing<Vec<u8>>,
    pub(super) q: Zeroizing<Vec<u8>>,
    pub(super) dp: Zeroizing<Vec<u8>>,
    pub(super) dq: Zeroizing<Vec<u8>>,
    pub(super) qi: Zeroizing<Vec<u8>>,
}

impl Jwk {
    pub(super) fn read(text: &str) -> Result<Self, KeyError> {
        if text.len() > MAX_BYTES {
            return Err(KeyError::Jwk("it is larger than 64 KiB"));
        }
        // The library's own words might quote what is private.
        serde_json::from_str(text)
            .map_err(|_| KeyError::Jwk("it is no JSON object, or a member is there twice or of another type"))
    }

    pub(super) fn refuse_private(&self) -> Result<(), KeyError> {
        if self.kty == "oct" {
            return Err(KeyError::Kind("oct, a shared secret: give it as an HMAC secret".into()));
        }
        let private = [&self.d, &self.p, &self.q, &self.dp, &self.dq, &self.qi, &self.k];
        if private.into_iter().any(Option::is_some) || self.oth.is_some() {
            return Err(KeyError::Private);
        }
        Ok(())
    }

    /// RFC 7517 §4.2 and §4.3: what it says that it is for must include this operation.
    pub(super) fn check_use(&self, operation: &str) -> Result<(), KeyError> {
        let sig = self.purpose.as_deref().is_none_or(|purpose| purpose == "sig");
        let mut allowed = self.key_ops.iter().flatten().map(String::as_str);
        if sig && (self.key_ops.is_none() || allowed.any(|name| name == operation)) {
            Ok(())
        } else {
            Err(KeyError::Use)
        }
    }

    /// The algorithm that it names, as written.
    pub(super) fn alg(&self) -> Option<&str> {
        self.alg.as_deref()
    }

    /// The public key.
    pub(super) fn form(&self) -> Result<PublicForm, KeyError> {
        Ok(match self.kty.as_str() {
            "OKP" if self.crv.as_deref() == Some("Ed25519") => {
                let x = number(self.x.as_deref())?;
                PublicForm::Ed25519(x.as_slice().try_into().map_err(|_| KeyError::Point)?)
            }
            "EC" => {
                let curve = self.crv.as_deref().and_then(Curve::from_name);
                let curve = curve.ok_or_else(|| unknown("EC", self.crv.as_deref()))?;
                let (x, y) = (number(self.x.as_deref())?, number(self.y.as_deref())?);
                // Of full length, leading zeros included (RFC 7518 §6.2.1.2).
                if x.len() != curve.size() || y.len() != curve.size() {
                    return Err(KeyError::Point);
                }
                PublicForm::Ec(curve, [&x[..], &y[..]].concat())
            }
            "RSA" => {
                let (n, e) = (number(self.n.as_deref())?, number(self.e.as_deref())?);
                if n.first() == Some(&0) || e.first() == Some(&0) {
                    return Err(KeyError::Jwk("n and e have no leading zeros (RFC 7518 §6.3.1)"));
                }
                PublicForm::from_numbers(&n, &e)?
            }
            kty => return Err(unknown(kty, self.crv.as_deref())),
        })
    }

    /// The public key, and the algorithm of messages if `alg` names one.
    pub(super) fn public(&self) -> Result<(PublicForm, Option<Algorithm>), KeyError> {
        let form = self.form()?;
        let named = match (self.alg.as_deref(), &form) {
            (None, _) => None,
            (Some("PS512"), PublicForm::Rsa { .. }) => Some(Algorithm::RsaPssSha512),
            (Some("RS256"), PublicForm::Rsa { .. }) => Some(Algorithm::RsaV15Sha256),
            // RFC 8037, and RFC 9864 which names the curve.
            (Some("EdDSA" | "Ed25519"), PublicForm::Ed25519(_))
            | (Some("ES256"), PublicForm::Ec(Curve::P256, _))
            | (Some("ES384"), PublicForm::Ec(Curve::P384, _)) => Some(form.default_algorithm()),
            (Some(_), _) => return Err(KeyError::Jwk("its alg is none that its key is used with here")),
        };
        Ok((form, named))
    }

    /// The private number of an `OKP` or `EC` key.
    pub(super) fn d(&self) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        private(self.d.as_ref())
    }

    /// The private numbers of an `RSA` key, all of them (RFC 7518 §6.3.2).
    pub(super) fn rsa(&self) -> Result<RsaNumbers, KeyError> {
        if self.oth.is_some() {
            return Err(KeyError::Kind("RSA with more than two primes".into()));
        }
        Ok(RsaNumbers {
            d: self.d()?,
            p: private(self.p.as_ref())?,
            q: private(self.q.as_ref())?,
            dp: private(self.dp.as_ref())?,
            dq: private(self.dq.as_ref())?,
            qi: private(self.qi.as_ref())?,
        })
    }
}

fn unknown(kty: &str, crv: Option<&str>) -> KeyError {
    let shown = |text: &str| text.chars().take(20).collect::<String>();
    KeyError::Kind(format!("{} {}", shown(kty), shown(crv.unwrap_or_default())).trim_end().to_owned())
}

/// A member in base64url without padding.
fn number(text: Option<&str>) -> Result<Vec<u8>, KeyError> {
    let text = text.ok_or(KeyError::Jwk("a member that its kind needs is not there"))?;
    URL_SAFE_NO_PAD.decode(text).map_err(|_| KeyError::Jwk("a member is not base64url"))
}

fn private(text: Option<&Private>) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let text = text.ok_or(KeyError::Public)?;
    number(Some(&text.0)).map(Zeroizing::new)
}
