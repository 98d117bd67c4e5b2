//! Where requests come in: what judges them, what callers address, who they are known to come from, and who is told.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use countersign::witness::Work;
use countersign::{Arrival, Gate, PublicUrl, Refusal, Source, Spawn, Store, Witness};
use http::{Extensions, Response, request};
use http_body::Body;

use crate::body::{GateBody, announced};
use crate::problem::problem;

type SourceOf = Arc<dyn Fn(&Extensions) -> Option<IpAddr> + Send + Sync>;

pub(crate) struct Doorway<S> {
    gate: Arc<Gate<S>>,
    public_url: PublicUrl,
    source_of: Option<SourceOf>,
    witness: Arc<dyn Witness>,
}

impl<S> Clone for Doorway<S> {
    fn clone(&self) -> Self {
        let Self { gate, public_url, source_of, witness } = self;
        Self {
            gate: gate.clone(),
            public_url: public_url.clone(),
            source_of: source_of.clone(),
            witness: witness.clone(),
        }
    }
}

impl<S> Doorway<S> {
    pub(crate) fn new(gate: Arc<Gate<S>>, public_url: PublicUrl) -> Self {
        gate.work_in(Arc::new(InTasks));
        Self { gate, public_url, source_of: None, witness: Arc::new(()) }
    }

    /// The same, learning from a request's extensions who sent it.
    pub(crate) fn source(
        &self,
        source_of: impl Fn(&Extensions) -> Option<IpAddr> + Send + Sync + 'static,
    ) -> Self {
        Self { source_of: Some(Arc::new(source_of)), ..self.clone() }
    }

    /// The same, telling `witness` what is decided.
    pub(crate) fn witness(&self, witness: Arc<dyn Witness>) -> Self {
        Self { witness, ..self.clone() }
    }

    /// Who is told.
    pub(crate) fn told(&self) -> Arc<dyn Witness> {
        self.witness.clone()
    }
}

impl<S: Store> Doorway<S> {
    /// A request at the door.
    pub(crate) fn arrive<'a, B: Body<Data = Bytes> + Unpin>(
        &'a self,
        parts: &'a mut request::Parts,
        body: &GateBody<B>,
    ) -> Arrival<'a, S> {
        let body = announced(&parts.headers, body);
        let source = self.source_of.as_ref().and_then(|source_of| source_of(&parts.extensions));
        Arrival::new(&self.gate, parts, &self.public_url, body, source.map(Source::from), &*self.witness)
    }
}

/// What the caller of a refused request reads.
pub(crate) fn refused(refusal: &Refusal) -> Response<Bytes> {
    problem(refusal.denial(), refusal.decision().id, refusal.decision().at)
}

/// Work goes on in tokio's tasks.
pub(crate) struct InTasks;

impl Spawn for InTasks {
    fn spawn(&self, work: Work<'static>) {
        // What is dropped when no runtime is left begins nothing.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(work);
        }
    }
}
