//! Answers questions about our tokens at an address of our own, as long as it lives.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::response::Response;
use bytes::Bytes;
use countersign::schemes::webhook::wire::{LONGEST_QUESTION, Question};
use countersign::schemes::webhook::{Tokens, WebhookUrl};
use countersign_io::AnyStore;
use http::{Method, StatusCode};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// One question, for whoever watches.
#[derive(Debug)]
pub(super) struct Asked {
    /// Who asked.
    pub(super) by: SocketAddr,
    /// The URL that it says is its own; `None` if it asked nothing that can be read.
    pub(super) url: Option<String>,
    /// Whether it was given the token.
    pub(super) answered: bool,
}

/// A listener for one path. It ends when it is dropped.
pub(crate) struct Answerer(JoinHandle<()>);

impl Drop for Answerer {
    fn drop(&mut self) {
        self.0.abort();
    }
}

type Watch = Arc<dyn Fn(Asked) + Send + Sync>;

#[derive(Clone)]
struct Place {
    tokens: Tokens<Arc<AnyStore>>,
    path: Arc<str>,
    watch: Watch,
}

impl Answerer {
    /// Answers at the path of `url` for the tokens in `store`.
    pub(super) async fn listen(
        address: SocketAddr,
        url: &WebhookUrl,
        store: Arc<AnyStore>,
        watch: impl Fn(Asked) + Send + Sync + 'static,
    ) -> std::io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let place = Place { tokens: Tokens::new(store), path: url.path().into(), watch: Arc::new(watch) };
        let service = axum::Router::new()
            .fallback(answer)
            .with_state(place)
            .into_make_service_with_connect_info::<SocketAddr>();
        Ok(Self(tokio::spawn(async move { drop(axum::serve(listener, service).await) })))
    }
}

async fn answer(
    State(place): State<Place>,
    ConnectInfo(by): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response {
    let there = request.method() == Method::POST && request.uri().path() == &*place.path;
    let body = match there {
        true => axum::body::to_bytes(request.into_body(), LONGEST_QUESTION).await.unwrap_or_default(),
        false => Bytes::new(),
    };
    let response = countersign_tower::answer(&place.tokens, &Method::POST, body.clone()).await;
    let url = Question::decode(&body).map(|question| question.url);
    (place.watch)(Asked { by, url, answered: response.status() == StatusCode::OK });
    response.map(Body::from)
}
