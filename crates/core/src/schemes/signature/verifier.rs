//! The verifier of signed requests: registered keys, API keys that never travel, wallets, and web bots
//! (whose own table is with them).
//!
//! | what leaks | what it opens |
//! |---|---|
//! | a signed request | nothing: it covers method, target and body, and its nonce is spent |
//! | the database | nothing: it holds public keys, and HMAC secrets sealed |
//! | a log, a metric, a decision | nothing |

use std::cell::RefCell;
use std::sync::Arc;

use http::{HeaderName, HeaderValue};

use super::accept::{ACCEPT_SIGNATURE, Wanted};
use super::bots::{SIGNATURE_AGENT, WEB_BOT_AUTH, WebBots};
use super::difference::{BASE_DIGESTS, difference};
use super::erc8128::{ERC8128, Erc8128Form, verify_erc8128};
use super::input::{Presented, Role, SIGNATURE, SIGNATURE_INPUT};
use super::judge::{Judged, judge};
use super::keys::RegisteredKeys;
use super::message::Message;
use super::profile::{Fresh, covered_body, covers, covers_body, fresh_inclusive};
use super::signed::{Parameters, Signed};
use crate::denial::{Challenge, Code, Denial};
use crate::fetch::{AskNobody, Fetch};
use crate::principal::{Principal, Scheme, Subject};
use crate::redaction::redact_path;
use crate::request::{BodySource, Carrier, RequestView};
use crate::store::{Id, Spend, Store, StoreError};
use crate::time::Timestamp;
use crate::verifier::{AskingNobody, Proven, Verifier};

/// The tag of signatures by registered keys and API keys.
pub const COUNTERSIGN: &str = "countersign";
/// The labels that we ask for.
const LABEL: &str = "sig1";
const WALLET_LABEL: &str = "eth";
/// How much of another's tag, in characters.
const LONGEST_TAG: usize = 40;

/// Verifies signed requests by the tag that they are signed for.
#[derive(Clone)]
pub struct SignatureVerifier<S, F> {
    /// What `keyid` names.
    pub keys: Arc<RegisteredKeys<S>>,
    /// Also signatures by wallets, ERC-8128 in either form.
    pub wallets: bool,
    /// Also signatures by listed web bots.
    pub bots: Option<WebBots<F>>,
    /// Also signatures without a tag, by registered keys: for clients that cannot tag.
    pub untagged: bool,
    /// How large a body under a signature may be, in bytes.
    pub max_signed_body: usize,
}

impl<S: Store, F: Fetch> Verifier for SignatureVerifier<S, F> {
    type Credential = Presented;

    fn scheme(&self) -> Scheme {
        Scheme::Signature
    }

    fn may_stand_for(&self) -> Option<Scheme> {
        Some(Scheme::ApiKey)
    }

    fn carriers(&self) -> Vec<Carrier> {
        let agent = self.bots.is_some().then_some(SIGNATURE_AGENT);
        let headers = [SIGNATURE_INPUT, SIGNATURE, BASE_DIGESTS].into_iter().chain(agent);
        headers.map(Carrier::Header).collect()
    }

    fn extract(&self, request: &RequestView<'_>) -> Result<Option<Presented>, Denial> {
        // Nearly every request of an API key is not signed, and costs nothing here.
        if !request.headers.contains_key(SIGNATURE_INPUT) {
            return Ok(None);
        }
        let presented = Presented::read(request.headers, &|parameters| self.role(parameters))?;
        if presented.may.iter().all(Result::is_err)
            && let Some(Err(denial)) = presented.may.first()
        {
            return Err(denial.clone());
        }
        let is_none = presented.must.is_empty() && presented.may.is_empty();
        Ok((!is_none).then_some(presented))
    }

    fn overlooks(&self, request: &RequestView<'_>) -> Vec<String> {
        let found = RefCell::new(Vec::new());
        // Read again only to see what each is; whatever cannot be read was refused before.
        let _ = Presented::read(request.headers, &|parameters| {
            let mut found = found.borrow_mut();
            if let Some(why) = self.overlooked(parameters).filter(|why| !found.contains(why)) {
                found.push(why);
            }
            Role::Others
        });
        found.into_inner()
    }

