//! Where receivers ask whether one of our requests is ours.

use std::sync::Arc;

use bytes::Bytes;
use countersign::schemes::webhook::Tokens;
use countersign::schemes::webhook::wire::LONGEST_QUESTION;
use countersign_io::AnyStore;
use countersign_tower::answer;
use http::Method;

use crate::endpoint::{Answer, Answering, Asked};
use crate::metrics::Metrics;

/// Answers with the tokens of our own requests, which wait for their question.
pub(super) struct Questions {
    pub(super) tokens: Tokens<Arc<AnyStore>>,
    pub(super) metrics: Arc<Metrics>,
}

impl Answer for Questions {
    fn answer<'a>(&'a self, asked: Asked<'a>) -> Answering<'a> {
        Box::pin(async move {
            let method = asked.request.method;
            // What is not going to be answered is not read either.
            let question = match *method {
                Method::POST => asked.body.read(LONGEST_QUESTION).await.unwrap_or_default(),
                _ => Bytes::new(),
            };
            let response = answer(&self.tokens, method, question).await;
            self.metrics.question(response.status());
            Ok(response)
        })
    }
}
