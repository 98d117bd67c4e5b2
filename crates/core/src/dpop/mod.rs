//! DPoP (RFC 9449): a caller shows with each request that it holds the key that its token is bound to.
//! No scheme of its own: `bearer`, key-bound sessions and the token endpoint use it.
//!
//! [`Proof::of`] reads the header, [`Dpop::verify`] judges it against the request and against the token
//! that goes with it, and says which key it was ([`Possession`]); whoever asked compares that with what
//! the token is bound to, and hands [`Possession::spending`] to the gate, which spends it. Everything that
//! is wrong is `dpop_invalid`, with the check that failed at the beginning of the cause. [`wants_nonce`]
//! says whether a nonce would mend it: then the answer carries [`Dpop::nonce`] and says
//! `error="use_dpop_nonce"`.
//!
//! | what leaks | what it opens |
//! |---|---|
//! | a token that is bound to a key | nothing, without the key |
//! | a proof that has arrived | nothing: its `jti` is spent |
//! | a proof on its way that never arrives, and its token | this method of this URL, for 90 s; query and body are not covered |
//! | a nonce | nothing: it is no secret |
//!
//! ```
//! use std::sync::Arc;
//!
//! use countersign::crypto::{Ed25519Key, Secret, SystemRandom};
//! use countersign::dpop::{Dpop, DpopSigner, NoncePolicy, Proof};
//! use countersign::{Body, RequestView, Timestamp};
//! use http::{HeaderMap, Method, Uri};
//!
//! let now = Timestamp::from_secs(1_800_000_000);
//! let target = Uri::from_static("https://bob.example/orders?page=2");
//! let key = Ed25519Key::from_seed(Secret::new([7; 32]));
//! let alice = DpopSigner::new(key.into(), Arc::new(SystemRandom)).unwrap();
//! let proof = alice.prove(&Method::GET, &target, Some("the.access.token"), None, now).unwrap();
//!
//! let headers = HeaderMap::from_iter([("dpop".parse().unwrap(), proof.parse().unwrap())]);
//! let request = RequestView {
//!     method: &Method::GET,
//!     target: &target,
//!     headers: &headers,
//!     body: Body::Absent,
//!     source: None,
//!     received_at: now,
//! };
//! let bob = Dpop::new(&Secret::new([9; 32]), NoncePolicy::Accepted);
//! let proof = Proof::of(&request).unwrap().expect("there is one");
//! let possession = bob.verify(proof, Some("the.access.token"), &request).unwrap();
//! assert_eq!(possession.thumbprint, alice.thumbprint());
//! ```

mod htu;
mod nonce;
mod signer;
mod wire;

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderName, HeaderValue};

use crate::crypto::jwt::{Claims, Json, Jwt, JwtAlgorithm, JwtKey};
use crate::crypto::{Secret, sha256};
use crate::denial::{Code, Denial};
use crate::request::RequestView;
use crate::spending::Spending;
use crate::store::{Id, Spend, Spent, Store};
use crate::time::{SKEW, Timestamp};

use nonce::Nonces;

pub use htu::htu;
pub use nonce::NONCE_LIFE;
pub use signer::{DpopKeyError, DpopSigner};
pub use wire::{DPOP, DPOP_NONCE, Proof, TYPE};

/// The algorithms of proofs, as a challenge names them (RFC 9449 §7.1).
pub const ALGORITHMS: &str = "ES256 EdDSA ES384 PS256 PS384 PS512 RS256 RS384 RS512";

/// From `iat` on, how long a proof is good for, skew aside.
pub const LIFE: Duration = Duration::from_secs(60);
/// A proof that is longer is none: one with RSA of 4096 bits has 2400 bytes.
const LONGEST: usize = 4096;
/// A `jti` that is longer is none.
const LONGEST_JTI: usize = 256;
/// The largest modulus, in base64url characters: 4096 bits. The key is the caller's own, so that its size
/// is how much work a stranger can ask for.
const LONGEST_MODULUS: usize = 683;

/// Whether proofs need one of our nonces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NoncePolicy {
    /// A proof may have one; where its `iat` is off, it must.
    #[default]
    Accepted,
    /// Every proof has one: it cannot have been made long before.
    Required,
}

