//! Which HTTP a plaintext peer speaks: HTTP/2 with prior knowledge begins with a preface (RFC 9113, 3.4).

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::time::{Instant, timeout_at};

/// Which HTTP a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.0 or HTTP/1.1, or nothing that we know: the guard finds out.
    Http1,
    /// HTTP/2.
    Http2,
}

const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Reads as much of a fresh connection as tells the protocols apart, at most 24 bytes, and gives it back for
/// [`GuardedIo`](super::GuardedIo) to begin with.
///
/// # Errors
/// What reading fails with; `TimedOut` when `deadline` passes first.
pub async fn detect<T: AsyncRead + Unpin>(io: &mut T, deadline: Instant) -> io::Result<(Protocol, Vec<u8>)> {
    let mut start = [0; PREFACE.len()];
    let mut length = 0;
    let reading = async {
        while length < start.len() && start[..length] == PREFACE[..length] {
            match io.read(&mut start[length..]).await? {
                0 => break,
                read => length += read,
            }
        }
        Ok::<(), io::Error>(())
    };
    timeout_at(deadline, reading).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    let protocol = if start == *PREFACE { Protocol::Http2 } else { Protocol::Http1 };
    Ok((protocol, start[..length].to_vec()))
}
