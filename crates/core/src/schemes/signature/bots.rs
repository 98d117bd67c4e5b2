//! Web Bot Auth (draft-meunier-web-bot-auth-architecture): requests that listed agents sign.
//!
//! Who is proven is `<agent's origin>#<thumbprint of its key>`, as `https://agent.example#…`. Agents are
//! listed by the operator, so that not anybody can enrol.
//!
//! These signatures cover less than ours: an agent need cover neither path nor method. So they count for
//! safe methods alone, live an hour at most where the draft recommends a day at most, and are spent.
//!
//! | what leaks | what it opens |
//! |---|---|
//! | a request that has arrived | nothing: its nonce, or what it says, is spent |
//! | a request on its way that never arrives | bearer-class: one safe request to this authority, as that key of the agent, until `expires`; what is covered cannot be changed |
//! | the directory, the cache | nothing: public keys |

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Method};
use sfv::{BareItem, Dictionary, Item, ListEntry, Parser};

use super::base::signature_base;
use super::component::{Derived, Name};
use super::directory::Directories;
use super::explain::with_base;
use super::message::Message;
use super::profile::{MAX_NONCE, covers_body, covers_field, missing, plainly, uncovered_field, within};
use super::signed::Signed;
use super::verify::verify;
use crate::denial::{Code, Denial};
use crate::fetch::Fetch;
use crate::principal::{Principal, Subject};
use crate::public_url::PublicUrl;
use crate::request::RequestView;
use crate::store::{Id, Spend};
use crate::time::{SKEW, Timestamp};
use crate::verifier::Proven;

/// The tag of signatures by web bots.
pub const WEB_BOT_AUTH: &str = "web-bot-auth";
/// The field that says where an agent's keys are.
pub const SIGNATURE_AGENT: HeaderName = HeaderName::from_static("signature-agent");

/// From `created` to `expires`, at most.
const MAX_LIFE: Duration = Duration::from_secs(3600);
/// An origin that is longer is nobody's.
const LONGEST_ORIGIN: usize = 300;
/// How long `Signature-Agent` may be, all lines together, in bytes: it is parsed before any key is known.
const LONGEST_AGENTS: usize = 2048;

/// Verifies what listed agents sign.
#[derive(Clone)]
pub struct WebBots<F> {
    /// Who is listed, and their keys.
    pub directories: Arc<Directories>,
    /// Asks for their keys.
    pub fetch: F,
}

impl<F: Fetch> WebBots<F> {
    /// Time, coverage, agent, key, signature: cheap before dear, and nobody is asked before the rest holds.
    /// `unknown` is called where there is no such key.
    ///
    /// # Errors
    /// `signature_coverage`, `proof_expired`, `proof_future`, `signature_invalid`, `keys_unavailable`.
    pub(super) async fn verify(
        &self,
        signed: &Signed,
        request: &RequestView<'_>,
        unknown: impl FnOnce(),
    ) -> Result<Proven, Denial> {
        let call = Call::read(signed, request.received_at)?;
        covers(signed, request)?;
        let origin = agent(signed, request)?;
        let found = self.directories.find(&origin, call.keyid, request, &self.fetch).await;
        let found = found.inspect_err(|denial| {
            if denial.code() == Code::SignatureInvalid {
                unknown();
            }
        })?;
        let message = Message::from(request);
        verify(signed, &message, &found.key).map_err(|denial| with_base(&denial, signed, &message))?;
        let mut principal =
            Principal::vouch_for(Subject::Issued { issuer: origin.into(), sub: call.keyid.into() });
        principal.expires = found.expires;
        let spend = Spend {
            id: call.name(signed, &message, &principal.subject)?,
            created: Some(call.created),
            received_at: request.received_at,
            until: call.expires.plus(SKEW),
        };
        Ok(Proven::once(principal, spend))
    }

    /// Whether an agent's key still stands in its directory, as that was last had.
    pub(super) fn still_holds(&self, origin: &str, keyid: &str, now: Timestamp) -> bool {
        self.directories.still_lists(origin, keyid, now)
    }
}

