//! Agents as tests script them: what each answers, and what it was asked.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use countersign::crypto::VerifyingKey;
use countersign::{Fetch, FetchError, FetchRequest, FetchResponse};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, StatusCode};

const PATH: &str = "/.well-known/http-message-signatures-directory";
pub(crate) const MEDIA_TYPE: &str = "application/http-message-signatures-directory+json";

/// Answers by the directory's URL; nobody else is reached.
#[derive(Default)]
pub(crate) struct Agents {
    answers: Mutex<HashMap<String, FetchResponse>>,
    asked: Mutex<Vec<FetchRequest>>,
    in_flight: AtomicUsize,
    /// How many were asked at once at most.
    pub(crate) most: AtomicUsize,
}

impl Agents {
    pub(crate) fn answer(&self, origin: &str, answer: FetchResponse) {
        self.answers.lock().unwrap().insert(format!("{origin}{PATH}"), answer);
    }

    /// The agent at `origin` is not reached any more.
    pub(crate) fn lose(&self, origin: &str) {
        self.answers.lock().unwrap().remove(&format!("{origin}{PATH}"));
    }

    pub(crate) fn asked(&self) -> Vec<FetchRequest> {
        self.asked.lock().unwrap().clone()
    }

    pub(crate) fn count(&self) -> usize {
        self.asked().len()
    }
}

/// Gives up its place when the request that asks is dropped.
struct InFlight<'a>(&'a AtomicUsize);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Fetch for Agents {
    async fn fetch(&self, request: FetchRequest) -> Result<FetchResponse, FetchError> {
        self.most.fetch_max(self.in_flight.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        let _in_flight = InFlight(&self.in_flight);
        self.asked.lock().unwrap().push(request.clone());
        // Others get their turn before the answer comes.
        for _ in 0..4 {
            tokio::task::yield_now().await;
        }
        let answer = self.answers.lock().unwrap().get(&request.url.to_string()).cloned();
        answer.ok_or_else(|| FetchError::Unreachable("nobody is there".to_owned()))
    }
}

/// What an agent answers whose keys these are.
pub(crate) fn directory_of(keys: &[&VerifyingKey]) -> FetchResponse {
    let keys: Vec<_> = keys.iter().map(|key| key.to_jwk().unwrap()).collect();
    directory(&format!("{{\"keys\":[{}]}}", keys.join(",")))
}

/// The same of any text.
pub(crate) fn directory(body: &str) -> FetchResponse {
    let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE))]);
    FetchResponse { status: StatusCode::OK, headers, body: body.to_owned().into() }
}

/// The same answer, fresh for so many seconds.
pub(crate) fn fresh_for(seconds: u64, mut answer: FetchResponse) -> FetchResponse {
    answer.headers.insert(CACHE_CONTROL, format!("max-age={seconds}").parse().unwrap());
    answer
}
