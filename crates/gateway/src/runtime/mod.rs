//! What a new configuration replaces: the gate, what serves a path, what carries on, and every scheme.

mod paths;
mod route;

use std::sync::Arc;

use arc_swap::ArcSwap;
use countersign::decision::Check;
use countersign::requirement::SchemeSet;
use countersign::{BodySource, Decision, Denial, Gate, RequestView};
use countersign_io::AnyStore;

use crate::config::{Access, Config, Limits, Prove};
use crate::egress::{Egress, EgressError};
use crate::proxy::Forwarder;
use crate::schemes::{Making, NotReady, Schemes, Taking};
use crate::shared::Shared;

use paths::Paths;
pub(crate) use paths::Served;
pub(crate) use route::Route;

/// The runtime as it is now: whoever begins something loads it, and ends with what it loaded.
pub(crate) type Live = Arc<ArcSwap<Runtime>>;

/// One configuration, ready.
pub struct Runtime {
    /// What it says.
    pub config: Config,
    /// Decides.
    pub gate: Arc<Gate<Arc<AnyStore>>>,
    /// Sends permitted requests on.
    pub forwarder: Arc<Forwarder>,
    /// Dials out.
    pub egress: Egress,
    /// Every scheme.
    pub schemes: Schemes,
    paths: Paths,
}

/// A configuration that cannot be made ready.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// A route cannot be served.
    #[error("the route {route}: {why}")]
    Route {
        /// Its path.
        route: String,
        /// Why.
        why: String,
    },
    /// Nobody could be dialled.
    #[error(transparent)]
    Egress(#[from] EgressError),
    /// A scheme cannot be what is asked.
    #[error(transparent)]
    Scheme(#[from] NotReady),
}

impl Runtime {
    /// Makes a configuration ready. Of `before`, what did not change is kept.
    ///
    /// # Errors
    /// A route or a scheme that cannot be, or authorities that cannot be read.
    pub fn build(config: Config, shared: &Shared, before: Option<&Self>) -> Result<Self, RuntimeError> {
        // The gate remembers who failed lately, and the latest time; that outlives a reload.
        let gate = match before {
            Some(before) if same_gate(&before.config.limits, &config.limits) => before.gate.clone(),
            _ => {
                let gate = Gate::new(shared.store.clone(), shared.clock.clone(), &shared.random);
                let gate = gate.with_latest(shared.store.latest().unwrap_or_default());
                let gate = gate.with_unproven_limit(config.limits.unproven);
                let gate = gate.with_nonce_quota(config.limits.nonces);
                gate.work_in(Arc::new(shared.life.clone()));
                Arc::new(gate)
            }
        };
        // Made anew each time: a file of authorities is read again.
        let dialled = &config.egress;
        let egress = Egress::new(config.egress_policy(), dialled.ca_file.as_deref(), dialled.idle_timeout)?;
        let making = making(&config, shared, &egress);
        let schemes = Schemes::new(&making, before.map(|before| &before.schemes))?;
        let forwarder = match before {
            Some(before) if before.config.upstream == config.upstream => before.forwarder.clone(),
            _ => {
                let asserter = schemes.assertion.asserter().clone();
                Arc::new(Forwarder::new(&config.upstream, asserter, shared.clock.clone()))
            }
        };
        let routes = config.routes.iter();
        let routes = routes.map(|route| Route::new(route, &schemes, &shared.recorder.metrics));
        let routes = std::iter::zip(&config.routes, routes.collect::<Result<Vec<_>, _>>()?);
        let paths = Paths::new(routes, schemes.endpoints());
        Ok(Self { config, gate, forwarder, egress, schemes, paths })
    }

    /// What serves a request, or why nothing does.
    ///
    /// # Errors
    /// Its path has no one reading, or nothing serves it.
    pub fn serves(&self, request: &RequestView<'_>) -> Result<&Served, Box<(Check, Denial)>> {
        self.paths.serve(request.target.path(), request.method)
    }

    /// Decides a request on file: nothing is spent, nobody is asked.
    pub async fn explain(&self, request: &RequestView<'_>, body: &mut dyn BodySource) -> Arc<Decision> {
        match self.serves(request) {
            Ok(served) => self.gate.explain(served.rule(), request, body).await,
            Err(refused) => self.gate.refuse(request, refused.0, refused.1).decision().clone(),
        }
    }
}

/// What schemes are made ready with, as `config` says it.
fn making<'a>(config: &'a Config, shared: &'a Shared, egress: &'a Egress) -> Making<'a> {
    let asked_at = config.outbounds.iter().filter_map(|outbound| match &outbound.prove {
        Prove::Webhook { url, .. } => Some(url),
        Prove::Key(_) => None,
    });
    let routes = config.routes.iter().map(|route| Taking {
        template: &route.template,
        methods: route.methods.as_deref(),
        named: match &route.access {
            Access::Guarded { requirement, .. } => requirement.schemes(),
            Access::Public => SchemeSet::default(),
        },
    });
    Making {
        configs: &config.schemes,
        shared,
        egress,
        public_url: &config.server.public_url,
        origins: &config.cors,
        max_signed_body: config.limits.max_signed_body,
        longest_delivery: config.upstream.longest_delivery(),
        asked_at: asked_at.collect(),
        routes: routes.collect(),
    }
}

/// Whether a gate with the one limits does for the other.
fn same_gate(before: &Limits, after: &Limits) -> bool {
    (before.unproven, before.nonces) == (after.unproven, after.nonces)
}
