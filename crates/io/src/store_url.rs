//! The `[store] url` of a configuration: which store, and where.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use redis::{ConnectionInfo, IntoConnectionInfo as _};

/// Which store, and where. Neither `Debug` nor `Display` shows a password.
#[derive(Clone, Debug)]
pub enum StoreUrl {
    /// `memory:`, lost with the process.
    Memory,
    /// `redb:<path>`, one file.
    Redb(PathBuf),
    /// `redis://[user:password@]host[:port][/db]`.
    Redis(RedisUrl),
}

/// Where a Redis is, with what it takes to get in, and how long it may take to answer.
#[derive(Clone)]
pub struct RedisUrl {
    info: Box<ConnectionInfo>,
    timeout: Duration,
}

/// Why a text names no store. No variant repeats the text, for it may hold a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreUrlError {
    /// Nothing before a colon, or something else than a store's kind.
    #[error("a store is `redb:<path>`, `redis://host:port/db` or `memory:`")]
    UnknownKind,
    /// `redb:` without a path.
    #[error("`redb:` needs the path of a file, such as `redb:/var/lib/countersign/store.redb`")]
    NoPath,
    /// `memory:` with something behind it.
    #[error("`memory:` takes nothing behind the colon")]
    MemoryTakesNothing,
    /// A kind that is planned.
    #[error("`{0}` is not supported yet; use `redis://` on a network that you trust")]
    NotSupportedYet(&'static str),
    /// `redis://` with something unreadable behind it.
    #[error("this is not a Redis address; it is `redis://[user:password@]host[:port][/db]`")]
    Redis,
}

impl RedisUrl {
    /// How long a Redis may take to answer, unless somebody says otherwise.
    const TIMEOUT: Duration = Duration::from_millis(100);

    /// As it is, but with this long to answer.
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    pub(crate) fn connection_info(&self) -> ConnectionInfo {
        (*self.info).clone()
    }

    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }
}

impl FromStr for StoreUrl {
    type Err = StoreUrlError;

    fn from_str(text: &str) -> Result<Self, StoreUrlError> {
        let (kind, rest) = text.split_once(':').ok_or(StoreUrlError::UnknownKind)?;
        match kind {
            "memory" if rest.is_empty() => Ok(Self::Memory),
            "memory" => Err(StoreUrlError::MemoryTakesNothing),
            "redb" if rest.is_empty() => Err(StoreUrlError::NoPath),
            "redb" => Ok(Self::Redb(PathBuf::from(rest))),
            "rediss" => Err(StoreUrlError::NotSupportedYet("rediss://")),
            "redis+cluster" => Err(StoreUrlError::NotSupportedYet("redis+cluster://")),
            "redis" if rest.starts_with("//") => {
                let info = text.into_connection_info().map_err(|_| StoreUrlError::Redis)?;
                Ok(Self::Redis(RedisUrl { info: Box::new(info), timeout: RedisUrl::TIMEOUT }))
            }
            "redis" => Err(StoreUrlError::Redis),
            _ => Err(StoreUrlError::UnknownKind),
        }
    }
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("memory:"),
            Self::Redb(path) => write!(f, "redb:{}", path.display()),
            Self::Redis(url) => write!(f, "{url}"),
        }
    }
}

/// Host, port and database; never who asks.
impl fmt::Display for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "redis://{}/{}", self.info.addr(), self.info.redis_settings().db())
    }
}

impl fmt::Debug for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> StoreUrlError {
        text.parse::<StoreUrl>().unwrap_err()
    }

    #[test]
    fn each_kind_of_store_is_read_and_shown_again() {
        for text in ["memory:", "redb:/var/lib/store.redb", "redis://127.0.0.1:6379/2"] {
            assert_eq!(text.parse::<StoreUrl>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_password_is_shown_neither_by_debug_nor_by_display_nor_by_an_error() {
        let url: StoreUrl = "redis://alice:hunter2@127.0.0.1:6379/0".parse().unwrap();
        assert_eq!(format!("{url} {url:?}").matches("hunter2").count(), 0);
        assert_eq!(format!("{url} {url:?}").matches("alice").count(), 0);
        for text in ["redis://alice:hunter2@:x/", "rediss://alice:hunter2@h", "reddis://alice:hunter2@h"] {
            let error = refusal(text);
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
        }
    }

    #[test]
    fn what_is_no_store_is_refused_with_what_to_write_instead() {
        assert_eq!(refusal("store.redb"), StoreUrlError::UnknownKind);
        assert_eq!(refusal("sqlite:x"), StoreUrlError::UnknownKind);
        assert_eq!(refusal("redb:"), StoreUrlError::NoPath);
        assert_eq!(refusal("memory:x"), StoreUrlError::MemoryTakesNothing);
        assert_eq!(refusal("rediss://h"), StoreUrlError::NotSupportedYet("rediss://"));
        assert_eq!(refusal("redis+cluster://h"), StoreUrlError::NotSupportedYet("redis+cluster://"));
        assert_eq!(refusal("redis:h"), StoreUrlError::Redis);
    }
}
