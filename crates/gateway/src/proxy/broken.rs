//! Answers that break off behind their head, and where that is told: the caller can only be shown that its answer is
//! not whole.

use std::error::Error;
use std::io;
use std::sync::Arc;

use countersign::Decision;
use countersign::decision::{Check, Step};

use crate::proxy::body::BodyError;
use crate::proxy::forward::reasons;
use crate::runtime::Gateway;
use countersign_http1::Violation;

/// How an answer broke off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Breakage {
    /// The upstream closed before the end that it had announced.
    Ended,
    /// It can be read in more than one way, or in none.
    Framing,
    /// The connection failed.
    Reset,
    /// Nothing came for `upstream.stream_timeout`.
    Stalled,
}

impl Breakage {
    /// How a body that failed broke off.
    #[must_use]
    pub fn of(error: &BodyError) -> Self {
        let BodyError::Broken(error) = error else { return Self::Stalled };
        let mut source: Option<&(dyn Error + 'static)> = Some(error);
        while let Some(error) = source {
            if error.is::<Violation>() {
                return Self::Framing;
            }
            if let Some(error) = error.downcast_ref::<io::Error>() {
                match error.get_ref() {
                    // The violation is what it wraps, and not its source.
                    Some(inner) if inner.is::<Violation>() => return Self::Framing,
                    _ if error.kind() != io::ErrorKind::UnexpectedEof => return Self::Reset,
                    _ => {}
                }
            }
            source = error.source();
        }
        Self::Ended
    }

    /// In one word, for a metric.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ended => "ended",
            Self::Framing => "framing",
            Self::Reset => "reset",
            Self::Stalled => "stalled",
        }
    }
}

/// Is told at most once that an answer broke off, and why in words.
pub type Tell = Box<dyn FnOnce(Breakage, String) + Send + Sync>;

/// Tells the log, the metrics and the decision that the answer to a permitted request broke off.
#[must_use]
pub fn tell(gateway: Arc<Gateway>, decision: Arc<Decision>) -> Tell {
    Box::new(move |breakage, cause| {
        let how = breakage.as_str();
        tracing::warn!(decision = %decision.id, kind = how, cause, "the upstream's answer broke off");
        gateway.metrics.broken_answer(decision.route.as_ref(), how);
        decision.note_afterwards(failed(format!("broke off behind its head ({how}): {cause}")));
    })
}

/// What is noted of a request that was permitted and not answered as it should have been.
#[must_use]
pub fn failed(note: String) -> Step {
    Step { check: Check::Answer, scheme: None, passed: false, note: note.into() }
}

/// A body's failure, with all that it wraps.
#[must_use]
pub fn cause(error: &BodyError) -> String {
    reasons(error)
}
