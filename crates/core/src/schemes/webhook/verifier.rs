//! The receiver: asks the API at the webhook URL, or verifies a key that it introduced.

use std::sync::Arc;
use std::time::Duration;

use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method};

use super::budget::Budget;
use super::exchange::{Confirmed, Exchange};
use super::hash::{HashError, TokenHash};
use super::introduction::{INTRODUCED, Introduction, KeptKey, KeyCall};
use super::url::{Callers, Listed, UrlRules, WebhookUrl, receiver_url};
use super::wire::{
    AUTHENTICATION_INFO, CHALLENGE, OFFER, SIGNATURE_AGENT, SIGNATURE_KEY, WEBHOOK_KEY, split_credential,
};
use crate::authorization::Authorization;
use crate::denial::{Challenge, Code, Denial};
use crate::fetch::{AskNobody, ChosenBy, Fetch, FetchError, FetchRequest, FetchResponse};
use crate::principal::{Principal, Scheme, Subject};
use crate::request::{BodySource, Carrier, RequestView};
use crate::schemes::signature::{Judged, SIGNATURE, SIGNATURE_INPUT, covered_body, judge};
use crate::source::Source;
use crate::spending::Note;
use crate::store::{Id, Spend, Store};
use crate::time::{SKEW, Timestamp};
use crate::verifier::{AskingNobody, Proven, Verifier};
use crate::workers::{Workers, run_on};

/// How long a requester may take to answer, from the look-up of its name to the last byte.
const PATIENCE: Duration = Duration::from_secs(2);
/// How large its answer may be, in bytes.
const LONGEST_ANSWER: usize = 8 * 1024;

/// Verifies that a request comes from the API at the webhook URL that it names.
#[derive(Clone)]
pub struct WebhookVerifier<S, F> {
    /// Introduced keys are here.
    pub store: S,
    /// Asks.
    pub fetch: F,
    /// Computes bcrypt.
    pub workers: Arc<dyn Workers>,
    /// What is in flight; one for the whole process.
    pub budget: Arc<Budget>,
    /// Who may call.
    pub callers: Arc<Callers>,
    /// What a webhook URL may look like.
    pub rules: UrlRules,
    /// How large a body under a signature may be, in bytes.
    pub max_signed_body: usize,
}

/// What a request carries for this scheme.
#[derive(Debug)]
pub enum Credential {
    /// A hash whose token is to be asked for.
    OneShot(OneShot),
    /// A signature by a key that was introduced before.
    Key(KeyCall),
}

/// A hash whose token is to be asked for.
#[derive(Debug)]
pub struct OneShot {
    /// Where to ask.
    pub url: WebhookUrl,
    /// The hash.
    pub hash: TokenHash,
}

impl Credential {
    fn url(&self) -> &WebhookUrl {
        match self {
            Self::OneShot(call) => &call.url,
            Self::Key(call) => &call.url,
        }
    }
}

impl<S: Store + Clone, F: Fetch> Verifier for WebhookVerifier<S, F> {
    type Credential = Credential;

    fn scheme(&self) -> Scheme {
        Scheme::Webhook
    }

    fn carriers(&self) -> Vec<Carrier> {
        let headers =
            [AUTHORIZATION, SIGNATURE_KEY, WEBHOOK_KEY, SIGNATURE_AGENT, SIGNATURE_INPUT, SIGNATURE];
        headers.into_iter().map(Carrier::Header).collect()
    }

    fn extract(&self, request: &RequestView<'_>) -> Result<Option<Credential>, Denial> {
        let one_shot = match Authorization::of(request)? {
            Authorization::Webhook(rest) => Some(self.one_shot(rest)?),
            _ => None,
        };
        match (one_shot, KeyCall::read(request, &self.rules)?) {
            (None, None) => Ok(None),
            (Some(call), None) => Ok(Some(Credential::OneShot(call))),
            (None, Some(call)) => Ok(Some(Credential::Key(call))),
            (Some(_), Some(_)) => {
                let cause = "a webhook credential and an introduced key's signature on one request";
                Err(Denial::new(Code::CredentialAmbiguous, cause))
            }
        }
    }

    fn claimed(&self, credential: &Credential) -> Result<Option<Principal>, Denial> {
        let url = credential.url();
        if self.callers.list(url).is_none() {
            return Err(Denial::new(Code::WebhookCaller, format!("{url} is not among webhook.callers")));
        }
        Ok(Some(self.principal(url)))
    }

    async fn verify(
        &self,
        credential: Credential,
        request: &RequestView<'_>,
        _body: &mut dyn BodySource,
    ) -> Result<Proven, Denial> {
        let Some(listed) = self.callers.list(credential.url()) else {
            return Err(Denial::new(Code::WebhookCaller, "not among webhook.callers"));
        };
        match credential {
            Credential::OneShot(call) => self.ask(call, listed, request).await,
            Credential::Key(call) => self.verify_key(call, request).await,
        }
    }

    /// With a budget of its own: whoever only wants to know takes nobody's place.
    fn asking_nobody(&self) -> Option<AskingNobody> {
        Some(AskingNobody::of(WebhookVerifier {
            store: self.store.clone(),
            fetch: AskNobody,
            workers: self.workers.clone(),
            budget: Arc::default(),
            callers: self.callers.clone(),
            rules: self.rules.clone(),
            max_signed_body: self.max_signed_body,
        }))
    }

    fn challenge(&self) -> Option<Challenge> {
        Some(Challenge::new(CHALLENGE))
    }

    fn tells(&self, _at: Timestamp) -> Option<(HeaderName, HeaderValue)> {
        Some((AUTHENTICATION_INFO, HeaderValue::from_static(OFFER)))
    }
}

