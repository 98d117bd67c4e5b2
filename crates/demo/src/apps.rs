//! The three applications: Alice's, Bob's and Eve's. Alice's and Bob's know nothing of proofs.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::any;
use countersign::crypto::SystemRandom;
use countersign::schemes::webhook::{Algorithm, Token, TokenHash, Tokens};
use countersign::{ChosenBy, Clock as _, Fetch as _, FetchRequest};
use countersign_io::egress::{EgressPolicy, GuardedClient, read_roots};
use countersign_io::{AnyStore, StoreUrl, SystemClock};
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use tokio::net::TcpListener;

use crate::failure::Failure;
use crate::front::{PATIENCE, loopback_client};
use crate::orders::Headers;
use crate::stage::{RECEIVER, Stage};

/// Alice's: `/example` calls Bob at an address on her own machine, and her gateway proves the call.
pub(super) fn alice(listener: TcpListener, stage: &Stage) {
    let bob = stage.alice_to_bob;
    let client = loopback_client();
    let example = async move || allowed(plain(&client, bob).await);
    serve(listener, axum::Router::new().route("/example", any(example)));
}

/// Alice's application calls whoever is behind one of her outbound listeners.
pub(super) async fn plain(client: &GuardedClient, listener: SocketAddr) -> Option<u16> {
    let url = format!("http://{listener}{RECEIVER}").parse().ok()?;
    get(client, url, HeaderMap::new()).await
}

/// Bob's: greets whom his gateway has let in.
pub(super) fn bob(listener: TcpListener) {
    let greet = async |headers: HeaderMap| {
        let subject = headers.get("countersign-subject").and_then(|value| value.to_str().ok());
        format!("hello {}\n", subject.unwrap_or("nobody"))
    };
    serve(listener, axum::Router::new().route(RECEIVER, any(greet)));
}

/// Eve's: calls Bob with whatever she can think of.
#[derive(Clone)]
pub(super) struct Eve {
    client: GuardedClient,
    bob: Uri,
    alice: String,
    /// Where she keeps her tokens, as any requester would. It is not Alice's store.
    tokens: Tokens<Arc<AnyStore>>,
}

impl Eve {
    pub(super) async fn new(folder: &Path, stage: &Stage) -> Result<Self, Failure> {
        let policy = EgressPolicy {
            ports: vec![stage.bob.front.port()],
            extra_roots: read_roots(&folder.join("ca.pem"))?,
            allow_private: stage.ranges.iter().map(|range| range.parse()).collect::<Result<_, _>>()?,
            ..EgressPolicy::default()
        };
        let bob = format!("{}{RECEIVER}", stage.bob.url()).parse()?;
        let store_url = match std::env::var("COUNTERSIGN_STORE_URL") {
            Ok(url) => url.parse()?,
            Err(_) => StoreUrl::Memory,
        };
        let tokens = Tokens::new(Arc::new(AnyStore::open(&store_url, Arc::new(SystemClock)).await?));
        Ok(Self { client: GuardedClient::new(policy), bob, alice: stage.alice.webhook(), tokens })
    }

    /// `/example` claims to be Alice.
    pub(super) fn serve(&self, listener: TcpListener) {
        let eve = self.clone();
        let example = async move || allowed(eve.forge(&eve.alice).await);
        serve(listener, axum::Router::new().route("/example", any(example)));
    }

    /// Names a webhook URL, with a token and hash of her own.
    pub(super) async fn forge(&self, url: &str) -> Option<u16> {
        let token = Token::generate(&SystemRandom);
        let hash = TokenHash::of(&token, Algorithm::Bcrypt, &SystemRandom);
        self.tokens.keep(&hash, &self.bob.to_string(), &token, SystemClock.now()).await.ok()?;
        let value = format!("Webhook {url} {}", hash.as_str());
        self.send([(AUTHORIZATION.to_string(), value)].into()).await
    }

    /// Sends headers that were somebody else's.
    pub(super) async fn send(&self, headers: Headers) -> Option<u16> {
        let mut sent = HeaderMap::new();
        for (name, value) in headers {
            sent.append(HeaderName::try_from(name).ok()?, HeaderValue::try_from(value).ok()?);
        }
        get(&self.client, self.bob.clone(), sent).await
    }
}

/// The seed's answer.
fn allowed(status: Option<u16>) -> impl IntoResponse {
    let allowed = status.is_some_and(|status| (200..300).contains(&status));
    ([(CONTENT_TYPE, "application/json")], format!("{{\"allowed\": {allowed}}}"))
}

async fn get(client: &GuardedClient, url: Uri, headers: HeaderMap) -> Option<u16> {
    let request = FetchRequest {
        method: Method::GET,
        url,
        headers,
        body: bytes::Bytes::new(),
        chosen_by: ChosenBy::Configuration,
        timeout: PATIENCE,
        max_bytes: 64 * 1024,
        repeatable: false,
    };
    client.fetch(request).await.ok().map(|answer| answer.status.as_u16())
}

fn serve(listener: TcpListener, service: axum::Router) {
    tokio::spawn(async move { drop(axum::serve(listener, service).await) });
}
