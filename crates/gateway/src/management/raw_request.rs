//! A request on file: what `explain --request`, `sign`, `verify` and `decode` read.

use bytes::Bytes;
use countersign::request::Body as BodyKind;
use countersign::request::join_cookies;
use countersign::{RequestView, Timestamp};
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};

/// More fields than any gateway lets in.
const MAX_FIELDS: usize = 1000;

/// A request that was read from bytes.
pub struct RawRequest {
    /// Its method.
    pub method: Method,
    /// As it stands in the request line.
    pub target: Uri,
    /// Its fields, those of cookies joined.
    pub headers: HeaderMap,
    /// How many bytes its head has, with the empty line that ends it.
    pub head: usize,
    /// Everything behind the head.
    pub body: Bytes,
}

impl RawRequest {
    /// The request as a verifier sees it, had it come in at `at`.
    #[must_use]
    pub fn view<'a>(&'a self, target: &'a Uri, at: Timestamp) -> RequestView<'a> {
        RequestView {
            method: &self.method,
            target,
            headers: &self.headers,
            body: if self.body.is_empty() { BodyKind::Absent } else { BodyKind::Announced },
            source: None,
            received_at: at,
        }
    }
}

/// Reads an HTTP/1.1 request. Lines that end in LF alone are taken, since people write such files by
/// hand; nothing of it is forwarded anywhere.
///
/// # Errors
/// What is wrong with it, in a sentence.
pub fn parse(bytes: &[u8]) -> Result<RawRequest, String> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut request = httparse::Request::new(&mut fields);
    let length = match request.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => {
            return Err("the request's head does not end: after its last field comes an empty line".into());
        }
        Err(error) => return Err(format!("not an HTTP/1.1 request: {error}")),
    };
    let method = request.method.and_then(|method| method.parse().ok()).ok_or("the method cannot be read")?;
    let target = request.path.and_then(|path| path.parse().ok()).ok_or("the target cannot be read")?;
    let mut headers = HeaderMap::new();
    for field in request.headers.iter() {
        let name = HeaderName::from_bytes(field.name.as_bytes()).map_err(|error| error.to_string())?;
        let value = HeaderValue::from_bytes(field.value).map_err(|error| format!("{name}: {error}"))?;
        headers.append(name, value);
    }
    join_cookies(&mut headers);
    if headers.contains_key(TRANSFER_ENCODING) {
        return Err(
            "a request on file has its body as it is: give Content-Length, not Transfer-Encoding".into()
        );
    }
    let mut body = &bytes[length..];
    if let Some(announced) = headers.get(CONTENT_LENGTH) {
        let announced: usize = announced
            .to_str()
            .ok()
            .and_then(|text| text.parse().ok())
            .ok_or("Content-Length is no whole number")?;
        body = body.get(..announced).ok_or_else(|| {
            format!("the body has {} bytes, and Content-Length announces {announced}", body.len())
        })?;
    }
    Ok(RawRequest { method, target, headers, head: length, body: Bytes::copy_from_slice(body) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read_with_its_body() {
        let request = parse(b"POST /a?b HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi\n").unwrap();
        assert_eq!((request.method, request.target), (Method::POST, Uri::from_static("/a?b")));
        assert_eq!(request.body, "hi");
        assert_eq!(parse(b"GET / HTTP/1.1\nHost: h\n\n").unwrap().headers.len(), 1);
    }

    #[test]
    fn what_is_no_request_gets_a_sentence() {
        for text in [
            "",
            "GET / HTTP/1.1\r\nHost: h\r\n",
            "nonsense\r\n\r\n",
            "GET / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhi",
            "GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ] {
            assert!(parse(text.as_bytes()).is_err(), "{text:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..300)) {
            let _ = parse(&bytes);
        }
    }
}
