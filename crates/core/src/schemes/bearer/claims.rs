//! What a token says, judged by its issuer's terms: for whom and when it is, and who it is about.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::sync::Arc;

use super::issuers::{FOREIGN_TYPES, IssuerTerms};
use crate::claim_path::ClaimPath;
use crate::crypto::jwt::{Claims, Json, Jwt};
use crate::denial::{Code, Denial};
use crate::issuer::KeyName;
use crate::principal::{Permissions, Principal, Subject};
use crate::time::{SKEW, Timestamp};

/// A `sub` has at most so many characters, of ASCII (OpenID Connect Core §2).
const LONGEST_SUB: usize = 255;
/// Claims about the token, not about its subject; and those that have become something else.
const OF_THE_TOKEN: [&str; 9] = ["iss", "sub", "aud", "exp", "nbf", "iat", "jti", "cnf", "scope"];

/// Whether the token is of a type that its issuer's access tokens have. ID tokens are of type `JWT`, or
/// state none.
///
/// # Errors
/// `token_type`.
pub(super) fn check_type(jwt: &Jwt<'_>, terms: &IssuerTerms) -> Result<(), Denial> {
    let accepted = |typ: &String| if typ.is_empty() { !jwt.has_type() } else { jwt.is_type(typ) };
    let is_foreign = FOREIGN_TYPES.iter().any(|typ| jwt.is_type(typ));
    let is_id_token = terms.id_tokens && (!jwt.has_type() || jwt.is_type("JWT"));
    if !is_foreign && (is_id_token || terms.types.iter().any(accepted)) {
        return Ok(());
    }
    let cause = format!("tokens of {} are of type {}", terms.issuer, terms.types.join(" or "));
    Err(Denial::new(Code::TokenType, cause))
}

/// Whether the token is for us and for now; and since when it is accepted.
///
/// # Errors
/// `token_claims`, `token_audience`, `token_expired`; `token_invalid` before its time.
pub(super) fn check_aim(
    claims: &Claims<'_>,
    terms: &IssuerTerms,
    now: Timestamp,
) -> Result<Timestamp, Denial> {
    let moment = |name: &'static str| claims.moment(name).map_err(mistyped);
    let expires = moment("exp")?.ok_or_else(|| missing("exp"))?;
    let (begins, issued) = (moment("nbf")?, moment("iat")?);
    check_audience(claims, terms)?;
    if let Some(client) = claims.get("azp").filter(|_| terms.id_tokens)
        && !client.as_str().is_some_and(|client| terms.audiences.iter().any(|audience| audience == client))
    {
        return Err(Denial::new(Code::TokenAudience, "azp is another client"));
    }
    if now >= expires.plus(SKEW) {
        return Err(Denial::new(Code::TokenExpired, format!("it ended at {expires}")));
    }
    for (name, moment) in [("nbf", begins), ("iat", issued)] {
        if let Some(ahead) = moment.filter(|moment| *moment > now.plus(SKEW)) {
            return Err(Denial::new(Code::TokenInvalid, format!("{name} is ahead: {ahead}")));
        }
    }
    Ok(begins.max(issued).unwrap_or_default().minus(SKEW))
}

/// Whether `aud` names us or, where the issuer writes it elsewhere, the claim that its terms name. Then an `aud` that
/// is there as well names us too (RFC 7519 §4.1.3): else a token that a client got for others would pass here.
fn check_audience(claims: &Claims<'_>, terms: &IssuerTerms) -> Result<(), Denial> {
    let aud = claims.get("aud");
    let Some(path) = &terms.audience_claim else {
        return names_us(aud.ok_or_else(|| missing("aud"))?, &"aud", terms);
    };
    match at(claims, path) {
        Some(client) => names_us(client, path, terms)?,
        // An ID token's client is its `aud` (OpenID Connect Core §2).
        None if terms.id_tokens && aud.is_some() => {}
        None => return Err(missing(path)),
    }
    aud.map_or(Ok(()), |aud| names_us(aud, &"aud", terms))
}

fn names_us(audience: &Json<'_>, name: &dyn Display, terms: &IssuerTerms) -> Result<(), Denial> {
    let mut is_for_us = false;
    for ours in &terms.audiences {
        is_for_us |= audience.names(ours).ok_or_else(|| mistyped(name))?;
    }
    if is_for_us {
        return Ok(());
    }
    let cause = format!("{name} is not {}", terms.audiences.join(" or "));
    Err(Denial::new(Code::TokenAudience, cause))
}

