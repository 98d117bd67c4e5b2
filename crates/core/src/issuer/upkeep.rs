//! What a token is worth (RFC 7662), and its end (RFC 7009).

use serde_json::{Map, Value, json};

use super::assertion::Asserted;
use super::form::Form;
use super::keyring::Keys;
use super::refresh::{PREFIX, Shown};
use super::tokens::ACCESS_TOKEN;
use super::{ErrorCode, Issuer, OAuthError};
use crate::crypto::jwt::{Claims, Json, Jwt};
use crate::dpop::Possession;
use crate::request::RequestView;
use crate::store::Store;
use crate::time::Timestamp;

/// No token of ours is longer.
const LONGEST: usize = 8 * 1024;

/// Who wants to end a token.
enum Holder {
    Client(Asserted),
    /// Somebody with the DPoP key that it is bound to: a wallet has no other way to show who it is.
    Key(Possession),
}

impl<S: Store> Issuer<S> {
    /// Answers a request to the introspection endpoint. Listed clients may ask, about any access token, and about
    /// their own refresh tokens; of whatever else they learn that it is not active.
    ///
    /// # Errors
    /// [`OAuthError`].
    pub async fn introspect(&self, request: &RequestView<'_>, body: &[u8]) -> Result<Value, OAuthError> {
        let form = Form::read(request.headers, body)?;
        let token = form.need("token")?;
        let client = self.authenticate(&form, request).await?;
        let nobody = || OAuthError::new(ErrorCode::InvalidClient, "no client was proven");
        let client = client.ok_or_else(nobody)?;
        let keys = self.keyring.look(request.received_at).await?;
        self.spend(client.spend, ErrorCode::InvalidClient).await?;
        let known = match token.starts_with(PREFIX) {
            true => self.refresh_claims(&form, &client, token).await?,
            false => self.access_claims(keys.as_deref(), token, request.received_at).await?,
        };
        let Some(mut claims) = known else { return Ok(json!({ "active": false })) };
        claims.insert("active".into(), true.into());
        Ok(Value::Object(claims))
    }

    async fn access_claims(
        &self,
        keys: Option<&Keys>,
        token: &str,
        now: Timestamp,
    ) -> Result<Option<Map<String, Value>>, OAuthError> {
        let mut buffer = Vec::new();
        let Some(claims) = self.read(keys, token, now, &mut buffer) else { return Ok(None) };
        if self.revocations.is_revoked(jti(&claims)).await? {
            return Ok(None);
        }
        let token_type = if claims.get("cnf").is_some() { "DPoP" } else { "Bearer" };
        let mut claims = claims.to_map();
        claims.insert("token_type".into(), token_type.into());
        Ok(Some(claims))
    }

    async fn refresh_claims(
        &self,
        form: &Form,
        client: &Asserted,
        token: &str,
    ) -> Result<Option<Map<String, Value>>, OAuthError> {
        let Some(shown) = self.families().look(token).await? else { return Ok(None) };
        if shown.is_revoked() || shown.is_used() || self.is_holder(form, Some(client), &shown).is_err() {
            return Ok(None);
        }
        let family = shown.family();
        let scope = family.scopes.iter().map(String::as_str).collect::<Vec<_>>().join(" ");
        let mut claims = Map::new();
        claims.insert("iss".into(), self.issuer.as_str().into());
        claims.insert("sub".into(), family.name.sub().into());
        claims.insert("client_id".into(), family.client_id.as_str().into());
        claims.insert("scope".into(), scope.into());
        claims.insert("iat".into(), family.begun.as_secs().into());
        claims.insert("exp".into(), family.until.as_secs().into());
        if let Some(jkt) = &family.jkt {
            claims.insert("cnf".into(), json!({ "jkt": jkt }));
        }
        Ok(Some(claims))
    }

    /// Answers a request to the revocation endpoint: a client ends its own tokens, and so does whoever shows the
    /// DPoP key that one is bound to. What is no token of ours, or no longer, is ended already (RFC 7009 §2.2).
    /// A refresh token takes its whole family with it.
    ///
    /// # Errors
    /// [`OAuthError`].
    pub async fn revoke(&self, request: &RequestView<'_>, body: &[u8]) -> Result<(), OAuthError> {
        let form = Form::read(request.headers, body)?;
        let token = form.need("token")?;
        let holder = match self.authenticate(&form, request).await? {
            Some(client) => Holder::Client(client),
            None => match self.possession(request)? {
                Some(key) => Holder::Key(key),
                None => return Err(OAuthError::new(ErrorCode::InvalidClient, "no client was proven")),
            },
        };
        let now = request.received_at;
        let shown = self.families().look(token).await?;
        let keys = self.keyring.look(now).await?;
        let mut buffer = Vec::new();
        let access = self.read(keys.as_deref(), token, now, &mut buffer);
        let is_theirs = match (&shown, &access) {
            (Some(shown), _) => is_family_of(&holder, shown),
            (None, Some(claims)) => is_access_of(&holder, claims),
            (None, None) => true,
        };
        if !is_theirs {
            return Err(OAuthError::new(ErrorCode::InvalidGrant, "the token is another client's"));
        }
        match &holder {
            Holder::Client(client) => self.spend(client.spend, ErrorCode::InvalidClient).await?,
            Holder::Key(key) => self.spend(key.spend, ErrorCode::InvalidDpopProof).await?,
        }
        if let Some(shown) = shown {
            self.families().revoke(shown.id, now).await?;
        } else if let Some(claims) = access {
            let until =
                claims.moment("exp").ok().flatten().unwrap_or_else(|| now.plus(self.terms.access_life));
            // Whoever verifies allows for skew.
            self.revocations.revoke(jti(&claims), until.plus(crate::time::SKEW)).await?;
        }
        Ok(())
    }

    /// The claims of an access token of ours that has not expired.
    fn read<'t>(
        &self,
        keys: Option<&Keys>,
        token: &'t str,
        now: Timestamp,
        buffer: &'t mut Vec<u8>,
    ) -> Option<Claims<'t>> {
        let jwt = Jwt::parse(token, LONGEST, buffer).ok().filter(|jwt| jwt.is_type(ACCESS_TOKEN))?;
        let claims = jwt.verify(keys?.find(jwt.key_id()?)?).ok()?;
        let is_ours = claims.text("iss") == Ok(Some(&*self.issuer));
        let lives = claims.moment("exp").ok().flatten().is_some_and(|expires| now < expires);
        (is_ours && lives && claims.is_for(&self.terms.audience) == Ok(true)).then_some(claims)
    }
}

fn jti<'c>(claims: &'c Claims<'_>) -> &'c str {
    claims.text("jti").ok().flatten().unwrap_or_default()
}

fn is_family_of(holder: &Holder, shown: &Shown) -> bool {
    let family = shown.family();
    match holder {
        Holder::Client(client) => {
            family.client_id == client.client.id && family.client_key.as_ref() == Some(&client.thumbprint)
        }
        Holder::Key(key) => family.jkt.as_ref() == Some(&key.thumbprint),
    }
}

fn is_access_of(holder: &Holder, claims: &Claims<'_>) -> bool {
    match holder {
        Holder::Client(client) => claims.text("client_id") == Ok(Some(&*client.client.id)),
        Holder::Key(key) => {
            let bound_to =
                claims.get("cnf").and_then(Json::as_object).and_then(|cnf| cnf.get("jkt")?.as_str());
            bound_to == Some(&*key.thumbprint)
        }
    }
}
