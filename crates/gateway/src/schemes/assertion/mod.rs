//! What APIs behind us are told of who was proven: its public keys are for them, and nobody's secret.

pub mod config;

use std::sync::Arc;

use bytes::Bytes;
use countersign::assertion::{Asserter, PATH};
use countersign_io::AnyStore;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, Method, Response};

use super::{Making, Mounted, NotReady, Rules};
use crate::endpoint::{Answer, Answering, Asked, Endpoint};

/// What signs assertions.
pub struct Ready {
    asserter: Arc<Asserter<Arc<AnyStore>>>,
}

impl Ready {
    /// Keeps the keys that `before` signs with.
    pub(super) fn new(making: &Making<'_>, before: Option<&Self>) -> Result<Self, NotReady> {
        let shared = making.shared;
        let asserter = || {
            let (store, seal) = (shared.store.clone(), shared.seal_key.clone());
            Arc::new(Asserter::new(store, seal, shared.random.clone()))
        };
        Ok(Self { asserter: before.map_or_else(asserter, |before| before.asserter.clone()) })
    }

    /// Tells upstreams who was proven.
    pub const fn asserter(&self) -> &Arc<Asserter<Arc<AnyStore>>> {
        &self.asserter
    }
}

impl Mounted for Ready {
    /// `GET /.well-known/jwks.json`, which GET makes for HEAD too.
    fn endpoints(&self, _: &Rules<'_>) -> Vec<Endpoint> {
        let keys = Keys(self.asserter.clone());
        Endpoint::trying(PATH, Some(vec![Method::GET]), keys).into_iter().collect()
    }
}

struct Keys(Arc<Asserter<Arc<AnyStore>>>);

impl Answer for Keys {
    fn answer<'a>(&'a self, asked: Asked<'a>) -> Answering<'a> {
        Box::pin(async move {
            let keys = self.0.keys(asked.request.received_at).await?;
            let body = Bytes::from(keys.jwks().to_string());
            let length = HeaderValue::from(body.len());
            let is_head = *asked.request.method == Method::HEAD;
            let mut response = Response::new(if is_head { Bytes::new() } else { body });
            let headers = response.headers_mut();
            headers.insert(CONTENT_LENGTH, length);
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/jwk-set+json"));
            // Five minutes: a key is published an hour before it signs.
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
            Ok(response)
        })
    }
}
