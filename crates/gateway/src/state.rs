//! What every request needs: the part that lives as long as the process, and the part that a new
//! configuration replaces.

use std::sync::Arc;

use arc_swap::ArcSwap;
use countersign::crypto::{Random, SealKey};
use countersign::decision::Check;
use countersign::schemes::api_key::{ApiKeyVerifier, KeyRegistry, LastUses};
use countersign::{
    BodySource, Clock, Code, Decision, Denial, Gate, Policy, Purpose, RequestView, Requirement, Rule, Scheme,
    Verdict,
};
use countersign_io::AnyStore;
use tokio::sync::watch;

use crate::audit::Audit;
use crate::config::{Access, Config, RouteConfig};
use crate::decisions::Decisions;
use crate::metrics::{Metrics, RouteMetrics};
use crate::proxy::{Forwarder, Upstream};
use crate::routes::Found;

/// What lives as long as the process.
pub struct Gateway {
    /// Keys and proofs.
    pub store: Arc<AnyStore>,
    /// When keys were used.
    pub uses: Arc<LastUses>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub random: Arc<dyn Random>,
    /// Seals secrets at rest; `None` where nothing outlives the process.
    pub seal_key: Option<SealKey>,
    /// The last decisions.
    pub decisions: Decisions,
    /// The audit log.
    pub audit: Audit,
    /// What Prometheus scrapes.
    pub metrics: Metrics,
    /// What a new configuration replaces.
    pub runtime: ArcSwap<Runtime>,
    /// Becomes true when the process is to end: nothing new is accepted.
    pub draining: watch::Sender<bool>,
    /// Becomes true when time is up: what still lives is cut off.
    pub ending: watch::Sender<bool>,
}

/// What a new configuration replaces.
pub struct Runtime {
    /// What it says.
    pub config: Config,
    /// Decides.
    pub gate: Arc<Gate<Arc<AnyStore>>>,
    /// In the order of `config.routes`.
    pub routes: Vec<Route>,
    /// Sends permitted requests on.
    pub forwarder: Arc<Forwarder>,
}

/// One route, ready.
pub struct Route {
    /// What it asks.
    pub rule: Arc<Rule>,
    /// Where it leads.
    pub upstream: Upstream,
    /// What is counted.
    pub metrics: RouteMetrics,
}

/// A configuration that cannot be made ready.
#[derive(Debug, thiserror::Error)]
#[error("the route {route}: {why}")]
pub struct RouteError {
    route: String,
    why: String,
}

/// What a runtime is made with.
pub struct Parts<'a> {
    /// Keys and proofs.
    pub store: &'a Arc<AnyStore>,
    /// When keys were used.
    pub uses: &'a Arc<LastUses>,
    /// The time.
    pub clock: &'a Arc<dyn Clock>,
    /// Randomness.
    pub random: &'a Arc<dyn Random>,
    /// Counters.
    pub metrics: &'a Metrics,
    /// The runtime that this one replaces: what did not change is kept.
    pub before: Option<&'a Runtime>,
}

impl Runtime {
    /// Makes a configuration ready.
    ///
    /// # Errors
    /// A route that cannot be.
    pub fn new(config: Config, parts: &Parts<'_>) -> Result<Self, RouteError> {
        // The gate remembers who failed lately, and the latest time; that outlives a reload.
        let gate = match parts.before {
            Some(before) if before.config.limits.unproven == config.limits.unproven => before.gate.clone(),
            _ => {
                let gate = Gate::new(parts.store.clone(), parts.clock.clone(), parts.random);
                Arc::new(gate.with_unproven_limit(config.limits.unproven))
            }
        };
        let forwarder = match parts.before {
            Some(before) if before.config.upstream == config.upstream => before.forwarder.clone(),
            _ => Arc::new(Forwarder::new(&config.upstream)),
        };
        let routes = config.routes.iter().map(|route| ready(route, parts)).collect::<Result<_, _>>()?;
        Ok(Self { config, gate, routes, forwarder })
    }

