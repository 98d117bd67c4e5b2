//! `OPTIONS *`: a question about the server as a whole (RFC 9110, 9.3.7), which no route answers. Load balancers ask it
//! to see whether somebody is there.

use bytes::Bytes;
use http::header::ALLOW;
use http::{HeaderValue, Method, Response, StatusCode, Uri};

use crate::router::METHODS;

/// Whether a request is about the server, not about anything that it serves.
pub(crate) fn is_about_the_server(method: &Method, target: &Uri) -> bool {
    *method == Method::OPTIONS && target.path() == "*"
}

/// What anybody may know.
pub(super) fn about_the_server() -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(METHODS));
    response
}
