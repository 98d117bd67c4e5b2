//! The requester's webhook URL: where a receiver asks whether we sent what it got.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use countersign::Store;
use countersign::schemes::webhook::Tokens;
use countersign::schemes::webhook::wire::{LONGEST_QUESTION, Question};
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body::Body;
use http_body_util::Full;
use tower_service::Service;

use crate::body::collect;
use crate::layer::GateFuture;

/// Answers questions about the tokens that a
/// [`Requester`](countersign::schemes::webhook::signer::Requester) gives out hashes of. Put it at the
/// path of the requester's webhook URL, with no guard before it: whoever asks has nothing but a hash.
///
/// How long somebody may take to send a question is the server's to limit.
///
/// ```
/// use axum::Router;
/// use countersign::schemes::webhook::Tokens;
/// use countersign::time::ManualClock;
/// use countersign::{MemoryStore, Timestamp};
/// use countersign_tower::WebhookEndpoint;
///
/// let store = MemoryStore::new(ManualClock::new(Timestamp::from_secs(1_800_000_000)));
/// let endpoint = WebhookEndpoint::new(Tokens::new(store));
/// let app: Router = Router::new().route_service("/.well-known/webhook-auth", endpoint);
/// ```
pub struct WebhookEndpoint<S> {
    tokens: Arc<Tokens<S>>,
}

impl<S: Store> WebhookEndpoint<S> {
    /// An endpoint for the tokens that wait in the requester's store.
    #[must_use]
    pub fn new(tokens: Tokens<S>) -> Self {
        Self { tokens: Arc::new(tokens) }
    }
}

impl<S> Clone for WebhookEndpoint<S> {
    fn clone(&self) -> Self {
        Self { tokens: self.tokens.clone() }
    }
}

impl<S, B> Service<Request<B>> for WebhookEndpoint<S>
where
    S: Store,
    B: Body<Data = Bytes> + Send + Unpin + 'static,
{
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = GateFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let tokens = self.tokens.clone();
        Box::pin(async move {
            let (parts, mut body) = request.into_parts();
            // What is not going to be answered is not read either.
            let response = match parts.method {
                Method::POST => match collect(&mut body, LONGEST_QUESTION).await {
                    Ok(body) => answer(&tokens, &parts.method, body).await,
                    Err(_) => refusal(),
                },
                _ => answer(&tokens, &parts.method, Bytes::new()).await,
            };
            Ok(response.map(Full::new))
        })
    }
}

/// Answers one question whose body, of at most
/// [`LONGEST_QUESTION`](countersign::schemes::webhook::wire::LONGEST_QUESTION) bytes, has been read: the
/// token as the whole body, once. Whatever else is asked by POST has the same answer, byte for byte, so
/// that nobody learns which hashes are waiting, or for whom.
pub async fn answer<S: Store>(tokens: &Tokens<S>, method: &Method, body: Bytes) -> Response<Bytes> {
    if method != Method::POST {
        let mut response = empty(StatusCode::METHOD_NOT_ALLOWED);
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
        return response;
    }
    let Some(question) = Question::decode(&body) else { return refusal() };
    match tokens.redeem(&question).await {
        Ok(Some(token)) => {
            let mut response = empty(StatusCode::OK);
            *response.body_mut() = Bytes::copy_from_slice(token.reveal().as_bytes());
            let plain = HeaderValue::from_static("text/plain; charset=utf-8");
            response.headers_mut().insert(CONTENT_TYPE, plain);
            response
        }
        Ok(None) => refusal(),
        Err(_) => {
            let mut response = empty(StatusCode::SERVICE_UNAVAILABLE);
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
            response
        }
    }
}

fn refusal() -> Response<Bytes> {
    empty(StatusCode::NOT_FOUND)
}

fn empty(status: StatusCode) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = status;
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
