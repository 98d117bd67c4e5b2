//! An axum application whose users sign in: a proof in two halves, of which a script reads one and a browser keeps
//! the other, so that neither XSS nor CSRF has a whole one. No second process, no database.
//!
//! ```text
//! cargo run -p countersign-example-sessions -- 127.0.0.1:3000
//! ```
#![expect(clippy::print_stdout, reason = "it shows what to try")]

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, Extension};
use axum::http::Extensions;
use axum::{Router, routing::get};
use countersign::crypto::{Random as _, SealKey, Secret, SystemRandom};
use countersign::schemes::session::SessionDemand;
use countersign::{Gate, MemoryStore, Principal, PublicUrl};
use countersign_io::SystemClock;
use countersign_io::workers::Pool;
use countersign_tower::{AuthService, GateLayer, SessionSettings, SessionSite, SiteParts};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind(std::env::args().nth(1).unwrap_or("127.0.0.1:3000".into())).await?;
    let url = format!("http://{}", listener.local_addr()?);
    let (store, public_url) = (Arc::new(MemoryStore::new(SystemClock)), PublicUrl::parse(&url)?);
    // In earnest the store and this key are files: passwords are worth nothing without it.
    let mut seal = [0; 32];
    SystemRandom.fill(&mut seal);
    let parts = SiteParts {
        store: store.clone(),
        public_url: &public_url,
        allowed_origins: &[],
        seal_key: &SealKey::new(Secret::new(seal)),
        workers: Arc::new(Pool::default()),
        random: Arc::new(SystemRandom),
    };
    let site = SessionSite::new(parts, SessionSettings { signup: true, ..SessionSettings::default() })?;
    let gate = Arc::new(Gate::new(store, Arc::new(SystemClock), &SystemRandom));
    let rule = site.rule("notes", SessionDemand::default()).build()?;
    let guard = GateLayer::new(gate.clone(), rule, public_url.clone()).source(source);
    let auth = AuthService::new(site, gate, public_url)?.source(source);
    let app = Router::new()
        .route("/notes", get(greet).post(greet).layer(guard))
        .route_service("/auth/{*path}", auth)
        .into_make_service_with_connect_info::<SocketAddr>();
    println!(
        "curl -i {url}/auth/signup --json '{{\"email\":\"ann@example.org\",\"name\":\"Ann\",\"password\":\"…\"}}'"
    );
    Ok(axum::serve(listener, app).await?)
}

fn source(extensions: &Extensions) -> Option<std::net::IpAddr> {
    extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip())
}

async fn greet(Extension(user): Extension<Principal>) -> String {
    format!("Hello, {}\n", user.subject)
}
