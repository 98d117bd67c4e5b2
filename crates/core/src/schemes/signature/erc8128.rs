//! Message signatures by wallets: ERC-8128, "Signed HTTP Requests with Ethereum", for accounts that a key
//! controls.
//!
//! The text followed is the draft that names its signatures by `tag="erc8128"` and accounts as CAIP-10
//! does: `ERCS/erc-8128.md` of `slice-so/ERCs` at 0f738bf3768206ee1860716047d5382a7c08d9b3 (requires 155,
//! 191, 1271, 6492, 7702), with its test vector in `vectors/ethereum.json`. An earlier draft, at
//! 0a15bd5ff00fdabc5bacbe3abe7bdf2d427286ea of `ethereum/ERCs`, had `keyid="erc8128:<chain>:<address>"`
//! and no tag; such signatures are not read.
//!
//! Three things differ from the draft, each to the stricter side: only request-bound signatures with a
//! nonce count; a label or parameter that is there twice is refused, where the draft takes the last; and
//! nobody asks a chain, so that an account whose code (ERC-1271, EIP-7702) would judge its signatures
//! itself is not noticed. A route that lets wallets in trusts keys, not contracts.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use sfv::{Dictionary, KeyRef, Parser};

use super::base::signature_base;
use super::component::{Component, Derived, Name};
use super::digest::CONTENT_DIGEST;
use super::input::{Parameters, SIGNATURE, SIGNATURE_INPUT, Signed};
use super::message::Message;
use super::signer::{SignError, cover_floor};
use crate::crypto::ethereum::{Address, EthereumKey, RecoverableSignature, personal_message_hash, recover};
use crate::denial::{Code, Denial};

/// The `tag` of these signatures.
pub const ERC8128: &str = "erc8128";
/// How long a nonce may be, in characters (§3.1.2).
const LONGEST_NONCE: usize = 128;
/// How many digits a chain's number may have: as many as a CAIP-2 reference has characters.
const LONGEST_CHAIN: usize = 32;

/// Whether `signed` is a signature of `message` by the account that its `keyid` names; that account.
///
/// This judges what is particular to wallets: `keyid`, `nonce`, the missing `alg`, what §3.1.1 wants
/// covered, and the signature (§3.4.3). Times, a body that was announced and its digest are judged as for
/// every signature, by [`fresh`](super::fresh), [`covers`](super::covers) and
/// [`ContentDigest`](super::ContentDigest); an account's nonce is spent together with the address.
///
/// # Errors
/// `signature_coverage` if `@scheme`, `@authority`, `@method`, `@path` or `@query` is not covered (not
/// even by `@target-uri`), or `content-digest` or `content-type` is there and not covered, or there is no
/// `keyid` or no nonce of 1 to 128 characters; otherwise `signature_invalid`.
pub fn verify_erc8128(signed: &Signed, message: &Message<'_>) -> Result<Address, Denial> {
    let Parameters { alg, keyid, nonce, tag, .. } = &signed.parameters;
    if tag.as_deref() != Some(ERC8128) {
        return Err(invalid("the tag is not erc8128"));
    }
    if alg.is_some() {
        return Err(invalid("a wallet's signature has no alg"));
    }
    let keyid = keyid.as_deref().ok_or_else(|| uncovered("keyid"))?;
    let address = account(keyid).ok_or_else(|| invalid("the keyid is not eip155:<chain>:<address>"))?;
    if !nonce.as_deref().is_some_and(|nonce| (1..=LONGEST_NONCE).contains(&nonce.len())) {
        return Err(uncovered("a nonce of 1 to 128 characters"));
    }
    is_bound(signed, message.headers)?;
    let signature = RecoverableSignature::try_from(&signed.signature[..])
        .map_err(|_| invalid("a key's signature has 65 bytes"))?;
    if !matches!(signature[64], 27 | 28) {
        return Err(invalid("v is neither 27 nor 28"));
    }
    let base = signature_base(&signed.components, signed.signature_params(), message)?;
    if recover(&personal_message_hash(base.as_bytes()), &signature) != Some(address) {
        return Err(invalid(format!("{} is not a signature by {address}", signed.label)));
    }
    Ok(address)
}

