//! One folder a scheme, each with the same items: in `config` what it is told; `Ready`, made of that and of what was
//! ready before a reload; and what it adds to routes and paths, [`Mounted`].

use std::time::Duration;

use countersign::path::Template;
use countersign::requirement::SchemeSet;
use countersign::rule::RuleBuilder;
use countersign::schemes::webhook::WebhookUrl;
use countersign::{PublicUrl, Requirement, Rule};
use http::Method;

use crate::egress::Egress;
use crate::endpoint::Endpoint;
use crate::shared::Shared;
use configs::{Configs, RouteOptions};

/// Every scheme, one line each: `name(those whose Ready it needs)`, behind those. `then` is a macro that takes the list.
macro_rules! every_scheme {
    ($then:ident) => {
        $then! {
            /// Callers that are asked whether they sent a request.
            webhook();
            /// What APIs behind us are told of who was proven.
            assertion();
            /// Keys that are sent as themselves.
            api_key();
            /// Signatures over messages, by keys, wallets and web bots.
            signature(api_key);
            /// URLs of ours that are credentials.
            callback_url(api_key);
            /// Wallets' signatures in a header.
            asymmetric();
            /// Tokens that we issue.
            issuer();
            /// Tokens of issuers.
            bearer(issuer);
            /// Browsers, whose proof is in two halves.
            session();
        }
    };
}

/// Makes all of them ready, each behind those that it needs.
macro_rules! schemes {
    ($($(#[$said:meta])* $name:ident ($($needs:ident),*);)+) => {
        $($(#[$said])* pub mod $name;)+

        /// Every scheme, ready.
        pub struct Schemes { $($(#[$said])* pub $name: $name::Ready,)+ }

        impl Schemes {
            /// Makes each ready. Of `before`, what did not change is kept.
            pub(crate) fn new(making: &Making<'_>, before: Option<&Self>) -> Result<Self, NotReady> {
                $(let $name = $name::Ready::new(making, before.map(|before| &before.$name), $(&$needs),*)?;)+
                Ok(Self { $($name),+ })
            }

            fn all(&self) -> Vec<&dyn Mounted> {
                vec![$(&self.$name),+]
            }
        }
    };
}

every_scheme!(schemes);

pub mod configs;

/// What a scheme is made ready with.
pub struct Making<'a> {
    /// What each is told.
    pub configs: &'a Configs,
    /// What lives as long as the process.
    pub shared: &'a Shared,
    /// Dials out as the configuration says.
    pub egress: &'a Egress,
    /// What callers address.
    pub public_url: &'a PublicUrl,
    /// Other origins whose pages may call.
    pub origins: &'a [PublicUrl],
    /// How large a body under a signature may be, in bytes.
    pub max_signed_body: usize,
    /// How long it may take until it is known what became of a request.
    pub longest_delivery: Duration,
    /// Where requests of ours say that we are to be asked.
    pub asked_at: Vec<&'a WebhookUrl>,
    /// Which routes there are, and what proves requests there.
    pub routes: Vec<Taking<'a>>,
}

/// A route, as far as schemes need to know it.
pub struct Taking<'a> {
    /// Its path.
    pub template: &'a Template,
    /// Its methods; `None` for all.
    pub methods: Option<&'a [Method]>,
    /// The schemes that it accepts.
    pub named: SchemeSet,
}

/// A scheme cannot be what its configuration asks: a sentence.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct NotReady(pub String);

/// What a scheme adds to routes and paths.
pub trait Mounted {
    /// Gives a rule its verifier; one that nobody asks for does nothing there.
    fn verify(&self, rule: RuleBuilder, _on: &On<'_>) -> RuleBuilder {
        rule
    }

    /// Its own paths. `rules` makes rules for those that take credentials of other schemes.
    fn endpoints(&self, _rules: &Rules<'_>) -> Vec<Endpoint> {
        Vec::new()
    }
}

/// Makes the rule of a path of ours.
pub type Rules<'a> = dyn Fn(&'static str, Requirement) -> Option<Rule> + 'a;

/// Where a verifier is asked.
pub struct On<'a> {
    /// By which schemes one may pass.
    pub named: SchemeSet,
    /// What the route says of them.
    pub options: RouteOptions,
    /// The route's path; `None`: it is a path of ours.
    pub path: Option<&'a Template>,
}

impl Schemes {
    /// Gives a rule the verifiers of the schemes that it names.
    pub fn verify(&self, rule: RuleBuilder, on: &On<'_>) -> RuleBuilder {
        self.all().into_iter().fold(rule, |rule, scheme| scheme.verify(rule, on))
    }

    /// All paths of ours.
    pub fn endpoints(&self) -> Vec<Endpoint> {
        let rules = |path: &'static str, requirement: Requirement| {
            let on = On { named: requirement.schemes(), options: RouteOptions::default(), path: None };
            self.verify(Rule::requiring(path, requirement), &on).build().ok()
        };
        self.all().into_iter().flat_map(|scheme| scheme.endpoints(&rules)).collect()
    }
}
