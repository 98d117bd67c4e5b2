//! Bodies on their way through: as they come, but not too large, too slow, or broken unnoticed.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use countersign::{Code, Denial};
use countersign_tower::GateBody;
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::client::legacy::connect::CaptureConnection;
use tokio::time::{Sleep, sleep};

use crate::guard::{Flow, Gate, InFlight};
use crate::proxy::broken::{BodyError, Breakage, Tell, reasons};
use crate::proxy::headers::{strip_trailers_to_caller, strip_trailers_to_upstream};
use countersign_http1::BodyFraming;

/// What is given to HTTP/2 at once: it keeps one piece that may be sent and one that may not yet, and both are then of
/// one buffer.
const PIECE_OF_A_STREAM: usize = 4 * 1024;

/// A body whose sender may pause only so long.
struct Timed<B> {
    body: B,
    patience: Duration,
    /// Made when there is something to wait for, which is seldom.
    pause: Option<Pin<Box<Sleep>>>,
}

impl<B> Timed<B> {
    const fn new(body: B, patience: Duration) -> Self {
        Self { body, patience, pause: None }
    }
}

impl<B: Body<Data = Bytes, Error = hyper::Error> + Unpin> Timed<B> {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match Pin::new(&mut self.body).poll_frame(context) {
            Poll::Ready(frame) => {
                self.pause = None;
                Poll::Ready(frame.map(|frame| frame.map_err(BodyError::Broken)))
            }
            Poll::Pending => {
                let pause = self.pause.get_or_insert_with(|| Box::pin(sleep(self.patience)));
                ready!(pause.as_mut().poll(context));
                Poll::Ready(Some(Err(BodyError::Slow)))
            }
        }
    }
}

/// What became of a request's body, for whoever has to say why the exchange failed.
#[derive(Default)]
pub struct Progress {
    /// Grows with each piece.
    pieces: AtomicU64,
    state: AtomicU8,
    /// The upstream may know of the request.
    sent: AtomicBool,
    /// Learns which connection it goes over.
    carrier: OnceLock<CaptureConnection>,
    rest: Mutex<Rest>,
}

/// What nobody has read.
#[derive(Default)]
enum Rest {
    /// It goes with the body, so that its sender learns at once that nobody reads on.
    #[default]
    Dropped,
    /// Somebody wants it, once nobody will send it.
    Wanted,
    Left(GateBody<Incoming>),
}

const UNDER_WAY: u8 = 0;
const WHOLE: u8 = 1;
const SLOW: u8 = 2;
const TOO_LARGE: u8 = 3;
const BROKEN: u8 = 4;

impl Progress {
    /// Whether the upstream has all of it.
    pub fn is_whole(&self) -> bool {
        self.state.load(Ordering::Acquire) == WHOLE
    }

    /// From here on the upstream may know of the request.
    pub fn begin(&self) {
        self.sent.store(true, Ordering::Release);
    }

    /// There was nobody to send it to after all.
    pub fn nothing_was_sent(&self) {
        self.sent.store(false, Ordering::Release);
    }

    /// Whether the upstream may know of the request.
    pub fn was_sent(&self) -> bool {
        self.sent.load(Ordering::Acquire)
    }

    /// Keeps what will be left of it until that is taken.
    pub fn keep_rest(&self) {
        *self.rest() = Rest::Wanted;
    }

    /// What is left of it, if nobody will send it. Of one that has failed nothing is: asked again, it would seem to end.
    pub fn take_rest(&self) -> Option<GateBody<Incoming>> {
        match std::mem::take(&mut *self.rest()) {
            Rest::Left(rest) if self.failure().is_none() => Some(rest),
            _ => None,
        }
    }

    fn rest(&self) -> MutexGuard<'_, Rest> {
        // Nothing panics while it is held.
        self.rest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many pieces have passed.
    pub fn pieces(&self) -> u64 {
        self.pieces.load(Ordering::Acquire)
    }

    /// From here on it is known which connection the body goes over, once there is one.
    pub fn goes_over(&self, carrier: CaptureConnection) {
        let _ = self.carrier.set(carrier);
    }