    async fn verify(
        &self,
        credential: Presented,
        request: &RequestView<'_>,
        _body: &mut dyn BodySource,
    ) -> Result<Proven, Denial> {
        let mut all: Option<Proven> = None;
        for signed in &credential.must {
            let proven = self.verify_one(signed, request).await?;
            all = Some(match all {
                None => proven,
                Some(before) => together(before, proven)?,
            });
        }
        if let Some(wallet) = first_wallet(&credential.may, request) {
            // First who signed: what nobody signed says nothing of its body.
            let wallet = wallet?;
            let wallet = Proven { body: covered_body(request, self.max_signed_body)?, ..wallet };
            all = Some(match all {
                None => wallet,
                Some(before) => together(before, wallet)?,
            });
        }
        all.ok_or_else(|| Denial::new(Code::CredentialMissing, "there is no signature"))
    }

    fn asking_nobody(&self) -> Option<AskingNobody> {
        let bots = self.bots.as_ref()?;
        let bots = Some(WebBots { directories: bots.directories.clone(), fetch: AskNobody });
        let Self { keys, wallets, bots: _, untagged, max_signed_body } = self;
        let (keys, wallets, untagged, max_signed_body) =
            (keys.clone(), *wallets, *untagged, *max_signed_body);
        Some(AskingNobody::of(SignatureVerifier { keys, wallets, bots, untagged, max_signed_body }))
    }

    fn challenge(&self) -> Option<Challenge> {
        Some(Challenge::new("Signature"))
    }

    fn also_challenges(&self) -> Option<Challenge> {
        // ERC-8128 §6.
        self.wallets.then(|| Challenge::new("ERC8128"))
    }

    fn asks(&self, request: &RequestView<'_>) -> Option<(HeaderName, HeaderValue)> {
        let mut wanted = vec![Wanted::of_request(request, LABEL, COUNTERSIGN, &[])];
        if self.wallets {
            wanted.push(Wanted::of_request(request, WALLET_LABEL, ERC8128, &[]));
        }
        Wanted::header(&wanted).ok().map(|value| (ACCEPT_SIGNATURE, value))
    }

    async fn still_holds(&self, principal: &Principal, now: Timestamp) -> Result<bool, StoreError> {
        match (&principal.subject, &self.bots) {
            (Subject::Key(id), _) => self.keys.still_holds(*id, now).await,
            (Subject::Issued { issuer, sub }, Some(bots)) => Ok(bots.still_holds(issuer, sub, now)),
            // A wallet is nobody's to revoke.
            _ => Ok(true),
        }
    }
}

impl<S: Store, F: Fetch> SignatureVerifier<S, F> {
    async fn verify_one(&self, signed: &Signed, request: &RequestView<'_>) -> Result<Proven, Denial> {
        let message = Message::from(request);
        if let Some(bots) = &self.bots
            && signed.parameters.tag.as_deref() == Some(WEB_BOT_AUTH)
        {
            let unknown = || self.keys.lose_time(signed, &message);
            let proven = bots.verify(signed, request, unknown).await;
            let proven = proven.map_err(|denial| told(denial, signed, request))?;
            return Ok(Proven { body: covered_body(request, self.max_signed_body)?, ..proven });
        }
        let find = async |keyid: &str| {
            let found = self.keys.find(keyid, request.received_at).await;
            // An unknown key costs what a wrong one costs, and looks like it.
            found.inspect_err(|_| self.keys.lose_time(signed, &message))
        };
        let judged = judge(signed, request, &[], self.max_signed_body, find).await;
        let Judged { proof, key: found, body } = judged.map_err(|denial| told(denial, signed, request))?;
        let principal = found.principal();
        let spend = spend(&principal.subject.to_string(), &proof, request);
        Ok(Proven {
            also: found.is_api_key.then_some(Scheme::ApiKey),
            notes: vec![self.keys.use_of(&found, request)],
            body,
            ..Proven::once(principal, spend)
        })
    }

