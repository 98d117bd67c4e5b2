//! The token endpoint (RFC 6749 §3.2): what may be shown for a token, and what is given for it.

use std::collections::BTreeSet;

use serde_json::Value;

use super::assertion::{Asserted, AssertedFor};
use super::form::Form;
use super::refresh::{Family, FamilyId, Shown};
use super::subjects::{KeyName, is_name};
use super::tokens::{Granted, OPENID, TokenTerms, response};
use super::{ErrorCode, Issuer, OAuthError, siwe};
use crate::crypto::ethereum::Address;
use crate::principal::Subject;
use crate::request::RequestView;
use crate::store::{Spend, Store};

/// RFC 6749 §4.4.
pub const CLIENT_CREDENTIALS: &str = "client_credentials";
/// RFC 7523 §2.1.
pub const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
/// An EIP-4361 message and its signature.
pub const SIWE: &str = "urn:countersign:grant-type:siwe";
/// RFC 6749 §6.
pub const REFRESH_TOKEN: &str = "refresh_token";

/// What was given.
#[derive(Debug)]
pub struct Issued {
    /// The body of the response. It holds tokens: nothing of it is for a log.
    pub body: Value,
    /// For what.
    pub grant: &'static str,
    /// About whom.
    pub subject: Subject,
    /// To whom.
    pub client_id: String,
}

/// Who is to get a token, for whom, and what was shown for it.
struct Asked {
    name: KeyName,
    client_id: String,
    /// The key that the client proved itself with.
    client_key: Option<String>,
    /// What the client may ask for.
    scopes: Scopes,
    /// The only DPoP key that may be used.
    only_key: Option<String>,
    /// To be spent, and the error if that was done before.
    spends: Vec<(Spend, ErrorCode)>,
    /// Also a refresh token.
    lasting: bool,
}

/// What may be asked for, beside what the operator keeps for the subject.
enum Scopes {
    /// These as well.
    And(BTreeSet<String>),
    /// Of that, these alone.
    Within(Option<BTreeSet<String>>),
}

impl<S: Store> Issuer<S> {
    /// Answers a request to the token endpoint. What is refused has spent nothing.
    ///
    /// # Errors
    /// [`OAuthError`].
    pub async fn token(&self, request: &RequestView<'_>, body: &[u8]) -> Result<Issued, OAuthError> {
        let form = Form::read(request.headers, body)?;
        let grant = form.need("grant_type")?;
        let known = [CLIENT_CREDENTIALS, JWT_BEARER, SIWE, REFRESH_TOKEN];
        let Some(grant) = known.into_iter().find(|known| *known == grant) else {
            // Before anybody is asked who they are: RFC 6749 has no order, and this costs nothing.
            return Err(OAuthError::new(ErrorCode::UnsupportedGrantType, "an unknown grant_type"));
        };
        if form.get("resource").is_some_and(|resource| resource != self.terms.audience) {
            return Err(OAuthError::new(ErrorCode::InvalidTarget, "resource is not issuer.audience"));
        }
        let client = self.authenticate(&form, request).await?;
        let issued = match grant {
            REFRESH_TOKEN => self.refresh(&form, client, request).await?,
            _ => {
                let asked = match grant {
                    CLIENT_CREDENTIALS => client_credentials(client)?,
                    JWT_BEARER => self.jwt_bearer(&form, client, request).await?,
                    _ => self.siwe(&form, client, request).await?,
                };
                self.issue(&form, asked, request).await?
            }
        };
        let (body, subject, client_id) = issued;
        Ok(Issued { body, grant, subject, client_id })
    }

