//! Our API: sends tasks, and takes their results.

use std::collections::HashMap;
use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use countersign::crypto::{Random as _, SealKey, Secret, SystemRandom};
use countersign::issuer::keyring::Keyring;
use countersign::path::Template;
use countersign::schemes::callback_url::{
    CallbackKeys, CallbackLimits, CallbackRoute, CallbackTerms, CallbackVerifier, Callbacks, Minter,
    TokenForm, keyring_terms,
};
use countersign::{Clock as _, Gate, MemoryStore, Principal, PublicUrl, Requirement, Rule};
use countersign_io::SystemClock;
use countersign_tower::GateLayer;
use serde_json::{Value, json};
use tower::Layer as _;

/// Longer than the service ever takes, and no longer.
const TTL: Duration = Duration::from_secs(900);
const ROUTE: &str = "/v1/results/{id}/{token}";

type Store = Arc<MemoryStore<SystemClock>>;

#[derive(Clone)]
struct Api {
    minter: Arc<Minter<Store>>,
    route: CallbackRoute,
    /// Where tasks go.
    tasks: String,
    /// Results by their numbers.
    results: Arc<Mutex<HashMap<String, Value>>>,
}

/// `url` is what callers address, `tasks` where the service takes tasks.
pub(crate) fn api(url: &str, tasks: String) -> Result<Router, Box<dyn Error>> {
    let store: Store = Arc::new(MemoryStore::new(SystemClock));
    let public_url = PublicUrl::parse(url)?;
    // In earnest it is read from a file, and outlives the process.
    let mut seal = [0; 32];
    SystemRandom.fill(&mut seal);
    let seal = SealKey::new(Secret::new(seal));
    let keyring = Keyring::new(store.clone(), seal, Arc::new(SystemRandom), keyring_terms(TTL));
    let keys = Arc::new(CallbackKeys::rotating(keyring));
    let route = CallbackRoute::new(Template::parse(ROUTE)?)?;
    let verifier = CallbackVerifier {
        store: store.clone(),
        keys: keys.clone(),
        public_url: public_url.clone(),
        route: route.clone(),
        limits: CallbackLimits { max_body: 64 * 1024, lease: Duration::from_secs(30), strict: false },
    };
    let rule =
        Rule::requiring("results", Requirement::parse(["callback-url"])?).verifier(verifier).build()?;
    let gate = Arc::new(Gate::new(store.clone(), Arc::new(SystemClock), &SystemRandom));
    let guard = GateLayer::new(gate, rule, public_url.clone());
    let minter = Minter {
        callbacks: Callbacks::new(store),
        keys,
        public_url,
        max_ttl: TTL,
        random: Arc::new(SystemRandom),
    };
    let api = Api { minter: Arc::new(minter), route, tasks, results: Arc::default() };
    // Behind the guard the path has no token any more; a router of its own sees nothing else.
    let guarded = Router::new().route("/v1/results/{id}", post(save)).with_state(api.clone());
    Ok(Router::new()
        .route("/jobs/{id}", post(send))
        .route("/results/{id}", get(show))
        .with_state(api)
        .fallback_service(guard.layer(guarded)))
}

/// The sender: the callback URL is part of the task.
async fn send(State(api): State<Api>, Path(id): Path<String>) -> StatusCode {
    let terms = CallbackTerms { user: "u1".into(), resource: Some(id.clone()), ..CallbackTerms::default() };
    let minted = api.minter.mint(&api.route, TokenForm::Signed, terms, TTL, SystemClock.now()).await;
    let Ok(minted) = minted else { return StatusCode::BAD_REQUEST };
    let task = json!({ "work": format!("job {id}"), "callback_url": minted.url.expose() });
    if crate::post(&api.tasks, &task).await { StatusCode::ACCEPTED } else { StatusCode::BAD_GATEWAY }
}

/// `POST /results`: nobody comes this far without a callback URL for this very result.
async fn save(
    State(api): State<Api>,
    Extension(caller): Extension<Principal>,
    Path(id): Path<String>,
    Json(result): Json<Value>,
) -> StatusCode {
    let saved = json!({ "by": caller.subject.to_string(), "result": result });
    api.results.lock().unwrap_or_else(PoisonError::into_inner).insert(id, saved);
    StatusCode::OK
}

async fn show(State(api): State<Api>, Path(id): Path<String>) -> Json<Option<Value>> {
    Json(api.results.lock().unwrap_or_else(PoisonError::into_inner).get(&id).cloned())
}