/// Judges proofs.
pub struct Dpop {
    nonces: Nonces,
    policy: NoncePolicy,
}

/// A key that was shown to be in the caller's hands.
#[derive(Clone, Debug)]
pub struct Possession {
    /// Its RFC 7638 thumbprint, 43 base64url characters: what `cnf.jkt` names.
    pub thumbprint: String,
    /// The proof, to be spent; its second use is `dpop_invalid`.
    pub spend: Spend,
}

impl Possession {
    /// The proof, for [`Proven::spends`](crate::Proven).
    #[must_use]
    pub const fn spending(&self) -> Spending {
        Spending::Proof { spend: self.spend, replayed: Code::DpopInvalid }
    }

    /// Spends the proof in `store`, for whoever answers without a gate.
    ///
    /// # Errors
    /// `dpop_invalid` for its second use, `proof_predates_boot`, or that the store does not answer.
    pub async fn spend<S: Store>(&self, store: &S) -> Result<(), Denial> {
        match store.spend(self.spend).await? {
            Spent::Once => Ok(()),
            Spent::Replayed => Err(Check::Jti.failed("this proof has been used")),
            Spent::PredatesBoot(wait) => {
                let cause = "it was made before this service started";
                Err(Denial::new(Code::ProofPredatesBoot, cause).retry_after(wait))
            }
        }
    }

    /// Until when the proof is fresh, for [`Proven::fresh_until`](crate::Proven).
    #[must_use]
    pub const fn fresh_until(&self) -> Timestamp {
        self.spend.until
    }
}

/// Which check failed: how the cause of a denial begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Check {
    Form,
    Type,
    Key,
    Signature,
    Htm,
    Htu,
    Iat,
    Jti,
    Ath,
    Nonce,
}

impl Check {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Form => "form: ",
            Self::Type => "typ: ",
            Self::Key => "key: ",
            Self::Signature => "signature: ",
            Self::Htm => "htm: ",
            Self::Htu => "htu: ",
            Self::Iat => "iat: ",
            Self::Jti => "jti: ",
            Self::Ath => "ath: ",
            Self::Nonce => "nonce: ",
        }
    }

    fn failed(self, why: impl std::fmt::Display) -> Denial {
        Denial::new(Code::DpopInvalid, format!("{}{why}", self.as_str()))
    }
}

/// Whether the same caller would get further with one of our nonces: it had none where it needs one, or
/// one that is too old, or its clock is off (RFC 9449 §8, §9).
#[must_use]
pub fn wants_nonce(denial: &Denial) -> bool {
    let begins = |check: Check| denial.cause().starts_with(check.as_str());
    denial.code() == Code::DpopInvalid && (begins(Check::Nonce) || begins(Check::Iat))
}

impl Dpop {
    /// Judges proofs; nonces are made under `secret`, which every machine that answers for the same
    /// resources has.
    #[must_use]
    pub fn new(secret: &Secret<[u8; 32]>, policy: NoncePolicy) -> Self {
        Self { nonces: Nonces::new(secret), policy }
    }

    /// Whether proofs need a nonce.
    #[must_use]
    pub const fn policy(&self) -> NoncePolicy {
        self.policy
    }

    /// A nonce of this moment, as the header that hands it out.
    #[must_use]
    pub fn nonce(&self, now: Timestamp) -> (HeaderName, HeaderValue) {
        (DPOP_NONCE, self.nonces.at(now))
    }