/// The origin that `Signature-Agent` names for this signature.
fn agent(signed: &Signed, request: &RequestView<'_>) -> Result<String, Denial> {
    let lines = request.headers.get_all(SIGNATURE_AGENT).iter().map(HeaderValue::as_bytes);
    let joined = lines.collect::<Vec<_>>().join(&b", "[..]);
    if joined.len() > LONGEST_AGENTS {
        return Err(invalid("Signature-Agent is longer than anybody needs it"));
    }
    let item = agent_item(&joined, &signed.label);
    let named = item.as_ref().and_then(|item| item.bare_item.as_string());
    let label = &signed.label;
    let unnamed = || {
        invalid(format!("Signature-Agent is no string and has no member {label}, as the signature is called"))
    };
    let named = named.ok_or_else(unnamed)?;
    let kind = item.as_ref().and_then(|item| item.params.get("type"));
    let directory = |kind: &BareItem| kind.as_token().is_some_and(|kind| kind.as_str() == "directory");
    if !kind.is_none_or(directory) {
        return Err(invalid("Signature-Agent names another place for keys than a directory"));
    }
    let origin = Some(named.as_str()).filter(|named| named.len() <= LONGEST_ORIGIN);
    let origin = origin.and_then(|named| PublicUrl::parse(named).ok()).map(|origin| origin.to_string());
    origin.ok_or_else(|| invalid("Signature-Agent is no origin, https://host[:port]"))
}

/// A string is for every signature; of a dictionary, the member of the signature's own label counts.
fn agent_item(value: &[u8], label: &str) -> Option<Item> {
    if let Ok(item) = Parser::new(value).parse::<Item>() {
        return Some(item);
    }
    match Parser::new(value).parse::<Dictionary>().ok()?.swap_remove(label)? {
        ListEntry::Item(item) => Some(item),
        ListEntry::InnerList(_) => None,
    }
}

/// Whether a signature covers what one of an agent must: the authority, `Signature-Agent`, and
/// `content-digest` if a body is announced. Since it need cover neither method nor path, the method must
/// be one that changes nothing.
fn covers(signed: &Signed, request: &RequestView<'_>) -> Result<(), Denial> {
    if !matches!(*request.method, Method::GET | Method::HEAD | Method::OPTIONS) {
        let cause = "signatures of agents count for GET, HEAD and OPTIONS alone";
        return Err(Denial::new(Code::SignatureCoverage, cause));
    }
    // A newer draft takes the whole target for its authority.
    let whose = |name: &Name| matches!(name, Name::Derived(Derived::Authority | Derived::TargetUri));
    if !plainly(signed, &whose) {
        return Err(missing("@authority"));
    }
    if !covers_field(signed, SIGNATURE_AGENT.as_str()) {
        return Err(uncovered_field(signed, SIGNATURE_AGENT.as_str()));
    }
    covers_body(signed, request)
}

/// What a signature by an agent says of itself.
struct Call<'a> {
    created: Timestamp,
    expires: Timestamp,
    keyid: &'a str,
    nonce: Option<&'a str>,
}

impl<'a> Call<'a> {
    fn read(signed: &'a Signed, received_at: Timestamp) -> Result<Self, Denial> {
        let parameters = &signed.parameters;
        let created = parameters.created.ok_or_else(|| missing("created"))?;
        let expires = parameters.expires.ok_or_else(|| missing("expires"))?;
        let keyid = parameters.keyid.as_deref().filter(|keyid| !keyid.is_empty());
        let keyid = keyid.ok_or_else(|| missing("keyid"))?;
        let nonce = parameters.nonce.as_deref();
        if nonce.is_some_and(|nonce| !(1..=MAX_NONCE).contains(&nonce.len())) {
            return Err(missing("a nonce of 1 to 256 characters"));
        }
        within(created, expires, expires.plus(SKEW), MAX_LIFE, received_at)?;
        Ok(Self { created, expires, keyid, nonce })
    }

    /// What is spent: the nonce, or without one all that was signed. Not the signature's bytes, for
    /// whoever sees one of ECDSA can write it in another way that verifies too.
    fn name(&self, signed: &Signed, message: &Message<'_>, subject: &Subject) -> Result<Id, Denial> {
        let subject = subject.to_string();
        if let Some(nonce) = self.nonce {
            return Ok(Id::of(&[b"web-bot-nonce", subject.as_bytes(), nonce.as_bytes()]));
        }
        let base = signature_base(&signed.components, signed.signature_params(), message)?;
        Ok(Id::of(&[b"web-bot-base", subject.as_bytes(), base.as_bytes()]))
    }
}

fn invalid(cause: impl Into<std::borrow::Cow<'static, str>>) -> Denial {
    Denial::new(Code::SignatureInvalid, cause)
}
