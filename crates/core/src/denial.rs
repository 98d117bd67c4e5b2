//! Why a request may not pass: a stable code for its caller, a cause for the operator alone.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Method};
use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// Declares every code once: its name on the wire, its status, and what its caller should do.
macro_rules! codes {
    ($($variant:ident $name:literal $status:literal $detail:literal)+) => {
        /// The stable name of a reason to refuse. Each has a page in `docs/reference/codes/`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[non_exhaustive]
        pub enum Code {
            $(
                #[doc = $detail]
                #[serde(rename = $name)]
                $variant,
            )+
        }

        impl Code {
            /// Every code, in the order of the reference.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The name on the wire.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            /// The HTTP status that goes with it.
            #[must_use]
            pub const fn status(self) -> http::StatusCode {
                let status = match self { $(Self::$variant => $status),+ };
                match http::StatusCode::from_u16(status) {
                    Ok(status) => status,
                    Err(_) => panic!("the table holds valid statuses"),
                }
            }

            /// What the caller can do about it, in one or two sentences without anything secret.
            #[must_use]
            pub const fn detail(self) -> &'static str {
                match self { $(Self::$variant => $detail),+ }
            }
        }
    };
}

codes! {
    Framing "framing" 400
        "The request's framing could be read in more than one way. Send it with one Content-Length, or chunked, with CRLF line ends."
    PathAmbiguous "path_ambiguous" 400
        "The path could be read in more than one way. Send it without dot segments, encoded slashes, backslashes, NUL or empty segments."
    CredentialAmbiguous "credential_ambiguous" 400
        "The request carries more credentials than one reading allows. Send each credential once, and only those that one of the accepted combinations needs."
    CredentialMalformed "credential_malformed" 400
        "A credential cannot be read. Check its form against the scheme's documentation."
    HashFormat "hash_format" 400
        "The hash is in no form that is accepted here. The challenge names the accepted forms."
    HashCost "hash_cost" 400
        "The hash asks for more work than is accepted here. Use bcrypt with a cost from 4 to 12, or sha-256."
    PasswordRefused "password_refused" 400
        "This password is not taken. Choose one of 8 to 128 characters that is not well known, and not the e-mail address or the name."
    AccountInvalid "account_invalid" 400
        "This is no e-mail address, or no name that can be shown: 1 to 200 characters, none of them a control character."
    WebhookUrl "webhook_url" 400
        "The webhook URL is not acceptable: https, without user information, query or fragment."

    CredentialMissing "credential_missing" 401
        "This resource needs a credential. The challenges in WWW-Authenticate name the accepted ones."
    KeyInvalid "key_invalid" 401
        "The API key is not valid here. Check that it is complete and has not been revoked or expired."
    SignatureInvalid "signature_invalid" 401
        "The signature does not verify. Check the key, the covered components and the signature base."
    SignatureCoverage "signature_coverage" 401
        "The signature does not cover all that it must. Accept-Signature lists the components."
    SignatureReplayed "signature_replayed" 401
        "This signature has been used. Sign every request anew, with another nonce."
    ContentDigest "content_digest" 401
        "The body does not match its Content-Digest."
    ProofExpired "proof_expired" 401
        "The proof is too old, or was made to live too long. Check the clock and sign anew."
    ProofFuture "proof_future" 401
        "The proof was made in the future. Check the clock and sign anew."
    ProofPredatesBoot "proof_predates_boot" 401
        "The proof was made before this service restarted, so it cannot be told from a repeated one. Sign anew after Retry-After."
    SignInRefused "sign_in_refused" 401
        "The e-mail address and the password do not fit each other."
    ProofHalf "proof_half" 401
        "Half of a session's proof is missing. Send both the cookie and the token half."
    ProofMismatch "proof_mismatch" 401
        "The two halves are not of one session."
    HandshakeMissing "handshake_missing" 401
        "This request needs a handshake. Get one from POST /auth/handshake."
    HandshakeUsed "handshake_used" 401
        "This handshake has been used, has expired, or was never given. Get another."
    WebhookDenied "webhook_denied" 401
        "The API at the webhook URL did not confirm that it sent this request."
    WebhookKeyUnknown "webhook_key_unknown" 401
        "The introduced key is not known here, or no longer. Introduce it again."
    TokenInvalid "token_invalid" 401
        "The token is not valid here."
    TokenExpired "token_expired" 401
        "The token has expired. Get another."
    TokenAudience "token_audience" 401
        "The token is meant for another audience."
    TokenType "token_type" 401
        "The token is of another type than is accepted here."
    TokenClaims "token_claims" 401
        "The token lacks a claim that is needed here, or one has the wrong type."
    DpopInvalid "dpop_invalid" 401
        "The DPoP proof does not fit this request and token."
    SubjectMismatch "subject_mismatch" 401
        "The credentials are about different subjects."

    PermissionMissing "permission_missing" 403
        "The caller is known, and may not do this."
    CrossSite "cross_site" 403
        "The request comes from a page of another site."
    CallbackScope "callback_scope" 403
        "The callback URL does not open this path, resource or method."
    CallbackRevoked "callback_revoked" 403
        "The callback URL has been revoked."
    WebhookCaller "webhook_caller" 403
        "The webhook URL is not on the list of callers."
    WebhookAddressForbidden "webhook_address_forbidden" 403
        "The webhook URL leads to an address that is not dialled."

    RouteUnknown "route_unknown" 404
        "Nothing is served here."
    MethodNotAllowed "method_not_allowed" 405
        "This method is not served here. Allow lists those that are."

    CallbackConsumed "callback_consumed" 409
        "The callback URL has been used, or was tried with another body."
    CallbackInUse "callback_in_use" 409
        "The callback URL is being used at this moment. Try again after Retry-After."

    BodyTooLarge "body_too_large" 413
        "The body is larger than is accepted here."
    HeadersTooLarge "headers_too_large" 431
        "The request's head is larger than is accepted here."
    RateLimited "rate_limited" 429
        "Too many requests. Try again after Retry-After."
    WebhookBudget "webhook_budget" 429
        "Too many webhook checks are in progress. Try again after Retry-After."
    NonceQuota "nonce_quota" 429
        "This signer has too many proofs that have not expired. Try again after Retry-After."

    UpstreamUnreachable "upstream_unreachable" 502
        "The service behind this gateway cannot be reached, or its answer cannot be read."
    WebhookUnreachable "webhook_unreachable" 502
        "The API at the webhook URL cannot be reached."
    UpstreamTimeout "upstream_timeout" 504
        "The service behind this gateway did not answer in time."
    WebhookTimeout "webhook_timeout" 504
        "The API at the webhook URL did not answer in time."

    StoreUnavailable "store_unavailable" 503
        "The service cannot check credentials at this moment. Try again after Retry-After."
    KeysUnavailable "keys_unavailable" 503
        "The keys that verify this credential cannot be had at this moment. Try again after Retry-After."
    ClockRegressed "clock_regressed" 503
        "The service's clock went back; it accepts no dated proof until the time is right again."

    WebhookNotAsked "webhook_not_asked" 401
        "The request would have to be confirmed at its webhook URL; explain asks nobody."
}

