//! What the gateway answers itself, on the listener of its routes.
//!
//! A scheme that needs paths of its own adds them in one file here. A route of the configuration that names
//! the very same path comes first: then an application behind us answers.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use countersign::issuer::Issuer;
use countersign::path::Template;
use countersign::rule::RuleBuilder;
use countersign::{BodySource, Denial, Principal, RequestView, Requirement, Rule};
use countersign_io::AnyStore;
use http::{Method, Response};

use crate::config::Config;
use crate::router::{Found, Router};
use crate::runtime::{Gateway, Runtime};
use crate::schemes::session::Session;

/// A path of ours.
pub struct Endpoint {
    /// Its path.
    pub template: Template,
    /// Its methods; `None`: all, and it judges them itself.
    pub methods: Option<Vec<Method>>,
    /// Who may call. A public rule: whoever calls proves in the request's body what there is to prove, and
    /// no decision is made but for what is refused. Such an endpoint asks [`countersign::Gate::look_at_source`]
    /// itself, before it does any work.
    pub rule: Arc<Rule>,
    /// What it answers.
    pub answer: Box<dyn Answer>,
}

/// What an endpoint answers.
pub trait Answer: Send + Sync {
    /// The response, or why there is none.
    fn answer<'a>(&'a self, asked: Asked<'a>) -> Answering<'a>;
}

/// An answer in the making.
pub type Answering<'a> = Pin<Box<dyn Future<Output = Result<Response<Bytes>, Denial>> + Send + 'a>>;

/// A request to an endpoint.
pub struct Asked<'a> {
    /// What lives as long as the process.
    pub gateway: &'a Arc<Gateway>,
    /// What this request is judged with.
    pub runtime: &'a Runtime,
    /// Its head.
    pub request: &'a RequestView<'a>,
    /// Who was proven, if the endpoint's rule asks.
    pub principal: Option<&'a Principal>,
    /// The raw values of the template's parameters, in order.
    pub values: Vec<(&'a str, &'a str)>,
    /// Its body, which nobody has read.
    pub body: &'a mut dyn BodySource,
}

/// All paths of ours.
pub struct Endpoints {
    all: Vec<Endpoint>,
    router: Router,
}

impl Endpoints {
    /// Those that `config` asks for, without the ones that a route takes for itself. `verified` gives a rule
    /// the verifiers of its schemes.
    #[must_use]
    pub fn new(
        config: &Config,
        issuer: Option<&Arc<Issuer<Arc<AnyStore>>>>,
        session: &Session,
        verified: impl Fn(RuleBuilder, &Requirement) -> RuleBuilder,
    ) -> Self {
        let mut endpoints = Self { all: Vec::new(), router: Router::default() };
        let taken = |template: &Template| config.routes.iter().any(|route| route.template == *template);
        let issuers = issuer.zip(config.issuer.as_ref());
        let issuers =
            issuers.map(|(issuer, config)| crate::schemes::issuer::oauth::endpoints(issuer, config));
        let all = crate::schemes::webhook::question::endpoints(config)
            .chain(crate::schemes::assertion::endpoints())
            .chain(crate::schemes::callback_url::endpoint::endpoint(config, verified))
            .chain(issuers.into_iter().flatten())
            .chain(crate::schemes::session::auth::endpoints(session));
        for endpoint in all {
            if !taken(&endpoint.template) {
                endpoints.add(endpoint);
            }
        }
        endpoints
    }

    fn add(&mut self, endpoint: Endpoint) {
        // One path that is named twice answers as it was named first.
        let number = self.all.len();
        if self.router.insert(&endpoint.template, endpoint.methods.clone(), number).is_ok() {
            self.all.push(endpoint);
        }
    }

    /// The endpoint for a raw path and a method; `Some(Err)`: the path is ours, and served with these methods.
    #[must_use]
    pub fn find(&self, path: &str, method: &Method) -> Option<Result<&Endpoint, Vec<&Method>>> {
        match self.router.find(path, method) {
            Found::Route(number) => Some(Ok(&self.all[number])),
            Found::Nothing => None,
            Found::OtherMethods(candidates) => {
                Some(Err(candidates.iter().flat_map(|(methods, _)| methods.iter().flatten()).collect()))
            }
        }
    }
}
