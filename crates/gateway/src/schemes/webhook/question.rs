//! Where receivers ask whether one of our requests is ours.

use std::sync::Arc;

use bytes::Bytes;
use countersign::Rule;
use countersign::path::Template;
use countersign::schemes::webhook::WELL_KNOWN;
use countersign::schemes::webhook::wire::LONGEST_QUESTION;
use countersign_tower::answer;
use http::Method;

use crate::config::{Config, Prove};
use crate::endpoint::{Answer, Answering, Asked, Endpoint};

/// The well-known path, and whatever else under our own URL is named as ours by an `[[outbound]]`.
pub(crate) fn endpoints(config: &Config) -> impl Iterator<Item = Endpoint> {
    let ours = config.server.public_url.to_string();
    let named = config.outbounds.iter().filter_map(move |outbound| match &outbound.prove {
        Prove::Webhook { url, .. } if url.origin() == ours => Some(url.path().to_owned()),
        _ => None,
    });
    let paths = std::iter::once(WELL_KNOWN.to_owned()).chain(named);
    paths.filter_map(|path| Template::parse(&path).ok()).map(|template| Endpoint {
        rule: Arc::new(Rule::public(template.as_str())),
        template,
        methods: None,
        answer: Box::new(Question),
    })
}

struct Question;

impl Answer for Question {
    fn answer<'a>(&'a self, asked: Asked<'a>) -> Answering<'a> {
        Box::pin(async move {
            let method = asked.request.method;
            // What is not going to be answered is not read either.
            let question = match *method {
                Method::POST => asked.body.read(LONGEST_QUESTION).await.unwrap_or_default(),
                _ => Bytes::new(),
            };
            let response = answer(&asked.gateway.webhook_tokens(), method, question).await;
            asked.gateway.metrics.question(response.status());
            Ok(response)
        })
    }
}
