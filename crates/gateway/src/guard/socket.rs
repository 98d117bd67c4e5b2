//! The socket under a guard, held to small pieces.
//!
//! A peer that reads nothing must not fill our memory with what it does not read. hyper reads as much at once as comes,
//! and queues what it cannot write, up to the size that a head may have. So what is read at once has a bound here, and
//! whoever makes the bytes that are written ([`Gate`]) waits until those before them were taken.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use hyper_util::client::legacy::connect::{Connected, Connection};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf, Take};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

/// As much is read at once: one byte less than a power of two, since hyper doubles its buffer once one was filled.
const READ_AT_ONCE: u64 = 16 * 1024 - 1;

/// The same of an upstream, for a caller whose connection keeps more than the pieces: TLS, and each stream of HTTP/2.
const READ_AT_ONCE_FOR_A_STREAM: u64 = 8 * 1024 - 1;

/// As much of a body waits to be written, and one piece.
const WAITING_TO_BE_WRITTEN: usize = 16 * 1024;

/// What TLS keeps of what was written. One record is as large.
pub const ENCRYPTED_AND_UNSENT: usize = 16 * 1024;

/// A connection that is read in small pieces, and that says when it has taken what was written.
#[derive(Debug)]
pub struct Metered<T> {
    io: Take<T>,
    flow: Flow,
    is_upstream: bool,
}

/// A handle on what a connection takes. Cloning it is cheap.
#[derive(Clone, Debug, Default)]
pub struct Flow {
    writes: Arc<Mutex<Writes>>,
}

#[derive(Debug, Default)]
struct Writes {
    /// How often everything was taken that there was to write.
    taken: u64,
    waiting: Option<Waker>,
    cut: bool,
    /// What is written is kept by TLS once more.
    encrypted: bool,
    /// Larger pieces may be read of an upstream.
    wide: bool,
}

impl Flow {
    fn taken(&self) -> u64 {
        self.lock().taken
    }

    /// Ready once everything was taken that was written at `since`.
    fn poll_taken(&self, context: &Context<'_>, since: u64) -> Poll<()> {
        let mut writes = self.lock();
        if writes.taken != since {
            return Poll::Ready(());
        }
        writes.waiting = Some(context.waker().clone());
        Poll::Pending
    }

    /// TLS lies above the connection.
    pub fn encrypt(&self) {
        self.lock().encrypted = true;
    }

    /// What is read of the answer goes to this connection of HTTP/1.
    pub fn read_for(&self, caller: &Self) {
        let encrypted = caller.lock().encrypted;
        self.lock().wide = !encrypted;
    }

    fn take(&self) {
        let waiting = {
            let mut writes = self.lock();
            writes.taken += 1;
            writes.waiting.take()
        };
        if let Some(waiting) = waiting {
            waiting.wake();
        }
    }

    /// The connection must not end as if all had been said: for a body that only the connection's end ends.
    pub fn cut(&self) {
        self.lock().cut = true;
    }

    /// Whether it must not end as if all had been said.
    pub fn is_cut(&self) -> bool {
        self.lock().cut
    }

    fn lock(&self) -> MutexGuard<'_, Writes> {
        // Nothing panics while it is held.
        self.writes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lets a body pass no faster than its connection takes it.
#[derive(Debug)]
pub struct Gate {
    flow: Flow,
    /// When the last piece passed.
    mark: u64,
    waiting: usize,
}

impl Gate {
    /// To be made before the body's first piece passes.
    pub fn new(flow: Flow) -> Self {
        let mark = flow.taken();
        Self { flow, mark, waiting: 0 }
    }

    /// Ready when another piece may pass.
    pub fn poll_open(&self, context: &Context<'_>) -> Poll<()> {
        match self.waiting < WAITING_TO_BE_WRITTEN {
            true => Poll::Ready(()),
            false => self.poll_passed(context),
        }
    }

    /// Ready once the connection has taken all that passed.
    pub fn poll_passed(&self, context: &Context<'_>) -> Poll<()> {
        self.flow.poll_taken(context, self.mark)
    }

    /// So many bytes pass.
    pub fn pass(&mut self, length: usize) {
        let taken = self.flow.taken();
        if taken != self.mark {
            (self.mark, self.waiting) = (taken, 0);
        }
        self.waiting += length;
    }
}

impl<T: AsyncRead> Metered<T> {
    /// A fresh connection from a caller.
    pub fn new(io: T) -> Self {
        Self { io: io.take(READ_AT_ONCE), flow: Flow::default(), is_upstream: false }
    }

    /// A fresh connection to an upstream.
    pub fn to_upstream(io: T) -> Self {
        Self { is_upstream: true, ..Self::new(io) }
    }

    /// What it takes.
    pub fn flow(&self) -> Flow {
        self.flow.clone()
    }
}

/// A connection over TCP, whatever lies between.
pub trait OverTcp {
    /// The connection itself.
    fn tcp(&self) -> &TcpStream;
}

impl OverTcp for Metered<TcpStream> {
    fn tcp(&self) -> &TcpStream {
        self.io.get_ref()
    }
}

impl OverTcp for TlsStream<Metered<TcpStream>> {
    fn tcp(&self) -> &TcpStream {
        self.get_ref().0.tcp()
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Metered<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let wide = !this.is_upstream || this.flow.lock().wide;
        this.io.set_limit(if wide { READ_AT_ONCE } else { READ_AT_ONCE_FOR_A_STREAM });
        Pin::new(&mut this.io).poll_read(context, buffer)
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> Metered<T> {
    fn taken(&self, written: Poll<io::Result<usize>>, of: usize) -> Poll<io::Result<usize>> {
        if self.is_upstream {
            // The next answer may be another's.
            self.flow.lock().wide = false;
        }
        if matches!(written, Poll::Ready(Ok(length)) if length == of) {
            self.flow.take();
        }
        written
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Metered<T> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(this.io.get_mut()).poll_write(context, bytes);
        this.taken(written, bytes.len())
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(this.io.get_mut()).poll_write_vectored(context, slices);
        this.taken(written, slices.iter().map(|slice| slice.len()).sum())
    }

    fn is_write_vectored(&self) -> bool {
        self.io.get_ref().is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.get_mut().io.get_mut()).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.get_mut().io.get_mut()).poll_shutdown(context)
    }
}

impl<T: AsyncRead + Connection> Connection for Metered<T> {
    fn connected(&self) -> Connected {
        self.io.get_ref().connected().extra(self.flow.clone())
    }
}
