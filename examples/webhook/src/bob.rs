//! The receiver: serves whoever can be asked at a webhook URL that he knows.

use std::error::Error;
use std::sync::Arc;

use axum::{Extension, Router, routing::get};
use countersign::crypto::SystemRandom;
use countersign::schemes::webhook::{Callers, WebhookUrl, WebhookVerifier};
use countersign::{Gate, MemoryStore, Principal, PublicUrl, Requirement, Rule};
use countersign_io::SystemClock;
use countersign_io::egress::{EgressPolicy, GuardedClient};
use countersign_io::workers::Pool;
use countersign_tower::GateLayer;

use crate::LAB;

/// Gives Alice her orders. `url` is what callers address.
pub(crate) fn api(alice: &WebhookUrl, url: &str) -> Result<Router, Box<dyn Error>> {
    let store = Arc::new(MemoryStore::new(SystemClock));
    let mut callers = Callers::default();
    callers.add(alice.as_str(), None, &LAB)?;
    let verifier = WebhookVerifier {
        store: store.clone(),
        // In earnest this is `EgressPolicy::default()`: https to public addresses alone.
        fetch: GuardedClient::new(EgressPolicy { allow_http_loopback: true, ..EgressPolicy::default() }),
        workers: Arc::new(Pool::default()),
        budget: Arc::default(),
        callers: Arc::new(callers),
        rules: LAB,
        max_signed_body: 1024 * 1024,
    };
    let rule = Rule::requiring("orders", Requirement::parse(["webhook"])?).verifier(verifier).build()?;
    let gate = Arc::new(Gate::new(store, Arc::new(SystemClock), &SystemRandom));
    let guard = GateLayer::new(gate, rule, PublicUrl::parse(url)?);
    Ok(Router::new().route("/orders", get(greet).layer(guard)))
}

async fn greet(Extension(caller): Extension<Principal>) -> String {
    format!("Hello, {}\n", caller.subject)
}
