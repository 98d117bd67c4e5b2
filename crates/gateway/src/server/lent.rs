//! HTTP/1 on one connection: hyper while there is something to say, and a bare socket while there is not.
//!
//! hyper keeps its buffers for as long as a connection lives, some 20 KiB, and most of a gateway's connections are
//! silent at any moment. So hyper only borrows the connection: when nothing has happened for a while, hyper is
//! dropped with its buffers, and begins anew with the next request's first bytes.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::rt::{Read, ReadBufCursor, Write};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::guard::{GuardedIo, OverTcp};

/// How long a connection is silent before hyper is dropped: longer than a busy caller thinks, short beside the life
/// of an idle connection.
const SILENCE: Duration = Duration::from_millis(100);

/// A guarded connection that hyper borrows. Clones share it.
pub(super) struct Lent<T> {
    shared: Arc<Mutex<Shared<T>>>,
}

struct Shared<T> {
    io: GuardedIo<T>,
    /// Read before hyper was there.
    first: Vec<u8>,
}

/// Why hyper gave a connection back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Returned {
    /// It is over.
    Ended,
    /// Nothing is under way.
    Silent,
    /// The caller is gone, and its request with it.
    Gone,
}

impl<T> Clone for Lent<T> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone() }
    }
}

impl<T> Lent<T> {
    pub(super) fn new(io: GuardedIo<T>) -> Self {
        Self { shared: Arc::new(Mutex::new(Shared { io, first: Vec::new() })) }
    }

    fn lock(&self) -> MutexGuard<'_, Shared<T>> {
        // One task uses it; if that panicked, the connection is gone with it.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_idle(&self) -> bool {
        let shared = self.lock();
        shared.first.is_empty() && shared.io.is_idle()
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> Lent<T> {
    /// Waits for the next request's first bytes; false when none will come.
    pub(super) async fn speaks(&self) -> bool {
        poll_fn(|context| {
            let mut bytes = [0; 1024];
            let mut buffer = ReadBuf::new(&mut bytes);
            let mut shared = self.lock();
            let read = AsyncRead::poll_read(Pin::new(&mut shared.io), context, &mut buffer);
            read.map(|read| {
                shared.first.extend_from_slice(buffer.filled());
                read.is_ok() && !buffer.filled().is_empty()
            })
        })
        .await
    }

    /// Closes it.
    pub(super) async fn close(&self) -> io::Result<()> {
        poll_fn(|context| AsyncWrite::poll_shutdown(Pin::new(&mut self.lock().io), context)).await
    }

    /// Ends the connection so that what was said of a body cannot be taken for all of it.
    pub(super) fn cut(&self)
    where
        T: OverTcp,
    {
        let _ = self.lock().io.get_ref().tcp().set_zero_linger();
    }

    /// Lives as long as `session` has something to do, and somebody to do it for.
    pub(super) async fn until_silent<S, E>(&self, session: Pin<&mut S>) -> Result<Returned, E>
    where
        S: Future<Output = Result<(), E>>,
        T: OverTcp,
    {
        let mut session = session;
        let (mut since, mut alarm) = (None::<Instant>, pin!(None::<Sleep>));
        poll_fn(move |context| {
            if let Poll::Ready(ended) = session.as_mut().poll(context) {
                return Poll::Ready(ended.map(|()| Returned::Ended));
            }
            if self.lock().io.poll_gone(context).is_ready() {
                return Poll::Ready(Ok(Returned::Gone));
            }
            if !self.is_idle() {
                since = None;
                return Poll::Pending;
            }
            let until = *since.get_or_insert_with(Instant::now) + SILENCE;
            loop {
                // The timer is moved only when it fires too early, which is seldom.
                if alarm.is_none() {
                    alarm.set(Some(sleep_until(until)));
                }
                let Some(sleep) = alarm.as_mut().as_pin_mut() else { return Poll::Pending };
                let deadline = sleep.deadline();
                match sleep.poll(context) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(()) if deadline >= until => return Poll::Ready(Ok(Returned::Silent)),
                    Poll::Ready(()) => alarm.set(None),
                }
            }
        })
        .await
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> Read for Lent<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut cursor: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let mut shared = self.lock();
        if !shared.first.is_empty() {
            let length = shared.first.len().min(cursor.remaining());
            cursor.put_slice(&shared.first[..length]);
            match length == shared.first.len() {
                true => shared.first = Vec::new(),
                false => drop(shared.first.drain(..length)),
            }
            return Poll::Ready(Ok(()));
        }
        Read::poll_read(Pin::new(&mut shared.io), context, cursor)
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> Write for Lent<T> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Write::poll_write(Pin::new(&mut self.lock().io), context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Write::poll_flush(Pin::new(&mut self.lock().io), context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Write::poll_shutdown(Pin::new(&mut self.lock().io), context)
    }

    fn is_write_vectored(&self) -> bool {
        Write::is_write_vectored(&self.lock().io)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Write::poll_write_vectored(Pin::new(&mut self.lock().io), context, slices)
    }
}