    /// Why a signature is not read.
    fn overlooked(&self, parameters: &Parameters) -> Option<String> {
        if self.role(parameters) != Role::Others {
            return None;
        }
        let keyid = parameters.keyid.as_deref().unwrap_or_default();
        Some(match parameters.tag.as_deref() {
            _ if Erc8128Form::of(parameters).is_some() => {
                "a wallet's signature (ERC-8128) is there, and wallets are not let in here: [signature] wallets".to_owned()
            }
            None | Some("") if keyid.starts_with("eip155:") => {
                format!("a signature of an account is there without tag=\"{ERC8128}\"")
            }
            None | Some("") => format!(
                "a signature without a tag is there: it needs tag=\"{COUNTERSIGN}\", or the route untagged = true"
            ),
            Some(WEB_BOT_AUTH) => {
                "a web bot's signature is there, and no agent is listed: [signature] web_bot_auth".to_owned()
            }
            Some("webhook-intro" | "webhook-key") => {
                "a signature of the scheme webhook is there, which proves nothing by itself".to_owned()
            }
            Some(tag) => format!(
                "a signature for something else is there, tag=\"{}\": \"{COUNTERSIGN}\" is what counts",
                shown_tag(tag)
            ),
        })
    }

    /// What a signature is here. The signed `tag` picks the family, and nothing falls through to another.
    fn role(&self, parameters: &Parameters) -> Role {
        if self.wallets && Erc8128Form::of(parameters).is_some() {
            return Role::May;
        }
        let is_judged = match parameters.tag.as_deref() {
            Some(COUNTERSIGN) => true,
            Some(WEB_BOT_AUTH) => self.bots.is_some(),
            None | Some("") => self.untagged,
            Some(_) => false,
        };
        if is_judged { Role::Must } else { Role::Others }
    }
}

/// The first signature by a wallet that holds; else why the first of them does not. `None`: there is none.
fn first_wallet(
    candidates: &[Result<Signed, Denial>],
    request: &RequestView<'_>,
) -> Option<Result<Proven, Denial>> {
    let mut refused: Option<Denial> = None;
    for candidate in candidates {
        match candidate.as_ref().map_err(Clone::clone).and_then(|signed| verify_wallet(signed, request)) {
            Ok(proven) => return Some(Ok(proven)),
            Err(denial) => _ = refused.get_or_insert(denial),
        }
    }
    refused.map(Err)
}

fn verify_wallet(signed: &Signed, request: &RequestView<'_>) -> Result<Proven, Denial> {
    let proof = fresh_inclusive(signed, request.received_at)?;
    match Erc8128Form::of(&signed.parameters) {
        Some(Erc8128Form::Untagged) => covers_body(signed, request)?,
        _ => covers(signed, request, &[])?,
    }
    let account = verify_erc8128(signed, &Message::from(request));
    let account = account.map_err(|denial| told(denial, signed, request))?;
    let principal = Principal::vouch_for(Subject::Ethereum(account.address));
    // Per chain and address (§3.1.2), in one spelling, so that both forms share their nonces.
    let spend = spend(&account.to_string(), &proof, request);
    Ok(Proven::once(principal, spend))
}

fn spend(signer: &str, proof: &Fresh<'_>, request: &RequestView<'_>) -> Spend {
    Spend {
        id: Id::of(&[b"signature", signer.as_bytes(), proof.nonce.as_bytes()]),
        created: Some(proof.created),
        received_at: request.received_at,
        until: proof.until,
    }
}

/// A tag that may be shown: whatever it was meant for, it may hold anything.
fn shown_tag(tag: &str) -> String {
    let start: String = tag.chars().take(LONGEST_TAG).collect();
    let cut = if start.len() < tag.len() { "…" } else { "" };
    format!("{}{cut}", redact_path(&start))
}

/// Several signatures on one request are about one subject, or about nothing.
fn together(mut before: Proven, proven: Proven) -> Result<Proven, Denial> {
    let cause = format!("signed by {} and by {}", before.principal.subject, proven.principal.subject);
    let Some(principal) = before.principal.join(*proven.principal) else {
        return Err(Denial::new(Code::SubjectMismatch, cause));
    };
    *before.principal = principal;
    before.spends.extend(proven.spends);
    before.notes.extend(proven.notes);
    before.fresh_until = before.fresh_until.min(proven.fresh_until);
    Ok(before)
}

/// Tells the caller what was covered here, and where its own account of it parts from ours. Nothing of
/// it is news to somebody who made the request.
fn told(denial: Denial, signed: &Signed, request: &RequestView<'_>) -> Denial {
    if denial.code() != Code::SignatureInvalid {
        return denial;
    }
    let covered = signed.components.iter().map(ToString::to_string).collect();
    let differs = difference(request.headers, signed, &Message::from(request));
    denial.covering(covered, differs.map(|differs| differs.to_string()))
}
