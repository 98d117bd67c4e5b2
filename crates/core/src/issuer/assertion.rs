//! Assertions: tokens that a client signs about itself (RFC 7523 §3), to say who it is or to get a token
//! for it. Each passes once.

use std::collections::BTreeSet;
use std::time::Duration;

use super::clients::{Client, ClientKey, Clients};
use crate::crypto::jwt::{Claims, Json, Jwt, JwtAlgorithm, JwtKey};
use crate::denial::{Code, Denial};
use crate::store::{Id, Spend};
use crate::time::{SKEW, Timestamp};

/// How long an assertion passes at most.
pub const LONGEST_LIFE: Duration = Duration::from_secs(300);
/// How far ahead the `exp` of one may be that says when it was made.
const FARTHEST: Duration = Duration::from_secs(3600);
/// An assertion that is longer is none.
const LONGEST: usize = 8 * 1024;
const LONGEST_JTI: usize = 256;

/// What an assertion is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AssertedFor {
    /// `client_assertion`: who asks (RFC 7523 §2.2).
    Authentication,
    /// `assertion`: what a token is asked with (RFC 7523 §2.1).
    Grant,
}

impl AssertedFor {
    /// The types that say what the token is; what says nothing is taken too.
    const fn types(self) -> [&'static str; 2] {
        match self {
            Self::Authentication => ["JWT", "client-authentication+jwt"],
            Self::Grant => ["JWT", "authorization-grant+jwt"],
        }
    }
}

/// A client that was proven.
pub(super) struct Asserted {
    pub(super) client: Client,
    /// The thumbprint of the key that signed.
    pub(super) thumbprint: String,
    /// The assertion, to be spent.
    pub(super) spend: Spend,
}

/// Whom assertions are for: our own names.
pub(super) struct Audiences {
    pub(super) issuer: String,
    pub(super) token_endpoint: String,
}

/// Judges an assertion, and spends nothing. An unknown client looks like a wrong signature.
///
/// # Errors
/// `token_invalid` and `token_expired` with the check that failed; `store_unavailable`, `keys_unavailable`.
pub(super) async fn judge(
    token: &str,
    asserted_for: AssertedFor,
    ours: &Audiences,
    clients: &Clients,
    now: Timestamp,
) -> Result<Asserted, Denial> {
    let mut buffer = Vec::new();
    let jwt = Jwt::parse(token, LONGEST, &mut buffer).map_err(|error| invalid(error.to_string()))?;
    if jwt.has_type() && !asserted_for.types().into_iter().any(|typ| jwt.is_type(typ)) {
        return Err(invalid("the assertion's typ is that of another kind of token"));
    }
    let claims = jwt.unverified_claims().map_err(|error| invalid(error.to_string()))?;
    let issuer = text(&claims, "iss")?;
    let subject = text(&claims, "sub")?;
    let (until, created) = times(&claims, now)?;
    audience(&claims, ours)?;
    let jti = text(&claims, "jti")?;
    if jti.len() > LONGEST_JTI {
        return Err(invalid("jti has more than 256 bytes"));
    }
    let client = clients.find(issuer, now).await?;
    let Some(client) = client else {
        clients.lose_time(token);
        return Err(invalid(format!("no client is called {}", shown(issuer))));
    };
    let signer = client.candidates(jwt.key_id()).find(|key| jwt.verify(key.key()).is_ok());
    let Some(signer) = signer else {
        return Err(invalid(unsigned(&client, &jwt)));
    };
    // A grant may name the key itself, which is what the token will say.
    let names_key = asserted_for == AssertedFor::Grant && subject == signer.thumbprint();
    if subject != issuer && !names_key {
        return Err(invalid("sub is not iss: a client speaks for itself alone"));
    }
    let thumbprint = signer.thumbprint().to_owned();
    let id = Id::of(&[b"client-assertion/1", client.id.as_bytes(), jti.as_bytes()]);
    Ok(Asserted { client, thumbprint, spend: Spend { id, created, received_at: now, until } })
}

/// Why no key of a client signed an assertion: for whoever finds out what the client's library was told.
fn unsigned(client: &Client, jwt: &Jwt<'_>) -> String {
    let keys = client.candidates(jwt.key_id()).map(ClientKey::key);
    let allowed: BTreeSet<_> = keys.flat_map(JwtKey::algorithms).map(JwtAlgorithm::as_str).collect();
    let named = JwtAlgorithm::from_name(jwt.algorithm()).map(JwtAlgorithm::as_str);
    if allowed.is_empty() || named.is_some_and(|named| allowed.contains(named)) {
        return format!("no key of {} signed this", client.id);
    }
    let allowed: Vec<_> = allowed.into_iter().collect();
    let (id, said) = (&client.id, shown(jwt.algorithm()));
    format!("no key of {id} signs with {said}, which the assertion names: with {}", allowed.join(", "))
}

/// Until when the assertion would pass, and when it was made, if it says so. One that says so lives for 5 minutes
/// from then, whatever its `exp`: some libraries always write an hour.
fn times(claims: &Claims<'_>, now: Timestamp) -> Result<(Timestamp, Option<Timestamp>), Denial> {
    let moment =
        |name| claims.moment(name).map_err(|name| invalid(format!("{name} is no number of seconds")));
    let expires = moment("exp")?.ok_or_else(|| invalid("exp is missing"))?;
    let (created, begins) = (moment("iat")?, moment("nbf")?);
    let (until, farthest) = match created {
        Some(created) => (expires.min(created.plus(LONGEST_LIFE)), FARTHEST),
        None => (expires, LONGEST_LIFE),
    };
    if until.plus(SKEW) <= now {
        return Err(Denial::new(Code::TokenExpired, format!("the assertion expired at {until}")));
    }
    if expires > now.plus(farthest).plus(SKEW) {
        return Err(invalid(format!("exp is {expires}, too far ahead")));
    }
    if created.is_some_and(|created| created > now.plus(SKEW)) {
        return Err(invalid("iat is ahead"));
    }
    if begins.is_some_and(|begins| begins > now.plus(SKEW)) {
        return Err(invalid("nbf is ahead"));
    }
    Ok((until.plus(SKEW), created))
}

/// Every audience is one of our names: what is for others as well could be carried on by them.
fn audience(claims: &Claims<'_>, ours: &Audiences) -> Result<(), Denial> {
    let is_ours = |name: &str| name == ours.issuer || name == ours.token_endpoint;
    let all_ours = match claims.get("aud") {
        Some(Json::Text(name)) => is_ours(name),
        Some(Json::List(names)) => {
            !names.is_empty() && names.iter().all(|name| name.as_str().is_some_and(is_ours))
        }
        _ => false,
    };
    if all_ours { Ok(()) } else { Err(invalid("aud is not our issuer or token endpoint alone")) }
}

fn text<'c>(claims: &'c Claims<'_>, name: &str) -> Result<&'c str, Denial> {
    let text = claims.text(name).ok().flatten().filter(|text| !text.is_empty());
    text.ok_or_else(|| invalid(format!("{name} is missing, or no string")))
}

fn invalid(cause: impl Into<std::borrow::Cow<'static, str>>) -> Denial {
    Denial::new(Code::TokenInvalid, cause)
}

/// What somebody claims to be called, short enough for a line.
fn shown(name: &str) -> String {
    name.chars().take(40).collect()
}
