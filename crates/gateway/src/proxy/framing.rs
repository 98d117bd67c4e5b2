//! How a request's body is framed: found with whoever sent it, and written for whoever gets it, as it was. What is
//! guessed from the method instead loses the body of a search by GET (RFC 9110, 9.3.1).

use countersign::{Code, Denial};
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderValue};
use http_body::Body;

use crate::http1::BodyFraming;

impl BodyFraming {
    /// That of an HTTP/2 stream. Its length was held against its frames by h2; a stream that is still open without
    /// one goes on in chunks.
    #[must_use]
    pub fn of_stream(headers: &HeaderMap, body: &impl Body) -> Self {
        match body.size_hint().exact() {
            Some(length) if headers.contains_key(CONTENT_LENGTH) => Self::Length(length),
            _ if body.is_end_stream() => Self::None,
            _ => Self::Chunked,
        }
    }

    /// That of an HTTP/1 request which hyper has read without the guard.
    ///
    /// # Errors
    /// `framing` for what hyper takes, and would be lost on the way.
    pub fn of_headers(headers: &HeaderMap, body: &impl Body) -> Result<Self, Denial> {
        match headers.get(TRANSFER_ENCODING) {
            Some(coding) if coding.as_bytes().eq_ignore_ascii_case(b"chunked") => Ok(Self::Chunked),
            // hyper takes `gzip, chunked`: the coding is a hop's own, and its name would not be passed on.
            Some(_) => Err(Denial::new(Code::Framing, "Transfer-Encoding is not exactly `chunked`")),
            None => Ok(Self::of_stream(headers, body)),
        }
    }

    /// Writes what hyper would not: it drops a body without length from GET and HEAD, and says nothing of a length
    /// of zero. Any other length it writes itself, as long as the body is.
    pub fn write(self, headers: &mut HeaderMap) {
        match self {
            Self::Length(0) => {
                headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
            }
            Self::Chunked => {
                headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
            }
            Self::None | Self::Length(_) | Self::UntilClose => {}
        }
    }
}
