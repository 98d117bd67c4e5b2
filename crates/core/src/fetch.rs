//! How a verifier asks another host. The trait is here; what opens sockets implements it.

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, Uri};

/// One request to another host.
#[derive(Clone, Debug)]
pub struct FetchRequest {
    /// The method.
    pub method: Method,
    /// An absolute URL without user information and fragment.
    pub url: Uri,
    /// Headers besides those of framing and `Host`.
    pub headers: HeaderMap,
    /// The body; empty for none.
    pub body: Bytes,
    /// Who chose the host.
    pub chosen_by: ChosenBy,
    /// From the look-up of the name to the last byte of the answer.
    pub timeout: Duration,
    /// How large the answer's body may be, in bytes.
    pub max_bytes: usize,
    /// Whether sending it twice does no harm. It is then sent once more, on a connection of its own, when
    /// a kept one was closed before any byte of an answer.
    pub repeatable: bool,
}

/// Who chose the host that is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChosenBy {
    /// The operator: the configuration names this very URL or its host, so that private ranges that it
    /// allows may be dialled.
    Configuration,
    /// A request that nobody has proven: public addresses alone.
    Request,
}

/// What the host answered, whatever its status. Redirects are answers like any other.
#[derive(Clone, Debug)]
pub struct FetchResponse {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The whole body, as sent: no coding was undone.
    pub body: Bytes,
}

/// Why there is no answer. The texts name addresses and are for the operator alone.
#[derive(Clone, Debug, thiserror::Error)]
pub enum FetchError {
    /// The URL, or an address that its name leads to, is not dialled.
    #[error("not dialled: {0}")]
    Forbidden(String),
    /// No connection, no TLS, or an answer that cannot be read.
    #[error("not reached: {0}")]
    Unreachable(String),
    /// The time was over first.
    #[error("no whole answer within {0:?}")]
    Timeout(Duration),
    /// The answer was larger than was asked for.
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
    /// Nobody was asked, on purpose: [`AskNobody`].
    #[error("would be asked; explain asks nobody")]
    NotAsked,
}

/// Asks other hosts: https to public addresses unless configured otherwise, no redirects, no proxies
/// from the environment, no content-codings, within time and size.
pub trait Fetch: Send + Sync + 'static {
    /// Sends `request` once, on a connection of its own or a kept one, and reads the whole answer. One that
    /// is `repeatable` may be sent twice.
    fn fetch(&self, request: FetchRequest) -> impl Future<Output = Result<FetchResponse, FetchError>> + Send;
}

/// Asks nobody, and says so: what a request is explained with.
#[derive(Clone, Copy, Debug, Default)]
pub struct AskNobody;

impl Fetch for AskNobody {
    async fn fetch(&self, _request: FetchRequest) -> Result<FetchResponse, FetchError> {
        Err(FetchError::NotAsked)
    }
}

impl<F: Fetch> Fetch for std::sync::Arc<F> {
    fn fetch(&self, request: FetchRequest) -> impl Future<Output = Result<FetchResponse, FetchError>> + Send {
        (**self).fetch(request)
    }
}
