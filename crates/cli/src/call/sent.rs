//! What was sent, and how it was proven.

use countersign::schemes::webhook::Algorithm;
use countersign::schemes::webhook::signer::Attempt;
use http::HeaderMap;

/// A request as it went out.
pub(crate) struct Sent {
    pub(crate) headers: HeaderMap,
    pub(super) by: By,
    pub(super) attempt: Option<Attempt>,
}

/// How one request was proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    /// Not at all.
    Nothing,
    /// By a key that is sent as itself.
    Bearer,
    /// By a message signature, with a key that is not sent.
    Signature,
    /// By a wallet, as the seed says.
    Asymmetric,
    /// By an access token, with a proof of possession if there is a key for one.
    AccessToken,
    /// By a token that the receiver asks for.
    Token { algorithm: Algorithm, introduces: bool },
    /// By a key that was introduced before.
    IntroducedKey,
}
