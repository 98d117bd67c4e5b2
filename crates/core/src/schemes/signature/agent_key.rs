//! A key that an agent lists.

use std::collections::HashMap;
use std::sync::Arc;

use crate::crypto::VerifyingKey;
use crate::time::Timestamp;

/// A key out of an agent's directory. Whether the signature is its own is still to be seen.
#[derive(Clone, Debug)]
pub struct AgentKey {
    /// What verifies its signatures.
    pub key: Arc<VerifyingKey>,
    /// From when on it counts, if the directory says so.
    pub begins: Option<Timestamp>,
    /// From when on it counts no more, if the directory says so.
    pub expires: Option<Timestamp>,
}

/// Keys by their RFC 7638 thumbprints.
pub(super) type Keys = HashMap<String, AgentKey>;
