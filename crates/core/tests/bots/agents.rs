//! Agents as tests script them.

use countersign::FetchResponse;
use countersign::crypto::VerifyingKey;
use countersign::testing::{Table, response};
use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};

const PATH: &str = "/.well-known/http-message-signatures-directory";
pub(crate) const MEDIA_TYPE: &str = "application/http-message-signatures-directory+json";

/// Agents within a table of hosts.
pub(crate) trait Agents {
    fn answer(&self, origin: &str, answer: FetchResponse);

    /// The agent at `origin` is not reached any more.
    fn lose(&self, origin: &str);

    fn count(&self) -> usize;
}

impl Agents for Table {
    fn answer(&self, origin: &str, answer: FetchResponse) {
        self.put(&format!("{origin}{PATH}"), answer);
    }

    fn lose(&self, origin: &str) {
        self.remove(&format!("{origin}{PATH}"));
    }

    fn count(&self) -> usize {
        self.asked().len()
    }
}

/// What an agent answers whose keys these are.
pub(crate) fn directory_of(keys: &[&VerifyingKey]) -> FetchResponse {
    let keys: Vec<_> = keys.iter().map(|key| key.to_jwk().unwrap()).collect();
    directory(&format!("{{\"keys\":[{}]}}", keys.join(",")))
}

/// The same of any text.
pub(crate) fn directory(body: &str) -> FetchResponse {
    let mut answer = response(200, body.to_owned());
    answer.headers.insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
    answer
}

/// The same answer, fresh for so many seconds.
pub(crate) fn fresh_for(seconds: u64, mut answer: FetchResponse) -> FetchResponse {
    answer.headers.insert(CACHE_CONTROL, format!("max-age={seconds}").parse().unwrap());
    answer
}
