//! The one place where a denial becomes a response (RFC 9457).

use std::time::UNIX_EPOCH;

use bytes::Bytes;
use countersign::decision::DecisionId;
use countersign::{Denial, Timestamp};
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, DATE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, Response};
use serde_json::json;

use crate::strip::DECISION;

/// The response to a request that may not pass: `application/problem+json` with the stable code and
/// what to do next; never the cause. `decision` names the decision, where one was made.
#[must_use]
pub fn problem(denial: &Denial, decision: impl Into<Option<DecisionId>>, at: Timestamp) -> Response<Bytes> {
    let decision = decision.into();
    let code = denial.code();
    let mut body = json!({
        "type": format!("urn:countersign:code:{code}"),
        "title": code.title(),
        "status": code.status().as_u16(),
        "code": code,
        "detail": code.detail(),
    });
    if let Some(decision) = decision {
        body["decision"] = json!(decision.to_string());
    }
    if let Some(covered) = denial.covered() {
        body["covered"] = json!(covered.components);
        if let Some(differs) = &covered.differs {
            body["differs"] = json!(differs);
        }
    }
    let mut response = Response::new(Bytes::from(body.to_string()));
    *response.status_mut() = code.status();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(Ok(id)) = decision.map(|id| HeaderValue::from_str(id.encode(&mut [0; 36]))) {
        headers.insert(DECISION, id);
    }
    // Whoever is told that a proof is too old needs our time to make a better one.
    let date = UNIX_EPOCH + std::time::Duration::from_secs(at.as_secs());
    if let Ok(date) = HeaderValue::from_str(&httpdate::fmt_http_date(date)) {
        headers.insert(DATE, date);
    }
    if let Some(wait) = denial.retry() {
        headers.insert(RETRY_AFTER, HeaderValue::from(wait.as_millis().div_ceil(1000).max(1) as u64));
    }
    for challenge in denial.challenges() {
        if let Ok(value) = HeaderValue::from_str(challenge.as_str()) {
            headers.append(WWW_AUTHENTICATE, value);
        }
    }
    for (name, value) in denial.asks() {
        headers.append(name, value.clone());
    }
    if let Some(Ok(methods)) = denial.allowed_methods().map(HeaderValue::from_str) {
        headers.insert(ALLOW, methods);
    }
    response
}
