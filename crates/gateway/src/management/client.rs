//! How the command line reaches management: the running gateway's socket, or the store itself.

use std::path::Path;

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::UnixStream;
use tower_service::Service as _;

use crate::management::router;
use crate::open::Opened;

/// Why management did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// It refused; the text says why.
    #[error("{1}")]
    Refused(StatusCode, String),
    /// It could not be asked.
    #[error("management did not answer: {0}")]
    Unreachable(String),
}

/// Management, wherever it is.
pub enum Management {
    /// The gateway that runs, over its socket.
    Running(Box<std::path::PathBuf>),
    /// Nobody runs: we hold the store ourselves.
    Here(Box<Opened>, Box<Router>),
}

impl Management {
    /// The gateway behind `socket`, if one answers.
    pub async fn running(socket: &Path) -> Option<Self> {
        connect(socket).await.ok().map(|_| Self::Running(Box::new(socket.to_owned())))
    }

    /// Management without a running gateway.
    #[must_use]
    pub fn here(opened: Opened) -> Self {
        let router = Box::new(router(&opened));
        Self::Here(Box::new(opened), router)
    }

    /// Asks, and reads the answer as JSON.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn call(&self, method: http::Method, path: &str, body: Bytes) -> Result<Value, CallError> {
        let unreachable = |error: &dyn std::fmt::Display| CallError::Unreachable(error.to_string());
        let request = Request::builder().method(method).uri(path).header("host", "countersign");
        let (status, bytes) = match self {
            Self::Running(socket) => {
                let request = request.body(Full::new(body)).map_err(|error| unreachable(&error))?;
                let stream = connect(socket).await.map_err(|error| unreachable(&error))?;
                let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
                let (mut sender, connection) = handshake.map_err(|error| unreachable(&error))?;
                tokio::spawn(connection);
                let response = sender.send_request(request).await.map_err(|error| unreachable(&error))?;
                let status = response.status();
                let body = response.into_body().collect().await.map_err(|error| unreachable(&error))?;
                (status, body.to_bytes())
            }
            Self::Here(_, router) => {
                let request = request.body(Body::from(body)).map_err(|error| unreachable(&error))?;
                let response = match (**router).clone().call(request).await {
                    Ok(response) => response,
                    Err(never) => match never {},
                };
                let status = response.status();
                let body = response.into_body().collect().await.map_err(|error| unreachable(&error))?;
                (status, body.to_bytes())
            }
        };
        let value: Value = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        if status.is_success() {
            return Ok(value);
        }
        let said = value["error"].as_str().map_or_else(|| format!("status {status}"), str::to_owned);
        Err(CallError::Refused(status, said))
    }

    /// Lets go of the store, if it was ours to hold.
    pub async fn close(self) {
        if let Self::Here(opened, _) = self {
            let _ = opened.shared.recorder.audit.flush().await;
            let _ = opened.shared.store.close().await;
        }
    }
}

/// Connects, and sees to it that our own user or root answers: what a stranger's socket in our place
/// would be told are new keys.
async fn connect(socket: &Path) -> std::io::Result<UnixStream> {
    let stream = UnixStream::connect(socket).await?;
    let (uid, ours) = (stream.peer_cred()?.uid(), rustix::process::geteuid().as_raw());
    if uid == ours || uid == 0 {
        return Ok(stream);
    }
    let message = format!("{} belongs to the user {uid}, not to us", socket.display());
    Err(std::io::Error::new(std::io::ErrorKind::PermissionDenied, message))
}
