//! Answers that break off behind their head, and where that is told: the caller can only be shown that its answer is
//! not whole.

use std::error::Error;
use std::io;
use std::sync::Arc;

use countersign::Decision;
use countersign::decision::{Check, Step};

use countersign_http1::Violation;

use crate::metrics::Metrics;

/// Why a body ended early.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// Nothing came for too long.
    #[error("the body stopped coming")]
    Slow,
    /// It is larger than is accepted.
    #[error("the body is too large")]
    TooLarge,
    /// The connection failed, or the framing did.
    #[error("the body broke off")]
    Broken(#[source] hyper::Error),
}

/// How an answer broke off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Breakage {
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
    pub(crate) fn of(error: &BodyError) -> Self {
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
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Ended => "ended",
            Self::Framing => "framing",
            Self::Reset => "reset",
            Self::Stalled => "stalled",
        }
    }
}

/// Is told at most once that an answer broke off, and why in words.
pub(crate) type Tell = Box<dyn FnOnce(Breakage, String) + Send + Sync>;

/// Tells the log, `metrics` and the decision that the answer to a permitted request broke off.
#[must_use]
pub(crate) fn tell(metrics: Arc<Metrics>, decision: Arc<Decision>) -> Tell {
    Box::new(move |breakage, cause| {
        let how = breakage.as_str();
        tracing::warn!(decision = %decision.id, kind = how, cause, "the upstream's answer broke off");
        metrics.broken_answer(decision.route.as_ref(), how);
        decision.note_afterwards(failed(format!("broke off behind its head ({how}): {cause}")));
    })
}

/// What is noted of a request that was permitted and not answered as it should have been.
#[must_use]
pub(crate) fn failed(note: String) -> Step {
    Step { check: Check::Answer, scheme: None, passed: false, note: note.into() }
}

/// An error with all that it wraps: "client error (Connect): tcp connect error: refused".
pub(crate) fn reasons(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}
