//! The client layer with a key in place of a webhook: what is sent carries the proof, or is not sent.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use countersign::crypto::SystemRandom;
use countersign::schemes::api_key::ApiKey;
use countersign::schemes::proof::{Proof, ProofError};
use countersign::schemes::signature::RequestSigner;
use countersign::testing::clock;
use countersign_tower::{ProveError, ProveLayer, ProvenBody};
use http::{HeaderMap, Request, Response, Version};
use tower::{Layer as _, ServiceExt as _, service_fn};

const ORDERS: &str = "https://bob.example/orders";

/// What a client is given to send.
async fn sent(proof: Proof, body: Body) -> Result<HeaderMap, ProofError> {
    sent_by(proof, Request::post(ORDERS).body(body).unwrap()).await
}

async fn sent_by(proof: Proof, call: Request<Body>) -> Result<HeaderMap, ProofError> {
    let client = service_fn(async |request: Request<ProvenBody<Body>>| {
        Ok::<_, Infallible>(Response::new(request.headers().clone()))
    });
    let client = ProveLayer::new(Arc::new(proof), clock()).body_limit(8).layer(client);
    match client.oneshot(call).await {
        Ok(response) => Ok(response.into_body()),
        Err(ProveError::Prove(error)) => Err(error),
        Err(error) => panic!("{error}"),
    }
}

fn signing() -> Proof {
    let key = ApiKey::generate(&SystemRandom);
    Proof::Signature(Box::new(RequestSigner::of_api_key(&key, Arc::new(SystemRandom))))
}

/// A body whose length nobody knows.
struct Unknown;

impl http_body::Body for Unknown {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
        Poll::Ready(None)
    }
}

#[tokio::test]
async fn a_signature_covers_a_body_that_was_read_and_refuses_one_that_streams() {
    let headers = sent(signing(), Body::from("12345678")).await.unwrap();
    for name in ["signature", "signature-input", "content-digest"] {
        assert!(headers.contains_key(name), "{name}");
    }
    assert!(!sent(signing(), Body::empty()).await.unwrap().contains_key("content-digest"));
    assert_eq!(sent(signing(), Body::from("123456789")).await.err(), Some(ProofError::Streaming));
    assert_eq!(sent(signing(), Body::new(Unknown)).await.err(), Some(ProofError::Streaming));
}

#[tokio::test]
async fn a_key_that_is_sent_as_itself_goes_with_any_body() {
    let key = ApiKey::generate(&SystemRandom);
    for body in [Body::from("12345678"), Body::from("123456789"), Body::new(Unknown)] {
        let headers = sent(Proof::Bearer(key.clone()), body).await.unwrap();
        assert!(headers["authorization"].is_sensitive());
        assert_eq!(headers["authorization"], format!("Bearer {}", key.reveal().expose()));
    }
}

#[tokio::test]
async fn a_body_without_length_is_said_to_come_in_chunks_where_a_client_would_drop_it() {
    let key = ApiKey::generate(&SystemRandom);
    let coding = async |method: &str, version, body| {
        let call = Request::builder().method(method).uri(ORDERS).version(version).body(body).unwrap();
        let headers = sent_by(Proof::Bearer(key.clone()), call).await.unwrap();
        headers.get("transfer-encoding").map(|coding| coding.to_str().unwrap().to_owned())
    };
    let chunked = Some("chunked".to_owned());
    for method in ["GET", "HEAD"] {
        assert_eq!(coding(method, Version::HTTP_11, Body::new(Unknown)).await, chunked);
        for body in [Body::empty(), Body::from("12345678"), Body::from("123456789")] {
            assert_eq!(coding(method, Version::HTTP_11, body).await, None);
        }
        // It frames by itself, and has no such field.
        assert_eq!(coding(method, Version::HTTP_2, Body::new(Unknown)).await, None);
    }
    assert_eq!(coding("POST", Version::HTTP_11, Body::new(Unknown)).await, None);
}
