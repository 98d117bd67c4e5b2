//! From a configuration to a gateway that could decide: seal, store, audit log, routes. No port yet.

use std::sync::Arc;

use arc_swap::ArcSwap;
use countersign::assertion::Asserter;
use countersign::crypto::{Random, SystemRandom};
use countersign::schemes::api_key::LastUses;
use countersign::schemes::signature::RegisteredKeys;
use countersign::schemes::webhook::Budget;
use countersign::{Clock, Workers};
use countersign_io::workers::Pool;
use countersign_io::{AnyStore, OpenError, StoreUrl, SystemClock};
use tokio::sync::watch;

use crate::audit::Audit;
use crate::config::Config;
use crate::decisions::Decisions;
use crate::metrics::Metrics;
use crate::proofs::KeyFileError;
use crate::seal::{SecretFileError, passing_seal_key, seal_key};
use crate::state::{Gateway, Parts, Runtime, RuntimeError};

/// Why a gateway did not come up.
#[derive(Debug, thiserror::Error)]
pub enum SetUpError {
    /// A file with a secret.
    #[error(transparent)]
    Secret(#[from] SecretFileError),
    /// The store.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// A folder or the audit log.
    #[error("{what}: {error}")]
    File {
        /// Which.
        what: String,
        /// Why.
        error: std::io::Error,
    },
    /// A route, or authorities.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// A listener.
    #[error("{what} cannot listen on {address}: {error}")]
    Listen {
        /// Which.
        what: &'static str,
        /// Where.
        address: String,
        /// Why.
        error: std::io::Error,
    },
    /// A key of ours, with which an `[[outbound]]` proves requests.
    #[error("outbound.prove: {0}")]
    Key(#[from] KeyFileError),
    /// Signals.
    #[error("signals cannot be received: {0}")]
    Signals(std::io::Error),
    /// TLS.
    #[error(transparent)]
    Tls(#[from] crate::server::tls::TlsError),
    /// The management socket.
    #[error(transparent)]
    Socket(#[from] crate::management::SocketError),
    /// The admin token.
    #[error("admin_token_file: {0}")]
    AdminToken(&'static str),
}

/// Opens everything that `config` names.
///
/// # Errors
/// [`SetUpError`].
pub async fn open(config: Config) -> Result<Arc<Gateway>, SetUpError> {
    let random: Arc<dyn Random> = Arc::new(SystemRandom);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    if let StoreUrl::Redb(path) = &config.store.url
        && let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty())
    {
        let failed = |error| SetUpError::File { what: folder.display().to_string(), error };
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    let store = Arc::new(AnyStore::open(&config.store.url, clock.clone()).await?);
    let seal_key = match &config.store.seal_key_file {
        Some(path) => seal_key(path, config.store.make_seal_key, &random)?,
        // Nothing that is sealed with it outlives the process.
        None => passing_seal_key(&random),
    };
    let audit = Audit::open(&config.audit).map_err(|error| SetUpError::File {
        what: config
            .audit
            .file
            .as_ref()
            .map_or_else(|| "audit".to_owned(), |path| path.display().to_string()),
        error,
    })?;
    let uses = Arc::new(LastUses::default());
    let metrics = Metrics::default();
    let workers: Arc<dyn Workers> = Arc::new(Pool::default());
    let webhook_budget = Arc::new(Budget::default());
    let registered_keys = RegisteredKeys::new(store.clone(), uses.clone(), Some(seal_key.clone()));
    let registered_keys = Arc::new(registered_keys);
    let asserter = Arc::new(Asserter::new(store.clone(), seal_key.clone(), random.clone()));
    let parts = Parts {
        store: &store,
        uses: &uses,
        clock: &clock,
        random: &random,
        workers: &workers,
        webhook_budget: &webhook_budget,
        registered_keys: &registered_keys,
        seal_key: &seal_key,
        asserter: &asserter,
        metrics: &metrics,
        before: None,
    };
    let runtime = Runtime::new(config, &parts)?;
    Ok(Arc::new(Gateway {
        store,
        uses,
        clock,
        random,
        workers,
        webhook_budget,
        registered_keys,
        asserter,
        seal_key,
        decisions: Decisions::default(),
        audit,
        metrics,
        runtime: ArcSwap::from_pointee(runtime),
        deliveries: watch::Sender::new(0),
        draining: watch::Sender::new(false),
        ending: watch::Sender::new(false),
    }))
}
