//! The Unix socket for management: mode 0600, and only for our own user and root.

use std::io;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{UnixListener, UnixStream};

use crate::life::Life;

/// Why management is not served.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Another process answers there.
    #[error("another gateway is answering on {0}")]
    Taken(PathBuf),
    /// Something else stands there.
    #[error("{0} is there, and is no socket: give the socket another path")]
    NoSocket(PathBuf),
    /// It cannot be made.
    #[error("{path}: {error}")]
    Io {
        /// Where.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

/// Makes the socket. One that a dead process left behind is replaced; one that answers is not.
///
/// # Errors
/// [`SocketError`].
pub async fn bind(path: &Path) -> Result<UnixListener, SocketError> {
    let failed = |error| SocketError::Io { path: path.to_owned(), error };
    match UnixListener::bind(path) {
        Ok(listener) => return restrict(listener, path).map_err(failed),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
        Err(error) => return Err(failed(error)),
    }
    // Whatever else stands there is somebody's file, a store perhaps, and not ours to remove.
    if !std::fs::symlink_metadata(path).map_err(failed)?.file_type().is_socket() {
        return Err(SocketError::NoSocket(path.to_owned()));
    }
    match UnixStream::connect(path).await {
        // Nobody listens: its process is dead. A full queue, for one, is no such sign.
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
        _ => return Err(SocketError::Taken(path.to_owned())),
    }
    std::fs::remove_file(path).map_err(failed)?;
    let listener = UnixListener::bind(path).map_err(failed)?;
    restrict(listener, path).map_err(failed)
}

/// Whoever connects before the mode is set is still judged by uid.
fn restrict(listener: UnixListener, path: &Path) -> io::Result<UnixListener> {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Serves management until the process ends.
pub async fn serve(life: Life, listener: UnixListener, router: Router) {
    let ours = rustix::process::geteuid().as_raw();
    let mut ending = life.ending();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = ending.wait_for(|ending| *ending) => return,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "a management connection could not be accepted");
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                continue;
            }
        };
        let uid = stream.peer_cred().map(|peer| peer.uid());
        if !matches!(uid, Ok(uid) if uid == ours || uid == 0) {
            tracing::warn!(?uid, "management was refused to another user");
            continue;
        }
        let service = TowerToHyperService::new(router.clone());
        tokio::spawn(async move {
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .serve_connection(TokioIo::new(stream), service);
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a management connection failed");
            }
        });
    }
}
