//! The claimant's half, whole: signs requests so that [`SignatureVerifier`](super::SignatureVerifier) and
//! whoever else follows the profile takes them.

use std::fmt;
use std::sync::Arc;

use http::{HeaderMap, Method, Uri};

use super::difference::{BASE_DIGESTS, base_digests};
use super::digest::{CONTENT_DIGEST, ContentDigest};
use super::erc8128::{SignAs, sign_erc8128};
use super::message::Message;
use super::signed::Parameters;
use super::signer::{SignError, cover_floor, sign};
use super::verifier::COUNTERSIGN;
use crate::crypto::ethereum::EthereumKey;
use crate::crypto::{Ed25519Key, Random, SigningKey, derive_ed25519};
use crate::schemes::api_key::{ApiKey, DERIVATION};
use crate::schemes::proof_error::ProofError;
use crate::schemes::webhook::signer::OutgoingBody;
use crate::time::Timestamp;

/// Labels that are tried, from `sig1` on; nobody's request has so many signatures.
const LABELS: u32 = 32;

/// Signs requests with one key: each covers method, target, body and its type, counts for 60 seconds, and
/// passes once.
pub struct RequestSigner {
    holder: Holder,
    random: Arc<dyn Random>,
    digests: bool,
}

enum Holder {
    Key { key: Box<SigningKey>, keyid: String },
    Wallet { key: EthereumKey, sign_as: SignAs },
}

impl RequestSigner {
    /// Signs with `key`, which the verifier knows as `keyid`.
    #[must_use]
    pub fn new(key: SigningKey, keyid: impl Into<String>, random: Arc<dyn Random>) -> Self {
        Self::held_by(Holder::Key { key: Box::new(key), keyid: keyid.into() }, random)
    }

    /// Signs with the Ed25519 key that an API key's secret yields; the API key itself never travels.
    #[must_use]
    pub fn of_api_key(key: &ApiKey, random: Arc<dyn Random>) -> Self {
        let (seed, _) = derive_ed25519(key.secret.expose(), DERIVATION);
        Self::new(Ed25519Key::from_seed(seed).into(), key.id.as_str(), random)
    }

    /// Signs as ERC-8128 says, with a wallet's key.
    #[must_use]
    pub fn of_wallet(key: EthereumKey, sign_as: SignAs, random: Arc<dyn Random>) -> Self {
        Self::held_by(Holder::Wallet { key, sign_as }, random)
    }

    fn held_by(holder: Holder, random: Arc<dyn Random>) -> Self {
        Self { holder, random, digests: false }
    }

    /// The same, also sending [`BASE_DIGESTS`]: a receiver that sees another request than was signed can
    /// then say where they part. Wallets sign other text, and send none.
    #[must_use]
    pub const fn with_base_digests(mut self, digests: bool) -> Self {
        self.digests = digests;
        self
    }

    /// Signs a request: adds `Signature-Input` and `Signature`, and for a body `Content-Digest`, in the
    /// place of one that is there. `target` is absolute.
    ///
    /// # Errors
    /// [`ProofError::Streaming`], [`ProofError::Target`] and [`ProofError::Signature`]; then the headers are untouched.
    pub fn sign_request(
        &self,
        method: &Method,
        target: &Uri,
        headers: &mut HeaderMap,
        body: OutgoingBody<'_>,
        now: Timestamp,
    ) -> Result<(), ProofError> {
        if target.scheme().is_none() || target.authority().is_none() {
            return Err(ProofError::Target(target.to_string()));
        }
        let mut signed = headers.clone();
        let has_body = match body {
            OutgoingBody::Absent => false,
            OutgoingBody::Whole(body) => {
                signed.insert(CONTENT_DIGEST, ContentDigest::of_sha256(body));
                true
            }
            OutgoingBody::Streaming => return Err(ProofError::Streaming),
        };
        let parameters = self.parameters(now);
        // Another's signature keeps its label; ours takes the next.
        let mut taken = SignError::LabelTaken(String::new());
        for number in 1..=LABELS {
            let label = format!("sig{number}");
            match self.sign_as(&label, method, target, &mut signed, has_body, &parameters) {
                Ok(()) => {
                    *headers = signed;
                    return Ok(());
                }
                Err(error @ SignError::LabelTaken(_)) => taken = error,
                Err(error) => return Err(error.into()),
            }
        }
        Err(taken.into())
    }

    fn sign_as(
        &self,
        label: &str,
        method: &Method,
        target: &Uri,
        headers: &mut HeaderMap,
        has_body: bool,
        parameters: &Parameters,
    ) -> Result<(), SignError> {
        match &self.holder {
            Holder::Wallet { key, sign_as } => {
                sign_erc8128(headers, method, target, has_body, label, *sign_as, parameters, key)
            }
            Holder::Key { key, .. } => {
                let components = cover_floor(headers, has_body);
                sign(headers, method, target, label, &components, parameters, &**key)?;
                if self.digests {
                    let message = Message::request(method, target, headers);
                    let digests = base_digests(&message, label, &components, parameters)?;
                    headers.insert(BASE_DIGESTS, digests);
                }
                Ok(())
            }
        }
    }

    fn parameters(&self, now: Timestamp) -> Parameters {
        let parameters = Parameters::fresh(now, &*self.random);
        match &self.holder {
            Holder::Key { keyid, .. } => {
                Parameters { keyid: Some(keyid.clone()), tag: Some(COUNTERSIGN.to_owned()), ..parameters }
            }
            // ERC-8128 has its own, which are made with the signature.
            Holder::Wallet { .. } => parameters,
        }
    }
}

/// Whose signatures they are; nothing of the key.
impl fmt::Debug for RequestSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.holder {
            Holder::Key { keyid, .. } => write!(f, "RequestSigner({keyid:?})"),
            Holder::Wallet { key, sign_as: SignAs { chain, .. } } => {
                write!(f, "RequestSigner(eip155:{chain}:{})", key.address())
            }
        }
    }
}
