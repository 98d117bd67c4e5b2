//! Pages of other origins (Fetch, "CORS protocol"): the listed ones may call every route and read the answers.
//! Of all others nothing is said, which is what browsers refuse them for.

use bytes::Bytes;
use countersign::PublicUrl;
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};

/// What a page's script needs of our answers beyond what every script may read.
const EXPOSED: &str = "Accept-Signature, Authentication-Info, Countersign-Decision, Date, DPoP-Nonce, \
    Retry-After, WWW-Authenticate";
/// For how long a browser remembers a preflight, in seconds.
const REMEMBERED: &str = "600";

/// What a request means for pages of other origins.
pub(super) enum Cors {
    /// No origin is listed.
    Off,
    /// Some are, and this request names none of them, or none at all.
    Unlisted,
    /// It comes from a page of this listed origin.
    Listed(HeaderValue),
}

impl Cors {
    /// Reads `Origin`: compared as a whole and byte for byte, as browsers write it.
    pub(super) fn of(listed: &[PublicUrl], headers: &HeaderMap) -> Self {
        if listed.is_empty() {
            return Self::Off;
        }
        let mut origins = headers.get_all(ORIGIN).iter();
        match (origins.next(), origins.next()) {
            (Some(origin), None) if listed.iter().any(|known| *origin == known.to_string()) => {
                Self::Listed(origin.clone())
            }
            _ => Self::Unlisted,
        }
    }

    /// The answer to a preflight of a listed origin. It may send what it asks to send: whether that is
    /// permitted is judged when it comes.
    pub(super) fn preflight(&self, method: &Method, headers: &HeaderMap) -> Option<Response<Bytes>> {
        let Self::Listed(_) = self else { return None };
        let wanted = headers.get(ACCESS_CONTROL_REQUEST_METHOD).filter(|_| *method == Method::OPTIONS)?;
        let mut response = Response::new(Bytes::new());
        *response.status_mut() = StatusCode::NO_CONTENT;
        let answered = response.headers_mut();
        answered.insert(ACCESS_CONTROL_ALLOW_METHODS, wanted.clone());
        if let Some(names) = headers.get(ACCESS_CONTROL_REQUEST_HEADERS) {
            answered.insert(ACCESS_CONTROL_ALLOW_HEADERS, names.clone());
        }
        answered.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static(REMEMBERED));
        let vary = "Access-Control-Request-Method, Access-Control-Request-Headers";
        answered.append(VARY, HeaderValue::from_static(vary));
        Some(response)
    }

    /// Says to browsers who may read this response. What an upstream says itself stands for origins that are
    /// not listed.
    pub(super) fn mark(self, headers: &mut HeaderMap) {
        if matches!(self, Self::Off) {
            return;
        }
        headers.append(VARY, HeaderValue::from_static("Origin"));
        if let Self::Listed(origin) = self {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
            headers.append(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
        }
    }
}
