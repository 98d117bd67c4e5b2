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
    /// Alice: get tokens with your wallet.
    SignIn,
    /// Alice: call Bob with your token and a signature.
    CallBob,
    /// Eve: send this request, which is not yours.
    Repeat(Seen),
    /// Eve: send it with a signature of your own.
    SignOver(Seen),
    /// Our API: have tasks done by the service, each with a callback URL.
    Submit,
    /// Our API: tell what the results are now.
    Results,
    /// The service: tell all that stands in your database, as if it had been copied.
    Breach,
    /// The service: finish what is still in the queue.
    Finish,
    /// Eve: rewrite results with these callback URLs.
    Rewrite(Vec<Task>),
}

/// A task at the service, with the URL to which its result goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Task {
    /// What is to be done: the number of the result.
    pub(super) result: u32,
    /// Whether it takes so long that it is still in the queue.
    pub(super) heavy: bool,
    /// Where the result goes.
    pub(super) callback_url: String,
}

/// One attempt to write a result.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Attempt {
    /// The kind of callback, as it stands in its URL.
    pub(super) kind: String,
    /// The result that the URL was made for.
    pub(super) url_of: u32,
    /// The result that was tried.
    pub(super) result: u32,
    /// What the API answered.
    pub(super) status: u16,
    /// The code, if it refused.
    pub(super) code: Option<String>,
}

/// A result as it stands in our API's database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Kept {
    pub(super) kind: String,
    pub(super) result: u32,
    pub(super) text: String,
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
    /// What the service's database holds.
    Tasks(Vec<Task>),
    /// What was tried.
    Attempts(Vec<Attempt>),
    /// What the results are.
    Results(Vec<Kept>),
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
