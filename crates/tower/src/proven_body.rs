//! A body on its way out: read, so that a proof can cover it, or as it comes.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use countersign::schemes::webhook::signer::OutgoingBody;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;

/// What a client sends for [`ProveLayer`](crate::ProveLayer): the same bytes and trailers as the body
/// that was handed in.
pub struct ProvenBody<B>(Kind<B>);

enum Kind<B> {
    Whole { data: Bytes, trailers: Option<HeaderMap> },
    Streaming(B),
}

impl<B: Body<Data = Bytes> + Unpin> ProvenBody<B> {
    /// Reads a body whose length is known, and within `limit`; any other stays as it is.
    pub(crate) async fn read(mut body: B, limit: usize) -> Result<Self, B::Error> {
        let length = if body.is_end_stream() { Some(0) } else { body.size_hint().exact() };
        if length.is_none_or(|length| length > limit as u64) {
            return Ok(Self(Kind::Streaming(body)));
        }
        let (mut whole, mut trailers) = (BytesMut::new(), None);
        while let Some(frame) = body.frame().await {
            match frame?.into_data() {
                Ok(data) => whole.extend_from_slice(&data),
                Err(frame) => trailers = frame.into_trailers().ok(),
            }
        }
        Ok(Self(Kind::Whole { data: whole.freeze(), trailers }))
    }

    /// The same body for a second sending, if all of it is here.
    pub(crate) fn again(&self) -> Option<Self> {
        let Kind::Whole { data, trailers } = &self.0 else { return None };
        Some(Self(Kind::Whole { data: data.clone(), trailers: trailers.clone() }))
    }

    /// Whether only chunks can carry it.
    pub(crate) fn needs_chunks(&self) -> bool {
        match &self.0 {
            Kind::Whole { .. } => false,
            Kind::Streaming(body) => !body.is_end_stream() && body.size_hint().exact().is_none(),
        }
    }

    /// What a proof can say of it.
    pub(crate) fn known(&self) -> OutgoingBody<'_> {
        match &self.0 {
            Kind::Streaming(_) => OutgoingBody::Streaming,
            Kind::Whole { .. } if self.is_end_stream() => OutgoingBody::Absent,
            Kind::Whole { data, .. } => OutgoingBody::Whole(data),
        }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for ProvenBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match &mut self.get_mut().0 {
            Kind::Streaming(body) => Pin::new(body).poll_frame(context),
            Kind::Whole { data, .. } if !data.is_empty() => {
                Poll::Ready(Some(Ok(Frame::data(std::mem::take(data)))))
            }
            Kind::Whole { trailers, .. } => {
                Poll::Ready(trailers.take().map(|left| Ok(Frame::trailers(left))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Streaming(body) => body.is_end_stream(),
            Kind::Whole { data, trailers } => data.is_empty() && trailers.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Streaming(body) => body.size_hint(),
            Kind::Whole { data, .. } => SizeHint::with_exact(data.len() as u64),
        }
    }
}
