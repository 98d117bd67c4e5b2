//! One connection to the server, and what is known of it: whether it has ended, whether anything was
//! written, whether it is in doubt.

use std::io;
use std::os::fd::AsFd as _;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};

use countersign::store::StoreError;
use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Cmd, ConnectionAddr, ErrorKind, FromRedisValue, RedisError, ScriptInvocation,
    ServerErrorKind,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::RedisUrl;

/// How many commands may wait to be written.
const PIPELINE: usize = 1_024;

/// An open connection.
pub(super) struct Line {
    connection: MultiplexedConnection,
    fate: Arc<Fate>,
    /// A second handle to the socket, which looks at it while the driver reads from it.
    socket: std::net::TcpStream,
    driver: JoinHandle<()>,
}

/// What becomes of a connection.
#[derive(Default)]
struct Fate {
    ended: AtomicBool,
    /// Something was not answered in time, and nothing has been since.
    doubted: AtomicBool,
    /// How many bytes were written.
    written: AtomicU64,
}

impl Line {
    /// Connects, as long as that may take. `ended` is told when the connection has ended.
    pub(super) async fn open(url: &RedisUrl, ended: Arc<Notify>) -> Result<Self, RedisError> {
        let info = url.connection_info();
        let ConnectionAddr::Tcp(host, port) = info.addr() else {
            return Err((ErrorKind::InvalidClientConfig, "only TCP is dialled").into());
        };
        let stream = TcpStream::connect((host.as_str(), *port)).await?;
        stream.set_nodelay(true)?;
        // The copy is as little blocking as what it is a copy of.
        let socket = stream.as_fd().try_clone_to_owned()?.into();
        let fate = Arc::new(Fate::default());
        let stream = Counted { stream, fate: fate.clone() };
        let config =
            AsyncConnectionConfig::new().set_response_timeout(None).set_pipeline_buffer_size(PIPELINE);
        let (connection, driver) =
            MultiplexedConnection::new_with_config(info.redis_settings(), stream, config).await?;
        let seen = fate.clone();
        let driver = tokio::spawn(async move {
            driver.await;
            seen.ended.store(true, Ordering::Release);
            ended.notify_one();
        });
        Ok(Self { connection, fate, socket, driver })
    }

    /// Whether commands may be sent: the server has not closed it, and what was sent is answered.
    pub(super) fn is_good(&self) -> bool {
        !self.fate.doubted.load(Ordering::Acquire) && !self.has_ended()
    }

    /// Whether the server has closed it, also if the driver has not had its turn since.
    pub(super) fn has_ended(&self) -> bool {
        let closed = || match self.socket.peek(&mut [0]) {
            Ok(length) => length == 0,
            Err(error) => error.kind() != io::ErrorKind::WouldBlock,
        };
        self.fate.ended.load(Ordering::Acquire) || closed()
    }

    /// Whether something has come that the driver has not read yet: an end may be behind it.
    pub(super) fn has_unread(&self) -> bool {
        self.socket.peek(&mut [0]).is_ok_and(|length| length > 0)
    }

    /// Something was not answered.
    pub(super) fn doubt(&self) {
        self.fate.doubted.store(true, Ordering::Release);
    }

    /// It answers again.
    pub(super) fn trust(&self) {
        self.fate.doubted.store(false, Ordering::Release);
    }

    /// How many bytes were written so far.
    pub(super) fn written(&self) -> u64 {
        self.fate.written.load(Ordering::Acquire)
    }

    /// Sends one command, and waits as long as it takes.
    pub(super) async fn query<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, RedisError> {
        command.query_async(&mut self.connection.clone()).await
    }

    /// Runs one script. A server that answers not to know it has not run it, and gets it again.
    pub(super) async fn invoke<T: FromRedisValue>(
        &self,
        call: &ScriptInvocation<'_>,
    ) -> Result<T, RedisError> {
        call.invoke_async(&mut self.connection.clone()).await
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// The kind of failure alone: what a server says may repeat what it was sent.
#[expect(clippy::needless_pass_by_value, reason = "an error is used up by being translated")]
pub(super) fn unavailable(error: RedisError) -> StoreError {
    let code = error.code().unwrap_or_default();
    if code == "CORRUPT" {
        return StoreError::Corrupt(String::from("an envelope of another version"));
    }
    StoreError::Unavailable(match error.kind() {
        _ if error.is_timeout() => String::from("Redis did not answer in time"),
        _ if error.is_connection_refusal() => String::from("Redis refused the connection"),
        ErrorKind::AuthenticationFailed => String::from("Redis did not accept the user and password"),
        ErrorKind::Server(ServerErrorKind::ReadOnly) => {
            String::from("this Redis only reads: it is a replica")
        }
        _ if code.is_empty() => format!("Redis: {}", error.category()),
        _ => format!("Redis: {} ({code})", error.category()),
    })
}

/// Counts what is written.
struct Counted {
    stream: TcpStream,
    fate: Arc<Fate>,
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        if let Poll::Ready(Ok(length)) = written {
            self.fate.written.fetch_add(length as u64, Ordering::Release);
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
