//! What an assertion is to say.

use http::{Method, Uri};

use crate::principal::Principal;
use crate::public_url::PublicUrl;

/// Who sent which request, to whom it goes.
#[derive(Clone, Copy)]
pub struct Statement<'a> {
    /// The gateway, as callers address it.
    pub gateway: &'a PublicUrl,
    /// The upstream, by its origin as it is configured.
    pub audience: &'a str,
    /// Who was proven.
    pub principal: &'a Principal,
    /// The method, as it is forwarded.
    pub method: &'a Method,
    /// Path and query as they are forwarded, so without credentials, under the gateway's own scheme and
    /// authority: what [`PublicUrl::target`] makes of them.
    pub target: &'a Uri,
    /// The whole body, empty where there is none; `None` for one that streams through.
    pub body: Option<&'a [u8]>,
}
