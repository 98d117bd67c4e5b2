//! Alice calls Bob, who knows nothing of her but her webhook URL. No secret is shared beforehand: Bob
//! asks at that URL whether she sent what he got, once; her later requests are signed with a key that
//! the first one introduced.
//!
//! ```text
//! cargo run -p countersign-example-webhook -- 127.0.0.1:3001 127.0.0.1:3002
//! curl http://127.0.0.1:3001/orders
//! ```
#![expect(clippy::print_stdout, reason = "it shows what to try")]

mod alice;
mod bob;

use std::error::Error;

use countersign::schemes::webhook::{UrlRules, WELL_KNOWN, WebhookUrl};
use tokio::net::TcpListener;

/// In earnest this is `UrlRules::default()`: https alone.
const LAB: UrlRules = UrlRules { ports: Vec::new(), http_on_loopback: true };

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut addresses = std::env::args().skip(1);
    let mut next = |usual: &str| TcpListener::bind(addresses.next().unwrap_or_else(|| usual.to_owned()));
    let (for_alice, for_bob) = (next("127.0.0.1:3001").await?, next("127.0.0.1:3002").await?);
    let webhook = format!("http://{}{}", for_alice.local_addr()?, WELL_KNOWN);
    let webhook = WebhookUrl::parse(&webhook, &LAB)?;
    let bob = format!("http://{}", for_bob.local_addr()?);
    println!("curl {}/orders\ncurl {bob}/orders", webhook.origin());
    let alice = axum::serve(for_alice, alice::api(webhook.clone(), bob.clone()));
    let bob = axum::serve(for_bob, bob::api(&webhook, &bob)?);
    tokio::try_join!(alice.into_future(), bob.into_future())?;
    Ok(())
}
