//! Countersign in-process: the same gate as the gateway's, as a tower [`Layer`](tower_layer::Layer).
//!
//! [`GateLayer`] guards axum routers and hyper services. A request that may pass reaches the inner
//! service with its credentials taken out and a [`Principal`](countersign::Principal) among its
//! extensions; another is answered with RFC 9457 problem details.

mod body;
mod endpoint;
mod layer;
mod problem;
mod strip;

pub use body::{BodyReader, GateBody};
pub use endpoint::answer;
pub use layer::{GateFuture, GateLayer, GateService};
pub use problem::problem;
pub use strip::{
    DECISION, SCHEME, SUBJECT, is_ours, remove_look_alikes, remove_matching, strip_credentials,
    strip_identity,
};
