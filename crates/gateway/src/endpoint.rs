//! A path that the gateway answers itself, on the listener of its routes.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use countersign::path::Template;
use countersign::{BodySource, Denial, Gate, Principal, RequestView, Rule};
use countersign_io::AnyStore;
use http::{Method, Response};

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

impl Endpoint {
    /// A path that anybody may call. `None`: `path` is no path.
    pub fn public(path: &str, methods: Option<Vec<Method>>, answer: impl Answer + 'static) -> Option<Self> {
        let template = Template::parse(path).ok()?;
        let rule = Arc::new(Rule::public(template.as_str()));
        Some(Self { template, methods, rule, answer: Box::new(answer) })
    }
}

/// What an endpoint answers.
pub trait Answer: Send + Sync {
    /// The response, or why there is none.
    fn answer<'a>(&'a self, asked: Asked<'a>) -> Answering<'a>;
}

/// An answer in the making.
pub(crate) type Answering<'a> = Pin<Box<dyn Future<Output = Result<Response<Bytes>, Denial>> + Send + 'a>>;

/// A request to an endpoint.
pub struct Asked<'a> {
    /// What judges this request.
    pub gate: &'a Gate<Arc<AnyStore>>,
    /// Its head.
    pub request: &'a RequestView<'a>,
    /// Who was proven, if the endpoint's rule asks.
    pub principal: Option<&'a Principal>,
    /// The raw values of the template's parameters, in order.
    pub values: Vec<(&'a str, &'a str)>,
    /// Its body, which nobody has read.
    pub body: &'a mut dyn BodySource,
}
