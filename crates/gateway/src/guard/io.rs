//! The guard: a socket whose bytes hyper sees only after they were read strictly.
//!
//! A head is held back until it is whole and sound. A body passes as it comes, without being copied. In place
//! of a head that is refused, hyper gets a stand-in, so that the service is called in its turn, behind the
//! answers to earlier requests, and can refuse in our own words. In place of the rest of a body that is
//! refused, hyper gets the end of the stream, so that the body fails and nothing behind it is read as a
//! request.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::absence::Absence;
use super::alarm::Alarm;
use super::connection::{ConnectionState, Upgrade};
use super::held::Held;
use super::options::GuardOptions;
use super::socket::OverTcp;
use countersign_http1::Violation;
use countersign_http1::{BodyFraming, Scanner, Step};

/// What hyper reads in place of a head that was refused.
const STAND_IN: &[u8] = b"GET / HTTP/1.1\r\nhost: refused.invalid\r\nconnection: close\r\n\r\n";

/// Bytes read behind a request that asks for an upgrade, before the answer is known.
const MAX_HELD_BEHIND_UPGRADE: usize = 16 * 1024;

/// Bytes read behind a request that is being answered, to see whether its caller is still there.
const MAX_READ_AHEAD: usize = 4 * 1024;

/// A connection that hyper reads through the guard.
#[derive(Debug)]
pub struct GuardedIo<T> {
    io: T,
    mode: Mode,
    scanner: Scanner,
    options: Arc<GuardOptions>,
    connection: ConnectionState,
    held: Held,
    /// The message being read asks for an upgrade.
    upgrade_follows: bool,
    /// The peer has closed its side.
    closed: bool,
    read_alarm: Alarm,
    /// Since when the head being held, or the silence between messages, lasts.
    waiting_since: Option<Instant>,
    write_alarm: Alarm,
    write_stalled_since: Option<Instant>,
    wrote: bool,
    first_message: bool,
    lingering: Option<Lingering>,
    absence: Absence,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Scanning,
    /// Behind a request that asks for an upgrade, until the service has decided.
    Holding,
    /// Another protocol: nothing is read, nothing is timed.
    PassingThrough,
    /// A head was refused; so many bytes of the stand-in have been given.
    StandingIn(usize),
    /// hyper sees the end of the stream.
    Ended,
}

#[derive(Clone, Copy, Debug)]
struct Lingering {
    until: Instant,
    bytes: usize,
}

/// What a scan ended with.
enum Found {
    /// Everything was scanned; more is needed.
    Everything,
    /// A message ends; what is behind it waits until hyper asks for it, so that hyper never holds more than
    /// one.
    MessageEnd,
    Refused,
}

impl<T> GuardedIo<T> {
    /// Guards a connection from its first byte; `read_ahead` are bytes that were read from it already.
    pub fn new(io: T, read_ahead: Vec<u8>, options: Arc<GuardOptions>) -> Self {
        Self {
            io,
            mode: Mode::Scanning,
            scanner: Scanner::new(options.limits),
            options,
            connection: ConnectionState::new(),
            held: Held::new(read_ahead),
            upgrade_follows: false,
            closed: false,
            read_alarm: Alarm::default(),
            waiting_since: None,
            write_alarm: Alarm::default(),
            write_stalled_since: None,
            wrote: false,
            first_message: true,
            lingering: None,
            absence: Absence::default(),
        }
    }

    /// Lets everything through, as HTTP/2 needs; the time-out of writes remains.
    pub fn pass_through(io: T, read_ahead: Vec<u8>, options: Arc<GuardOptions>) -> Self {
        let mut guarded = Self::new(io, read_ahead, options);
        guarded.mode = Mode::PassingThrough;
        guarded.held.trust();
        guarded
    }

    /// The handle for this connection's service.
    pub fn connection(&self) -> ConnectionState {
        self.connection.clone()
    }

