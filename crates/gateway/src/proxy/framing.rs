//! How a request's body is framed: found with whoever sent it, and written for whoever gets it, as it was. What is
//! guessed from the method instead loses the body of a search by GET (RFC 9110, 9.3.1).

use countersign::{Code, Denial};
use countersign_http1::BodyFraming;
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderValue};
use http_body::Body;

/// That of an HTTP/2 stream. Its length was held against its frames by h2; a stream that is still open without
/// one goes on in chunks.
#[must_use]
pub(crate) fn of_stream(headers: &HeaderMap, body: &impl Body) -> BodyFraming {
    match body.size_hint().exact() {
        Some(length) if headers.contains_key(CONTENT_LENGTH) => BodyFraming::Length(length),
        _ if body.is_end_stream() => BodyFraming::None,
        _ => BodyFraming::Chunked,
    }
}

/// That of an HTTP/1 request which hyper has read without the guard.
///
/// # Errors
/// `framing` for what hyper takes, and would be lost on the way.
pub(crate) fn of_headers(headers: &HeaderMap, body: &impl Body) -> Result<BodyFraming, Denial> {
    match headers.get(TRANSFER_ENCODING) {
        Some(coding) if coding.as_bytes().eq_ignore_ascii_case(b"chunked") => Ok(BodyFraming::Chunked),
        // hyper takes `gzip, chunked`: the coding is a hop's own, and its name would not be passed on.
        Some(_) => Err(Denial::new(Code::Framing, "Transfer-Encoding is not exactly `chunked`")),
        None => Ok(of_stream(headers, body)),
    }
}

/// Writes what hyper would not: it drops a body without length from GET and HEAD, and says nothing of a length
/// of zero. Any other length it writes itself, as long as the body is.
pub(crate) fn write(framing: BodyFraming, headers: &mut HeaderMap) {
    match framing {
        BodyFraming::Length(0) => {
            headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        BodyFraming::Chunked => {
            headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        }
        BodyFraming::None | BodyFraming::Length(_) | BodyFraming::UntilClose => {}
    }
}