    async fn jwt_bearer(
        &self,
        form: &Form,
        client: Option<Asserted>,
        request: &RequestView<'_>,
    ) -> Result<Asked, OAuthError> {
        let asserted = self.assertion(form.need("assertion")?, AssertedFor::Grant, request).await?;
        let named = form.get("client_id").is_some_and(|id| id != asserted.client.id);
        let other = client.as_ref().is_some_and(|client| {
            client.client.id != asserted.client.id || client.spend.id == asserted.spend.id
        });
        if named || other {
            let cause = "the assertion is another client's, or stands for two";
            return Err(OAuthError::new(ErrorCode::InvalidGrant, cause));
        }
        let mut asked = of_key(asserted, ErrorCode::InvalidGrant, true);
        asked.spends.extend(client.map(|client| (client.spend, ErrorCode::InvalidClient)));
        Ok(asked)
    }

    async fn siwe(
        &self,
        form: &Form,
        client: Option<Asserted>,
        request: &RequestView<'_>,
    ) -> Result<Asked, OAuthError> {
        let now = request.received_at;
        let (nonces, wallets) = (siwe::Nonces(&self.marks), &self.terms.wallets);
        let ours = &self.terms.public_url;
        let signed_in =
            siwe::judge(form.need("assertion")?, ours, &nonces, |address| wallets.contain(address), now);
        let signed_in = signed_in.map_err(|denial| OAuthError::of(ErrorCode::InvalidGrant, denial))?;
        let name = KeyName::Address(*signed_in.address.as_bytes());
        let mut spends = vec![(signed_in.spend, ErrorCode::InvalidGrant)];
        let (client_id, client_key, scopes) = match (client, form.get("client_id")) {
            (Some(client), _) => {
                spends.push((client.spend, ErrorCode::InvalidClient));
                (client.client.id, Some(client.thumbprint), client.client.scopes)
            }
            // The wallet is its own client.
            (None, None) => (name.sub(), None, None),
            (None, Some(id)) if Address::parse(id) == Ok(signed_in.address) => (name.sub(), None, None),
            (None, Some(id)) => {
                let found = self.terms.clients.find(id, now).await?;
                let unknown = || OAuthError::new(ErrorCode::InvalidClient, "client_id is not listed");
                let found = found.ok_or_else(unknown)?;
                if !found.keys.is_empty() {
                    let cause = "the client has a key, and did not prove itself with it";
                    return Err(OAuthError::new(ErrorCode::InvalidClient, cause));
                }
                (found.id, None, found.scopes)
            }
        };
        let (scopes, only_key) = (Scopes::Within(scopes), signed_in.only_key);
        Ok(Asked { name, client_id, client_key, scopes, only_key, spends, lasting: true })
    }

    /// Judges what is left to judge, spends, and makes the tokens.
    async fn issue(
        &self,
        form: &Form,
        asked: Asked,
        request: &RequestView<'_>,
    ) -> Result<(Value, Subject, String), OAuthError> {
        let now = request.received_at;
        let possession = self.possession(request)?;
        if let Some(only) = &asked.only_key {
            match &possession {
                Some(shown) if shown.thumbprint == *only => {}
                Some(_) => {
                    let cause = "the message names another DPoP key";
                    return Err(OAuthError::new(ErrorCode::InvalidGrant, cause));
                }
                None => {
                    let cause = "the message names a DPoP key, and there is no proof";
                    return Err(OAuthError::new(ErrorCode::InvalidDpopProof, cause));
                }
            }
        }
        let record = self.subjects.get(&asked.name).await?;
        let mut allowed = record.permissions;
        match asked.scopes {
            Scopes::And(more) => allowed.extend(more),
            Scopes::Within(Some(bound)) => allowed.retain(|scope| bound.contains(scope)),
            Scopes::Within(None) => {}
        }
        let (scopes, openid) = granted_of(form.get("scope"), &allowed, true)?;
        let keys = self.keyring.keys(now).await?;
        let mut spends = asked.spends;
        spends.extend(possession.as_ref().map(|shown| (shown.spend, ErrorCode::InvalidDpopProof)));
        for (spend, code) in spends {
            self.spend(spend, code).await?;
        }
        let jkt = possession.map(|shown| shown.thumbprint);
        // Bound to no key, a refresh token would open everything to whoever has it, for weeks.
        let is_bound = jkt.is_some() || asked.client_key.is_some();
        let id = (asked.lasting && is_bound).then(|| FamilyId::make(&*self.random));
        let granted = Granted {
            sub: asked.name.sub(),
            client_id: asked.client_id.clone(),
            scopes: scopes.clone(),
            openid,
            jkt: jkt.clone(),
            claims: record.claims,
            family: id,
        };
        let mut body = response(&keys, &self.token_terms(), &granted, now, &*self.random)?;
        let subject = asked.name.subject();
        if let Some(id) = id {
            let family = Family {
                name: asked.name,
                client_id: asked.client_id.clone(),
                client_key: asked.client_key,
                jkt,
                scopes,
                openid,
                begun: now,
                until: now.plus(self.terms.refresh_life),
            };
            body.insert("refresh_token".into(), self.families().begin(id, family).await?.into());
        }
        Ok((Value::Object(body), subject, asked.client_id))
    }

