//! One request and its answer over HTTP/1.1 (RFC 9112): what we send, and what we take for an answer.

use std::error::Error as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use countersign::{FetchError, FetchRequest, FetchResponse};
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::Connection;
use super::connection::Watch;
use super::dialer::unreachable;
use super::target::Target;

/// An open connection that carries one exchange after another.
pub(super) struct Line {
    sender: SendRequest<Full<Bytes>>,
    watch: Watch,
    heard: Arc<AtomicBool>,
    _driver: Driver,
}

/// What moves the bytes. It ends with the line, whatever the peer does: no socket outlives a time-out.
struct Driver(JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Why a line gave no answer.
pub(super) enum Failure {
    /// It was closed, and nothing of the request had been written: it may go over another line.
    Unsent(Box<Request<Full<Bytes>>>),
    /// The request may have arrived, and the connection ended before any byte of an answer. It is sent
    /// again only if that does no harm.
    Unanswered(FetchError),
    /// The answer has begun, or is none.
    Broken(FetchError),
}

impl Line {
    /// The largest head of an answer, in bytes.
    const HEAD: usize = 16 << 10;
    const HEADERS: usize = 64;
    /// How long an exchange may take to be over once its answer has been read: one turn of the driver.
    const SETTLING: Duration = Duration::from_millis(20);

    pub(super) async fn over(connection: Connection, target: &Target) -> Result<Self, FetchError> {
        let watch = connection.watch().map_err(|error| unreachable(target, error))?;
        let heard = connection.heard();
        let (sender, connection) = http1::Builder::new()
            .max_buf_size(Self::HEAD)
            .max_header_size(Self::HEAD)
            .max_headers(Self::HEADERS)
            .handshake(TokioIo::new(connection))
            .await
            .map_err(|error| broken(target, &error))?;
        // How it ended is told to whoever waits for an answer on it.
        let driver = tokio::spawn(async move { drop(connection.await) });
        Ok(Self { sender, watch, heard, _driver: Driver(driver) })
    }

    /// Whether it can carry another exchange: the last one is over, and the peer has not closed it.
    pub(super) async fn is_open(&mut self) -> bool {
        // Lets a close that has arrived by now be noticed before anything is written.
        tokio::task::yield_now().await;
        // A peer that answered before it read the whole request may never read the rest.
        let ready = timeout(Self::SETTLING, self.sender.ready()).await;
        // The driver may not have had its turn yet, and what came without being asked for is an end too.
        ready.is_ok_and(|ready| ready.is_ok()) && self.watch.is_quiet()
    }

    /// Sends `request`; the head of the answer.
    pub(super) async fn send(
        &mut self,
        target: &Target,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, Failure> {
        self.heard.store(false, Ordering::Relaxed);
        self.sender.try_send_request(request).await.map_err(|mut error| match error.take_message() {
            Some(request) => Failure::Unsent(Box::new(request)),
            None if self.heard.load(Ordering::Relaxed) => Failure::Broken(broken(target, error.error())),
            None => Failure::Unanswered(broken(target, error.error())),
        })
    }
}

/// The request as it is written: the given headers, and ours of framing, host and coding in place of any
/// others.
pub(super) fn outgoing(target: &Target, request: FetchRequest) -> Result<Request<Full<Bytes>>, FetchError> {
    let FetchRequest { method, url, mut headers, body, .. } = request;
    if method == Method::CONNECT {
        return Err(FetchError::Forbidden(format!("{target}: CONNECT makes a tunnel of the connection")));
    }
    for name in [
        header::CONNECTION,
        header::CONTENT_LENGTH,
        header::EXPECT,
        header::TE,
        header::TRAILER,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
        HeaderName::from_static("keep-alive"),
        HeaderName::from_static("proxy-connection"),
    ] {
        headers.remove(name);
    }
    let host = HeaderValue::try_from(target.to_string())
        .map_err(|_| FetchError::Forbidden(format!("{target}: no Host header can name it")))?;
    headers.insert(header::HOST, host);
    headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    headers.entry(header::USER_AGENT).or_insert(HeaderValue::from_static("countersign"));
    // RFC 9110 §8.6: these methods announce an empty body too.
    if !body.is_empty() || [Method::POST, Method::PUT, Method::PATCH].contains(&method) {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    }
    let mut message = Request::new(Full::new(body));
    *message.method_mut() = method;
    *message.uri_mut() = url.path_and_query().cloned().map_or_else(Uri::default, Uri::from);
    *message.headers_mut() = headers;
    Ok(message)
}

/// Reads the whole answer, if it is one that was asked for, and not larger than `max_bytes`.
pub(super) async fn answer(
    target: &Target,
    response: Response<Incoming>,
    max_bytes: usize,
) -> Result<FetchResponse, FetchError> {
    let (head, mut body) = response.into_parts();
    judge_head(head.status, &head.headers).map_err(|why| unreachable(target, why))?;
    let announced = body.size_hint().lower();
    if announced > u64::try_from(max_bytes).unwrap_or(u64::MAX) {
        return Err(FetchError::TooLarge(max_bytes));
    }
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        // Trailers are read, within the limits of a head, and dropped.
        let Ok(data) = frame.map_err(|error| broken(target, &error))?.into_data() else { continue };
        if data.len() > max_bytes - whole.len() {
            return Err(FetchError::TooLarge(max_bytes));
        }
        whole.extend_from_slice(&data);
    }
    Ok(FetchResponse { status: head.status, headers: head.headers, body: whole.freeze() })
}

/// Refuses what could be read in two ways, or only after undoing a coding. Interim answers have been
/// skipped by hyper; 101 has not, for it ends HTTP on the connection.
fn judge_head(status: StatusCode, headers: &HeaderMap) -> Result<(), &'static str> {
    if status.is_informational() {
        return Err("the answer changes to a protocol that nobody asked for");
    }
    let is = |value: &HeaderValue, expected: &str| {
        value.to_str().is_ok_and(|value| value.trim().eq_ignore_ascii_case(expected))
    };
    if headers.get_all(header::CONTENT_ENCODING).iter().any(|value| !is(value, "identity") && !is(value, ""))
    {
        return Err("the answer is in a content-coding that nobody asked for");
    }
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (None, _) => Ok(()),
        (Some(coding), None) if is(coding, "chunked") => {
            // RFC 9112 §6.3: a sign of an attempt to split answers.
            let ambiguous = headers.contains_key(header::CONTENT_LENGTH);
            if ambiguous { Err("the answer announces its length twice") } else { Ok(()) }
        }
        _ => Err("the answer is in a transfer-coding besides chunked"),
    }
}

