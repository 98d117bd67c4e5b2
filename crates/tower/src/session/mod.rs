//! People who sign in: what `/auth/*` answers, for the gateway and for any tower service.

mod answers;
mod paths;
mod service;
mod site;

pub use answers::AuthAsked;
pub use paths::AuthPath;
pub use service::AuthService;
pub use site::{SessionSettings, SessionSite, SiteParts};
