//! Signing in with an Ethereum account: a message that people can read (EIP-4361), signed as a personal
//! message (EIP-191), which names us and carries a nonce of ours.

mod message;
mod nonce;

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

pub use message::{Message, MessageError};
pub use nonce::NONCE_LIFE;
pub(super) use nonce::Nonces;

use super::subjects::is_thumbprint;
use crate::crypto::ethereum::{Address, decode_hex, personal_message_hash, recover};
use crate::crypto::jwt::Json;
use crate::denial::{Code, Denial};
use crate::public_url::PublicUrl;
use crate::store::{Id, Spend};
use crate::time::{SKEW, Timestamp};

/// Message and signature, encoded; messages of people have some hundred bytes.
const LONGEST: usize = 12 * 1024;
/// How old a message may be.
const OLDEST: Duration = NONCE_LIFE;
/// How a resource names a DPoP key (RFC 9278).
const KEY_URN: &str = "urn:ietf:params:oauth:jwk-thumbprint:";
const KEY_URN_SHA256: &str = "urn:ietf:params:oauth:jwk-thumbprint:sha-256:";

/// Who signed in.
#[derive(Debug)]
pub(super) struct SignedIn {
    pub(super) address: Address,
    /// The only DPoP key that the tokens may be bound to, if the message names one.
    pub(super) only_key: Option<String>,
    /// The nonce, to be spent.
    pub(super) spend: Spend,
}

/// Judges `{"message","signature"}`, in base64url or as it is, and spends nothing. Cheap before dear: the
/// signature last.
///
/// # Errors
/// `token_invalid` and `token_expired` with the check that failed.
pub(super) fn judge(
    assertion: &str,
    ours: &PublicUrl,
    nonces: &Nonces<'_>,
    is_listed: impl Fn(&Address) -> bool,
    now: Timestamp,
) -> Result<SignedIn, Denial> {
    let (text, signature) = read(assertion)?;
    let message = Message::parse(&text).map_err(|error| invalid(format!("EIP-4361: {error}")))?;
    about_us(&message, ours)?;
    in_time(&message, now)?;
    let nonce = message.nonce();
    let made_at = nonces.made_at(nonce, now);
    let made_at = made_at.ok_or_else(|| invalid("the nonce is none of ours, or too old"))?;
    let only_key = only_key(&message)?;
    let address = message.address();
    if !is_listed(&address) {
        return Err(invalid(format!("{address} is not among the wallets that may sign in")));
    }
    if recover(&personal_message_hash(text.as_bytes()), &signature) != Some(address) {
        return Err(invalid(format!("the signature is not by {address}")));
    }
    let spend = Spend {
        id: Id::of(&[b"siwe-nonce/1", nonce.as_bytes()]),
        created: Some(made_at),
        received_at: now,
        until: made_at.plus(NONCE_LIFE),
    };
    Ok(SignedIn { address, only_key, spend })
}

fn read(assertion: &str) -> Result<(String, [u8; 65]), Denial> {
    if assertion.len() > LONGEST {
        return Err(invalid("message and signature are longer than is read here"));
    }
    let decoded;
    let json = match assertion.starts_with('{') {
        true => assertion.as_bytes(),
        false => {
            decoded = URL_SAFE_NO_PAD.decode(assertion).map_err(|_| invalid("neither JSON nor base64url"))?;
            &decoded
        }
    };
    let form = || invalid("not {message, signature}, both strings, once each");
    let json = Json::parse(json).ok_or_else(form)?;
    let members = json.as_object().filter(|members| members.len() == 2).ok_or_else(form)?;
    let text = |name| members.get(name).and_then(Json::as_str).ok_or_else(form);
    let signature = text("signature")?.strip_prefix("0x").and_then(decode_hex::<65>);
    let signature = signature.ok_or_else(|| invalid("the signature is not 0x and 130 hexadecimal digits"))?;
    Ok((text("message")?.to_owned(), signature))
}

/// Whoever is asked to sign in elsewhere must not sign in here with it.
fn about_us(message: &Message<'_>, ours: &PublicUrl) -> Result<(), Denial> {
    if message.domain() != ours.authority().as_str() {
        return Err(invalid("the domain is not ours"));
    }
    if message.scheme().is_some_and(|scheme| scheme != ours.scheme().as_str()) {
        return Err(invalid("the scheme is not ours"));
    }
    let origin = ours.to_string();
    let below = message.uri().strip_prefix(&origin);
    if !below.is_some_and(|below| below.is_empty() || below.starts_with('/')) {
        return Err(invalid("the URI is not ours"));
    }
    Ok(())
}

fn in_time(message: &Message<'_>, now: Timestamp) -> Result<(), Denial> {
    let expired = |cause| Err(Denial::new(Code::TokenExpired, cause));
    if message.issued_at() > now.plus(SKEW) {
        return Err(invalid("it was issued in the future"));
    }
    if message.issued_at().plus(OLDEST).plus(SKEW) <= now {
        return expired("it was issued more than 10 minutes ago");
    }
    if message.expires().is_some_and(|expires| expires.plus(SKEW) <= now) {
        return expired("its expiration time has passed");
    }
    if message.not_before().is_some_and(|begins| begins > now.plus(SKEW)) {
        return Err(invalid("its not-before time has not come"));
    }
    Ok(())
}

fn only_key(message: &Message<'_>) -> Result<Option<String>, Denial> {
    let mut keys = message.resources().iter().filter(|resource| resource.starts_with(KEY_URN));
    let Some(key) = keys.next() else { return Ok(None) };
    if keys.next().is_some() {
        return Err(invalid("two resources name a key"));
    }
    let print = key.strip_prefix(KEY_URN_SHA256).filter(|print| is_thumbprint(print));
    let print = print.ok_or_else(|| invalid("a resource names a key, and not by a SHA-256 thumbprint"))?;
    Ok(Some(print.to_owned()))
}

fn invalid(cause: impl Into<std::borrow::Cow<'static, str>>) -> Denial {
    Denial::new(Code::TokenInvalid, cause)
}
