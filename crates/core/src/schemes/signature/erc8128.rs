//! Message signatures by wallets: ERC-8128, "Signed HTTP Requests with Ethereum", for accounts that a key
//! controls.
//!
//! Two texts are followed, each by its own rules, told apart by `tag` and `keyid`:
//!
//! | | [`Tagged`](Erc8128Form::Tagged) | [`Untagged`](Erc8128Form::Untagged) |
//! |---|---|---|
//! | text | `ERCS/erc-8128.md` of `slice-so/ERCs` at 0f738bf3768206ee1860716047d5382a7c08d9b3 | the same file of `ethereum/ERCs` at 0a15bd5ff00fdabc5bacbe3abe7bdf2d427286ea |
//! | who sends it | our own half | npm `@slicekit/erc8128` 0.1 and 0.2, the crate `erc8128` 0.3 |
//! | `tag` | `erc8128` | none |
//! | `keyid` | `eip155:<chain>:<address>`, lower case | `erc8128:<chain>:<address>`, any case |
//! | covered at least | `@scheme @authority @method @path @query`, and what is there of `content-digest` and `content-type` | `@authority @method @path`, `@query` if there is one, `content-digest` if it is there |
//!
//! Both want a nonce here, and no `alg`. Of several signatures by wallets the first that holds counts, and
//! one whose bytes are missing, or that cannot be read, is passed over.
//!
//! Four things differ from the texts, each to the stricter side: only request-bound signatures with a nonce
//! count; a label or parameter that is there twice is refused, where the draft takes the last; a signature
//! whose nonce was used refuses the request, whatever else it carries; and nobody asks a chain, so that an
//! account whose code (ERC-1271, EIP-7702) would judge its signatures itself is not noticed. A route that
//! lets wallets in trusts keys, not contracts.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use sfv::{Dictionary, KeyRef, Parser};

use super::base::signature_base;
use super::component::{Component, Derived, Name};
use super::digest::CONTENT_DIGEST;
use super::input::{SIGNATURE, SIGNATURE_INPUT};
use super::message::{Message, Start};
use super::signed::{Parameters, Signed};
use super::signer::{SignError, cover_floor, signature_params};
use crate::crypto::ethereum::{Address, EthereumKey, RecoverableSignature, personal_message_hash, recover};
use crate::denial::{Code, Denial};

/// The `tag` of these signatures.
pub const ERC8128: &str = "erc8128";
/// How long a nonce may be, in characters (§3.1.2).
const LONGEST_NONCE: usize = 128;
/// How many digits a chain's number may have: as many as a CAIP-2 reference has characters.
const LONGEST_CHAIN: usize = 32;

/// How a wallet's signature says that it is one, and whose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Erc8128Form {
    /// `tag="erc8128"` and `eip155:<chain>:<address>`.
    #[default]
    Tagged,
    /// No tag, and `erc8128:<chain>:<address>`: what published libraries send.
    Untagged,
}

impl Erc8128Form {
    /// Which a signature with these parameters claims to be. `None`: no wallet's.
    #[must_use]
    pub fn of(parameters: &Parameters) -> Option<Self> {
        match (parameters.tag.as_deref(), parameters.keyid.as_deref()) {
            (Some(ERC8128), _) => Some(Self::Tagged),
            (None, Some(keyid)) if keyid.starts_with(Self::Untagged.namespace()) => Some(Self::Untagged),
            _ => None,
        }
    }

    /// What a `keyid` begins with.
    const fn namespace(self) -> &'static str {
        match self {
            Self::Tagged => "eip155:",
            Self::Untagged => "erc8128:",
        }
    }

    /// The account of a `keyid` (§3.3.1): the chain's number without leading zeros.
    fn account(self, keyid: &str) -> Option<Account> {
        let (chain, address) = keyid.strip_prefix(self.namespace())?.split_once(':')?;
        let is_number = (1..=LONGEST_CHAIN).contains(&chain.len())
            && chain.bytes().all(|digit| digit.is_ascii_digit())
            && (chain == "0" || !chain.starts_with('0'));
        let lower = address.to_ascii_lowercase();
        // "Verifiers MUST treat address hex as case-insensitive" in the one text, and as lower case in the other.
        let is_spelt = self == Self::Untagged || lower == address;
        let parsed = Address::parse(&lower).ok().filter(|_| address.starts_with("0x"))?;
        (is_number && is_spelt).then(|| Account { chain: chain.to_owned(), address: parsed })
    }

    /// What makes a signature request-bound (§3.1.1) whatever the headers are.
    fn parts(self, has_query: bool) -> &'static [Derived] {
        match (self, has_query) {
            (Self::Tagged, _) => {
                &[Derived::Scheme, Derived::Authority, Derived::Method, Derived::Path, Derived::Query]
            }
            (Self::Untagged, true) => &[Derived::Authority, Derived::Method, Derived::Path, Derived::Query],
            (Self::Untagged, false) => &[Derived::Authority, Derived::Method, Derived::Path],
        }
    }
}

