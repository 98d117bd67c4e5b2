//! The guard on the other side: a connection to an upstream, on which hyper is the client.
//!
//! It reads both ways. What is written is held against the same strict reading that requests to us get, so
//! that no request leaves which could be read as two; and it tells where a response ends (HEAD) and when one
//! is due. What comes back is refused when it can be read in two ways, or when nothing was asked: hyper then
//! sees an I/O error whose source is the [`Violation`], and drops the connection.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use hyper_util::client::legacy::connect::{Connected, Connection};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::held::Held;
use super::refuses_trailer;
use countersign_http1::Violation;
use countersign_http1::{Asked, Follows, ResponseScanner, ResponseStep};
use countersign_http1::{BodyFraming, Limits, Scanner, Step};

/// A connection to an upstream that hyper's client uses through the guard.
#[derive(Debug)]
pub struct UpstreamIo<T> {
    io: T,
    requests: Requests,
    responses: ResponseScanner,
    /// The request whose response is due.
    asked: Option<Asked>,
    held: Held,
    violation: Option<Violation>,
    other_protocol: bool,
    closed: bool,
    /// The last scan has met the head of an answer.
    met_head: bool,
}

/// The requests that are being written.
#[derive(Debug)]
struct Requests {
    scanner: Scanner,
    /// A head that was presented in part.
    partial: Vec<u8>,
    /// Bytes that were scanned when they were presented, and that the socket has not taken yet. They are
    /// presented again, and not scanned again.
    ahead: usize,
}

impl Requests {
    /// Scans what is about to be written; says what was asked, when a head is whole.
    fn present(&mut self, bytes: &[u8]) -> Result<Option<Asked>, Violation> {
        let fresh = bytes.get(self.ahead..).unwrap_or_default();
        self.ahead = self.ahead.max(bytes.len());
        self.scan(fresh)
    }

    fn present_slices(&mut self, slices: &[IoSlice<'_>]) -> Result<Option<Asked>, Violation> {
        let mut asked = None;
        let mut known = self.ahead;
        for slice in slices {
            let fresh = slice.get(known..).unwrap_or_default();
            known = known.saturating_sub(slice.len());
            self.ahead += fresh.len();
            asked = self.scan(fresh)?.or(asked);
        }
        Ok(asked)
    }

    fn scan(&mut self, fresh: &[u8]) -> Result<Option<Asked>, Violation> {
        let mut joined = std::mem::take(&mut self.partial);
        let mut window = fresh;
        if !joined.is_empty() {
            joined.extend_from_slice(fresh);
            window = &joined;
        }
        let mut asked = None;
        loop {
            let length = match self.scanner.step(window)? {
                Step::Incomplete => break,
                Step::Head { length, facts } => {
                    asked = Some(Asked::from(&facts));
                    length
                }
                Step::Body { length, .. } | Step::EmptyLine { length } => length,
            };
            window = &window[length..];
        }
        self.partial = window.to_vec();
        Ok(asked)
    }
}

impl<T> UpstreamIo<T> {
    /// Guards a fresh connection. `limits` are those of responses; requests may be as large as we let them
    /// be.
    pub fn new(io: T, limits: Limits) -> Self {
        let of_requests = Limits {
            max_head_bytes: usize::MAX,
            max_fields: usize::MAX,
            max_trailer_bytes: usize::MAX,
            refuses_trailer,
        };
        Self {
            io,
            requests: Requests { scanner: Scanner::new(of_requests), partial: Vec::new(), ahead: 0 },
            responses: ResponseScanner::new(limits),
            asked: None,
            held: Held::new(Vec::new()),
            violation: None,
            other_protocol: false,
            closed: false,
            met_head: false,
        }
    }

    /// Takes in what was asked by bytes that are about to be written.
    fn ask(&mut self, asked: Result<Option<Asked>, Violation>) -> io::Result<()> {
        match (asked, self.violation) {
            (Ok(_), Some(violation)) | (Err(violation), _) => {
                self.violation = Some(violation);
                Err(to_error(violation))
            }
            (Ok(asked), None) => {
                self.asked = asked.or(self.asked);
                Ok(())
            }
        }
    }

