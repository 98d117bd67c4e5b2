//! Minting: a URL that opens one thing, once, for a while.

use std::sync::Arc;
use std::time::Duration;

use http::Method;

use crate::crypto::{Random, Secret};
use crate::denial::Denial;
use crate::public_url::PublicUrl;
use crate::store::{Store, StoreError};
use crate::time::Timestamp;

use super::audience;
use super::keys::CallbackKeys;
use super::record::{CallbackRecord, CallbackTerms, Callbacks};
use super::route::CallbackRoute;
use super::wire::{CallbackClaims, CallbackId, LONGEST_NAME, LONGEST_TOKEN, StaticToken, is_name};

/// Mints callback URLs.
pub struct Minter<S> {
    /// Where they are remembered.
    pub callbacks: Callbacks<S>,
    /// What signs them.
    pub keys: Arc<CallbackKeys<S>>,
    /// What callers address.
    pub public_url: PublicUrl,
    /// The longest life of one.
    pub max_ttl: Duration,
    /// Where names and static tokens come from.
    pub random: Arc<dyn Random>,
}

/// Which of its two forms a token has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TokenForm {
    /// A JWT, for one resource, used once.
    #[default]
    Signed,
    /// A static token, used until it ends or is revoked: *bearer-class*.
    Static,
}

/// What was minted. The URL is in here and nowhere else.
#[derive(Debug)]
pub struct Minted {
    /// The whole URL.
    pub url: Secret<String>,
    /// What is kept of it.
    pub record: CallbackRecord,
}

/// Why nothing was minted.
#[derive(Debug, thiserror::Error)]
pub enum MintError {
    /// What was asked for cannot be.
    #[error("{0}")]
    Terms(String),
    /// The store gave no answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is no key at this moment.
    #[error("{}", .0.cause())]
    Keys(Denial),
}

impl<S: Store> Minter<S> {
    /// Mints a URL for `route` that lives for `ttl`. It is remembered durably when this answers.
    ///
    /// # Errors
    /// [`MintError`]; a `ttl` beyond `max_ttl` is refused, not cut.
    pub async fn mint(
        &self,
        route: &CallbackRoute,
        form: TokenForm,
        terms: CallbackTerms,
        ttl: Duration,
        now: Timestamp,
    ) -> Result<Minted, MintError> {
        self.check(route, form, &terms, ttl)?;
        // The wire says whole seconds, and what is shown is what it says.
        let expires = Timestamp::from_secs(now.plus(ttl).as_secs());
        let resource = terms.resource.clone();
        let mut record = CallbackRecord {
            id: CallbackId::generate(&*self.random),
            digest: None,
            route: route.template().as_str().to_owned(),
            terms,
            created: now,
            expires,
        };
        loop {
            let token = match form {
                TokenForm::Static => {
                    let token = StaticToken::generate(&*self.random);
                    (record.id, record.digest) = (token.id(), Some(token.digest()));
                    token.reveal()
                }
                TokenForm::Signed => {
                    record.id = CallbackId::generate(&*self.random);
                    self.keys.sign(&self.claims(&record), now).await.map_err(MintError::Keys)?
                }
            };
            if token.expose().len() > LONGEST_TOKEN {
                return Err(MintError::Terms("what is asked for makes a token longer than 8 KiB".to_owned()));
            }
            // A static token for all resources leaves the resource to whoever uses the URL.
            let left_open = route.resource_name().map(|name| format!("{{{name}}}"));
            let path = route.fill(resource.as_deref().or(left_open.as_deref()), token.expose());
            let path = path.ok_or_else(|| {
                MintError::Terms("the resource is not one clean segment of a path, as it is sent".to_owned())
            })?;
            if self.callbacks.keep(&record).await? {
                let url = Secret::new(format!("{}{path}", self.public_url));
                return Ok(Minted { url, record });
            }
        }
    }

    fn claims(&self, record: &CallbackRecord) -> CallbackClaims {
        CallbackClaims {
            issuer: self.public_url.to_string(),
            audience: audience(&self.public_url),
            expires: record.expires,
            id: record.id.to_string(),
            user: record.terms.user.clone(),
            route: record.route.clone(),
            resource: record.terms.resource.clone(),
            methods: record.terms.methods.clone(),
            max_bytes: record.terms.max_bytes,
            uses: record.terms.uses.unwrap_or(1),
        }
    }

    fn check(
        &self,
        route: &CallbackRoute,
        form: TokenForm,
        terms: &CallbackTerms,
        ttl: Duration,
    ) -> Result<(), MintError> {
        let refuse = |why: String| Err(MintError::Terms(why));
        if ttl < Duration::from_secs(1) {
            return refuse("a callback lives for a second at least".to_owned());
        }
        if ttl > self.max_ttl {
            return refuse(format!(
                "a callback lives for {:?} at most here: that is callback.max_ttl",
                self.max_ttl
            ));
        }
        if !is_name(&terms.user) {
            return refuse(format!("a user is 1 to {LONGEST_NAME} visible ASCII characters without spaces"));
        }
        match (&terms.resource, route.resource_name().is_some()) {
            (Some(_), false) => {
                return refuse(format!("the route {} names no resource", route.template().as_str()));
            }
            (Some(resource), true) if resource.len() > LONGEST_NAME => {
                return refuse(format!("a resource has at most {LONGEST_NAME} bytes"));
            }
            (None, true) if form == TokenForm::Signed => {
                return refuse(format!("the route {} needs a resource", route.template().as_str()));
            }
            _ => {}
        }
        for name in &terms.methods {
            if Method::from_bytes(name.as_bytes()).is_err() || *name != name.to_ascii_uppercase() {
                return refuse("a method is written in capitals, as in POST".to_owned());
            }
        }
        if terms.uses == Some(0) {
            return refuse("a callback is used once at least".to_owned());
        }
        if form == TokenForm::Static && (terms.uses.is_some() || terms.max_bytes.is_some()) {
            return refuse("a static token is not counted, and knows no longest body".to_owned());
        }
        Ok(())
    }
}
