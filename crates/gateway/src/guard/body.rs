//! A response's body that keeps its request in flight, so that a slow stream is not taken for an idle
//! connection.

use std::pin::Pin;
use std::task::{Context, Poll};

use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::connection::InFlight;

pin_project! {
    /// A body, and the request it answers.
    #[derive(Debug)]
    pub struct InFlightBody<B> {
        #[pin]
        body: B,
        in_flight: InFlight,
    }
}

impl InFlight {
    /// Stays with `body` until hyper has sent it.
    pub fn with_body<B>(self, body: B) -> InFlightBody<B> {
        InFlightBody { body, in_flight: self }
    }
}

impl<B: Body> Body for InFlightBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        self.project().body.poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