impl Code {
    /// The code of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.as_str() == name)
    }

    /// A short title for people: the name with spaces.
    #[must_use]
    pub fn title(self) -> String {
        let mut title = self.as_str().replace('_', " ");
        title[..1].make_ascii_uppercase();
        title
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One `WWW-Authenticate` challenge (RFC 9110 §11.3): a scheme and its parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge(Cow<'static, str>);

impl Challenge {
    /// A challenge as it goes on the wire, for example `Bearer realm="orders"`.
    #[must_use]
    pub const fn new(value: &'static str) -> Self {
        Self(Cow::Borrowed(value))
    }

    /// The same, put together at run time: visible ASCII.
    #[must_use]
    pub const fn of(value: String) -> Self {
        Self(Cow::Owned(value))
    }

    /// The header's value.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a request may not pass.
#[derive(Clone, Debug)]
pub struct Denial {
    code: Code,
    cause: Cow<'static, str>,
    retry_after: Option<Duration>,
    challenges: Box<[Challenge]>,
    allow: Option<Box<str>>,
    asks: Box<[(HeaderName, HeaderValue)]>,
    covered: Option<Box<Covered>>,
    /// Apart, since it is rare and a denial is handed on often.
    ended: Option<Box<Timestamp>>,
}

/// What a caller whose signature does not hold is told about it: nothing that it did not send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Covered {
    /// The components that its signature covers, as they were read.
    pub components: Vec<String>,
    /// Where its own account of the signature base differs from ours, if it sent one.
    pub differs: Option<String>,
}

impl Denial {
    /// A denial whose caller learns `code`, and whose operator learns `cause`: which check, on what.
    /// A cause never holds a secret.
    #[must_use]
    pub fn new(code: Code, cause: impl Into<Cow<'static, str>>) -> Self {
        let retry_after = match code.status().as_u16() {
            429 | 503 => Some(Duration::from_secs(1)),
            _ => None,
        };
        Self {
            code,
            cause: cause.into(),
            retry_after,
            challenges: Box::default(),
            allow: None,
            asks: Box::default(),
            covered: None,
            ended: None,
        }
    }

    /// The same, with more for the operator.
    #[must_use]
    pub fn noting(mut self, more: &str) -> Self {
        let cause = self.cause.to_mut();
        cause.push_str("; ");
        cause.push_str(more);
        self
    }

    /// The same, telling the caller when to come back.
    #[must_use]
    pub fn retry_after(mut self, after: Duration) -> Self {
        self.retry_after = Some(after);
        self
    }

    /// The same, for what ended at `end` and is refused for that alone. While the clock stands before that moment, and
    /// has shown a later one, nobody can know whether it has, and the caller is told so.
    #[must_use]
    pub fn ended_at(mut self, end: Timestamp) -> Self {
        self.ended = Some(Box::new(end));
        self
    }

    pub(crate) fn ended(&self) -> Option<Timestamp> {
        self.ended.as_deref().copied()
    }

    /// The same, with the challenges of the schemes that would be accepted.
    #[must_use]
    pub fn with_challenges(mut self, challenges: Vec<Challenge>) -> Self {
        self.challenges = challenges.into();
        self
    }

    /// The same, with headers that ask for something in particular, such as `Accept-Signature`.
    #[must_use]
    pub fn asking(mut self, asks: Vec<(HeaderName, HeaderValue)>) -> Self {
        self.asks = asks.into();
        self
    }

    /// The same, telling the caller what its signature covers, and where that differs.
    #[must_use]
    pub fn covering(mut self, components: Vec<String>, differs: Option<String>) -> Self {
        self.covered = Some(Box::new(Covered { components, differs }));
        self
    }

    /// `method_not_allowed`: the path is served, with these methods alone. GET admits HEAD.
    #[must_use]
    pub fn other_method<'a>(methods: impl IntoIterator<Item = &'a Method>) -> Self {
        let mut allowed: Vec<&str> = Vec::new();
        for method in methods {
            allowed.push(method.as_str());
            if *method == Method::GET {
                allowed.push("HEAD");
            }
        }
        allowed.sort_unstable();
        allowed.dedup();
        let denial = Self::new(Code::MethodNotAllowed, "the method is not among those of this path");
        denial.allowing(allowed.join(", "))
    }

    /// The same, with the methods that would be allowed (for 405).
    #[must_use]
    pub fn allowing(mut self, methods: String) -> Self {
        self.allow = Some(methods.into_boxed_str());
        self
    }

    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> Code {
        self.code
    }

    /// Which check failed, on what: for the operator, never for the caller.
    #[must_use]
    pub fn cause(&self) -> &str {
        &self.cause
    }

    /// When the caller may try again.
    #[must_use]
    pub const fn retry(&self) -> Option<Duration> {
        self.retry_after
    }

    /// What would be accepted instead; filled in for a 401.
    #[must_use]
    pub fn challenges(&self) -> &[Challenge] {
        &self.challenges
    }

    /// Headers that ask for something in particular; filled in for a 401.
    #[must_use]
    pub fn asks(&self) -> &[(HeaderName, HeaderValue)] {
        &self.asks
    }

    /// What the caller's signature covers, if it does not hold.
    #[must_use]
    pub fn covered(&self) -> Option<&Covered> {
        self.covered.as_deref()
    }

    /// The methods that would be allowed.
    #[must_use]
    pub fn allowed_methods(&self) -> Option<&str> {
        self.allow.as_deref()
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.cause)
    }
}

impl std::error::Error for Denial {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_read_back() {
        for code in Code::ALL {
            assert_eq!(Code::from_name(code.as_str()), Some(*code));
            assert_eq!(serde_json::to_value(code).unwrap(), code.as_str());
            assert!(code.status().is_client_error() || code.status().is_server_error());
        }
        assert_eq!(Code::from_name("nonsense"), None);
    }

    #[test]
    fn what_may_pass_later_says_when() {
        for code in Code::ALL {
            let says = Denial::new(*code, "").retry().is_some();
            assert_eq!(says, matches!(code.status().as_u16(), 429 | 503), "{code}");
        }
    }
}