    /// Whether nothing is under way: every request was answered, every answer was taken, and nothing of the next
    /// request has come. Whoever reads through the guard then needs no buffers.
    pub fn is_idle(&self) -> bool {
        self.mode == Mode::Scanning
            && self.held.is_empty()
            && !self.closed
            && self.scanner.is_between_messages()
            && self.write_stalled_since.is_none()
            && !self.connection.activity().0
    }

    /// The connection itself.
    pub fn get_ref(&self) -> &T {
        &self.io
    }

    fn refuse(&mut self, violation: Violation) -> Found {
        if self.scanner.is_in_head() {
            self.connection.give_head(Err(violation));
            self.mode = Mode::StandingIn(0);
        } else {
            self.connection.refuse_body(violation);
            self.mode = Mode::Ended;
        }
        Found::Refused
    }

    /// Scans `window` up to the end of a message; says how much of it is sound.
    fn scan(&mut self, window: &[u8]) -> (usize, Found) {
        let mut sound = 0;
        loop {
            let message_ends = match self.scanner.step(&window[sound..]) {
                Err(violation) => return (sound, self.refuse(violation)),
                Ok(Step::Incomplete) => return (sound, Found::Everything),
                Ok(Step::EmptyLine { length }) => {
                    sound += length;
                    false
                }
                Ok(Step::Body { length, ends }) => {
                    sound += length;
                    ends
                }
                Ok(Step::Head { length, facts }) => {
                    sound += length;
                    self.waiting_since = None;
                    self.first_message = false;
                    self.upgrade_follows = facts.upgrade;
                    let ends = matches!(facts.body, BodyFraming::None | BodyFraming::Length(0));
                    self.connection.give_head(Ok(facts));
                    ends
                }
            };
            if message_ends {
                if std::mem::take(&mut self.upgrade_follows) {
                    self.mode = Mode::Holding;
                }
                return (sound, Found::MessageEnd);
            }
        }
    }

    /// Scans what is held and was not scanned yet; says whether that changed anything.
    fn scan_held(&mut self) -> bool {
        let mut held = std::mem::take(&mut self.held);
        let (sound, found) = self.scan(held.unscanned());
        held.settle(sound);
        if matches!(found, Found::Refused) {
            held.truncate();
        }
        self.held = held;
        sound > 0 || !matches!(found, Found::Everything)
    }

