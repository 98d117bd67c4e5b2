//! What the gateway does for each scheme.

pub mod assertion;
pub mod bearer;
pub mod callback_url;
pub mod issuer;
pub mod session;
pub mod webhook;
