//! A path that the gateway answers itself, on the listener of its routes.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use countersign::path::Template;
use countersign::{Arrival, BodySource, Denial, Principal, RequestView, Rule};
use countersign_io::AnyStore;
use http::{Method, Response};

/// A path of ours.
pub struct Endpoint {
    /// Its path.
    pub template: Template,
    /// Its methods; `None`: all, and it judges them itself.
    pub methods: Option<Vec<Method>>,
    /// Who may call. What a public rule lets pass is not recorded: whoever calls proves in the request's body what
    /// there is to prove.
    pub rule: Arc<Rule>,
    /// What it answers.
    pub answer: Box<dyn Answer>,
}

impl Endpoint {
    /// A path that anybody may call. `None`: `path` is no path.
    pub fn public(path: &str, methods: Option<Vec<Method>>, answer: impl Answer + 'static) -> Option<Self> {
        Self::under(Rule::public(path), methods, answer)
    }

    /// The same, for whoever has not failed too often.
    pub fn trying(path: &str, methods: Option<Vec<Method>>, answer: impl Answer + 'static) -> Option<Self> {
        Self::under(Rule::trying(path), methods, answer)
    }

    fn under(rule: Rule, methods: Option<Vec<Method>>, answer: impl Answer + 'static) -> Option<Self> {
        let template = Template::parse(rule.name()).ok()?;
        Some(Self { template, methods, rule: Arc::new(rule), answer: Box::new(answer) })
    }
}

/// What an endpoint answers.
pub trait Answer: Send + Sync {
    /// The response, or why there is none.
    fn answer<'a>(&'a self, asked: Asked<'a>) -> Answering<'a>;
}

/// An answer in the making.
pub(crate) type Answering<'a> = Pin<Box<dyn Future<Output = Result<Response<Bytes>, Denial>> + Send + 'a>>;

/// A request at one of our doors.
pub(crate) type Door<'a> = Arrival<'a, Arc<AnyStore>>;

/// A request to an endpoint.
pub struct Asked<'a> {
    /// The door that it came through, and where it is told what else is refused.
    pub door: &'a Door<'a>,
    /// Its head.
    pub request: &'a RequestView<'a>,
    /// Who was proven, if the endpoint's rule asks.
    pub principal: Option<&'a Principal>,
    /// The raw values of the template's parameters, in order.
    pub values: Vec<(&'a str, &'a str)>,
    /// Its body, which nobody has read.
    pub body: &'a mut dyn BodySource,
}
