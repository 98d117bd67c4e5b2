//! (placeholder until merged)
use bytes::Bytes;
use countersign::Store;
use countersign::schemes::webhook::{Tokens, wire::Question};
use http::{Method, Response, StatusCode};
/// Answers a question.
pub async fn answer<S: Store>(tokens: &Tokens<S>, method: &Method, body: Bytes) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    if *method != Method::POST {
        *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
        return response;
    }
    match Question::decode(&body) {
        None => *response.status_mut() = StatusCode::NOT_FOUND,
        Some(question) => match tokens.redeem(&question).await {
            Ok(Some(token)) => *response.body_mut() = Bytes::copy_from_slice(token.reveal().as_bytes()),
            Ok(None) => *response.status_mut() = StatusCode::NOT_FOUND,
            Err(_) => *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE,
        },
    }
    response
}
