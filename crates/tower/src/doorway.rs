//! Where requests come in: what judges them, what callers address, and who they are known to come from.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use countersign::{Decision, Gate, PublicUrl, Purpose, RequestView, Source, Store};
use http::{Extensions, Response, Uri, request};
use http_body::Body;

use crate::body::{GateBody, announced};
use crate::problem::problem;

type SourceOf = Arc<dyn Fn(&Extensions) -> Option<IpAddr> + Send + Sync>;

pub(crate) struct Doorway<S> {
    pub(crate) gate: Arc<Gate<S>>,
    pub(crate) public_url: PublicUrl,
    source_of: Option<SourceOf>,
}

impl<S> Clone for Doorway<S> {
    fn clone(&self) -> Self {
        let Self { gate, public_url, source_of } = self;
        Self { gate: gate.clone(), public_url: public_url.clone(), source_of: source_of.clone() }
    }
}

impl<S> Doorway<S> {
    pub(crate) const fn new(gate: Arc<Gate<S>>, public_url: PublicUrl) -> Self {
        Self { gate, public_url, source_of: None }
    }

    /// The same, learning from a request's extensions who sent it.
    pub(crate) fn source(
        &self,
        source_of: impl Fn(&Extensions) -> Option<IpAddr> + Send + Sync + 'static,
    ) -> Self {
        Self { source_of: Some(Arc::new(source_of)), ..self.clone() }
    }
}

impl<S: Store> Doorway<S> {
    /// A request as it is judged. `target` is what its caller addressed, by [`PublicUrl::target`].
    pub(crate) fn view<'a, B: Body<Data = Bytes> + Unpin>(
        &self,
        parts: &'a request::Parts,
        target: &'a Uri,
        body: &GateBody<B>,
    ) -> RequestView<'a> {
        RequestView {
            method: &parts.method,
            target,
            headers: &parts.headers,
            body: announced(&parts.headers, body),
            source: self
                .source_of
                .as_ref()
                .and_then(|source_of| source_of(&parts.extensions))
                .map(Source::from),
            received_at: self.gate.now(),
            purpose: Purpose::Decide,
        }
    }
}

/// What the caller of a refused request reads.
pub(crate) fn refusal(decision: &Decision) -> Response<Bytes> {
    match decision.denial() {
        Some(denial) => problem(denial, decision.id, decision.at),
        None => Response::new(Bytes::new()),
    }
}