    /// What the connection takes over which the body goes.
    fn flow(&self) -> Option<Flow> {
        let connection = self.carrier.get()?.connection_metadata();
        let mut known = http::Extensions::new();
        connection.as_ref()?.get_extras(&mut known);
        known.remove()
    }

    /// Why the caller's body failed, if it did.
    pub fn failure(&self) -> Option<Denial> {
        match self.state.load(Ordering::Acquire) {
            SLOW => Some(Denial::new(Code::Framing, "the body stopped coming")),
            TOO_LARGE => Some(Denial::new(Code::BodyTooLarge, "the body is larger than limits.max_body")),
            BROKEN => Some(Denial::new(Code::Framing, "the body broke off")),
            _ => None,
        }
    }
}

/// Whether some bytes hold a credential of ours.
type Holds = Box<dyn Fn(&[u8]) -> bool + Send + Sync>;

/// A request's body on its way to the upstream.
pub struct RequestBody {
    body: Timed<GateBody<Incoming>>,
    framing: BodyFraming,
    left: Option<u64>,
    ended: bool,
    progress: Arc<Progress>,
    gate: Option<Gate>,
    /// What its trailers must not hold, beside what is found by its grammar.
    holds: Option<Holds>,
}

impl RequestBody {
    /// Passes on `body`, framed as it was announced, at most `limit` bytes of it, as long as it keeps coming.
    pub fn new(
        body: GateBody<Incoming>,
        framing: BodyFraming,
        patience: Duration,
        limit: Option<usize>,
    ) -> Self {
        let progress = Arc::new(Progress::default());
        if body.is_end_stream() {
            progress.state.store(WHOLE, Ordering::Release);
        }
        let left = limit.map(|limit| limit as u64);
        let body = Timed::new(body, patience);
        Self { body, framing, left, ended: false, progress, gate: None, holds: None }
    }

    /// The same, without trailers of which `holds` says that they hold a credential.
    pub fn without(mut self, holds: impl Fn(&[u8]) -> bool + Send + Sync + 'static) -> Self {
        self.holds = Some(Box::new(holds));
        self
    }

    /// How it was announced.
    pub const fn framing(&self) -> BodyFraming {
        self.framing
    }

    /// All of its bytes, if they were read before, or if there are none; `None` if it streams.
    pub fn whole(&self) -> Option<&[u8]> {
        match &self.body.body {
            GateBody::Buffered(bytes) => Some(bytes),
            body => body.is_end_stream().then_some(&[]),
        }
    }

    /// What becomes of it.
    pub fn progress(&self) -> Arc<Progress> {
        self.progress.clone()
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        let mut kept = self.progress.rest();
        if matches!(*kept, Rest::Wanted) {
            *kept = Rest::Left(std::mem::replace(&mut self.body.body, GateBody::Broken));
        }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        if this.gate.is_none() {
            this.gate = this.progress.flow().map(Gate::new);
        }
        if let Some(gate) = &this.gate {
            ready!(gate.poll_open(context));
        }
        let mut frame = ready!(this.body.poll(context));
        if let Some(Ok(piece)) = &mut frame
            && let Some(trailers) = piece.trailers_mut()
        {
            strip_trailers_to_upstream(trailers, |value| {
                this.holds.as_ref().is_some_and(|holds| holds(value))
            });
        }
        if let (Some(Ok(piece)), Some(gate)) = (&frame, &mut this.gate) {
            gate.pass(piece.data_ref().map_or(0, Bytes::len));
        }
        if let (Some(Ok(piece)), Some(left)) = (&frame, &mut this.left) {
            let length = piece.data_ref().map_or(0, |data| data.len() as u64);
            match left.checked_sub(length) {
                Some(rest) => *left = rest,
                None => frame = Some(Err(BodyError::TooLarge)),
            }
        }
        let state = match &frame {
            None => WHOLE,
            Some(Ok(_)) if this.body.body.is_end_stream() => WHOLE,
            Some(Ok(_)) => UNDER_WAY,
            Some(Err(BodyError::Slow)) => SLOW,
            Some(Err(BodyError::TooLarge)) => TOO_LARGE,
            Some(Err(BodyError::Broken(_))) => BROKEN,
        };
        this.ended = frame.is_none();
        this.progress.pieces.fetch_add(1, Ordering::AcqRel);
        this.progress.state.store(state, Ordering::Release);
        Poll::Ready(frame)
    }

