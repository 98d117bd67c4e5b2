//! Why a message was refused: what the operator reads, and what the caller's status is made from.

/// A message that two parsers could read differently, or that is larger or slower than we allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Violation {
    /// Which answer it calls for.
    pub kind: ViolationKind,
    /// What was wrong, for the operator: never any of the caller's bytes.
    pub reason: &'static str,
}

/// Which answer a violation calls for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ViolationKind {
    /// 400 `framing`.
    Framing,
    /// 431 `headers_too_large`.
    HeadersTooLarge,
    /// 408: the head did not arrive in time.
    Timeout,
}

impl Violation {
    /// It could be read in two ways.
    #[must_use]
    pub const fn framing(reason: &'static str) -> Self {
        Self { kind: ViolationKind::Framing, reason }
    }

    /// It is larger than the limits say.
    #[must_use]
    pub const fn too_large(reason: &'static str) -> Self {
        Self { kind: ViolationKind::HeadersTooLarge, reason }
    }

    /// It came too slowly.
    #[must_use]
    pub const fn timeout(reason: &'static str) -> Self {
        Self { kind: ViolationKind::Timeout, reason }
    }
}
