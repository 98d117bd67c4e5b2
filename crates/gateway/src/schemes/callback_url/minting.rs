//! Minting callback URLs for the routes of the configuration: for whoever asks by management or by
//! `POST /callbacks`.

use std::sync::Arc;

use countersign::crypto::{KeyError, Random, SealKey};
use countersign::issuer::keyring::Keyring;
use countersign::schemes::callback_url::{
    CallbackKeys, CallbackRecord, CallbackRoute, CallbackTerms, Callbacks, MintError, Minted, Minter,
    TokenForm, keyring_terms,
};
use countersign::{Code, Denial, Scheme, Timestamp};
use countersign_io::AnyStore;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::config::{Access, Config, RouteConfig};
use crate::runtime::{Gateway, Runtime};
use crate::seal::{SecretFileError, read_secret};
use crate::settings::quantities::parse_duration;

/// What signs and verifies callbacks here.
pub type Keys = CallbackKeys<Arc<AnyStore>>;

/// Why there are no keys for callbacks.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The file with the shared secret.
    #[error("callback.secret_file: {0}")]
    File(#[from] SecretFileError),
    /// What it holds.
    #[error("callback.secret_file: {0}")]
    Secret(#[from] KeyError),
}

/// The keys of callbacks: a keyring in the store, and the secret that an application shares with us.
///
/// # Errors
/// [`KeysError`].
pub fn keys(
    config: &super::config::Config,
    store: &Arc<AnyStore>,
    seal: &SealKey,
    random: &Arc<dyn Random>,
) -> Result<Keys, KeysError> {
    let terms = keyring_terms(config.max_ttl);
    let keys = CallbackKeys::rotating(Keyring::new(store.clone(), seal.clone(), random.clone(), terms));
    match &config.secret_file {
        None => Ok(keys),
        Some(file) => Ok(keys.and_shared(&read_secret(file)?)?),
    }
}

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

/// Mints what is asked for, for `by`. It stands in the audit log when this answers.
///
/// # Errors
/// [`Refused`].
pub async fn mint(
    gateway: &Gateway,
    runtime: &Runtime,
    wanted: Wanted,
    by: &str,
    now: Timestamp,
) -> Result<Minted, Refused> {
    let ttl = parse_duration(&wanted.ttl).map_err(Refused::Terms)?;
    let form = if wanted.is_static { TokenForm::Static } else { TokenForm::Signed };
    let terms = CallbackTerms {
        user: wanted.user,
        resource: wanted.resource,
        methods: wanted.method.into_iter().chain(wanted.methods).collect(),
        max_bytes: wanted.max_bytes,
        uses: wanted.uses,
    };
    let route = route(&runtime.config, &wanted.route, &terms.methods)?;
    let minter = Minter {
        callbacks: gateway.callbacks(),
        keys: runtime.callback_keys.clone(),
        public_url: runtime.config.server.public_url.clone(),
        max_ttl: runtime.config.callback.max_ttl,
        random: gateway.random.clone(),
    };
    let minted = minter.mint(&route, form, terms, ttl, now).await?;
    let mut details = shown(&minted.record);
    details["by"] = by.into();
    if let Err(why) = gateway.audit.change(now, "callback-minted", &details).await {
        // Nobody has seen it, and nobody will.
        let _ = minter.callbacks.revoke(&minted.record.id).await;
        return Err(Refused::Now(Denial::new(Code::StoreUnavailable, why)));
    }
    Ok(minted)
}

/// The route of this path that takes callbacks by these methods.
fn route(config: &Config, path: &str, methods: &[String]) -> Result<CallbackRoute, Refused> {
    let taking = || config.routes.iter().filter(|route| takes_callbacks(route));
    let same_path = || taking().filter(|route| route.template.as_str() == path);
    let wanted: Vec<&str> =
        if methods.is_empty() { vec!["POST"] } else { methods.iter().map(String::as_str).collect() };
    let serves = |route: &&RouteConfig| {
        let served = |name: &str| {
            route.methods.as_ref().is_none_or(|methods| methods.iter().any(|method| method.as_str() == name))
        };
        wanted.iter().all(|name| served(name))
    };
    let Some(found) = same_path().find(serves) else {
        let known: Vec<&str> = taking().map(|route| route.template.as_str()).collect();
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

/// Whether callback URLs may lead to a route.
#[must_use]
pub fn takes_callbacks(route: &RouteConfig) -> bool {
    match &route.access {
        Access::Guarded { requirement, .. } => requirement.schemes().contains(Scheme::CallbackUrl),
        Access::Public => false,
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

impl Gateway {
    /// The callbacks in the store.
    #[must_use]
    pub fn callbacks(&self) -> Callbacks<Arc<AnyStore>> {
        Callbacks::new(self.store.clone())
    }
}