    async fn refresh(
        &self,
        form: &Form,
        client: Option<Asserted>,
        request: &RequestView<'_>,
    ) -> Result<(Value, Subject, String), OAuthError> {
        let now = request.received_at;
        let refused = |cause: &'static str| OAuthError::new(ErrorCode::InvalidGrant, cause);
        let token = form.need("refresh_token")?;
        let families = self.families();
        let shown = families.look(token).await?.ok_or_else(|| refused("no refresh token of ours"))?;
        let client_spend = client.as_ref().map(|client| client.spend);
        self.is_holder(form, client.as_ref(), &shown)?;
        let possession = self.possession(request)?;
        match (&shown.family().jkt, &possession) {
            (Some(bound), Some(proven)) if proven.thumbprint != *bound => {
                return Err(refused("the refresh token is bound to another DPoP key"));
            }
            (Some(_), None) => {
                let cause = "the refresh token is bound to a DPoP key, and there is no proof";
                return Err(OAuthError::new(ErrorCode::InvalidDpopProof, cause));
            }
            _ => {}
        }
        if shown.is_revoked() {
            return Err(refused("its family was revoked"));
        }
        let (claims, allowed) = self.still_allowed(shown.family(), request).await?;
        let family = shown.family();
        let (scopes, openid) = match form.get("scope") {
            None => (allowed, family.openid),
            asked => granted_of(asked, &allowed, family.openid)?,
        };
        let keys = self.keyring.keys(now).await?;
        if let Some(spend) = client_spend {
            self.spend(spend, ErrorCode::InvalidClient).await?;
        }
        if let Some(proven) = &possession {
            self.spend(proven.spend, ErrorCode::InvalidDpopProof).await?;
        }
        // Judged behind what is spent, so that a request that was overheard ends nothing: this is somebody with
        // the keys, and a token that somebody with the keys has used.
        if shown.is_used() {
            families.revoke(shown.id, now).await?;
            return Err(refused("it has been used before: its family is revoked"));
        }
        let granted = Granted {
            sub: family.name.sub(),
            client_id: family.client_id.clone(),
            scopes,
            openid,
            jkt: possession.map(|proven| proven.thumbprint),
            claims,
            family: Some(shown.id),
        };
        let mut body = response(&keys, &self.token_terms(), &granted, now, &*self.random)?;
        let Some(next) = families.rotate(&shown).await? else {
            // Somebody used it between our look and our turn: used twice is used twice.
            families.revoke(shown.id, now).await?;
            return Err(refused("it was used twice at once: its family is revoked"));
        };
        body.insert("refresh_token".into(), next.into());
        Ok((Value::Object(body), family.name.subject(), granted.client_id))
    }

