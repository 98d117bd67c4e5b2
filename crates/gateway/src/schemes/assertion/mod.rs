//! The public keys of assertions, for the APIs behind us and nobody's secret.

use std::sync::Arc;

use bytes::Bytes;
use countersign::Rule;
use countersign::assertion::PATH;
use countersign::path::Template;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, Method, Response};

use crate::endpoint::{Answer, Answering, Asked, Endpoint};

/// `GET /.well-known/jwks.json`, which GET makes for HEAD too.
pub(crate) fn endpoints() -> impl Iterator<Item = Endpoint> {
    Template::parse(PATH).ok().into_iter().map(|template| Endpoint {
        rule: Arc::new(Rule::public(template.as_str())),
        template,
        methods: Some(vec![Method::GET]),
        answer: Box::new(Keys),
    })
}

struct Keys;

impl Answer for Keys {
    fn answer<'a>(&'a self, asked: Asked<'a>) -> Answering<'a> {
        Box::pin(async move {
            asked.runtime.gate.look_at_source(asked.request)?;
            let keys = asked.gateway.asserter.keys(asked.request.received_at).await?;
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
