//! What Prometheus scrapes. No label holds anything that a caller chose.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use countersign::{Decision, Delivery};
use http::StatusCode;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// The counters of one process.
pub struct Metrics {
    registry: Registry,
    decisions: Family<DecisionLabels, Counter<u64, AtomicU64>>,
    decision_seconds: Family<RouteLabel, Histogram, fn() -> Histogram>,
    upstream_seconds: Family<RouteLabel, Histogram, fn() -> Histogram>,
    upstream: Family<UpstreamLabels, Counter>,
    broken_answers: Family<BrokenLabels, Counter>,
    broken_outbound: Family<BrokenOutboundLabels, Counter>,
    /// Open connections from callers.
    pub connections: Gauge,
    /// Connections that were turned away because too many were open.
    pub connections_refused: Counter,
    /// HTTP/2 connections that were ended because they sent too many frames that carry nothing.
    pub connections_flooding: Counter,
    /// Upgraded connections.
    pub tunnels: Gauge,
    questions: Family<AnswerLabel, Counter>,
    tokens: Family<TokenLabels, Counter>,
    outbound: Family<OutboundLabels, Counter>,
    deliveries: Family<DeliveryLabel, Counter>,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct DeliveryLabel {
    result: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct TokenLabels {
    grant: &'static str,
    result: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct DecisionLabels {
    route: Arc<str>,
    scheme: Arc<str>,
    outcome: &'static str,
    code: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RouteLabel {
    route: Arc<str>,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct UpstreamLabels {
    route: Arc<str>,
    result: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct BrokenLabels {
    route: Arc<str>,
    kind: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct BrokenOutboundLabels {
    target: Arc<str>,
    kind: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct AnswerLabel {
    answer: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OutboundLabels {
    target: Arc<str>,
    result: &'static str,
}

/// The counters of one route, looked up once.
#[derive(Clone)]
pub struct RouteMetrics {
    route: Arc<str>,
    decision_seconds: Histogram,
    upstream_seconds: Histogram,
    permits: Arc<[SchemeCounter]>,
    answered: [Counter; 5],
}

type SchemeCounter = (Arc<str>, Counter<u64, AtomicU64>);

const ANSWERS: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

fn decision_histogram() -> Histogram {
    Histogram::new([2e-6, 5e-6, 1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 5e-3, 2e-2, 1e-1, 1.0])
}

fn upstream_histogram() -> Histogram {
    Histogram::new([5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 1e-1, 2e-1, 5e-1, 1.0, 2.0, 5.0, 10.0, 30.0])
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("countersign");
        let decisions = Family::default();
        registry.register("decisions", "Requests by route, scheme, outcome and code", decisions.clone());
        let decision_seconds = Family::new_with_constructor(decision_histogram as fn() -> Histogram);
        let help = "Our own time: from a whole head to a verdict, waiting for a body that is proven included";
        registry.register("decision_seconds", help, decision_seconds.clone());
        let upstream_seconds = Family::new_with_constructor(upstream_histogram as fn() -> Histogram);
        let help = "The upstream's time: from a permit to the head of the response";
        registry.register("upstream_seconds", help, upstream_seconds.clone());
        let upstream = Family::default();
        registry.register("upstream_responses", "Upstream responses by class, or our code", upstream.clone());
        let broken_answers = Family::default();
        let help = "Upstream responses that broke off behind their head, by how";
        registry.register("broken_answers", help, broken_answers.clone());
        let (connections, tunnels) = (Gauge::default(), Gauge::default());
        registry.register("connections", "Open connections from callers", connections.clone());
        registry.register("tunnels", "Upgraded connections", tunnels.clone());
        let connections_refused = Counter::default();
        let help = "Connections turned away because too many were open";
        registry.register("connections_refused", help, connections_refused.clone());
        let connections_flooding = Counter::default();
        let help = "HTTP/2 connections ended for too many frames that carry nothing";
        registry.register("connections_flooding", help, connections_flooding.clone());
        let questions = Family::default();
        let help = "Questions about our own requests, by whether the token was given";
        registry.register("webhook_questions", help, questions.clone());
        let tokens = Family::default();
        let help = "Answers of our token endpoint, by grant, and by what came of it";
        registry.register("issuer_tokens", help, tokens.clone());
        let outbound = Family::default();
        let help = "Responses to requests of [[outbound]] by class, or our code";
        registry.register("outbound_responses", help, outbound.clone());
        let broken_outbound = Family::default();
        let help = "Responses to requests of [[outbound]] that broke off behind their head, by how";
        registry.register("outbound_broken_answers", help, broken_outbound.clone());
        let deliveries = Family::default();
        let help =
            "Deliveries of callbacks, by what came of their use; unsettled: that could not be written down";
        registry.register("callback_deliveries", help, deliveries.clone());
        Self {
            registry,
            deliveries,
            questions,
            tokens,
            outbound,
            decisions,
            decision_seconds,
            upstream_seconds,
            upstream,
            broken_answers,
            broken_outbound,
            connections,
            connections_refused,
            connections_flooding,
            tunnels,
        }
    }
}

impl Metrics {
    /// A question about one of our own requests was answered.
    pub fn question(&self, status: StatusCode) {
        let answer = if status == StatusCode::OK { "given" } else { "refused" };
        self.questions.get_or_create(&AnswerLabel { answer }).inc();
    }

    /// A callback was delivered or not, and that was written down or not.
    pub fn delivery(&self, delivery: Delivery, settled: bool) {
        let result = match (settled, delivery) {
            (false, _) => "unsettled",
            (true, Delivery::Taken) => "taken",
            (true, Delivery::Declined) => "declined",
            (true, Delivery::Uncertain) => "uncertain",
            (true, Delivery::NotSent) => "not-sent",
        };
        self.deliveries.get_or_create(&DeliveryLabel { result }).inc();
    }

    /// The token endpoint answered: `issued`, or an error of OAuth.
    pub fn token(&self, grant: &'static str, result: &'static str) {
        self.tokens.get_or_create(&TokenLabels { grant, result }).inc();
    }

    /// A request of an `[[outbound]]` was answered by its target, or by us with a code.
    pub fn outbound(&self, target: &Arc<str>, result: Result<StatusCode, &'static str>) {
        let result = result.map_or_else(
            |code| code,
            |status| {
                let class = usize::from(status.as_u16() / 100).saturating_sub(1);
                ANSWERS.get(class).copied().unwrap_or("other")
            },
        );
        self.outbound.get_or_create(&OutboundLabels { target: target.clone(), result }).inc();
    }

    /// The counters of a route.
    #[must_use]
    pub fn route(&self, name: &Arc<str>, schemes: &[String]) -> RouteMetrics {
        let label = RouteLabel { route: name.clone() };
        let permits = schemes.iter().map(|scheme| {
            let scheme: Arc<str> = scheme.as_str().into();
            let labels =
                DecisionLabels { route: name.clone(), scheme: scheme.clone(), outcome: "permit", code: "" };
            (scheme, self.decisions.get_or_create(&labels).clone())
        });
        RouteMetrics {
            route: name.clone(),
            decision_seconds: self.decision_seconds.get_or_create(&label).clone(),
            upstream_seconds: self.upstream_seconds.get_or_create(&label).clone(),
            permits: permits.collect(),
            answered: ANSWERS.map(|result| {
                self.upstream.get_or_create(&UpstreamLabels { route: name.clone(), result }).clone()
            }),
        }
    }

    /// Counts a decision under a route, `None` where no route was met.
    pub fn decision(&self, route: Option<&RouteMetrics>, decision: &Decision, took: Duration) {
        if let Some(route) = route {
            route.decision_seconds.observe(took.as_secs_f64());
            if decision.denial().is_none() && route.permit(decision) {
                return;
            }
        }
        let labels = DecisionLabels {
            route: decision.route.clone().unwrap_or_else(|| "".into()),
            scheme: decision.scheme_names().unwrap_or_default().into(),
            outcome: if decision.denial().is_some() { "deny" } else { "permit" },
            code: decision.denial().map_or("", |denial| denial.code().as_str()),
        };
        self.decisions.get_or_create(&labels).inc();
    }

    /// Counts a request that was permitted and then failed on our side of the upstream.
    pub fn upstream_failure(&self, route: &RouteMetrics, code: &'static str) {
        self.upstream.get_or_create(&UpstreamLabels { route: route.route.clone(), result: code }).inc();
    }

    /// An upstream's answer broke off behind its head.
    pub fn broken_answer(&self, route: Option<&Arc<str>>, kind: &'static str) {
        let route = route.cloned().unwrap_or_else(|| "".into());
        self.broken_answers.get_or_create(&BrokenLabels { route, kind }).inc();
    }

    /// The answer to a request of an `[[outbound]]` broke off behind its head.
    pub fn broken_outbound(&self, target: &Arc<str>, kind: &'static str) {
        let labels = BrokenOutboundLabels { target: target.clone(), kind };
        self.broken_outbound.get_or_create(&labels).inc();
    }

    /// The text that Prometheus reads.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = prometheus_client::encoding::text::encode(&mut text, &self.registry);
        text
    }
}

impl RouteMetrics {
    /// Counts a permit by a scheme that is looked up already; `false` if it is not.
    fn permit(&self, decision: &Decision) -> bool {
        let countersign::Outcome::Permit(proven) = &decision.outcome else { return false };
        let schemes = proven.as_ref().map_or(&[][..], |(_, schemes)| schemes);
        let is_it = |name: &str| match schemes {
            [] => name.is_empty(),
            [scheme] => name == scheme.as_str(),
            _ => false,
        };
        let found = self.permits.iter().find(|(name, _)| is_it(name));
        found.map(|(_, counter)| counter.inc()).is_some()
    }

    /// Counts an upstream's answer.
    pub fn answered(&self, status: http::StatusCode, took: Duration) {
        self.upstream_seconds.observe(took.as_secs_f64());
        let class = usize::from(status.as_u16() / 100).clamp(1, 5) - 1;
        self.answered[class].inc();
    }
}
