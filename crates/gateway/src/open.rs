//! From a configuration to a gateway that could decide: seal, store, audit log, routes. No port yet.

use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use arc_swap::ArcSwap;
use countersign::Clock;
use countersign::crypto::{Random, SealKey, SystemRandom};
use countersign::sealed::{Found, SealMismatch};
use countersign_io::secret_file::{SecretFileError, make_seal_key, passing_seal_key, seal_key};
use countersign_io::workers::Pool;
use countersign_io::{AnyStore, OpenError, StoreUrl, SystemClock};

use crate::audit::Audit;
use crate::config::{Config, StoreConfig};
use crate::life::Life;
use crate::recorder::Recorder;
use crate::runtime::{Live, Runtime, RuntimeError};
use crate::shared::Shared;

/// Why something was not opened.
#[derive(Debug, thiserror::Error)]
pub enum SetUpError {
    /// A file with a secret.
    #[error(transparent)]
    Secret(#[from] SecretFileError),
    /// The store.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// The key that sealed the store is not there, or another is in its place.
    #[error(transparent)]
    Seal(#[from] SealError),
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
}

/// Why a store is not worked on with the sealing key that there is. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// There is none, for a store that has been there before.
    #[error(
        "{} is missing, and {store} was sealed with it: bring it back. If it is lost for good, make another \
         (`head -c 32 /dev/urandom > {0} && chmod 600 {0}`); `countersign store give-up-sealed` then says what goes with \
         the old one", file.display()
    )]
    Missing {
        /// Where it should be.
        file: PathBuf,
        /// Which store.
        store: String,
    },
    /// There is another.
    #[error(
        "{store} cannot be used with {}: {mismatch}. Bring back the key that sealed it. If that is lost for good, \
         `countersign store give-up-sealed` says what goes with it", file.display()
    )]
    Mismatch {
        /// Which file holds the key.
        file: PathBuf,
        /// Which store.
        store: String,
        /// What does not fit.
        mismatch: SealMismatch,
    },
}

/// A store, and the key that seals what is secret in it. Whether it is the right one has not been asked.
pub struct Sealed {
    /// The store.
    pub store: Arc<AnyStore>,
    /// The key.
    pub key: SealKey,
    /// Where the key is kept, unless it ends with the process; and whether it was made just now.
    file: Option<(PathBuf, bool)>,
}

impl Sealed {
    /// Opens the store that `config` names; `restored`: it was put back from a copy. Its sealing key is made together
    /// with it, and never for one that was there before.
    ///
    /// # Errors
    /// [`SetUpError`].
    pub async fn open(
        config: &StoreConfig,
        clock: &Arc<dyn Clock>,
        random: &Arc<dyn Random>,
        restored: bool,
    ) -> Result<Self, SetUpError> {
        let mut made = false;
        if let StoreUrl::Redb(path) = &config.url {
            if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
                let failed = |error| SetUpError::File { what: folder.display().to_string(), error };
                std::fs::create_dir_all(folder).map_err(failed)?;
            }
            // An empty file is none yet. The key comes first: a crash in between leaves a key without a store.
            let is_new = std::fs::metadata(path).map_or(true, |file| file.len() == 0);
            if let Some(file) = &config.seal_key_file {
                if is_new && config.make_seal_key {
                    made = make_seal_key(file, random)?;
                } else if !is_new && !file.exists() {
                    let (file, store) = (file.clone(), config.url.to_string());
                    return Err(SealError::Missing { file, store }.into());
                }
            }
        }
        let key = match &config.seal_key_file {
            Some(file) => seal_key(file)?,
            // Nothing that is sealed with it outlives the process.
            None => passing_seal_key(random),
        };
        let store = match restored {
            true => AnyStore::open_restored(&config.url, clock.clone()).await?,
            false => AnyStore::open(&config.url, clock.clone()).await?,
        };
        let store = Arc::new(store);
        Ok(Self { store, key, file: config.seal_key_file.clone().map(|file| (file, made)) })
    }

    /// Sees to it that this is the key that sealed this store. Says so where the store is new.
    async fn check(&self, config: &StoreConfig, random: &dyn Random) -> Result<(), SetUpError> {
        let Some((file, made)) = &self.file else { return Ok(()) };
        let store = config.url.to_string();
        match countersign::sealed::check(&self.store, &self.key, random).await {
            Ok(Found::Known) => {}
            Ok(Found::Empty) if *made => {
                tracing::info!(store, seal_key = %file.display(), "a new store was made");
            }
            Ok(Found::Empty) => tracing::warn!(
                store,
                "the store is new and empty, though its sealing key was there before: if there were keys and users, \
                 this is not where they are"
            ),
            // Whoever holds the store must let go of it, as after any start that fails.
            Err(mismatch) => {
                let _ = self.store.close().await;
                return Err(SealError::Mismatch { file: file.clone(), store, mismatch }.into());
            }
        }
        Ok(())
    }
}

/// What was opened. Clones share it.
#[derive(Clone)]
pub struct Opened {
    /// What lives as long as the process.
    pub shared: Shared,
    /// What a new configuration replaces.
    pub live: Live,
}

/// What the gateway does for whoever starts it. An `async fn` is compiled wherever it is awaited, so that the command
/// line, each demonstration and each test would compile a gateway: boxed, it is compiled here, once, and for speed.
pub type Doing<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Opens everything that `config` names.
///
/// # Errors
/// [`SetUpError`].
pub fn open(config: Config) -> Doing<'static, Result<Opened, SetUpError>> {
    Box::pin(open_as(config, false))
}

/// The same, with a store that was put back from a copy. It says in both logs what nobody can know from here on.
///
/// # Errors
/// [`SetUpError`].
pub fn open_restored(config: Config) -> Doing<'static, Result<Opened, SetUpError>> {
    Box::pin(open_put_back(config))
}

async fn open_put_back(config: Config) -> Result<Opened, SetUpError> {
    let opened = open_as(config, true).await?;
    let Shared { store, clock, recorder, .. } = &opened.shared;
    let details = serde_json::json!({ "url": opened.live.load().config.store.url.to_string() });
    if let Err(why) = recorder.audit.change(clock.now(), "store-restored", &details).await {
        let _ = store.close().await;
        return Err(SetUpError::File { what: "audit".to_owned(), error: std::io::Error::other(why) });
    }
    tracing::warn!(
        "the store was put back from a copy: proofs made before now are refused. What was revoked, ended or used \
         after the copy was made may pass again: look through `countersign key list`, `callback list` and `user list`"
    );
    Ok(opened)
}

async fn open_as(config: Config, restored: bool) -> Result<Opened, SetUpError> {
    let random: Arc<dyn Random> = Arc::new(SystemRandom);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let sealed = Sealed::open(&config.store, &clock, &random, restored).await?;
    sealed.check(&config.store, &*random).await?;
    let Sealed { store, key: seal_key, .. } = sealed;
    let audit =
        Audit::open(config.audit.file.clone(), config.audit.decisions).map_err(|error| SetUpError::File {
            what: config
                .audit
                .file
                .as_ref()
                .map_or_else(|| "audit".to_owned(), |path| path.display().to_string()),
            error,
        })?;
    let (workers, recorder) = (Arc::new(Pool::default()), Recorder::new(audit));
    let shared = Shared { store, clock, random, workers, seal_key, recorder, life: Life::default() };
    let runtime = Runtime::build(config, &shared, None)?;
    Ok(Opened { shared, live: Arc::new(ArcSwap::from_pointee(runtime)) })
}