    /// Whether whoever asks is whom the family was begun for.
    pub(super) fn is_holder(
        &self,
        form: &Form,
        client: Option<&Asserted>,
        shown: &Shown,
    ) -> Result<(), OAuthError> {
        let family = shown.family();
        match (&family.client_key, client) {
            (Some(key), Some(client))
                if client.client.id == family.client_id && client.thumbprint == *key =>
            {
                Ok(())
            }
            (Some(_), None) => {
                let cause = "the refresh token is a client's with a key, and no client was proven";
                Err(OAuthError::new(ErrorCode::InvalidClient, cause))
            }
            (None, None) if is_same_client(form.get("client_id"), &family.client_id) => Ok(()),
            _ => Err(OAuthError::new(ErrorCode::InvalidGrant, "the refresh token is another client's")),
        }
    }

    /// What the subject may have of what was granted, now.
    async fn still_allowed(
        &self,
        family: &Family,
        request: &RequestView<'_>,
    ) -> Result<(std::collections::BTreeMap<String, Value>, BTreeSet<String>), OAuthError> {
        let now = request.received_at;
        let refused = |cause: &'static str| OAuthError::new(ErrorCode::InvalidGrant, cause);
        if let KeyName::Address(address) = &family.name
            && !self.terms.wallets.contain(&Address::from_bytes(*address))
        {
            return Err(refused("the wallet may no longer sign in"));
        }
        let record = self.subjects.get(&family.name).await?;
        let mut allowed = record.permissions;
        if family.client_id != family.name.sub() {
            let client = self.terms.clients.find(&family.client_id, now).await?;
            let client = client.ok_or_else(|| refused("the client is no longer listed"))?;
            match (&family.name, client.scopes) {
                (KeyName::Thumbprint(_), scopes) => allowed.extend(scopes.into_iter().flatten()),
                (KeyName::Address(_), Some(bound)) => allowed.retain(|scope| bound.contains(scope)),
                (KeyName::Address(_), None) => {}
            }
        }
        allowed.retain(|scope| family.scopes.contains(scope));
        Ok((record.claims, allowed))
    }

    fn token_terms(&self) -> TokenTerms<'_> {
        TokenTerms { issuer: &self.issuer, audience: &self.terms.audience, life: self.terms.access_life }
    }
}

fn client_credentials(client: Option<Asserted>) -> Result<Asked, OAuthError> {
    let nobody = || OAuthError::new(ErrorCode::InvalidClient, "no client was proven");
    Ok(of_key(client.ok_or_else(nobody)?, ErrorCode::InvalidClient, false))
}

/// A client that asks for a token about its own key.
fn of_key(asserted: Asserted, replayed: ErrorCode, lasting: bool) -> Asked {
    Asked {
        name: KeyName::Thumbprint(asserted.thumbprint.clone()),
        client_id: asserted.client.id,
        client_key: Some(asserted.thumbprint),
        scopes: Scopes::And(asserted.client.scopes.unwrap_or_default()),
        only_key: None,
        spends: vec![(asserted.spend, replayed)],
        lasting,
    }
}

/// A wallet that is its own client may write its address as it likes.
fn is_same_client(named: Option<&str>, client_id: &str) -> bool {
    named.is_none_or(|named| {
        named == client_id || Address::parse(named).is_ok_and(|address| address.to_string() == client_id)
    })
}

/// What is granted of what was asked for (RFC 6749 §3.3), and whether an ID token is: all that is allowed, if
/// nothing was asked for.
fn granted_of(
    asked: Option<&str>,
    allowed: &BTreeSet<String>,
    openid_allowed: bool,
) -> Result<(BTreeSet<String>, bool), OAuthError> {
    let Some(asked) = asked else { return Ok((allowed.clone(), false)) };
    let invalid = |cause: &'static str| OAuthError::new(ErrorCode::InvalidScope, cause);
    let names: BTreeSet<&str> = asked.split(' ').collect();
    if !names.iter().all(|name| is_name(name)) {
        return Err(invalid("the scope is no list of names"));
    }
    let openid = openid_allowed && names.contains(OPENID);
    let granted: BTreeSet<String> =
        allowed.iter().filter(|name| names.contains(name.as_str())).cloned().collect();
    if granted.is_empty() && !openid {
        return Err(invalid("nothing of the scope is allowed"));
    }
    Ok((granted, openid))
}