    /// Judges a proof as RFC 9449 §4.3 says, cheap before dear, and spends nothing. `token` is what goes
    /// with it: then the proof's `ath` must be its hash. Nobody is asked.
    ///
    /// # Errors
    /// `dpop_invalid`; its cause begins with the check that failed.
    pub fn verify(
        &self,
        proof: Proof<'_>,
        token: Option<&str>,
        request: &RequestView<'_>,
    ) -> Result<Possession, Denial> {
        let mut buffer = Vec::new();
        let jwt = Jwt::parse(proof.0, LONGEST, &mut buffer).map_err(|error| Check::Form.failed(error))?;
        if !jwt.is_type(TYPE) {
            return Err(Check::Type.failed("it is not dpop+jwt"));
        }
        let claims = jwt.unverified_claims().map_err(|error| Check::Form.failed(error))?;
        let window = self.window(&claims, request.received_at)?;
        about_request(&claims, request)?;
        if let Some(token) = token {
            let ath = text(&claims, "ath", Check::Ath)?;
            if ath != URL_SAFE_NO_PAD.encode(sha256(token.as_bytes())) {
                return Err(Check::Ath.failed("it is not the hash of the token that came with it"));
            }
        }
        let jti = text(&claims, "jti", Check::Jti)?;
        if jti.is_empty() || jti.len() > LONGEST_JTI {
            return Err(Check::Jti.failed(format_args!("it has {} bytes", jti.len())));
        }
        let key = own_key(&jwt)?;
        jwt.check_signature(&key).map_err(|error| Check::Signature.failed(error))?;
        let thumbprint = key.thumbprint().ok_or_else(|| Check::Key.failed("it has no name"))?;
        let spend = Spend {
            id: Id::of(&[b"dpop/1", thumbprint.as_bytes(), jti.as_bytes()]),
            created: Some(window.created),
            received_at: request.received_at,
            until: window.until,
        };
        Ok(Possession { thumbprint, spend })
    }

    /// When a proof was made and until when it is good: by our own clock where it has a nonce of ours, by
    /// its maker's elsewhere.
    fn window(&self, claims: &Claims<'_>, now: Timestamp) -> Result<Window, Denial> {
        let iat = claims.moment("iat").ok().flatten();
        let iat = iat.ok_or_else(|| Check::Form.failed("iat is missing, or no number of seconds"))?;
        let nonce = claims.text("nonce").map_err(|_| Check::Nonce.failed("it is no string"))?;
        if let Some(nonce) = nonce {
            let made_at = self.nonces.made_at(nonce, now);
            let made_at = made_at.ok_or_else(|| Check::Nonce.failed("it is none of ours, or too old"))?;
            return Ok(Window { created: made_at, until: made_at.plus(NONCE_LIFE) });
        }
        if self.policy == NoncePolicy::Required {
            return Err(Check::Nonce.failed("there is none, and one is required"));
        }
        let until = iat.plus(LIFE).plus(SKEW);
        if iat > now.plus(SKEW) || now >= until {
            return Err(Check::Iat.failed(format_args!("it was made at {iat}")));
        }
        Ok(Window { created: iat, until })
    }
}

struct Window {
    created: Timestamp,
    until: Timestamp,
}

fn about_request(claims: &Claims<'_>, request: &RequestView<'_>) -> Result<(), Denial> {
    if !wire::is_method(text(claims, "htm", Check::Htm)?, request.method) {
        return Err(Check::Htm.failed("it is for another method"));
    }
    if !htu::means(text(claims, "htu", Check::Htu)?, request.target) {
        let here = htu(request.target);
        return Err(Check::Htu.failed(format_args!("it is for another URL than {here}")));
    }
    Ok(())
}

fn text<'c>(claims: &'c Claims<'_>, name: &str, check: Check) -> Result<&'c str, Denial> {
    let text = claims.text(name).ok().flatten();
    text.ok_or_else(|| check.failed("it is missing, or no string"))
}

/// The key that a proof brings along, by the algorithm that the proof names: both are its maker's. A key
/// that names another itself is refused.
fn own_key(jwt: &Jwt<'_>) -> Result<JwtKey, Denial> {
    let own = jwt.own_key().and_then(Json::as_object);
    let mut jwk = own.ok_or_else(|| Check::Key.failed("the header has no jwk"))?.to_map();
    let named = JwtAlgorithm::from_name(jwt.algorithm());
    let named = named.ok_or_else(|| Check::Key.failed("alg is none that proofs are signed with here"))?;
    if jwk.get("n").and_then(serde_json::Value::as_str).is_some_and(|n| n.len() > LONGEST_MODULUS) {
        return Err(Check::Key.failed("an RSA key of more than 4096 bits"));
    }
    jwk.entry("alg").or_insert_with(|| named.as_str().into());
    let jwk = serde_json::Value::Object(jwk).to_string();
    JwtKey::from_jwk(&jwk).map_err(|error| Check::Key.failed(error))
}
