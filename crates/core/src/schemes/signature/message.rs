//! A message as signatures see it: a request, or a response and the request that it answers.

use http::{HeaderMap, Method, StatusCode, Uri};

use crate::request::RequestView;

/// What is signed, or was.
#[derive(Clone, Copy)]
pub struct Message<'a> {
    pub(super) start: Start<'a>,
    pub(super) headers: &'a HeaderMap,
    pub(super) trailers: Option<&'a HeaderMap>,
}

/// What stands before the fields.
#[derive(Clone, Copy)]
pub(super) enum Start<'a> {
    Request { method: &'a Method, target: &'a Uri },
    Response { status: StatusCode, request: Option<&'a Message<'a>> },
}

impl<'a> Message<'a> {
    /// A request. Its target has scheme and authority; path and query are as sent.
    #[must_use]
    pub const fn request(method: &'a Method, target: &'a Uri, headers: &'a HeaderMap) -> Self {
        Self { start: Start::Request { method, target }, headers, trailers: None }
    }

    /// A response. Components with `;req` are taken from `request`, the one that it answers
    /// (RFC 9421 §2.4); without it, a signature that covers one cannot be verified.
    #[must_use]
    pub const fn response(
        status: StatusCode,
        headers: &'a HeaderMap,
        request: Option<&'a Message<'a>>,
    ) -> Self {
        Self { start: Start::Response { status, request }, headers, trailers: None }
    }

    /// The same with its trailer fields, from which components with `;tr` are taken (§2.1.4).
    #[must_use]
    pub const fn with_trailers(mut self, trailers: &'a HeaderMap) -> Self {
        self.trailers = Some(trailers);
        self
    }

    /// The request that a response answers.
    pub(super) const fn answered(&self) -> Option<&'a Message<'a>> {
        match self.start {
            Start::Response { request, .. } => request,
            Start::Request { .. } => None,
        }
    }
}

impl<'a> From<&RequestView<'a>> for Message<'a> {
    fn from(request: &RequestView<'a>) -> Self {
        Self::request(request.method, request.target, request.headers)
    }
}