/// Signs a request's head with an account's key: adds a member `label` to `Signature-Input` and to
/// `Signature`. Covers what [`cover_floor`] asks. Of `parameters`, `created`, `expires` and `nonce` are
/// the caller's and must be there; `keyid` (the account on `chain`, 1 being the main network) and `tag`
/// are made here, and `alg` is left out.
///
/// # Errors
/// [`SignError`]; then the headers are untouched.
#[expect(clippy::too_many_arguments, reason = "as `sign`, and the chain")]
pub fn sign_erc8128(
    headers: &mut HeaderMap,
    method: &Method,
    target: &Uri,
    has_body: bool,
    label: &str,
    chain: u64,
    parameters: &Parameters,
    key: &EthereumKey,
) -> Result<(), SignError> {
    KeyRef::from_str(label).map_err(|_| SignError::Label(label.to_owned()))?;
    is_free(headers, &SIGNATURE_INPUT, "Signature-Input", label)?;
    is_free(headers, &SIGNATURE, "Signature", label)?;
    let components = cover_floor(headers, has_body);
    let keyid = format!("eip155:{chain}:{}", key.address());
    let text = signature_params(&components, parameters, &keyid)?;
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

/// The account of a `keyid` in its one spelling (§3.3.1): `eip155:<chain>:<address>`, the chain's number
/// without leading zeros, the address in lower case.
fn account(keyid: &str) -> Option<Address> {
    let (chain, address) = keyid.strip_prefix("eip155:")?.split_once(':')?;
    let is_number = (1..=LONGEST_CHAIN).contains(&chain.len())
        && chain.bytes().all(|digit| digit.is_ascii_digit())
        && (chain == "0" || !chain.starts_with('0'));
    let parsed = Address::parse(address).ok()?;
    (is_number && parsed.to_string() == address).then_some(parsed)
}

/// What makes a signature request-bound (§3.1.1): each of these, without parameters.
fn is_bound(signed: &Signed, headers: &HeaderMap) -> Result<(), Denial> {
    let covers = |wanted: &Name| {
        signed.components.iter().any(|component| component.is_plain() && component.name() == wanted)
    };
    let parts = [Derived::Scheme, Derived::Authority, Derived::Method, Derived::Path, Derived::Query];
    if let Some(part) = parts.into_iter().find(|part| !covers(&Name::Derived(*part))) {
        return Err(uncovered(Component::derived(part).as_str()));
    }
    let fields = [CONTENT_DIGEST, CONTENT_TYPE];
    match fields.into_iter().find(|name| headers.contains_key(name) && !covers(&Name::Field(name.clone()))) {
        Some(name) => Err(uncovered(name.as_str())),
        None => Ok(()),
    }
}

/// The value of `@signature-params`, in the order of the draft's examples.
fn signature_params(
    components: &[Component],
    parameters: &Parameters,
    keyid: &str,
) -> Result<String, SignError> {
    let moment = |moment: Option<crate::time::Timestamp>, name| {
        let seconds = moment.and_then(|moment| sfv::Integer::try_from(moment.as_secs()).ok());
        seconds.map(i64::from).ok_or(SignError::Parameter(name))
    };
    let created = moment(parameters.created, "created")?;
    let expires = moment(parameters.expires, "expires")?;
    // What would need escapes is no nonce that anybody makes.
    let is_plain = |byte: u8| (b' '..=b'~').contains(&byte) && byte != b'"' && byte != b'\\';
    let nonce = parameters.nonce.as_deref().filter(|nonce| (1..=LONGEST_NONCE).contains(&nonce.len()));
    let nonce = nonce.filter(|nonce| nonce.bytes().all(is_plain)).ok_or(SignError::Parameter("nonce"))?;
    let names: Vec<&str> = components.iter().map(Component::as_str).collect();
    let names = names.join(" ");
    Ok(format!(
        "({names});created={created};expires={expires};nonce=\"{nonce}\";keyid=\"{keyid}\";tag=\"{ERC8128}\""
    ))
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
