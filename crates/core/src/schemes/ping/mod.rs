//! A scheme that believes what it is told: for tests, and to show what a scheme's author writes. It is in no program that
//! serves anybody.
//!
//! | what leaks | what it opens |
//! |---|---|
//! | nothing | everything: whoever says a name has it |

pub mod signer;
pub mod wire;

use std::time::Duration;

use crate::denial::{Challenge, Code, Denial};
use crate::principal::{Principal, Scheme, Subject};
use crate::request::{BodySource, Carrier, RequestView};
use crate::store::{Id, Spend};
use crate::verifier::{Proven, Verifier};

use wire::{Credential, PING};

/// How long a number is remembered.
const REMEMBERED: Duration = Duration::from_secs(60);

/// Believes every name, once with each number.
#[derive(Clone, Copy, Debug, Default)]
pub struct PingVerifier;

impl Verifier for PingVerifier {
    type Credential = Credential;

    fn scheme(&self) -> Scheme {
        Scheme::Ping
    }

    fn carriers(&self) -> Vec<Carrier> {
        vec![Carrier::Header(PING)]
    }

    fn extract(&self, request: &RequestView<'_>) -> Result<Option<Credential>, Denial> {
        let Some(text) = request.single_header(&PING)? else { return Ok(None) };
        let malformed = || Denial::new(Code::CredentialMalformed, "Ping is no name and a number");
        Credential::parse(text).map(Some).ok_or_else(malformed)
    }

    async fn verify(
        &self,
        credential: Credential,
        request: &RequestView<'_>,
        _body: &mut dyn BodySource,
    ) -> Result<Proven, Denial> {
        let Credential { name, number } = credential;
        let spend = Spend {
            id: Id::of(&[b"ping", name.as_bytes(), &number.to_be_bytes()]),
            created: Some(request.received_at),
            received_at: request.received_at,
            until: request.received_at.plus(REMEMBERED),
        };
        let subject = Subject::Named(format!("ping:{name}").into());
        Ok(Proven::once(Principal::vouch_for(subject), spend))
    }

    fn challenge(&self) -> Option<Challenge> {
        Some(Challenge::new("Ping"))
    }
}
