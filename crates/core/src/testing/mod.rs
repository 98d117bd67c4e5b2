//! The furniture of tests: a gate with its store and a clock that stands still, requests, and other hosts that
//! answer from a table. For the tests of whoever builds on this crate, behind the feature `testing`, which is
//! off unless it is asked for; nothing here belongs into a program that serves anybody.
//!
//! ```
//! use countersign::Code;
//! use countersign::schemes::api_key::ApiKeyVerifier;
//! use countersign::testing::{Request, World, rule};
//!
//! # let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
//! # runtime.block_on(async {
//! let world = World::new();
//! let verifier = ApiKeyVerifier::new(world.store.clone(), Default::default());
//! let rule = rule("api-key", |rule| rule.verifier(verifier));
//! let key = world.api_key(&["orders:read"]).await;
//! assert_eq!(world.code(&rule, &Request::get("/orders").bearing(&key)).await, None);
//! world.store.set_down(true);
//! assert_eq!(world.code(&rule, &Request::get("/orders").bearing(&key)).await, Some(Code::StoreUnavailable));
//! # });
//! ```

mod clock;
mod keys;
mod network;
mod random;
mod request;
mod scheme;
mod store;
mod work;
mod world;

use std::future::poll_fn;
use std::task::Poll;

pub use clock::{NOW, clock};
pub use keys::{ed25519, public_key, seal_key};
pub use network::{Nobody, Table, response};
pub use random::{Given, Seeded};
pub use request::Request;
pub use scheme::{HeaderScheme, TEST_PROOF};
pub use store::TestStore;
pub use work::AtOnce;
pub use world::{Verdict, World, rule};

/// Lets everything else that is ready go first, so many times, on whichever runtime this is.
pub async fn let_others_go_first(turns: usize) {
    for _ in 0..turns {
        let mut waited = false;
        poll_fn(|context| match std::mem::replace(&mut waited, true) {
            true => Poll::Ready(()),
            false => {
                context.waker().wake_by_ref();
                Poll::Pending
            }
        })
        .await;
    }
}
