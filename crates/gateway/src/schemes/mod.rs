//! What the gateway does for each scheme.

pub mod api_key;
pub mod assertion;
pub mod asymmetric;
pub mod bearer;
pub mod callback_url;
pub mod issuer;
pub mod session;
pub mod signature;
pub mod webhook;
