//! Why an OAuth endpoint refuses: RFC 6749 §5.2 for whoever asked, a [`Denial`] for the operator.

use std::borrow::Cow;

use http::StatusCode;
use serde_json::{Value, json};

use crate::denial::{Code, Denial};
use crate::dpop::wants_nonce;
use crate::store::StoreError;

/// An error of OAuth 2.0, by its name on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// RFC 6749 §5.2: something is missing, malformed, or there twice.
    InvalidRequest,
    /// RFC 6749 §5.2: who asks was not proven.
    InvalidClient,
    /// RFC 6749 §5.2: what was shown for a token is not good.
    InvalidGrant,
    /// RFC 6749 §5.2: a grant that is none here.
    UnsupportedGrantType,
    /// RFC 6749 §5.2: nothing of what was asked for is allowed.
    InvalidScope,
    /// RFC 8707 §2: tokens for that resource are not issued here.
    InvalidTarget,
    /// RFC 9449 §5: the DPoP proof does not hold.
    InvalidDpopProof,
    /// RFC 9449 §8: the same with the nonce that comes along would.
    UseDpopNonce,
    /// RFC 6749 §4.1.2.1: not at this moment.
    TemporarilyUnavailable,
}

impl ErrorCode {
    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidClient => "invalid_client",
            Self::InvalidGrant => "invalid_grant",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::InvalidScope => "invalid_scope",
            Self::InvalidTarget => "invalid_target",
            Self::InvalidDpopProof => "invalid_dpop_proof",
            Self::UseDpopNonce => "use_dpop_nonce",
            Self::TemporarilyUnavailable => "temporarily_unavailable",
        }
    }

    /// What whoever asked can do about it. RFC 6749 §5.2 allows neither quotes nor backslashes.
    const fn description(self) -> &'static str {
        match self {
            Self::InvalidRequest => {
                "Send each parameter once, as application/x-www-form-urlencoded, with all that the grant needs."
            }
            Self::InvalidClient => {
                "The client is not known here, or its client_assertion (private_key_jwt, RFC 7523) does not hold."
            }
            Self::InvalidGrant => "What was shown for a token is not valid here, or has been used.",
            Self::UnsupportedGrantType => "grant_types_supported in the discovery document lists the grants.",
            Self::InvalidScope => "Nothing of the scope that was asked for is allowed.",
            Self::InvalidTarget => "Tokens for this resource are not issued here.",
            Self::InvalidDpopProof => "The DPoP proof does not fit this request.",
            Self::UseDpopNonce => "Make the DPoP proof with the nonce in DPoP-Nonce.",
            Self::TemporarilyUnavailable => "Try again after Retry-After, with new proofs.",
        }
    }
}

/// Why an OAuth endpoint refuses.
#[derive(Clone, Debug)]
pub struct OAuthError {
    code: ErrorCode,
    denial: Denial,
    basic: bool,
}

impl OAuthError {
    /// An error whose caller learns `code`, and whose operator learns `cause`.
    #[must_use]
    pub fn new(code: ErrorCode, cause: impl Into<Cow<'static, str>>) -> Self {
        let operators = match code {
            ErrorCode::InvalidRequest
            | ErrorCode::UnsupportedGrantType
            | ErrorCode::InvalidScope
            | ErrorCode::InvalidTarget => Code::CredentialMalformed,
            ErrorCode::InvalidClient | ErrorCode::InvalidGrant => Code::TokenInvalid,
            ErrorCode::InvalidDpopProof | ErrorCode::UseDpopNonce => Code::DpopInvalid,
            ErrorCode::TemporarilyUnavailable => Code::StoreUnavailable,
        };
        Self { code, denial: Denial::new(operators, cause), basic: false }
    }

    /// The error of a client that was denied: `code`, unless the reason is ours.
    pub(super) fn of(code: ErrorCode, denial: Denial) -> Self {
        let code = match denial.code().status().as_u16() {
            429 | 503 => ErrorCode::TemporarilyUnavailable,
            _ if denial.code() == Code::ProofPredatesBoot => ErrorCode::TemporarilyUnavailable,
            _ => code,
        };
        Self { code, denial, basic: false }
    }

    /// The error of a DPoP proof that was denied.
    pub(super) fn of_dpop(denial: Denial) -> Self {
        let code = if wants_nonce(&denial) { ErrorCode::UseDpopNonce } else { ErrorCode::InvalidDpopProof };
        Self::of(code, denial)
    }

    /// The same, for a client that used `Authorization` (RFC 6749 §5.2: it is told with a challenge).
    pub(super) fn challenging(mut self) -> Self {
        self.basic = true;
        self
    }

    /// The name of the error.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        self.code
    }

    /// What the operator learns.
    #[must_use]
    pub const fn denial(&self) -> &Denial {
        &self.denial
    }

    /// Whether the answer has a challenge for HTTP's Basic scheme.
    #[must_use]
    pub const fn challenges_basic(&self) -> bool {
        self.basic
    }

    /// Whether the answer carries a DPoP nonce.
    #[must_use]
    pub fn wants_nonce(&self) -> bool {
        self.code == ErrorCode::UseDpopNonce
    }

    /// The status: 400 but for clients who are nobody (401), bodies that are too large, and ourselves.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match (self.code, self.denial.code()) {
            (ErrorCode::InvalidClient, _) => StatusCode::UNAUTHORIZED,
            (ErrorCode::TemporarilyUnavailable, Code::ProofPredatesBoot) => StatusCode::SERVICE_UNAVAILABLE,
            (ErrorCode::TemporarilyUnavailable, code) => code.status(),
            (_, Code::BodyTooLarge) => StatusCode::PAYLOAD_TOO_LARGE,
            _ => StatusCode::BAD_REQUEST,
        }
    }

    /// The body (RFC 6749 §5.2).
    #[must_use]
    pub fn body(&self) -> Value {
        json!({ "error": self.code.as_str(), "error_description": self.code.description() })
    }
}

/// What the gate or a store refuses before anything was judged.
impl From<Denial> for OAuthError {
    fn from(denial: Denial) -> Self {
        Self::of(ErrorCode::InvalidRequest, denial)
    }
}

impl From<StoreError> for OAuthError {
    fn from(error: StoreError) -> Self {
        Denial::from(error).into()
    }
}