    /// Scans what was just read into `buffer` behind `start`, where it stays as far as it is sound.
    fn scan_in_place(&mut self, buffer: &mut ReadBuf<'_>, start: usize) {
        let (sound, found) = self.scan(&buffer.filled()[start..]);
        if !matches!(found, Found::Refused) {
            self.held.push(&buffer.filled()[start + sound..]);
        }
        buffer.set_filled(start + sound);
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> GuardedIo<T> {
    fn poll_scanned(&mut self, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let start = buffer.filled().len();
        loop {
            if self.held.give(buffer) {
                return Poll::Ready(Ok(()));
            }
            match self.mode {
                Mode::Ended => return Poll::Ready(Ok(())),
                Mode::PassingThrough => return Pin::new(&mut self.io).poll_read(context, buffer),
                // The service answers at once and hyper closes behind it; the peer's closing its side is no
                // reason to keep the answer from it.
                Mode::StandingIn(given) if given == STAND_IN.len() => return Poll::Pending,
                Mode::StandingIn(given) => {
                    let length = buffer.remaining().min(STAND_IN.len() - given);
                    buffer.put_slice(&STAND_IN[given..given + length]);
                    self.mode = Mode::StandingIn(given + length);
                    return Poll::Ready(Ok(()));
                }
                Mode::Holding => match self.connection.upgrade(context.waker()) {
                    Upgrade::Undecided => return self.poll_behind_upgrade(context, buffer),
                    Upgrade::Refused => self.mode = Mode::Scanning,
                    Upgrade::Accepted => {
                        self.mode = Mode::PassingThrough;
                        self.held.trust();
                    }
                },
                Mode::Scanning => {
                    if !self.held.is_empty() && self.scan_held() {
                        continue;
                    }
                    if self.closed {
                        self.mode = Mode::Ended;
                        continue;
                    }
                    match Pin::new(&mut self.io).poll_read(context, buffer)? {
                        Poll::Pending => {
                            ready!(self.poll_deadline(context));
                            continue;
                        }
                        Poll::Ready(()) if buffer.filled().len() == start => self.closed = true,
                        Poll::Ready(()) if self.held.is_empty() => {
                            self.waiting_since = None;
                            self.scan_in_place(buffer, start);
                        }
                        Poll::Ready(()) => {
                            self.held.push(&buffer.filled()[start..]);
                            buffer.set_filled(start);
                        }
                    }
                    if buffer.filled().len() > start {
                        self.waiting_since = None;
                        return Poll::Ready(Ok(()));
                    }
                }
            }
        }
    }

    /// Reads on behind a request that asks for an upgrade, so that a peer that goes away is noticed.
    fn poll_behind_upgrade(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let start = buffer.filled().len();
        while !self.closed && self.held.len() < MAX_HELD_BEHIND_UPGRADE {
            ready!(Pin::new(&mut self.io).poll_read(context, buffer))?;
            self.closed = buffer.filled().len() == start;
            self.held.push(&buffer.filled()[start..]);
            buffer.set_filled(start);
        }
        // With nothing held, what hyper sees now is the end of the stream, and it drops the request.
        if self.held.is_empty() { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    /// Ready when the peer was silent for too long; what becomes of that is then in `mode`.
    fn poll_deadline(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let in_head = !self.held.is_empty();
        if !in_head && !self.scanner.is_between_messages() {
            return Poll::Pending;
        }
        loop {
            let since = *self.waiting_since.get_or_insert_with(Instant::now);
            let allowed = match in_head || self.first_message {
                true => self.options.header_timeout,
                false => self.options.idle_timeout,
            };
            ready!(self.read_alarm.poll(context, since + allowed));
            if in_head && self.scanner.is_in_head() {
                self.held.truncate();
                self.refuse(Violation::timeout("the head did not arrive in time"));
                return Poll::Ready(());
            }
            match self.active_since(since) {
                Some(active) => self.waiting_since = Some(active),
                None => {
                    self.mode = Mode::Ended;
                    return Poll::Ready(());
                }
            }
        }
    }

    /// When the connection was last seen to do something, if that was after `since`.
    fn active_since(&mut self, since: Instant) -> Option<Instant> {
        let (in_flight, finished_at) = self.connection.activity();
        if in_flight || std::mem::take(&mut self.wrote) {
            return Some(Instant::now());
        }
        finished_at.filter(|&finished_at| finished_at > since)
    }

    /// Ready when whoever waits for an answer is gone.
    ///
    /// Who has closed its side behind a whole request still reads (RFC 9112, 9.6), and hyper, which would take that for
    /// the caller's leaving, does not look. A reset says that nobody reads, and so does a long silence: whoever has gone
    /// without a word may have closed its side as well.
    pub fn poll_gone(&mut self, context: &mut Context<'_>) -> Poll<()>
    where
        T: OverTcp,
    {
        let answering = self.connection.activity().0 && self.scanner.is_between_messages();
        if !answering || !matches!(self.mode, Mode::Scanning | Mode::Holding) {
            return Poll::Pending;
        }
        while !self.closed && self.held.len() < MAX_READ_AHEAD {
            let mut bytes = [0; 1024];
            let mut buffer = ReadBuf::new(&mut bytes);
            match ready!(Pin::new(&mut self.io).poll_read(context, &mut buffer)) {
                Err(_) => return Poll::Ready(()),
                Ok(()) => self.closed = buffer.filled().is_empty(),
            }
            self.held.push(buffer.filled());
        }
        if self.absence.poll_reset(context, self.io.tcp()).is_ready() {
            return Poll::Ready(());
        }
        match self.closed {
            true => {
                let speaks = self.write_stalled_since.is_some();
                self.absence.poll_silence(context, self.options.half_closed_timeout, speaks)
            }
            false => Poll::Pending,
        }
    }

    /// Fails a write that waits for too long.
    fn check_stall<R>(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<R>>,
    ) -> Poll<io::Result<R>> {
        if written.is_ready() {
            self.write_stalled_since = None;
            return written;
        }
        let since = *self.write_stalled_since.get_or_insert_with(Instant::now);
        ready!(self.write_alarm.poll(context, since + self.options.write_timeout));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the peer does not read")))
    }

    /// Whether closing now would throw away bytes that the peer has sent, and with them, by a reset, our
    /// answer.
    fn must_linger(&self) -> bool {
        let refused = matches!(self.mode, Mode::StandingIn(_));
        let unfinished = refused || !self.held.is_empty() || !self.scanner.is_between_messages();
        unfinished && !self.closed && self.mode != Mode::PassingThrough
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncRead for GuardedIo<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        self.get_mut().poll_scanned(context, buffer)
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for GuardedIo<T> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.wrote = true;
        this.absence.interrupt();
        let written = Pin::new(&mut this.io).poll_write(context, bytes);
        this.check_stall(context, written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.wrote = true;
        this.absence.interrupt();
        let written = Pin::new(&mut this.io).poll_write_vectored(context, slices);
        this.check_stall(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = Pin::new(&mut this.io).poll_flush(context);
        this.check_stall(context, flushed)
    }

    /// Closes our side, and waits for a peer that still sends to read the answer (RFC 9112, 9.6).
    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.lingering.is_none() {
            let closed = Pin::new(&mut this.io).poll_shutdown(context);
            ready!(this.check_stall(context, closed))?;
            if !this.must_linger() {
                return Poll::Ready(Ok(()));
            }
        }
        let options = &this.options;
        let lingering = this.lingering.get_or_insert_with(|| Lingering {
            until: Instant::now() + options.linger_timeout,
            bytes: options.linger_bytes,
        });
        let mut thrown_away = [0; 2048];
        while lingering.bytes > 0 {
            let mut buffer = ReadBuf::new(&mut thrown_away);
            match Pin::new(&mut this.io).poll_read(context, &mut buffer) {
                Poll::Pending => {
                    ready!(this.read_alarm.poll(context, lingering.until));
                    break;
                }
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                    lingering.bytes = lingering.bytes.saturating_sub(buffer.filled().len());
                }
                Poll::Ready(_) => break,
            }
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::io::Write as _;

    use http::Request;
    use tokio::io::AsyncReadExt as _;
    use tokio::net::{TcpListener, TcpStream};

    use super::*;
    use crate::guard::Metered;

    #[tokio::test]
    async fn nobody_looks_ahead_for_a_caller_that_is_uploading_its_reader_hears_of_its_end() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut caller = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (stream, _): (TcpStream, _) = listener.accept().await.unwrap();
        let mut guarded = GuardedIo::new(Metered::new(stream), Vec::new(), Arc::default());
        let connection = guarded.connection();
        let head = "POST /upload HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n";
        write!(caller, "{head}half").unwrap();
        let mut read = vec![0; head.len() + 4];
        guarded.read_exact(&mut read).await.unwrap();
        let _answering = connection.admit(&Request::post("/upload").body(()).unwrap());
        caller.write_all(b"more").unwrap();
        drop(caller);
        guarded.get_ref().tcp().readable().await.unwrap();
        let gone = poll_fn(|context| Poll::Ready(guarded.poll_gone(context))).await;
        assert!(gone.is_pending() && guarded.held.is_empty() && !guarded.closed);
        let mut rest = String::new();
        guarded.read_to_string(&mut rest).await.unwrap();
        assert_eq!(rest, "more", "and then the end, far from the thousandth byte");
    }
}
