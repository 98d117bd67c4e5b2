//! What every request needs: the part that lives as long as the process, and the part that a new
//! configuration replaces.

use std::sync::Arc;

use arc_swap::ArcSwap;
use countersign::assertion::Asserter;
use countersign::crypto::{Random, SealKey};
use countersign::decision::Check;
use countersign::issuer::Issuer;
use countersign::rule::RuleBuilder;
use countersign::schemes::api_key::{ApiKeyVerifier, KeyRegistry, LastUses};
use countersign::schemes::asymmetric::AsymmetricVerifier;
use countersign::schemes::bearer::BearerVerifier;
use countersign::schemes::callback_url::{CallbackLimits, CallbackRoute, CallbackVerifier};
use countersign::schemes::session::passwords::PasswordCostError;
use countersign::schemes::session::{HandshakePolicy, SessionDemand};
use countersign::schemes::signature::{Directories, RegisteredKeys, SignatureVerifier, WebBots};
use countersign::schemes::webhook::{Budget, Tokens, WebhookVerifier};
use countersign::{
    BodySource, Carrier, Clock, Code, Decision, Denial, Gate, Purpose, RequestView, Requirement, Rule,
    Scheme, Verdict, Workers,
};
use countersign_io::AnyStore;
use tokio::sync::watch;

use crate::audit::Audit;
use crate::config::{Access, Config, Limits, RouteConfig, SchemeOptions};
use crate::decisions::Decisions;
use crate::egress::{Egress, EgressError};
use crate::endpoint::Endpoints;
use crate::metrics::{Metrics, RouteMetrics};
use crate::proxy::{Forwarder, Upstream};
use crate::router::Found;
use crate::schemes::bearer::{Bearer, BearerError};
use crate::schemes::callback_url::minting as callbacks;
use crate::schemes::callback_url::urls::CallbackUrls;
use crate::schemes::issuer::IssuerError;
use crate::schemes::session::Session;
use crate::server::options::METHODS;

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
    /// Hashes where it holds up nobody.
    pub workers: Arc<dyn Workers>,
    /// The questions to webhook URLs that are in flight.
    pub webhook_budget: Arc<Budget>,
    /// The keys that verify signatures, parsed once.
    pub registered_keys: Arc<RegisteredKeys<Arc<AnyStore>>>,
    /// Tells upstreams who was proven.
    pub asserter: Arc<Asserter<Arc<AnyStore>>>,
    /// Seals secrets at rest.
    pub seal_key: SealKey,
    /// The last decisions.
    pub decisions: Decisions,
    /// The audit log.
    pub audit: Audit,
    /// What Prometheus scrapes.
    pub metrics: Metrics,
    /// What a new configuration replaces.
    pub runtime: ArcSwap<Runtime>,
    /// How many deliveries are under way that go on without their caller.
    pub deliveries: watch::Sender<usize>,
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
    /// Dials out.
    pub egress: Egress,
    /// The keys of web bots, as they were last had.
    directories: Arc<Directories>,
    /// What signs and verifies callbacks.
    pub callback_keys: Arc<callbacks::Keys>,
    /// What verifies access tokens.
    bearer: Bearer,
    /// Issues tokens, while it is enabled.
    pub issuer: Option<Arc<Issuer<Arc<AnyStore>>>>,
    /// People and their sessions.
    pub session: Session,
    /// What we answer ourselves.
    pub endpoints: Endpoints,
    /// The URLs of ours that are credentials.
    pub(crate) callback_urls: CallbackUrls,
}