/// An account on a chain, as CAIP-10 writes it in either form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The chain's number.
    pub chain: String,
    /// The account's address.
    pub address: Address,
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}:{}", Erc8128Form::Tagged.namespace(), self.chain, self.address)
    }
}

/// Whether `signed` is a signature of `message` by the account that its `keyid` names; that account.
///
/// This judges what is particular to wallets: `keyid`, `nonce`, the missing `alg`, what §3.1.1 wants
/// covered, and the signature (§3.4.3). Times, a body that was announced and its digest are judged as for
/// every signature; an account's nonce is spent together with the account, chain included.
///
/// # Errors
/// `signature_coverage` if what its [`Erc8128Form`] wants covered is not (not even by `@target-uri`), or
/// there is no `keyid` or no nonce of 1 to 128 characters; otherwise `signature_invalid`.
pub fn verify_erc8128(signed: &Signed, message: &Message<'_>) -> Result<Account, Denial> {
    let Parameters { alg, keyid, nonce, .. } = &signed.parameters;
    let form = Erc8128Form::of(&signed.parameters).ok_or_else(|| invalid("the tag is not erc8128"))?;
    if alg.is_some() {
        return Err(invalid("a wallet's signature has no alg"));
    }
    let keyid = keyid.as_deref().ok_or_else(|| uncovered("keyid"))?;
    let spelling = || invalid(format!("the keyid is not {}<chain>:<address>", form.namespace()));
    let account = form.account(keyid).ok_or_else(spelling)?;
    if !nonce.as_deref().is_some_and(|nonce| (1..=LONGEST_NONCE).contains(&nonce.len())) {
        return Err(uncovered("a nonce of 1 to 128 characters"));
    }
    is_bound(signed, message, form)?;
    let signature = RecoverableSignature::try_from(&signed.signature[..])
        .map_err(|_| invalid("a key's signature has 65 bytes"))?;
    if !matches!(signature[64], 27 | 28) {
        return Err(invalid("v is neither 27 nor 28"));
    }
    let base = signature_base(&signed.components, signed.signature_params(), message)?;
    if recover(&personal_message_hash(base.as_bytes()), &signature) != Some(account.address) {
        return Err(invalid(format!("{} is not a signature by {}", signed.label, account.address)));
    }
    Ok(account)
}

/// As whom a wallet signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignAs {
    /// The chain that its account is on.
    pub chain: u64,
    /// What the receiver reads.
    pub form: Erc8128Form,
}

/// On the main network, tagged.
impl Default for SignAs {
    fn default() -> Self {
        Self { chain: 1, form: Erc8128Form::Tagged }
    }
}

