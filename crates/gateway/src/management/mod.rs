//! The operator's side: keys, decisions, explanations, health and metrics. What can be asked for are types here; whoever
//! asks says it to people.

mod admin;
mod answer;
mod api;
mod callbacks;
mod client;
pub(crate) mod keys;
pub mod raw_request;
mod registered;
mod socket;
mod store;
mod subjects;
mod users;

pub use admin::{AdminToken, admin};
pub use api::router;
pub use client::{CallError, Management};
pub use keys::{NewKey, Rotation};
pub use registered::{Registration, SharedSecret, read_public};
pub use socket::{SocketError, bind, serve};
pub use subjects::SubjectWish;
pub use users::{NewPassword, NewUser, Whom};