    /// Scans `window`; says how much of it is sound.
    fn scan(&mut self, window: &mut [u8]) -> usize {
        let mut sound = 0;
        while sound < window.len() && self.violation.is_none() {
            if self.other_protocol {
                return window.len();
            }
            let Some(asked) = self.asked else {
                // What came unasked must not answer the next request (response queue poisoning).
                self.violation = Some(Violation::framing("bytes that answer no request"));
                break;
            };
            let ends = match self.responses.step(&window[sound..], asked) {
                Err(violation) => {
                    self.violation = Some(violation);
                    break;
                }
                Ok(ResponseStep::Incomplete) => break,
                Ok(ResponseStep::Head { length, follows }) => {
                    sound += length;
                    self.other_protocol = follows == Follows::AnotherProtocol;
                    self.met_head |= matches!(follows, Follows::Body(_));
                    matches!(follows, Follows::Body(BodyFraming::None | BodyFraming::Length(0)))
                }
                Ok(ResponseStep::Body { length, ends, extension }) => {
                    // Nobody is told of an extension, not even hyper, which bears so many bytes of them and then
                    // ends the body. White space behind a size means nothing to it.
                    window[sound..][extension].fill(b' ');
                    sound += length;
                    ends
                }
            };
            if ends {
                self.asked = None;
            }
        }
        sound
    }

    fn scan_held(&mut self) {
        let mut held = std::mem::take(&mut self.held);
        let sound = self.scan(held.unscanned_mut());
        held.settle(sound);
        if self.violation.is_some() {
            held.truncate();
        }
        self.held = held;
    }
}

impl<T: AsyncRead + Unpin> UpstreamIo<T> {
    /// Looks once behind a head that was just met, and waits for nothing.
    ///
    /// hyper answers the caller with the head as soon as it has it; what was broken behind it could then only be shown
    /// by an end. So a head does not go on if what is known of its body is that it is broken.
    fn look_behind_head(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        if !std::mem::take(&mut self.met_head) {
            return Ok(());
        }
        if self.violation.is_none() && self.responses.is_within_body() {
            let mut bytes = [0; 1024];
            let mut buffer = ReadBuf::new(&mut bytes);
            if let Poll::Ready(read) = Pin::new(&mut self.io).poll_read(context, &mut buffer) {
                read?;
                self.closed = buffer.filled().is_empty();
                self.held.push(buffer.filled());
                self.scan_held();
            }
            if self.closed && self.responses.is_within_body() {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it ended before its body did"));
            }
        }
        match self.violation {
            // Behind a whole answer, it says nothing against the answer.
            Some(violation) if self.asked.is_some() => Err(to_error(violation)),
            _ => Ok(()),
        }
    }
}

fn to_error(violation: Violation) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, violation)
}

impl<T: AsyncRead + Unpin> AsyncRead for UpstreamIo<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let start = buffer.filled().len();
        loop {
            if buffer.remaining() == 0 || this.held.give(buffer) {
                return Poll::Ready(Ok(()));
            }
            if let Some(violation) = this.violation {
                return Poll::Ready(Err(to_error(violation)));
            }
            if this.closed {
                return Poll::Ready(Ok(()));
            }
            ready!(Pin::new(&mut this.io).poll_read(context, buffer))?;
            if buffer.filled().len() == start {
                this.closed = true;
            } else if this.held.is_empty() {
                let sound = this.scan(&mut buffer.filled_mut()[start..]);
                if this.violation.is_none() {
                    this.held.push(&buffer.filled()[start + sound..]);
                }
                buffer.set_filled(start + sound);
                if let Err(error) = this.look_behind_head(context) {
                    buffer.set_filled(start);
                    return Poll::Ready(Err(error));
                }
                if sound > 0 {
                    return Poll::Ready(Ok(()));
                }
            } else {
                this.held.push(&buffer.filled()[start..]);
                buffer.set_filled(start);
                this.scan_held();
                this.look_behind_head(context)?;
            }
        }
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for UpstreamIo<T> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.other_protocol {
            return Pin::new(&mut this.io).poll_write(context, bytes);
        }
        let asked = this.requests.present(bytes);
        this.ask(asked)?;
        let written = ready!(Pin::new(&mut this.io).poll_write(context, bytes))?;
        this.requests.ahead = this.requests.ahead.saturating_sub(written);
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.other_protocol {
            return Pin::new(&mut this.io).poll_write_vectored(context, slices);
        }
        let asked = this.requests.present_slices(slices);
        this.ask(asked)?;
        let written = ready!(Pin::new(&mut this.io).poll_write_vectored(context, slices))?;
        this.requests.ahead = this.requests.ahead.saturating_sub(written);
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(context)
    }
}

impl<T: Connection> Connection for UpstreamIo<T> {
    fn connected(&self) -> Connected {
        self.io.connected()
    }
}
