//! A connection whose peer is told to calm down when it floods.
//!
//! h2 writes GOAWAY with ENHANCE_YOUR_CALM by itself for some floods, and has no word for doing so for others. So it is
//! given one that it knows, in place of what else comes: a header block that never ends.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

use super::budget::Budget;
use super::frames::Frames;

/// HEADERS of stream 1, empty and without END_HEADERS.
const BLOCK: [u8; 9] = [0, 0, 0, 1, 0, 0, 0, 0, 1];
/// CONTINUATION of the same kind.
const CONTINUED: [u8; 9] = [0, 0, 0, 9, 0, 0, 0, 0, 1];
/// More than h2 takes, however large a head may be.
const STAND_IN_BYTES: usize = 1024 * 1024;
/// How long, and for how many bytes, the peer is heard out after the last word, so that closing does not take it back
/// by a reset.
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES: usize = 1024 * 1024;

/// A connection on which HTTP/2 is spoken with a caller.
pub(crate) struct CalmIo<T> {
    io: T,
    received: Frames,
    sent: Frames,
    budget: Budget,
    on_flood: Option<Box<dyn FnOnce() + Send>>,
    /// How much of the stand-in was given, once the budget is spent.
    stand_in: Option<usize>,
    lingering: Option<(Pin<Box<Sleep>>, usize)>,
}

impl<T> CalmIo<T> {
    /// A connection from its preface on; `on_flood` is called when its peer has sent a frame too many.
    pub(crate) fn new(io: T, on_flood: impl FnOnce() + Send + 'static) -> Self {
        Self {
            io,
            received: Frames::of_client(),
            sent: Frames::default(),
            budget: Budget::new(Instant::now()),
            on_flood: Some(Box::new(on_flood)),
            stand_in: None,
            lingering: None,
        }
    }

    /// Counts what has come; says how much of it may pass: all, or what lies before the end of the frame too many.
    fn receive(&mut self, bytes: &[u8]) -> usize {
        let mut window = bytes;
        while self.stand_in.is_none() {
            let Some(frame) = self.received.next(&mut window) else { return bytes.len() };
            if !self.budget.spend(frame, Instant::now()) {
                self.stand_in = Some(0);
                if let Some(on_flood) = self.on_flood.take() {
                    on_flood();
                }
            }
        }
        self.received.skip_payload(&mut window);
        bytes.len() - window.len()
    }

    fn send(&mut self, mut bytes: &[u8]) {
        while let Some(frame) = self.sent.next(&mut bytes) {
            self.budget.earn(frame);
        }
    }
}

/// Gives the stand-in from its byte `given` on; says how many bytes.
fn give_stand_in(given: usize, buffer: &mut ReadBuf<'_>) -> usize {
    let length = buffer.remaining().min(STAND_IN_BYTES - given);
    for position in given..given + length {
        let frame = if position < BLOCK.len() { BLOCK } else { CONTINUED };
        buffer.put_slice(&[frame[position % BLOCK.len()]]);
    }
    length
}

impl<T: AsyncRead + Unpin> AsyncRead for CalmIo<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if let Some(given) = &mut this.stand_in
            && this.received.is_between()
        {
            *given += give_stand_in(*given, buffer);
            return Poll::Ready(Ok(()));
        }
        let start = buffer.filled().len();
        ready!(Pin::new(&mut this.io).poll_read(context, buffer))?;
        let passed = this.receive(&buffer.filled()[start..]);
        buffer.set_filled(start + passed);
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for CalmIo<T> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = ready!(Pin::new(&mut this.io).poll_write(context, bytes))?;
        this.send(&bytes[..written]);
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = ready!(Pin::new(&mut this.io).poll_write_vectored(context, slices))?;
        let mut left = written;
        for slice in slices {
            let length = left.min(slice.len());
            this.send(&slice[..length]);
            left -= length;
        }
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.lingering.is_none() {
            ready!(Pin::new(&mut this.io).poll_shutdown(context))?;
        }
        if this.stand_in.is_none() {
            return Poll::Ready(Ok(()));
        }
        let (until, left) = this.lingering.get_or_insert_with(|| (Box::pin(sleep(LINGER)), LINGER_BYTES));
        let mut thrown_away = [0; 4096];
        while *left > 0 {
            let mut buffer = ReadBuf::new(&mut thrown_away);
            match Pin::new(&mut this.io).poll_read(context, &mut buffer) {
                Poll::Pending => {
                    ready!(until.as_mut().poll(context));
                    break;
                }
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                    *left = left.saturating_sub(buffer.filled().len());
                }
                Poll::Ready(_) => break,
            }
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn a_flood_ends_with_its_frame_and_the_last_word_is_not_taken_back() {
        let (near, mut far) = duplex(64 * 1024);
        let (tell, told) = std::sync::mpsc::channel();
        let mut calm = CalmIo::new(near, move || tell.send(()).expect("told once"));
        let ping = [&[0, 0, 8, 6, 0, 0, 0, 0, 0][..], &[7; 8]].concat();
        let mut stream = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        stream.extend(ping.repeat(1500));
        far.write_all(&stream).await.expect("written");
        let mut read = vec![0; 24 + 1001 * ping.len() + 27];
        calm.read_exact(&mut read).await.expect("read");
        let (passed, stand_in) = read.split_at(24 + 1001 * ping.len());
        assert_eq!(passed, &stream[..passed.len()]);
        assert_eq!(stand_in, [BLOCK, CONTINUED, CONTINUED].concat());
        assert_eq!(told.try_iter().count(), 1);

        let mut closing = std::pin::pin!(calm.shutdown());
        let waits = timeout(Duration::from_millis(20), closing.as_mut()).await;
        assert!(waits.is_err(), "the peer has not read it");
        drop(far);
        timeout(Duration::from_secs(1), closing).await.expect("it was heard").expect("closed");
    }

    #[tokio::test]
    async fn whoever_floods_nobody_is_closed_at_once() {
        let (near, mut far) = duplex(1024);
        let mut calm = CalmIo::new(near, || ());
        far.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.expect("written");
        let mut read = [0; 24];
        calm.read_exact(&mut read).await.expect("read");
        timeout(Duration::from_secs(1), calm.shutdown()).await.expect("at once").expect("closed");
    }
}
