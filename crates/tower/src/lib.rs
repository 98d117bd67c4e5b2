//! Countersign in-process: the same gate as the gateway's, as a tower [`Layer`](tower_layer::Layer).
//!
//! [`GateLayer`] guards axum routers and hyper services. A request that may pass reaches the inner
//! service with its credentials taken out and a [`Principal`](countersign::Principal) among its
//! extensions; another is answered with RFC 9457 problem details.
//!
//! [`AssertionLayer`] is for an API behind the gateway: it believes the gateway, and nobody who comes around it.
//!
//! [`AuthService`] lets people sign in: it serves `/auth/*`, and a [`SessionSite`] makes the rules of routes that
//! take their sessions.
//!
//! [`ProveLayer`] is the caller's half: it proves what an HTTP client sends. [`WebhookEndpoint`] answers
//! the questions that receivers ask about it.

mod assertion;
mod body;
mod claimants;
mod cookies;
mod doorway;
mod endpoint;
mod layer;
mod problem;
mod prove;
mod proven_body;
mod session;
mod strip;

pub use assertion::{AssertionLayer, AssertionService};
pub use body::{BodyReader, GateBody};
pub use cookies::keep_their_cookies;
pub use endpoint::{WebhookEndpoint, answer};
pub use layer::{GateFuture, GateLayer, GateService};
pub use problem::problem;
pub use prove::{Claimant, Prove, ProveError, ProveLayer};
pub use proven_body::ProvenBody;
pub use session::{AuthAsked, AuthPath, AuthService, SessionSettings, SessionSite, SiteParts};
pub use strip::{
    DECISION, IDEMPOTENCY_KEY, SCHEME, SUBJECT, has_credential_in_url, refer_to_nobody, remove_cookie,
    remove_copies, remove_copies_in_query, remove_credential_fields, remove_half, remove_look_alikes,
    remove_matching, set_idempotency_key, strip_credentials, strip_identity,
};
