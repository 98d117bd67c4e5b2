//! Other hosts, as a test scripts them.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

use super::let_others_go_first;
use crate::fetch::{Fetch, FetchError, FetchRequest, FetchResponse};

/// Nobody answers.
#[derive(Clone, Copy, Debug, Default)]
pub struct Nobody;

impl Fetch for Nobody {
    async fn fetch(&self, request: FetchRequest) -> Result<FetchResponse, FetchError> {
        Err(unreachable(&request))
    }
}

type Answering = dyn Fn(FetchRequest) -> Pin<Box<dyn Future<Output = Result<FetchResponse, FetchError>> + Send>>
    + Send
    + Sync;

/// Answers by URL, and keeps what was asked. Whoever is not in it cannot be reached.
#[derive(Default)]
pub struct Table {
    answers: Mutex<HashMap<String, Arc<Answering>>>,
    asked: Mutex<Vec<FetchRequest>>,
    turns: AtomicUsize,
    in_flight: AtomicUsize,
    most: AtomicUsize,
}

impl Table {
    /// Each answer lets everything else go first so many times.
    pub fn set_lag(&self, turns: usize) {
        self.turns.store(turns, Ordering::SeqCst);
    }

    /// This stands at `url` from here on.
    pub fn put(&self, url: &str, answer: FetchResponse) {
        self.put_result(url, Ok(answer));
    }

    /// Whoever asks `url` gets this error from here on.
    pub fn put_error(&self, url: &str, error: FetchError) {
        self.put_result(url, Err(error));
    }

    fn put_result(&self, url: &str, result: Result<FetchResponse, FetchError>) {
        self.put_with(url, move |_| {
            let result = result.clone();
            async { result }
        });
    }

    /// What stands at `url` from here on thinks about each question.
    pub fn put_with<F>(&self, url: &str, answer: impl Fn(FetchRequest) -> F + Send + Sync + 'static)
    where
        F: Future<Output = Result<FetchResponse, FetchError>> + Send + 'static,
    {
        let answer: Arc<Answering> = Arc::new(move |request| Box::pin(answer(request)));
        self.answers.lock().unwrap().insert(url.to_owned(), answer);
    }

    /// Nothing stands at `url` any more.
    pub fn remove(&self, url: &str) {
        self.answers.lock().unwrap().remove(url);
    }

    /// Nothing stands anywhere any more.
    pub fn clear(&self) {
        self.answers.lock().unwrap().clear();
    }

    /// What was asked so far.
    pub fn asked(&self) -> Vec<FetchRequest> {
        self.asked.lock().unwrap().clone()
    }

    /// The URLs that were asked since this was looked at last.
    pub fn take_asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock().unwrap())
            .into_iter()
            .map(|request| request.url.to_string())
            .collect()
    }

    /// How many questions there were at once, at most.
    pub fn most_at_once(&self) -> usize {
        self.most.load(Ordering::SeqCst)
    }
}

/// Gives up its place when whoever asks leaves, too.
struct InFlight<'a>(&'a AtomicUsize);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Fetch for Table {
    async fn fetch(&self, request: FetchRequest) -> Result<FetchResponse, FetchError> {
        self.most.fetch_max(self.in_flight.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        let _in_flight = InFlight(&self.in_flight);
        self.asked.lock().unwrap().push(request.clone());
        let_others_go_first(self.turns.load(Ordering::SeqCst)).await;
        let (answer, most) =
            (self.answers.lock().unwrap().get(&request.url.to_string()).cloned(), request.max_bytes);
        let answer = match answer {
            Some(answer) => answer(request).await?,
            None => return Err(unreachable(&request)),
        };
        match answer.body.len() > most {
            true => Err(FetchError::TooLarge(most)),
            false => Ok(answer),
        }
    }
}

fn unreachable(request: &FetchRequest) -> FetchError {
    FetchError::Unreachable(format!("nobody is there: {}", request.url))
}

/// An answer without headers.
///
/// # Panics
/// If there is no such status.
#[must_use]
pub fn response(status: u16, body: impl Into<Bytes>) -> FetchResponse {
    let status = StatusCode::from_u16(status).expect("a status");
    FetchResponse { status, headers: HeaderMap::new(), body: body.into() }
}
