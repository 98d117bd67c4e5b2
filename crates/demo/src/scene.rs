//! A scene of the webhook demonstration, and what is told of it.

use serde_json::Value;

use crate::orders::Seen;

/// A scene, and what must come of it.
pub(super) struct Scene {
    /// For programs.
    pub(super) name: &'static str,
    /// What is tried.
    pub(super) title: &'static str,
    /// What to know beforehand.
    pub(super) before: &'static str,
    /// What it means that it ended so.
    pub(super) after: &'static str,
    pub(super) status: u16,
    pub(super) code: Option<&'static str>,
    /// How often Alice must have been asked, and what she must have answered.
    pub(super) asked: Option<u16>,
    /// What people see at `/example`, if that is how it began.
    pub(super) example: Option<&'static str>,
}

/// Those headers that carry a proof.
pub(super) const PROOF: [&str; 6] =
    ["authorization", "signature-agent", "signature-key", "webhook-key", "signature-input", "signature"];

/// What came of a scene, as everybody noted it.
pub(super) struct Told {
    /// What reached Eve before, from Alice.
    pub(super) to_eve: Vec<Seen>,
    /// What reached Bob.
    pub(super) to_bob: Vec<Seen>,
    /// What reached Alice.
    pub(super) to_alice: Vec<Seen>,
    /// Who caused what reached Bob.
    pub(super) caller: &'static str,
    /// What Bob noted.
    pub(super) decision: Value,
    /// What people saw at `/example`.
    pub(super) example: Option<(std::net::SocketAddr, String)>,
}
