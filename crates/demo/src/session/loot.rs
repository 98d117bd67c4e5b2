//! What was stolen from a session.

use serde::{Deserialize, Serialize};

/// As much of it as a script, another page or malware can get.
#[derive(Clone, Default, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct Loot {
    /// The token half.
    pub(super) half: String,
    /// A handshake, if the script could get one.
    pub(super) handshake: Option<String>,
    /// The whole `Cookie` header, which only malware has.
    pub(super) cookie: Option<String>,
}