/// One route, ready.
pub struct Route {
    /// What it asks.
    pub rule: Arc<Rule>,
    /// Where it leads, and what is said there.
    pub upstream: Upstream,
    /// What is counted.
    pub metrics: RouteMetrics,
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
    /// There are no keys for callbacks.
    #[error(transparent)]
    Callbacks(#[from] callbacks::KeysError),
    /// Nobody could be dialled.
    #[error(transparent)]
    Egress(#[from] EgressError),
    /// A client of the issuer's.
    #[error(transparent)]
    Issuer(#[from] IssuerError),
    /// An issuer whose keys cannot be had.
    #[error(transparent)]
    Bearer(#[from] BearerError),
    /// Passwords cannot be hashed as they must be.
    #[error(transparent)]
    Passwords(#[from] PasswordCostError),
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
    /// Hashes where it holds up nobody.
    pub workers: &'a Arc<dyn Workers>,
    /// The questions to webhook URLs that are in flight.
    pub webhook_budget: &'a Arc<Budget>,
    /// The keys that verify signatures.
    pub registered_keys: &'a Arc<RegisteredKeys<Arc<AnyStore>>>,
    /// Seals secrets at rest.
    pub seal_key: &'a SealKey,
    /// Tells upstreams who was proven.
    pub asserter: &'a Arc<Asserter<Arc<AnyStore>>>,
    /// Counters.
    pub metrics: &'a Metrics,
    /// The runtime that this one replaces: what did not change is kept.
    pub before: Option<&'a Runtime>,
}

impl Runtime {
    /// Makes a configuration ready.
    ///
    /// # Errors
    /// A route that cannot be, or authorities that cannot be read.
    pub fn new(config: Config, parts: &Parts<'_>) -> Result<Self, RuntimeError> {
        // The gate remembers who failed lately, and the latest time; that outlives a reload.
        let gate = match parts.before {
            Some(before) if same_gate(&before.config.limits, &config.limits) => before.gate.clone(),
            _ => {
                let gate = Gate::new(parts.store.clone(), parts.clock.clone(), parts.random);
                let gate = gate.with_latest(parts.store.latest().unwrap_or_default());
                let gate = gate.with_unproven_limit(config.limits.unproven);
                Arc::new(gate.with_nonce_quota(config.limits.nonces))
            }
        };
        let forwarder = match parts.before {
            Some(before) if before.config.upstream == config.upstream => before.forwarder.clone(),
            _ => {
                let (asserter, clock) = (parts.asserter.clone(), parts.clock.clone());
                Arc::new(Forwarder::new(&config.upstream, asserter, clock))
            }
        };
        // Made anew each time: a file of authorities is read again.
        let egress = Egress::new(&config)?;
        let before = parts.before.map(|before| &*before.directories);
        let directories = Arc::new(Directories::new(&config.signature.web_bot_auth, before));
        let callback_keys = match parts.before {
            Some(before) if before.config.callback == config.callback => before.callback_keys.clone(),
            _ => Arc::new(callbacks::keys(&config.callback, parts.store, parts.seal_key, parts.random)?),
        };
        let issuer = config.issuer.as_ref();
        let issuer =
            issuer.map(|terms| crate::schemes::issuer::issuer(terms, &config.server.public_url, parts));
        let issuer = issuer.transpose()?.map(Arc::new);
        let before = parts.before.map(|before| &before.bearer);
        let bearer = Bearer::new(&config.bearer, issuer.as_ref(), parts, before)?;
        let session = Session::new(&config, parts, parts.before.map(|before| &before.session))?;
        let with = With {
            config: &config,
            session: &session,
            egress: &egress,
            directories: &directories,
            callback_keys: &callback_keys,
            bearer: &bearer,
        };
        let routes = config.routes.iter().map(|route| ready(route, with, parts)).collect::<Result<_, _>>()?;
        let endpoints = Endpoints::new(&config, issuer.as_ref(), &session, |rule, requirement| {
            verified(rule, requirement, SchemeOptions::default(), None, with, parts)
        });
        let takes_tokens =
            |rule: &Rule| rule.carriers().iter().any(|carrier| matches!(carrier, Carrier::Segment(_)));
        let templates = std::iter::zip(&config.routes, &routes)
            .filter(|(_, route): &(&RouteConfig, &Route)| takes_tokens(&route.rule))
            .map(|(route, _)| route.template.clone())
            .collect();
        let callback_urls = CallbackUrls::new(&config.server.public_url, templates);
        Ok(Self {
            config,
            gate,
            routes,
            forwarder,
            egress,
            directories,
            callback_keys,
            bearer,
            issuer,
            session,
            endpoints,
            callback_urls,
        })
    }

    /// The route for a request, or why there is none.
    pub fn route(&self, request: &RequestView<'_>) -> Result<&Route, (Check, Denial)> {
        let path = request.target.path();
        if matches!(*request.method, http::Method::TRACE | http::Method::CONNECT) {
            let denial = Denial::new(Code::MethodNotAllowed, format!("{} is never served", request.method));
            return Err((Check::Reading, denial.allowing(METHODS.to_owned())));
        }
        countersign::path::check_path(path).map_err(|denial| (Check::Reading, denial))?;
        match self.config.router.find_unambiguous(path, request.method) {
            Some(Found::Route(number)) => Ok(&self.routes[number]),
            Some(Found::Nothing) => {
                Err((Check::Route, Denial::new(Code::RouteUnknown, "no route serves this path")))
            }
            Some(Found::OtherMethods(candidates)) => {
                let methods = candidates.iter().flat_map(|(methods, _)| methods.iter().flatten());
                Err((Check::Route, Denial::other_method(methods)))
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

/// Whether a gate with the one limits does for the other.
fn same_gate(before: &Limits, after: &Limits) -> bool {
    (before.unproven, before.nonces) == (after.unproven, after.nonces)
}

/// What the verifiers of one runtime share.
#[derive(Clone, Copy)]
struct With<'a> {
    config: &'a Config,
    session: &'a Session,
    egress: &'a Egress,
    directories: &'a Arc<Directories>,
    callback_keys: &'a Arc<callbacks::Keys>,
    bearer: &'a Bearer,
}

fn ready(route: &RouteConfig, with: With<'_>, parts: &Parts<'_>) -> Result<Route, RuntimeError> {
    let name: Arc<str> = route.template.as_str().into();
    let error = |why: String| RuntimeError::Route { route: route.template.as_str().to_owned(), why };
    let (rule, schemes) = match &route.access {
        Access::Public => (Rule::public(name.clone()), vec![String::new()]),
        Access::Guarded { requirement, policy, options } => {
            let mut rule = Rule::requiring(name.clone(), requirement.clone()).policy(policy.clone());
            if let Some(rate) = route.limit {
                rule = rule.limit(rate);
            }
            let callbacks = CallbackRoute::new(route.template.clone()).ok();
            let rule = verified(rule, requirement, *options, callbacks, with, parts).build();
            let schemes = requirement.schemes().iter().map(|scheme| scheme.as_str().to_owned()).collect();
            (rule.map_err(|why| error(why.to_string()))?, schemes)
        }
    };
    let upstream = Upstream::new(&route.upstream, route.assertion, &route.passes);
    let upstream = upstream.map_err(|why| error(why.to_string()))?;
    Ok(Route { rule: Arc::new(rule), upstream, metrics: parts.metrics.route(&name, &schemes) })
}

/// The verifiers of the schemes that a requirement names, one line a scheme. Those that this version
/// lacks were refused when the configuration was read.
fn verified(
    mut rule: RuleBuilder,
    requirement: &Requirement,
    options: SchemeOptions,
    callbacks: Option<CallbackRoute>,
    with: With<'_>,
    parts: &Parts<'_>,
) -> RuleBuilder {
    let With { config, session, egress, directories, callback_keys, bearer } = with;
    let named = requirement.schemes();
    if named.contains(Scheme::ApiKey) {
        let verifier = ApiKeyVerifier::new(parts.store.clone(), parts.uses.clone());
        rule = rule.verifier(verifier.also_in_query(options.key_in_query));
    }
    if named.contains(Scheme::Signature) || named.contains(Scheme::ApiKey) {
        rule = rule.verifier(SignatureVerifier {
            keys: parts.registered_keys.clone(),
            // A wallet holds no API key, and is asked for none.
            wallets: config.signature.wallets && named.contains(Scheme::Signature),
            bots: (!config.signature.web_bot_auth.is_empty())
                .then(|| WebBots { directories: Arc::clone(directories), fetch: egress.client.clone() }),
            untagged: options.untagged,
            max_signed_body: config.limits.max_signed_body,
        });
    }
    if named.contains(Scheme::Asymmetric) {
        rule = rule.verifier(AsymmetricVerifier { rising: options.rising });
    }
    if named.contains(Scheme::Bearer) {
        rule = rule.verifier(BearerVerifier {
            issuers: bearer.issuers.clone(),
            dpop: bearer.dpop.clone(),
            fetch: egress.client.clone(),
            longest_token: config.bearer.max_token,
        });
    }
    if named.contains(Scheme::Session) {
        let handshake = options.handshake.unwrap_or(HandshakePolicy::Never);
        let route = SessionDemand { handshake, key_bound: options.key_bound };
        rule = rule.verifier(session.site.verifier(route));
    }
    if named.contains(Scheme::Webhook) {
        rule = rule.verifier(WebhookVerifier {
            store: parts.store.clone(),
            fetch: egress.client.clone(),
            workers: parts.workers.clone(),
            budget: parts.webhook_budget.clone(),
            callers: config.webhook.callers.clone(),
            rules: config.webhook.rules.clone(),
            max_signed_body: config.limits.max_signed_body,
        });
    }
    if let Some(route) = callbacks.filter(|_| named.contains(Scheme::CallbackUrl)) {
        rule = rule.verifier(CallbackVerifier {
            store: parts.store.clone(),
            keys: callback_keys.clone(),
            public_url: config.server.public_url.clone(),
            route,
            limits: CallbackLimits {
                max_body: config.callback.max_body,
                lease: config.upstream.longest_delivery(),
                strict: options.strict.unwrap_or(config.callback.strict),
            },
        });
    }
    rule
}

impl Gateway {
    /// The keys in the store.
    #[must_use]
    pub fn keys(&self) -> KeyRegistry<Arc<AnyStore>> {
        KeyRegistry::new(self.store.clone())
    }

    /// The tokens of our own requests, which wait for their question.
    #[must_use]
    pub fn webhook_tokens(&self) -> Tokens<Arc<AnyStore>> {
        Tokens::new(self.store.clone())
    }

    /// What a runtime is made with here.
    #[must_use]
    pub fn parts<'a>(&'a self, before: Option<&'a Runtime>) -> Parts<'a> {
        Parts {
            store: &self.store,
            uses: &self.uses,
            clock: &self.clock,
            random: &self.random,
            workers: &self.workers,
            webhook_budget: &self.webhook_budget,
            registered_keys: &self.registered_keys,
            seal_key: &self.seal_key,
            asserter: &self.asserter,
            metrics: &self.metrics,
            before,
        }
    }
}
