//! Countersign: who sent this request, and may it pass? Nothing that leaks is enough.
//!
//! This crate opens no socket and no file and reads no clock: requests go in, decisions come out.
//! A [`Rule`] says what a route asks, a [`Gate`] decides, and only a [`Permit`] lets a request on.

pub mod arrival;
pub mod assertion;
pub mod authorization;
pub mod claim_path;
pub mod copies;
pub mod crypto;
pub mod decision;
pub mod denial;
pub mod dpop;
pub mod fetch;
pub mod field_names;
pub mod gate;
mod held;
pub mod issuer;
pub mod limit;
mod near_miss;
pub mod passage;
pub mod path;
pub mod permit;
pub mod policy;
mod presented;
pub mod principal;
pub mod public_url;
pub mod redaction;
pub mod remote_keys;
pub mod request;
pub mod requirement;
pub mod reservation;
pub mod rule;
pub mod schemes;
pub mod sealed;
pub mod source;
pub mod spending;
pub mod store;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod time;
pub mod verifier;
pub mod witness;
pub mod workers;

pub use arrival::Arrival;
pub use decision::{Decision, DecisionId, Outcome, Refusal};
pub use denial::{Challenge, Code, Denial};
pub use fetch::{ChosenBy, Fetch, FetchError, FetchRequest, FetchResponse};
pub use gate::{Gate, Verdict};
pub use passage::{Delivered, Passage, ReservedPermit};
pub use permit::{Permit, Standing};
pub use policy::Policy;
pub use principal::{KeyId, Permissions, Principal, Scheme, SessionId, Subject, UserId};
pub use public_url::PublicUrl;
pub use request::{Body, BodySource, Carrier, RequestView};
pub use requirement::Requirement;
pub use reservation::Delivery;
pub use rule::Rule;
pub use source::{Said, Source};
pub use store::{MemoryStore, Store};
pub use time::{Clock, Timestamp};
pub use verifier::{Proven, Verifier};
pub use witness::{Spawn, Witness};
pub use workers::Workers;