    /// What was announced in chunks has an end of its own to be written, also when it was read before, or is empty.
    fn is_end_stream(&self) -> bool {
        match self.framing {
            BodyFraming::Chunked => self.ended,
            _ => self.body.body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        self.body.body.size_hint()
    }
}

/// An upstream's body, of which the first piece was looked for before the head goes on.
pub struct Answer {
    first: Option<Frame<Bytes>>,
    body: Incoming,
}

impl Answer {
    /// Takes what is there of `body`, and waits for nothing: a stream may begin late.
    ///
    /// # Errors
    /// It broke off already, while the caller can still be told.
    pub async fn begin(mut body: Incoming) -> Result<Self, BodyError> {
        let first = poll_fn(|context| match Pin::new(&mut body).poll_frame(context) {
            Poll::Ready(first) => Poll::Ready(first.transpose()),
            Poll::Pending => Poll::Ready(Ok(None)),
        });
        let first = first.await.map_err(BodyError::Broken)?;
        Ok(Self { first, body })
    }

    /// Keeps of a frame that was just taken what is beyond one piece, for the next time.
    fn cut(&mut self, frame: Frame<Bytes>) -> Frame<Bytes> {
        match frame.into_data() {
            Ok(mut data) if data.len() > PIECE_OF_A_STREAM => {
                self.first = Some(Frame::data(data.split_off(PIECE_OF_A_STREAM)));
                Frame::data(data)
            }
            Ok(data) => Frame::data(data),
            Err(frame) => frame,
        }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = self.get_mut();
        match this.first.take() {
            Some(first) => Poll::Ready(Some(Ok(first))),
            None => Pin::new(&mut this.body).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let first = self.first.as_ref().and_then(Frame::data_ref).map_or(0, |data| data.len() as u64);
        let rest = self.body.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(rest.lower() + first);
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper + first);
        }
        hint
    }
}

/// A response's body on its way to the caller.
pub(crate) struct ResponseBody {
    source: Source,
    _busy: Busy,
}

/// While it lives, the connection is not taken for idle.
#[derive(Default)]
pub(crate) struct Busy {
    /// What the guard counts by.
    pub http1: Option<InFlight>,
    /// A stream of an HTTP/2 connection.
    #[expect(dead_code, reason = "that it is dropped is what counts")]
    pub http2: Option<OpenStream>,
}

/// The streams of one HTTP/2 connection that are answered at this moment.
#[derive(Default)]
pub(crate) struct Streams {
    open: AtomicU64,
    /// How many were ever opened.
    opened: AtomicU64,
}

impl Streams {
    /// Counts one more, until what is returned is dropped.
    #[must_use]
    pub(crate) fn open(self: &Arc<Self>) -> OpenStream {
        self.open.fetch_add(1, Ordering::AcqRel);
        self.opened.fetch_add(1, Ordering::AcqRel);
        OpenStream(self.clone())
    }

    /// How many were opened so far, if none is open now.
    #[must_use]
    pub(crate) fn idle_since(&self) -> Option<u64> {
        (self.open.load(Ordering::Acquire) == 0).then(|| self.opened.load(Ordering::Acquire))
    }
}

/// One stream that is being answered.
pub(crate) struct OpenStream(Arc<Streams>);

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::AcqRel);
    }
}

enum Source {
    Ours(Full<Bytes>),
    Upstream(Box<Passing>),
}

/// An upstream's body while it passes.
struct Passing {
    body: Timed<Answer>,
    /// Of an HTTP/1 connection.
    gate: Option<Gate>,
    tell: Option<Tell>,
    /// Why it broke off, while what came before is still being written.
    failed: Option<BodyError>,
}

