//! The tokens themselves: access tokens (RFC 9068) and ID tokens (OpenID Connect Core §2).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use super::keyring::Keys;
use super::refresh::FamilyId;
use crate::crypto::Random;
use crate::denial::{Code, Denial};
use crate::time::Timestamp;

/// The type of access tokens (RFC 9068 §2.1).
pub const ACCESS_TOKEN: &str = "at+jwt";
/// The type of ID tokens.
pub const ID_TOKEN: &str = "JWT";
/// The scope that asks for an ID token.
pub(super) const OPENID: &str = "openid";

/// What is granted, to whom, for whom.
pub(super) struct Granted {
    pub(super) sub: String,
    pub(super) client_id: String,
    pub(super) scopes: BTreeSet<String>,
    pub(super) openid: bool,
    pub(super) jkt: Option<String>,
    pub(super) claims: BTreeMap<String, Value>,
    pub(super) family: Option<FamilyId>,
}

impl Granted {
    /// The scope as one string (RFC 6749 §3.3).
    pub(super) fn scope(&self) -> String {
        let openid = self.openid.then_some(OPENID);
        let scopes = self.scopes.iter().map(String::as_str);
        openid.into_iter().chain(scopes).collect::<Vec<_>>().join(" ")
    }
}

/// What every token of ours says.
pub(super) struct TokenTerms<'a> {
    pub(super) issuer: &'a str,
    pub(super) audience: &'a str,
    pub(super) life: Duration,
}

/// The response of the token endpoint (RFC 6749 §5.1, RFC 9449 §5), still without a refresh token.
pub(super) fn response(
    keys: &Keys,
    terms: &TokenTerms<'_>,
    granted: &Granted,
    now: Timestamp,
    random: &dyn Random,
) -> Result<Map<String, Value>, Denial> {
    let unavailable = || Denial::new(Code::KeysUnavailable, "the issuer's key cannot sign");
    let access = keys.sign(ACCESS_TOKEN, &access_claims(terms, granted, now, random));
    let token_type = if granted.jkt.is_some() { "DPoP" } else { "Bearer" };
    let mut response = Map::new();
    response.insert("access_token".into(), access.ok_or_else(unavailable)?.into());
    response.insert("token_type".into(), token_type.into());
    response.insert("expires_in".into(), terms.life.as_secs().into());
    response.insert("scope".into(), granted.scope().into());
    if granted.openid {
        let id_token = keys.sign(ID_TOKEN, &id_claims(terms, granted, now));
        response.insert("id_token".into(), id_token.ok_or_else(unavailable)?.into());
    }
    Ok(response)
}

fn access_claims(
    terms: &TokenTerms<'_>,
    granted: &Granted,
    now: Timestamp,
    random: &dyn Random,
) -> Map<String, Value> {
    let mut claims = common(terms, granted, now);
    let mut own = [0; 16];
    random.fill(&mut own);
    let own = URL_SAFE_NO_PAD.encode(own);
    let jti = granted.family.map_or_else(|| own.clone(), |family| format!("{}.{own}", family.text()));
    claims.insert("aud".into(), terms.audience.into());
    claims.insert("jti".into(), jti.into());
    claims.insert("client_id".into(), granted.client_id.as_str().into());
    if !granted.scopes.is_empty() || granted.openid {
        claims.insert("scope".into(), granted.scope().into());
    }
    if let Some(jkt) = &granted.jkt {
        claims.insert("cnf".into(), json!({ "jkt": jkt }));
    }
    claims
}

fn id_claims(terms: &TokenTerms<'_>, granted: &Granted, now: Timestamp) -> Map<String, Value> {
    let mut claims = common(terms, granted, now);
    claims.insert("aud".into(), granted.client_id.as_str().into());
    claims
}

/// What the operator keeps comes first, so that nothing of it takes the place of what the token says itself.
fn common(terms: &TokenTerms<'_>, granted: &Granted, now: Timestamp) -> Map<String, Value> {
    let mut claims: Map<String, Value> =
        granted.claims.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    claims.insert("iss".into(), terms.issuer.into());
    claims.insert("sub".into(), granted.sub.as_str().into());
    claims.insert("iat".into(), now.as_secs().into());
    claims.insert("exp".into(), now.plus(terms.life).as_secs().into());
    claims
}
