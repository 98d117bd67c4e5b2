//! What a request carries: a token in `Authorization`, and the proof that may go with it.

use std::borrow::Cow;

use crate::authorization::Authorization;
use crate::crypto::Secret;
use crate::denial::{Code, Denial};
use crate::dpop::{DPOP, Proof};
use crate::request::RequestView;

/// A token longer than this is none, in bytes, unless somebody says otherwise. Entra ID's have 11 KiB where somebody is
/// in 200 groups.
pub const LONGEST_TOKEN: usize = 16 * 1024;

/// A token as it came, in three parts that are base64url: nothing of it is believed.
pub struct Credential {
    pub(super) token: Secret<String>,
    /// The proof's text, where the token came by the scheme `DPoP`: then there must be one.
    pub(super) proof: Option<Secret<String>>,
    /// Whether it came by the scheme `DPoP`.
    pub(super) is_dpop: bool,
}

impl Credential {
    /// Reads `Authorization: Bearer <token>` (RFC 6750 §2.1) or `Authorization: DPoP <token>` with its
    /// `DPoP` header (RFC 9449 §7.1), of at most `longest` bytes. `None` if there is neither.
    ///
    /// # Errors
    /// `token_invalid` for what is written so and is no token, is longer, or comes
    /// by `Bearer` together with a proof; `dpop_invalid` for two proofs; what
    /// [`RequestView::single_header`] says of `Authorization`.
    pub fn read(request: &RequestView<'_>, longest: usize) -> Result<Option<Self>, Denial> {
        let (token, is_dpop) = match Authorization::of(request)? {
            Authorization::Token(token) => (token, false),
            Authorization::DpopToken(token) => (token, true),
            // Neither an API key nor a session's half, and so meant as a token.
            Authorization::LeftOver => {
                return Err(invalid("it is no token: three base64url parts with dots"));
            }
            _ => return Ok(None),
        };
        if token.len() > longest {
            let cause = format!("it has {} bytes, and max_token is {longest}", token.len());
            return Err(invalid(cause));
        }
        if !is_dpop && request.headers.contains_key(DPOP) {
            // Everything presented counts, and this proof would not.
            return Err(invalid("a DPoP proof came with it, and it came by the scheme Bearer"));
        }
        let proof = if is_dpop { Proof::of(request)? } else { None };
        let proof = proof.map(|proof| Secret::new(proof.as_str().to_owned()));
        Ok(Some(Self { token: Secret::new(token.to_owned()), proof, is_dpop }))
    }
}

fn invalid(cause: impl Into<Cow<'static, str>>) -> Denial {
    Denial::new(Code::TokenInvalid, cause)
}