    /// The route for a request, or why there is none.
    pub fn route(&self, request: &RequestView<'_>) -> Result<&Route, (Check, Denial)> {
        let path = request.target.path();
        if matches!(*request.method, http::Method::TRACE | http::Method::CONNECT) {
            let denial = Denial::new(Code::MethodNotAllowed, format!("{} is never served", request.method));
            return Err((
                Check::Reading,
                denial.allowing("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS".to_owned()),
            ));
        }
        countersign::path::check_path(path).map_err(|denial| (Check::Reading, denial))?;
        match self.config.router.find_unambiguous(path, request.method) {
            Some(Found::Route(number)) => Ok(&self.routes[number]),
            Some(Found::Nothing) => {
                Err((Check::Route, Denial::new(Code::RouteUnknown, "no route serves this path")))
            }
            Some(Found::OtherMethods(candidates)) => {
                let mut allowed: Vec<&str> = Vec::new();
                for method in candidates.iter().flat_map(|(methods, _)| methods.iter().flatten()) {
                    allowed.push(method.as_str());
                    if *method == http::Method::GET {
                        allowed.push("HEAD");
                    }
                }
                allowed.sort_unstable();
                allowed.dedup();
                let cause = "the method is not among the route's";
                Err((Check::Route, Denial::new(Code::MethodNotAllowed, cause).allowing(allowed.join(", "))))
            }
            None => {
                let cause = "decoded, the path would be served by another route";
                Err((Check::Reading, Denial::new(Code::PathAmbiguous, cause)))
            }
        }
    }

    /// Decides a request from beginning to end, without forwarding it.
    pub async fn decide(&self, request: &RequestView<'_>, body: &mut dyn BodySource) -> Verdict {
        match self.route(request) {
            Ok(route) => self.gate.decide(&route.rule, request, body).await,
            Err((check, denial)) => Verdict::Deny(self.gate.refuse(request, check, denial)),
        }
    }

    /// Decides a request on file: nothing is spent, nobody is asked.
    pub async fn explain(&self, request: &RequestView<'_>, body: &mut dyn BodySource) -> Arc<Decision> {
        let request = RequestView { purpose: Purpose::Explain, ..request.clone() };
        self.decide(&request, body).await.decision().clone()
    }
}

fn ready(route: &RouteConfig, parts: &Parts<'_>) -> Result<Route, RouteError> {
    let name: Arc<str> = route.template.as_str().into();
    let error = |why: String| RouteError { route: route.template.as_str().to_owned(), why };
    let (rule, schemes) = match &route.access {
        Access::Public => (Rule::public(name.clone()), vec![String::new()]),
        Access::Guarded { requirement, policy, key_in_query } => {
            let rule = guarded(&name, requirement, policy, *key_in_query, route, parts);
            let schemes = requirement.schemes().iter().map(|scheme| scheme.as_str().to_owned()).collect();
            (rule.map_err(|why| error(why.to_string()))?, schemes)
        }
    };
    let upstream = Upstream::new(&route.upstream).map_err(|why| error(why.to_string()))?;
    Ok(Route { rule: Arc::new(rule), upstream, metrics: parts.metrics.route(&name, &schemes) })
}

fn guarded(
    name: &Arc<str>,
    requirement: &Requirement,
    policy: &Policy,
    key_in_query: bool,
    route: &RouteConfig,
    parts: &Parts<'_>,
) -> Result<Rule, countersign::gate::RuleError> {
    let mut rule = Rule::requiring(name.clone(), requirement.clone()).policy(policy.clone());
    if let Some(rate) = route.limit {
        rule = rule.limit(rate);
    }
    let named = requirement.schemes();
    // One line a scheme. Those that this version lacks were refused when the configuration was read.
    if named.contains(Scheme::ApiKey) {
        let verifier = ApiKeyVerifier::new(parts.store.clone(), parts.uses.clone());
        rule = rule.verifier(verifier.also_in_query(key_in_query));
    }
    rule.build()
}

impl Gateway {
    /// The keys in the store.
    #[must_use]
    pub fn keys(&self) -> KeyRegistry<Arc<AnyStore>> {
        KeyRegistry::new(self.store.clone())
    }

    /// What a runtime is made with here.
    #[must_use]
    pub fn parts<'a>(&'a self, before: Option<&'a Runtime>) -> Parts<'a> {
        Parts {
            store: &self.store,
            uses: &self.uses,
            clock: &self.clock,
            random: &self.random,
            metrics: &self.metrics,
            before,
        }
    }
}
