//! Where an application of ours connects: a port on loopback, or a Unix socket.

use std::io;
use std::path::PathBuf;

use tokio::net::{TcpListener, UnixListener};

use crate::config::OutboundListen;
use crate::management;

/// A listener that was bound. A Unix socket is removed with it.
pub(super) enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener, PathBuf),
}

impl Listener {
    pub(super) async fn bind(listen: &OutboundListen) -> io::Result<Self> {
        match listen {
            OutboundListen::Tcp(address) => Ok(Self::Tcp(TcpListener::bind(address).await?)),
            OutboundListen::Unix(path) => {
                // Whoever can connect speaks in our name: it is made as management's is.
                let listener = management::bind(path).await.map_err(io::Error::other)?;
                Ok(Self::Unix(listener, path.clone()))
            }
        }
    }

    /// What a caller writes as its host.
    pub(super) fn name(&self) -> Option<String> {
        match self {
            Self::Tcp(listener) => listener.local_addr().ok().map(|address| address.to_string()),
            Self::Unix(..) => None,
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Self::Unix(_, path) = self {
            let _ = std::fs::remove_file(path);
        }
    }
}
