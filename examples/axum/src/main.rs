//! An axum application that guards itself: each route says which permission it needs, and handlers read
//! who was proven from the request's extensions.
//!
//! ```text
//! cargo run -p countersign-example-axum -- 127.0.0.1:3000
//! curl -H "Authorization: Bearer cs_…" http://127.0.0.1:3000/orders
//! ```
#![expect(clippy::print_stdout, reason = "it shows what to try")]

use std::error::Error;
use std::sync::Arc;

use axum::{Extension, Router, routing::get};
use countersign::crypto::SystemRandom;
use countersign::schemes::api_key::{ApiKeyVerifier, KeyRegistry, KeyTerms};
use countersign::{Clock, Gate, MemoryStore, Policy, Principal, PublicUrl, Requirement, Rule};
use countersign_io::SystemClock;
use countersign_tower::GateLayer;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind(std::env::args().nth(1).unwrap_or("127.0.0.1:3000".into())).await?;
    let url = format!("http://{}", listener.local_addr()?);
    let store = Arc::new(MemoryStore::new(SystemClock));
    let gate = Gate::new(store.clone(), Arc::new(SystemClock), &SystemRandom);
    let (gate, public_url) = (Arc::new(gate), PublicUrl::parse(&url)?);
    let needs = |permission: &str| {
        let rule = Rule::requiring(permission, Requirement::parse(["api-key"])?)
            .verifier(ApiKeyVerifier::new(store.clone(), Arc::default()))
            .policy(Policy { permissions: [permission.into()].into(), ..Policy::default() });
        Ok::<_, Box<dyn Error>>(GateLayer::new(gate.clone(), rule.build()?, public_url.clone()))
    };
    let app = Router::new()
        .route("/orders", get(greet).layer(needs("orders:read")?))
        .route("/reports", get(greet).layer(needs("reports:read")?));
    let terms =
        KeyTerms { label: "demo".into(), permissions: vec!["orders:read".into()], ..KeyTerms::default() };
    let (key, _) = KeyRegistry::new(store.clone()).create(terms, SystemClock.now(), &SystemRandom).await?;
    println!("curl -H 'Authorization: Bearer {}' {url}/orders", key.reveal().expose());
    Ok(axum::serve(listener, app).await?)
}

async fn greet(Extension(caller): Extension<Principal>) -> String {
    format!("Hello, {}\n", caller.subject)
}