impl Passing {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if self.failed.is_none() {
            if let Some(gate) = &self.gate {
                ready!(gate.poll_open(context));
            }
            match ready!(self.body.poll(context)) {
                Some(Err(error)) => {
                    if let Some(tell) = self.tell.take() {
                        tell(Breakage::of(&error), reasons(&error));
                    }
                    self.failed = Some(error);
                }
                frame => {
                    let mut frame = frame.transpose()?.map(without_our_trailers);
                    if self.gate.is_none() {
                        frame = frame.map(|frame| self.body.body.cut(frame));
                    }
                    let length = frame.as_ref().and_then(Frame::data_ref).map_or(0, Bytes::len);
                    if let Some(gate) = &mut self.gate {
                        gate.pass(length);
                    }
                    return Poll::Ready(frame.map(Ok));
                }
            }
        }
        // An error ends the connection at once, and the head and what came of the body would be lost with it.
        if let Some(gate) = &self.gate {
            ready!(gate.poll_passed(context));
        }
        Poll::Ready(self.failed.take().map(Err))
    }
}

fn without_our_trailers(mut frame: Frame<Bytes>) -> Frame<Bytes> {
    if let Some(trailers) = frame.trailers_mut() {
        strip_trailers_to_caller(trailers);
    }
    frame
}

impl ResponseBody {
    /// Our own words.
    pub(crate) fn ours(bytes: Bytes, busy: Busy) -> Self {
        Self { source: Source::Ours(Full::new(bytes)), _busy: busy }
    }

    /// The upstream's, as long as they keep coming, and no faster than `flow` takes them. `tell` is told if they break
    /// off.
    pub(crate) fn upstream(
        body: Answer,
        patience: Duration,
        flow: Option<Flow>,
        tell: Tell,
        busy: Busy,
    ) -> Self {
        let body = Timed::new(body, patience);
        let passing = Passing { body, gate: flow.map(Gate::new), tell: Some(tell), failed: None };
        Self { source: Source::Upstream(Box::new(passing)), _busy: busy }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut self.get_mut().source {
            Source::Ours(body) => match ready!(Pin::new(body).poll_frame(context)) {
                Some(Ok(frame)) => Poll::Ready(Some(Ok(frame))),
                Some(Err(never)) => match never {},
                None => Poll::Ready(None),
            },
            Source::Upstream(passing) => passing.poll(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Ours(body) => body.is_end_stream(),
            Source::Upstream(passing) => passing.body.body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Ours(body) => body.size_hint(),
            Source::Upstream(passing) => passing.body.body.size_hint(),
        }
    }
}

#[cfg(test)]
mod tests {
    use http::Request;
    use http_body_util::{BodyExt as _, Empty};
    use hyper_util::rt::TokioIo;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
    use tokio::time::timeout;

    use super::*;
    use crate::guard::Metered;

    #[tokio::test]
    async fn what_passed_before_a_fault_is_taken_before_the_fault_ends_the_connection() {
        let (near, mut upstream) = duplex(1024);
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(near)).await.unwrap();
        tokio::spawn(connection);
        let request = Request::get("/").body(Empty::<Bytes>::new()).unwrap();
        let answering = tokio::spawn(async move { sender.send_request(request).await.unwrap() });
        upstream.read_exact(&mut [0; 16]).await.unwrap();
        upstream
            .write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n")
            .await
            .unwrap();
        let mut body = answering.await.unwrap().into_body();
        let first = body.frame().await.unwrap().unwrap();
        upstream.write_all(b"ZZ\r\n").await.unwrap();

        let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
        let tell: Tell = Box::new(move |kind, _| tell.send(kind.as_str()).unwrap());
        let (socket, mut caller) = duplex(64);
        let mut socket = Metered::new(socket);
        let (answer, patience) = (Answer { first: Some(first), body }, Duration::from_secs(30));
        let mut passing =
            ResponseBody::upstream(answer, patience, Some(socket.flow()), tell, Busy::default());
        let hello = passing.frame().await.unwrap().unwrap();
        assert_eq!(hello.data_ref().unwrap(), "hello");
        let mut end = std::pin::pin!(passing.frame());
        tokio::select! {
            kind = told.recv() => assert!(kind.is_some(), "whoever operates it is told at once"),
            end = end.as_mut() => panic!("the connection would end before it was written: {:?}", end.is_some()),
        }
        assert!(timeout(Duration::from_millis(50), end.as_mut()).await.is_err(), "not written yet");
        socket.write_all(b"hello").await.unwrap();
        caller.read_exact(&mut [0; 5]).await.unwrap();
        let end = timeout(Duration::from_secs(30), end).await.expect("the connection has taken it");
        assert!(matches!(end, Some(Err(BodyError::Broken(_)))));
    }
}