/// Signs a request's head with an account's key: adds a member `label` to `Signature-Input` and to
/// `Signature`. Covers what its form asks, and `content-type` where it is there. Of `parameters`, `created`,
/// `expires` and `nonce` are the caller's and must be there; `keyid` and `tag` are made here, and `alg` is
/// left out.
///
/// # Errors
/// [`SignError`]; then the headers are untouched.
#[expect(clippy::too_many_arguments, reason = "as `sign`, and as whom")]
pub fn sign_erc8128(
    headers: &mut HeaderMap,
    method: &Method,
    target: &Uri,
    has_body: bool,
    label: &str,
    sign_as: SignAs,
    parameters: &Parameters,
    key: &EthereumKey,
) -> Result<(), SignError> {
    KeyRef::from_str(label).map_err(|_| SignError::Label(label.to_owned()))?;
    is_free(headers, &SIGNATURE_INPUT, "Signature-Input", label)?;
    is_free(headers, &SIGNATURE, "Signature", label)?;
    let SignAs { chain, form } = sign_as;
    let mut components = cover_floor(headers, has_body);
    if form == Erc8128Form::Untagged {
        // Its libraries know no `@scheme`, and no `@query` where there is none.
        let has_query = target.query().is_some();
        let unknown = |component: &Component| match component.name() {
            Name::Derived(part) => !form.parts(has_query).contains(part),
            Name::Field(_) => false,
        };
        components.retain(|component| !unknown(component));
    }
    let account = format!("{}{chain}:{}", form.namespace(), key.address());
    let parameters = whole(parameters, account, form)?;
    let text = signature_params(&components, &parameters)?;
    let base = signature_base(&components, &text, &Message::request(method, target, headers))?;
    let signature = STANDARD.encode(key.sign_personal_message(base.as_bytes()));
    // Lines of a dictionary are one dictionary (RFC 9651 §3.2).
    let line = |text: String, name| HeaderValue::try_from(text).map_err(|_| SignError::Parameter(name));
    let input = line(format!("{label}={text}"), "Signature-Input")?;
    let signature = line(format!("{label}=:{signature}:"), "Signature")?;
    headers.append(SIGNATURE_INPUT, input);
    headers.append(SIGNATURE, signature);
    Ok(())
}

/// What makes a signature request-bound (§3.1.1): each of these, without parameters.
fn is_bound(signed: &Signed, message: &Message<'_>, form: Erc8128Form) -> Result<(), Denial> {
    let covers = |wanted: &Name| {
        signed.components.iter().any(|component| component.is_plain() && component.name() == wanted)
    };
    let has_query = matches!(message.start, Start::Request { target, .. } if target.query().is_some());
    if let Some(part) = form.parts(has_query).iter().find(|part| !covers(&Name::Derived(**part))) {
        return Err(uncovered(Component::derived(*part).as_str()));
    }
    let fields: &[HeaderName] = match form {
        Erc8128Form::Tagged => &[CONTENT_DIGEST, CONTENT_TYPE],
        Erc8128Form::Untagged => &[CONTENT_DIGEST],
    };
    let there = |name: &&HeaderName| message.headers.contains_key(*name);
    match fields.iter().filter(there).find(|name| !covers(&Name::Field((*name).clone()))) {
        Some(name) => Err(uncovered(name.as_str())),
        None => Ok(()),
    }
}

/// The parameters, with what is the form's own.
fn whole(parameters: &Parameters, keyid: String, form: Erc8128Form) -> Result<Parameters, SignError> {
    let Parameters { created, expires, nonce, .. } = parameters;
    created.ok_or(SignError::Parameter("created"))?;
    expires.ok_or(SignError::Parameter("expires"))?;
    // What would need escapes is no nonce that anybody makes.
    let is_plain = |byte: u8| (b' '..=b'~').contains(&byte) && byte != b'"' && byte != b'\\';
    let nonce = nonce.as_deref().filter(|nonce| (1..=LONGEST_NONCE).contains(&nonce.len()));
    let nonce = nonce.filter(|nonce| nonce.bytes().all(is_plain)).ok_or(SignError::Parameter("nonce"))?;
    Ok(Parameters {
        created: *created,
        expires: *expires,
        nonce: Some(nonce.to_owned()),
        alg: None,
        keyid: Some(keyid),
        tag: (form == Erc8128Form::Tagged).then(|| ERC8128.to_owned()),
    })
}

fn is_free(
    headers: &HeaderMap,
    name: &HeaderName,
    shown: &'static str,
    label: &str,
) -> Result<(), SignError> {
    for line in headers.get_all(name) {
        let members = Parser::new(line.as_bytes()).parse::<Dictionary>();
        if members.map_err(|_| SignError::Header(shown))?.contains_key(label) {
            return Err(SignError::LabelTaken(label.to_owned()));
        }
    }
    Ok(())
}

fn invalid(cause: impl Into<std::borrow::Cow<'static, str>>) -> Denial {
    Denial::new(Code::SignatureInvalid, cause)
}

fn uncovered(what: &str) -> Denial {
    Denial::new(Code::SignatureCoverage, format!("{what} is not covered"))
}
