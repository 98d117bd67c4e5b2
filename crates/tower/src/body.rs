//! A body that streams through, or that was read because a proof covers it.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use countersign::request::Body as BodyKind;
use countersign::{BodySource, Code, Denial};
use http::HeaderMap;
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;

use crate::strip::strip_trailers;

/// What the inner service reads: the caller's body as it comes, or as it was read by the gate.
pub enum GateBody<B> {
    /// As it comes, without trailers that say what a head may not.
    Streaming(B),
    /// It was read, and these are its bytes.
    Buffered(Bytes),
    /// It broke off while it was read.
    Broken,
}

impl<B> GateBody<B> {
    /// A body that is passed on as it comes.
    pub const fn streaming(body: B) -> Self {
        Self::Streaming(body)
    }
}

impl<B: Body> GateBody<B> {
    /// Whether nothing of it is still to come from the caller, so that the connection can carry another request.
    pub fn is_received(&self) -> bool {
        match self {
            Self::Streaming(body) => body.is_end_stream(),
            Self::Buffered(_) => true,
            Self::Broken => false,
        }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for GateBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match self.get_mut() {
            Self::Streaming(body) => {
                let mut frame = ready!(Pin::new(body).poll_frame(context));
                if let Some(Ok(frame)) = &mut frame
                    && let Some(trailers) = frame.trailers_mut()
                {
                    strip_trailers(trailers);
                }
                Poll::Ready(frame)
            }
            Self::Buffered(bytes) if bytes.is_empty() => Poll::Ready(None),
            Self::Buffered(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Self::Broken => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Streaming(body) => body.is_end_stream(),
            Self::Buffered(bytes) => bytes.is_empty(),
            Self::Broken => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Streaming(body) => body.size_hint(),
            Self::Buffered(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Broken => SizeHint::with_exact(0),
        }
    }
}

/// Whether a request announces a body: by its fields, or by a stream that is still open. What stands before us may have
/// read the body, and a proof that has to cover it still has to.
pub(crate) fn announced(headers: &HeaderMap, body: &impl Body) -> BodyKind {
    let length = headers.get(CONTENT_LENGTH);
    let some = length.is_some_and(|length| length.as_bytes().iter().any(|digit| *digit != b'0'));
    match some || headers.contains_key(TRANSFER_ENCODING) || !body.is_end_stream() {
        true => BodyKind::Announced,
        false => BodyKind::Absent,
    }
}

/// Reads a [`GateBody`] for the gate, and leaves it buffered for whoever forwards it.
pub struct BodyReader<'a, B>(pub &'a mut GateBody<B>);

impl<B> BodySource for BodyReader<'_, B>
where
    B: Body<Data = Bytes> + Unpin + Send,
{
    fn read(&mut self, limit: usize) -> Pin<Box<dyn Future<Output = Result<Bytes, Denial>> + Send + '_>> {
        Box::pin(async move {
            if let GateBody::Buffered(bytes) = &self.0 {
                return bytes.clone().read(limit).await;
            }
            let GateBody::Streaming(mut body) = std::mem::replace(self.0, GateBody::Broken) else {
                return Err(Denial::new(Code::Framing, "the body broke off"));
            };
            let bytes = collect(&mut body, limit).await?;
            *self.0 = GateBody::Buffered(bytes.clone());
            Ok(bytes)
        })
    }
}

/// The whole of a body, if it is no longer than `limit`.
pub(crate) async fn collect<B>(body: &mut B, limit: usize) -> Result<Bytes, Denial>
where
    B: Body<Data = Bytes> + Unpin,
{
    let too_large = || Denial::new(Code::BodyTooLarge, format!("more than {limit} bytes"));
    // What announces its size is refused before it is read.
    if body.size_hint().lower() > limit as u64 {
        return Err(too_large());
    }
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Denial::new(Code::Framing, "the body broke off"))?;
        let Ok(data) = frame.into_data() else { continue };
        if whole.len() + data.len() > limit {
            return Err(too_large());
        }
        whole.extend_from_slice(&data);
    }
    Ok(whole.freeze())
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};
    use http_body_util::{Empty, Full};

    use super::*;

    #[test]
    fn a_body_is_announced_by_a_field_or_by_itself() {
        let fields =
            |name: HeaderName, value| HeaderMap::from_iter([(name, HeaderValue::from_static(value))]);
        let (none, read) = (HeaderMap::new(), Empty::<Bytes>::new());
        assert_eq!(announced(&none, &read), BodyKind::Absent);
        assert_eq!(announced(&fields(CONTENT_LENGTH, "0"), &read), BodyKind::Absent);
        assert_eq!(announced(&none, &Full::new(Bytes::from("x"))), BodyKind::Announced);
        // Somebody before us has taken the body away: what has to cover it fails, rather than finding nothing to cover.
        assert_eq!(announced(&fields(CONTENT_LENGTH, "10"), &read), BodyKind::Announced);
        assert_eq!(announced(&fields(TRANSFER_ENCODING, "chunked"), &read), BodyKind::Announced);
    }
}
