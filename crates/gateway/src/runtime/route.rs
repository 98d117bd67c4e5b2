//! One route, ready.

use std::sync::Arc;

use countersign::Rule;

use super::RuntimeError;
use crate::config::{Access, RouteConfig};
use crate::metrics::{Metrics, RouteMetrics};
use crate::proxy::Upstream;
use crate::schemes::{On, Schemes};

/// One route, ready.
pub struct Route {
    /// What it asks.
    pub rule: Arc<Rule>,
    /// Where it leads, and what is said there.
    pub upstream: Upstream,
    /// What is counted.
    pub metrics: RouteMetrics,
}

impl Route {
    pub(super) fn new(
        route: &RouteConfig,
        schemes: &Schemes,
        metrics: &Metrics,
    ) -> Result<Self, RuntimeError> {
        let name: Arc<str> = route.template.as_str().into();
        let error = |why: String| RuntimeError::Route { route: route.template.as_str().to_owned(), why };
        let (rule, named) = match &route.access {
            Access::Public => (Rule::public(name.clone()), vec![String::new()]),
            Access::Guarded { requirement, policy, options } => {
                let mut rule = Rule::requiring(name.clone(), requirement.clone()).policy(policy.clone());
                if let Some(rate) = route.limit {
                    rule = rule.limit(rate);
                }
                let on = On { named: requirement.schemes(), options: *options, path: Some(&route.template) };
                let rule = schemes.verify(rule, &on).build();
                let named = requirement.schemes().iter().map(|scheme| scheme.as_str().to_owned()).collect();
                (rule.map_err(|why| error(why.to_string()))?, named)
            }
        };
        let upstream = Upstream::new(&route.upstream, route.assertion, &route.passes);
        let upstream = upstream.map_err(|why| error(why.to_string()))?;
        Ok(Self { rule: Arc::new(rule), upstream, metrics: metrics.route(&name, &named) })
    }
}
