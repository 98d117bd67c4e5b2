//! What the director tells those who take part, and what they tell back: JSON, a line each.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Headers by their names.
pub(super) type Headers = BTreeMap<String, String>;

/// What to do.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Order {
    /// Tell what came in since you were asked last.
    Seen,
    /// Alice: call Eve.
    CallEve,
    /// Bob: tell what you noted about this decision.
    Explain(String),
    /// Eve: call Bob, naming this webhook URL, with a token and hash of your own.
    Forge(String),
    /// Eve: call Bob with headers that are not yours.
    Send(Headers),
}

/// What came of it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Report {
    /// All listeners are there.
    Ready,
    /// It cannot be done.
    Failed(String),
    /// What came in.
    Seen(Vec<Seen>),
    /// What was answered to a call.
    Status(u16),
    /// A decision.
    Decision(Value),
}

/// One request over TLS, as it came, and how it was answered.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Seen {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) headers: Headers,
    pub(super) body: String,
    pub(super) status: u16,
    pub(super) answer_headers: Headers,
    pub(super) answer: String,
}