/// Who the token is about, and the thumbprint of the key that it is bound to.
///
/// # Errors
/// `token_claims`; `token_invalid` for a binding that is not known here.
pub(super) fn principal(
    claims: &Claims<'_>,
    terms: &IssuerTerms,
) -> Result<(Principal, Option<String>), Denial> {
    let sub = claims.text("sub").map_err(mistyped)?.ok_or_else(|| missing("sub"))?;
    let subject = if terms.names_keys { key_named(sub)? } else { user_named(sub, &terms.issuer)? };
    let bound_to = claims.get("cnf").map(bound_to).transpose()?;
    let mut principal = Principal::vouch_for(subject);
    principal.permissions = permissions(claims, terms)?;
    // As long as it is accepted.
    principal.expires = claims.moment("exp").map_err(mistyped)?.map(|expires| expires.plus(SKEW));
    let about_subject = claims.iter().filter(|(name, _)| !OF_THE_TOKEN.contains(name));
    principal.claims = about_subject.map(|(name, value)| (name.to_owned(), value.to_value())).collect();
    Ok((principal, bound_to))
}

fn user_named(sub: &str, issuer: &str) -> Result<Subject, Denial> {
    // It goes into a header of the request that the upstream gets.
    let is_plain = sub.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    if sub.is_empty() || sub.len() > LONGEST_SUB || !is_plain {
        return Err(wrong("sub is no text of 1 to 255 characters of ASCII"));
    }
    Ok(Subject::Issued { issuer: issuer.into(), sub: sub.into() })
}

/// `0x…`, `eip155:0x…` and `eip155:1:0x…` (CAIP-10) are one account, whatever the chain and the case of its
/// digits.
fn key_named(sub: &str) -> Result<Subject, Denial> {
    let name = match sub.strip_prefix("eip155:") {
        Some(account) => format!("eip155:{}", without_chain(account).to_ascii_lowercase()),
        None if sub.starts_with("0x") => sub.to_ascii_lowercase(),
        None => sub.to_owned(),
    };
    let name = KeyName::parse(&name);
    let name =
        name.map_err(|_| wrong("sub is neither an address nor a thumbprint, and its issuer names keys"));
    name.map(|name| name.subject())
}

fn without_chain(account: &str) -> &str {
    match account.split_once(':') {
        Some((chain, account)) if !chain.is_empty() && chain.bytes().all(|byte| byte.is_ascii_digit()) => {
            account
        }
        _ => account,
    }
}

/// RFC 7800 §3.1: a binding that is not understood must not be passed over.
fn bound_to(cnf: &Json<'_>) -> Result<String, Denial> {
    let members = cnf.as_object().ok_or_else(|| wrong("cnf is no object"))?;
    match (members.get("jkt").and_then(Json::as_str), members.len()) {
        // 43 characters of base64url: SHA-256 (RFC 7638).
        (Some(thumbprint), 1) if thumbprint.len() == 43 => Ok(thumbprint.to_owned()),
        _ => Err(Denial::new(Code::TokenInvalid, "cnf binds it to something else than a DPoP key")),
    }
}

fn permissions(claims: &Claims<'_>, terms: &IssuerTerms) -> Result<Permissions, Denial> {
    let said = match &terms.permissions_claim {
        Some(path) => at(claims, path),
        None => claims.get("scope").or_else(|| claims.get("scp")),
    };
    let Some(said) = said else { return Ok(Permissions::Unstated) };
    let no_names = || wrong("permissions are neither text nor a list of texts");
    let names: Vec<&str> = match said {
        Json::Text(names) => names.split(' ').filter(|name| !name.is_empty()).collect(),
        Json::List(names) => names.iter().map(Json::as_str).collect::<Option<_>>().ok_or_else(no_names)?,
        _ => return Err(no_names()),
    };
    let granted: BTreeSet<Arc<str>> = match &terms.permissions {
        None => names.into_iter().map(Arc::from).collect(),
        Some(map) => names.into_iter().filter_map(|name| map.get(name)).flatten().cloned().collect(),
    };
    Ok(Permissions::Only(granted))
}

fn at<'c, 'a>(claims: &'c Claims<'a>, path: &ClaimPath) -> Option<&'c Json<'a>> {
    path.find(|name| claims.get(name), |value, name| value.as_object()?.get(name))
}

fn missing(name: impl Display) -> Denial {
    Denial::new(Code::TokenClaims, format!("{name} is missing"))
}

fn mistyped(name: impl Display) -> Denial {
    Denial::new(Code::TokenClaims, format!("{name} is of another type"))
}

fn wrong(cause: &'static str) -> Denial {
    Denial::new(Code::TokenClaims, cause)
}
