//! The seed's `AsymmetricAuthentication`: each request is signed with an Ethereum account's key, as a
//! personal message (EIP-191), and the account's address is who sent it.
//!
//! | what leaks | what it opens |
//! |---|---|
//! | the database | nothing: it holds no keys |
//! | a request, once it has passed | nothing: its nonce is spent |
//! | a request that has not passed | that request, for 120 s, at every host that takes this scheme: the host is not signed. *Bearer-class* |
//! | a log, a metric, a decision | nothing: none holds a signature |
//!
//! Anybody can make an account: a route that takes this scheme says `require` or `anyone`.

mod members;
pub mod signer;
pub mod wire;

use std::time::Duration;

use crate::crypto::ethereum::{Address, personal_message_hash, recover};
use crate::denial::{Challenge, Code, Denial};
use crate::principal::{Principal, Scheme, Subject};
use crate::request::{Body, BodySource, Carrier, RequestView};
use crate::spending::Spending;
use crate::store::{Id, Space, Spend};
use crate::time::{SKEW, Timestamp};
use crate::verifier::{Proven, Verifier};

pub use wire::Credential;

/// How far a nonce and a timestamp may lie from when the request comes in, either way: a wallet asks its
/// owner first.
pub const WINDOW: Duration = Duration::from_secs(120);
/// How large a body may be, in bytes. It is read before anything is proven, for it is signed.
pub const LARGEST_BODY: usize = 64 * 1024;

/// Verifies that a request was signed by the account that it names.
#[derive(Clone, Copy, Debug, Default)]
pub struct AsymmetricVerifier {
    /// Whether a nonce must be higher than the last one of its wallet: the seed's advice, which breaks
    /// calls that are made at once.
    pub rising: bool,
}

/// The last nonces of wallets, where they must rise.
pub const LAST_NONCES: Space = Space::durable("asymmetric-nonces");

impl Verifier for AsymmetricVerifier {
    type Credential = Credential;

    fn scheme(&self) -> Scheme {
        Scheme::Asymmetric
    }

    fn carriers(&self) -> Vec<Carrier> {
        vec![
            Carrier::Header(wire::ASYMMETRIC_AUTHENTICATION),
            Carrier::Parameters { marker: wire::MARKER, names: wire::PARAMETERS },
        ]
    }

    fn extract(&self, request: &RequestView<'_>) -> Result<Option<Credential>, Denial> {
        Credential::read(request)
    }

    async fn verify(
        &self,
        credential: Credential,
        request: &RequestView<'_>,
        body: &mut dyn BodySource,
    ) -> Result<Proven, Denial> {
        let Credential { address, signature, nonce, timestamp } = credential;
        // Before the body, which nobody reads for a stale proof.
        near("nonce", nonce, request.received_at)?;
        near("timestamp", timestamp, request.received_at)?;
        if request.body == Body::Withheld {
            let cause = "the body was withheld, so that its signature cannot be checked";
            return Err(Denial::new(Code::SignatureCoverage, cause));
        }
        let body = body.read(LARGEST_BODY).await?;
        let signs = |path: &str| {
            let message = wire::message(nonce, request.method, path, request.target.query(), &body);
            recover(&personal_message_hash(&message), &signature) == Some(address)
        };
        if !signs(request.target.path()) {
            signed_decoded(request.target.path(), signs, &address)?;
        }
        let until = nonce.plus(WINDOW);
        let spend = Spend {
            id: Id::of(&[b"asymmetric/1", address.as_bytes(), &nonce.as_millis().to_be_bytes()]),
            created: Some(nonce),
            received_at: request.received_at,
            until: until.plus(SKEW),
        };
        let mut spends = vec![Spending::Proof { spend, replayed: Code::SignatureReplayed }];
        if self.rising {
            spends.push(Spending::Rising {
                space: LAST_NONCES,
                id: Id::of(&[b"asymmetric/1", address.as_bytes()]),
                value: nonce.as_millis(),
                until: spend.until,
                not_higher: Code::SignatureReplayed,
            });
        }
        let principal = Principal::vouch_for(Subject::Ethereum(address));
        let fresh_until = Some(until.min(timestamp.plus(WINDOW)));
        Ok(Proven { spends, fresh_until, ..Proven::outright(principal) })
    }

    fn challenge(&self) -> Option<Challenge> {
        Some(Challenge::new("AsymmetricAuthentication"))
    }
}

/// Whether what was signed is the path as it is decoded, which is how the seed's client signs what it writes with
/// spaces, and how its package reads every path; and is no other request's.
fn signed_decoded(path: &str, signs: impl Fn(&str) -> bool, address: &Address) -> Result<(), Denial> {
    let cause = match wire::decoded_path(path) {
        Ok(Some(decoded)) if signs(&decoded) => return Ok(()),
        Err(decoded) if signs(&decoded) => {
            "signed is the path as it is decoded, and that is the path of other requests as well: sign it as it is sent"
                .to_owned()
        }
        _ => format!("the signature is not that of {address}, or of another request"),
    };
    Err(Denial::new(Code::SignatureInvalid, cause))
}

fn near(name: &str, moment: Timestamp, received_at: Timestamp) -> Result<(), Denial> {
    if moment.plus(WINDOW) <= received_at {
        return Err(Denial::new(Code::ProofExpired, format!("the {name} is {moment}")));
    }
    if moment > received_at.plus(WINDOW) {
        return Err(Denial::new(Code::ProofFuture, format!("the {name} is {moment}")));
    }
    Ok(())
}