impl<S: Store, F: Fetch> WebhookVerifier<S, F> {
    fn one_shot(&self, rest: &str) -> Result<OneShot, Denial> {
        let (url, hash) =
            split_credential(rest).map_err(|why| Denial::new(Code::CredentialMalformed, why))?;
        let url = WebhookUrl::parse(&url, &self.rules)
            .map_err(|error| Denial::new(Code::WebhookUrl, error.to_string()))?;
        let hash = TokenHash::parse(&hash).map_err(|error| {
            let code = match error {
                HashError::Form => Code::HashFormat,
                HashError::Cost(_) => Code::HashCost,
            };
            // A requester that hashes otherwise learns what is taken here, and tries again.
            Denial::new(code, error.to_string()).with_challenges(vec![Challenge::new(CHALLENGE)])
        })?;
        Ok(OneShot { url, hash })
    }

    fn principal(&self, url: &WebhookUrl) -> Principal {
        let mut principal = Principal::vouch_for(Subject::Webhook(url.as_str().into()));
        principal.permissions = self.callers.permissions(url);
        principal
    }

    async fn ask(&self, call: OneShot, listed: Listed, request: &RequestView<'_>) -> Result<Proven, Denial> {
        let OneShot { url, hash } = call;
        let Some(receiver_url) = receiver_url(&request.target.to_string()) else {
            return Err(Denial::new(Code::CredentialMalformed, "the request's target is no URL"));
        };
        // Cheap, and before anybody is dialled: what introduces a key must be signed with it.
        let introduction = Introduction::read(request, &url, &receiver_url)?;
        let exchange = Exchange { url: url.clone(), hash, receiver_url, introduction };
        let confirmed = self.confirm(exchange, listed, request).await?;
        let mut proven = Proven::outright(self.principal(&url));
        let (budget, source, at) =
            (self.budget.clone(), request.source.map(Source::counted_as), request.received_at);
        proven.notes.push(Note::Told(Box::new(move || budget.proven(source, at))));
        if let Some(introduction) = confirmed.introduction {
            proven.notes.push(Note::Kept {
                space: INTRODUCED,
                id: KeptKey::place(&url, &introduction.thumbprint),
                entry: introduction.entry(request.received_at),
            });
            proven.body = covered_body(request, self.max_signed_body)?;
        }
        Ok(proven)
    }

    /// Asks the API at the URL, within the budget.
    async fn confirm(
        &self,
        exchange: Exchange,
        listed: Listed,
        request: &RequestView<'_>,
    ) -> Result<Confirmed, Denial> {
        let url = exchange.url.clone();
        let (origin, hash) = (url.origin(), exchange.hash.as_str());
        let (source, at) = (request.source.map(Source::counted_as), request.received_at);
        let place = match listed {
            Listed::ByUrl => {
                let share = self.callers.in_flight();
                self.budget.enter_in_turn(origin, hash, source, at, share).await?
            }
            Listed::ByOrigin => self.budget.enter(origin, hash, source, at)?,
        };
        let response = self.fetch.fetch(question(&exchange, listed)).await;
        let FetchResponse { status, body, .. } = response.map_err(|error| no_answer(&url, &error))?;
        let answer = exchange.read(status, &body)?;
        let confirmed = if answer.is_slow() {
            let settled = run_on(&*self.workers, move || answer.settle()).await;
            settled.unwrap_or_else(|| Err(Denial::new(Code::WebhookUnreachable, "the process is ending")))
        } else {
            answer.settle()
        };
        drop(place);
        confirmed
    }

    async fn verify_key(&self, call: KeyCall, request: &RequestView<'_>) -> Result<Proven, Denial> {
        let KeyCall { url, thumbprint, signed } = call;
        let find = async |_: &str| match self.store.get(INTRODUCED, KeptKey::place(&url, &thumbprint)).await?
        {
            Some(kept) => Ok(KeptKey::decode(&kept)?),
            None => {
                let cause = format!("{url} has introduced no key {thumbprint}, or it has ended");
                Err(Denial::new(Code::WebhookKeyUnknown, cause))
            }
        };
        let judged = judge(&signed, request, &["signature-agent"], self.max_signed_body, find).await?;
        let Judged { proof, key: kept, body } = judged;
        let mut principal = self.principal(&url);
        principal.permissions = kept.limit(principal.permissions);
        let nonce =
            Id::of(&[b"webhook-key", url.as_str().as_bytes(), thumbprint.as_bytes(), proof.nonce.as_bytes()]);
        let spend = Spend {
            id: nonce,
            created: Some(proof.created),
            received_at: request.received_at,
            until: proof.expires.plus(SKEW),
        };
        Ok(Proven { body, ..Proven::once(principal, spend) })
    }
}

fn question(exchange: &Exchange, listed: Listed) -> FetchRequest {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    FetchRequest {
        method: Method::POST,
        url: exchange.url.uri(),
        headers,
        body: exchange.question().encode().into(),
        chosen_by: match listed {
            Listed::ByUrl => ChosenBy::Configuration,
            Listed::ByOrigin => ChosenBy::Request,
        },
        timeout: PATIENCE,
        max_bytes: LONGEST_ANSWER,
        // The token is consumed in one step, so that a question that came twice is answered once.
        repeatable: true,
    }
}

fn no_answer(url: &WebhookUrl, error: &FetchError) -> Denial {
    let code = match error {
        FetchError::Forbidden(_) => Code::WebhookAddressForbidden,
        FetchError::Unreachable(_) => Code::WebhookUnreachable,
        FetchError::Timeout(_) => Code::WebhookTimeout,
        // It did answer, and no token is that long.
        FetchError::TooLarge(_) => Code::WebhookDenied,
        FetchError::NotAsked => Code::WebhookNotAsked,
    };
    Denial::new(code, format!("{url}: {error}"))
}
