//! The key directories of web bots (draft-meunier-http-message-signatures-directory): asked for at listed
//! agents alone, remembered, and asked for again no more often than they need be.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::Uri;

use super::agent_key::{AgentKey, Keys};
use super::jwks::{self, MEDIA_TYPE};
use crate::denial::{Code, Denial};
use crate::fetch::{ChosenBy, Fetch};
use crate::public_url::PublicUrl;
use crate::remote_keys::{NoKeys, Pace, Published, RemoteKeys, ask};
use crate::request::RequestView;
use crate::time::{SKEW, Timestamp};

/// Where an agent's directory is.
const PATH: &str = "/.well-known/http-message-signatures-directory";
/// How large a directory may be, in bytes.
const LARGEST: usize = 64 * 1024;
/// An agent says how soon it changes its keys, and is asked on behalf of whoever names it: seldom about keys that it
/// does not list.
const PACE: Pace = Pace {
    longest_life: Duration::from_secs(24 * 3600),
    stale: Duration::from_secs(24 * 3600),
    unknown: Duration::from_secs(60),
};

/// Which agents are listed, and their directories as they were last had.
#[derive(Default)]
pub struct Directories {
    by_origin: BTreeMap<String, Arc<Directory>>,
}

struct Directory {
    url: Uri,
    keys: RemoteKeys<Keys>,
}

impl Directories {
    /// The directories of these agents; what `before` remembers of the same ones is kept.
    #[must_use]
    pub fn new<'a>(agents: impl IntoIterator<Item = &'a PublicUrl>, before: Option<&Self>) -> Self {
        let directory = |agent: &PublicUrl| {
            let origin = agent.to_string();
            let known = before.and_then(|before| before.by_origin.get(&origin)).cloned();
            let known = known.unwrap_or_else(|| Arc::new(Directory::new(&origin)));
            (origin, known)
        };
        Self { by_origin: agents.into_iter().map(directory).collect() }
    }

    /// The key that `keyid` names in the directory of the agent at `origin`, which is asked where what is
    /// known will not do. One request asks at a time; the others wait, or take the key that was there before.
    ///
    /// # Errors
    /// `signature_invalid` if the agent is not listed, or lists no such key, or the key has ended or not
    /// begun; `keys_unavailable` if the directory cannot be had, with the time of the next attempt.
    pub async fn find(
        &self,
        origin: &str,
        keyid: &str,
        request: &RequestView<'_>,
        fetch: &impl Fetch,
    ) -> Result<AgentKey, Denial> {
        let directory = self.by_origin.get(origin);
        let unlisted = || invalid(format!("{origin} is not among signature.web_bot_auth"));
        let directory = directory.ok_or_else(unlisted)?;
        let now = request.received_at;
        let knows = |keys: &Keys| keys.contains_key(keyid);
        let keys = directory.keys.having(knows, now, |_| directory.ask(fetch)).await?;
        let found = keys.get(keyid);
        let unknown = || invalid(format!("no key in the directory of {origin} has that thumbprint"));
        found.ok_or_else(unknown)?.at(now)
    }

    /// Whether the directory of the agent at `origin`, as it was last had, lists this key at `now`.
    #[must_use]
    pub fn still_lists(&self, origin: &str, keyid: &str, now: Timestamp) -> bool {
        let keys = self.by_origin.get(origin).and_then(|directory| directory.keys.usable(now));
        keys.is_some_and(|keys| keys.get(keyid).is_some_and(|key| key.at(now).is_ok()))
    }
}

impl Directory {
    fn new(origin: &str) -> Self {
        // An origin and a path that is one make a URL.
        let url = format!("{origin}{PATH}").parse().unwrap_or_default();
        let keys = RemoteKeys::new(format!("the keys in the directory of {origin}"), PACE);
        Self { url, keys }
    }

    async fn ask(&self, fetch: &impl Fetch) -> Result<Published<Keys>, NoKeys> {
        // The operator listed this very origin.
        Ok(jwks::read(&ask(&self.url, MEDIA_TYPE, ChosenBy::Configuration, LARGEST, fetch).await?)?)
    }
}

impl AgentKey {
    fn at(&self, now: Timestamp) -> Result<Self, Denial> {
        if let Some(expires) = self.expires.filter(|expires| *expires <= now) {
            return Err(invalid(format!("its directory says that the key ended at {expires}")));
        }
        if let Some(begins) = self.begins.filter(|begins| *begins > now.plus(SKEW)) {
            return Err(invalid(format!("its directory says that the key begins at {begins}")));
        }
        Ok(self.clone())
    }
}

fn invalid(cause: String) -> Denial {
    Denial::new(Code::SignatureInvalid, cause)
}