fn broken(target: &Target, error: &hyper::Error) -> FetchError {
    match error.source() {
        Some(source) => unreachable(target, format_args!("{error}: {source}")),
        None => unreachable(target, error),
    }
}

#[cfg(test)]
mod tests {
    use countersign::ChosenBy;

    use super::*;

    fn request(method: Method, url: &str, headers: &[(&'static str, &'static str)]) -> FetchRequest {
        FetchRequest {
            method,
            url: url.parse().unwrap(),
            headers: headers
                .iter()
                .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
                .collect(),
            body: Bytes::new(),
            chosen_by: ChosenBy::Request,
            timeout: Duration::from_secs(1),
            max_bytes: 1,
            repeatable: false,
        }
    }

    fn written(request: FetchRequest) -> Result<Request<Full<Bytes>>, FetchError> {
        outgoing(&Target::of(&request.url).unwrap(), request)
    }

    #[test]
    fn framing_host_and_coding_are_ours() {
        let given = [
            ("host", "evil.example"),
            ("content-length", "7"),
            ("transfer-encoding", "chunked"),
            ("connection", "upgrade"),
            ("upgrade", "h2c"),
            ("te", "trailers"),
            ("trailer", "x"),
            ("expect", "100-continue"),
            ("keep-alive", "1"),
            ("proxy-connection", "x"),
            ("accept-encoding", "gzip"),
            ("x-mine", "kept"),
        ];
        let message = written(request(Method::POST, "https://a.example:8443/p?q#f", &given)).unwrap();
        let mut names: Vec<_> =
            message.headers().iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        names.sort();
        let expected = [
            ("accept-encoding", "identity"),
            ("content-length", "0"),
            ("host", "a.example:8443"),
            ("user-agent", "countersign"),
            ("x-mine", "kept"),
        ];
        assert_eq!(names, expected);
        assert_eq!(message.uri(), "/p?q");
    }

    #[test]
    fn no_length_is_announced_where_there_is_no_body() {
        let message = written(request(Method::GET, "https://a.example", &[("content-length", "7")])).unwrap();
        assert!(!message.headers().contains_key("content-length"));
    }

    #[test]
    fn a_url_without_a_path_asks_for_the_root() {
        for (url, path) in [("https://a.example", "/"), ("https://a.example?q", "/?q")] {
            let message = written(request(Method::GET, url, &[("user-agent", "mine")])).unwrap();
            assert_eq!(message.uri().to_string(), path);
            assert_eq!(message.headers()["user-agent"], "mine");
            assert!(!message.headers().contains_key("content-length"));
        }
    }

    #[test]
    fn no_tunnel_is_asked_for() {
        let refusal = written(request(Method::CONNECT, "https://a.example", &[]));
        assert!(matches!(refusal, Err(FetchError::Forbidden(_))));
    }
}
