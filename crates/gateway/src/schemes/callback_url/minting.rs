//! Minting callback URLs for the routes of the configuration: for whoever asks by management or by
//! `POST /callbacks`.

use std::sync::Arc;

use countersign::path::Template;
use countersign::schemes::callback_url::{
    CallbackRecord, CallbackRoute, CallbackTerms, Callbacks, MintError, Minted, Minter, TokenForm,
};
use countersign::{Code, Denial, Scheme, Timestamp};
use countersign_io::AnyStore;
use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Keys, Making};
use crate::audit::Audit;
use crate::schemes::Taking;
use crate::settings::quantities::parse_duration;

/// What is asked for.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// A route's path, as in the configuration.
    pub route: String,
    /// The application's user.
    pub user: String,
    /// The raw segment of the path that names the resource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// For how long it is valid, `15m`.
    pub ttl: String,
    /// The method. Default: POST.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Several methods.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub methods: Vec<String>,
    /// The longest body, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_bytes: Option<u64>,
    /// How often it may be used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uses: Option<u32>,
    /// A static token.
    #[serde(default, rename = "static")]
    pub is_static: bool,
}

/// Why nothing was minted.
#[derive(Debug)]
pub enum Refused {
    /// What is asked for cannot be, in a sentence for whoever asked.
    Terms(String),
    /// It cannot be done at this moment.
    Now(Denial),
}

impl From<MintError> for Refused {
    fn from(error: MintError) -> Self {
        match error {
            MintError::Terms(why) => Self::Terms(why),
            MintError::Store(error) => Self::Now(error.into()),
            MintError::Keys(denial) => Self::Now(denial),
        }
    }
}

/// Mints callback URLs.
pub struct Minting {
    minter: Minter<Arc<AnyStore>>,
    routes: Vec<Destination>,
    audit: Arc<Audit>,
}

/// A route that takes callbacks.
pub(super) struct Destination {
    pub(super) template: Template,
    methods: Option<Vec<Method>>,
}

impl Minting {
    pub(super) fn new(making: &Making<'_>, keys: Arc<Keys>) -> Self {
        let Making { configs, shared, public_url, .. } = *making;
        let minter = Minter {
            callbacks: Callbacks::new(shared.store.clone()),
            keys,
            public_url: public_url.clone(),
            max_ttl: configs.callback_url.max_ttl,
            random: shared.random.clone(),
        };
        let taking = making.routes.iter().filter(|route| route.named.contains(Scheme::CallbackUrl));
        let taken = |route: &Taking<'_>| Destination {
            template: route.template.clone(),
            methods: route.methods.map(<[Method]>::to_vec),
        };
        Self { minter, routes: taking.map(taken).collect(), audit: shared.recorder.audit.clone() }
    }

    /// The routes that take callbacks.
    pub(super) fn routes(&self) -> impl Iterator<Item = &Destination> {
        self.routes.iter()
    }

    /// Mints what is asked for, for `by`. It stands in the audit log when this answers.
    ///
    /// # Errors
    /// [`Refused`].
    pub async fn mint(&self, wanted: Wanted, by: &str, now: Timestamp) -> Result<Minted, Refused> {
        let ttl = parse_duration(&wanted.ttl).map_err(Refused::Terms)?;
        let form = if wanted.is_static { TokenForm::Static } else { TokenForm::Signed };
        let terms = CallbackTerms {
            user: wanted.user,
            resource: wanted.resource,
            methods: wanted.method.into_iter().chain(wanted.methods).collect(),
            max_bytes: wanted.max_bytes,
            uses: wanted.uses,
        };
        let route = self.route(&wanted.route, &terms.methods)?;
        let minted = self.minter.mint(&route, form, terms, ttl, now).await?;
        let mut details = shown(&minted.record);
        details["by"] = by.into();
        if let Err(why) = self.audit.change(now, "callback-minted", &details).await {
            // Nobody has seen it, and nobody will.
            let _ = self.minter.callbacks.revoke(&minted.record.id).await;
            return Err(Refused::Now(Denial::new(Code::StoreUnavailable, why)));
        }
        Ok(minted)
    }

    /// The route of this path that takes callbacks by these methods.
    fn route(&self, path: &str, methods: &[String]) -> Result<CallbackRoute, Refused> {
        let same_path = || self.routes.iter().filter(|route| route.template.as_str() == path);
        let wanted: Vec<&str> =
            if methods.is_empty() { vec!["POST"] } else { methods.iter().map(String::as_str).collect() };
        let serves = |route: &&Destination| {
            let served = |name: &str| {
                route
                    .methods
                    .as_ref()
                    .is_none_or(|methods| methods.iter().any(|method| method.as_str() == name))
            };
            wanted.iter().all(|name| served(name))
        };
        let Some(found) = same_path().find(serves) else {
            let known: Vec<&str> = self.routes.iter().map(|route| route.template.as_str()).collect();
            return Err(Refused::Terms(match (same_path().next(), &known[..]) {
                (Some(_), _) => format!("the route {path} does not serve {}", wanted.join(", ")),
                (None, []) => "no route accepts callback-url".to_owned(),
                (None, known) => {
                    format!("no route of that path accepts callback-url; there are {}", known.join(", "))
                }
            }));
        };
        CallbackRoute::new(found.template.clone()).map_err(Refused::Terms)
    }
}

/// What is kept of a callback, for people.
#[must_use]
pub fn shown(record: &CallbackRecord) -> Value {
    let CallbackTerms { user, resource, methods, max_bytes, uses } = &record.terms;
    let methods = if methods.is_empty() { &["POST".to_owned()][..] } else { methods };
    json!({
        "id": record.id,
        "user": user,
        "route": record.route,
        "resource": resource,
        "methods": methods,
        "max_bytes": max_bytes,
        "uses": uses,
        "static": record.digest.is_some(),
        "created": record.created.to_string(),
        "expires": record.expires.to_string(),
    })
}

/// What whoever asked is given: the one answer that holds a URL.
#[must_use]
pub fn revealed(minted: &Minted) -> Value {
    json!({
        "url": minted.url.expose(),
        "id": minted.record.id,
        "expires": minted.record.expires.to_string(),
    })
}
