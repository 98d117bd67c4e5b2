//! The settings of webhook: who may call.

use std::collections::BTreeMap;
use std::sync::Arc;

use countersign::schemes::webhook::{Callers, UrlRules, WebhookUrl};
use countersign::{Permissions, Scheme};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::settings::scheme::{Around, Configured};
use crate::settings::{Nothing, Reader, Text, Written};

/// The `webhook` scheme: APIs that share no secret.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Section {
    /// Who may call: webhook URLs, or origins, of which only /.well-known/webhook-auth counts.
    #[schemars(extend("x-default" = "nobody"))]
    pub callers: Option<Written<Vec<Text>>>,
    /// Questions at once to one caller that is listed by its whole URL, 4 to 32.
    #[schemars(extend("default" = 4))]
    pub in_flight: Written<usize>,
    /// What callers may do, by their entry in `callers`.
    pub permissions: Option<Written<BTreeMap<String, Vec<String>>>>,
}

/// `[webhook]`, parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Who may call.
    pub callers: Arc<Callers>,
    /// What their URLs may look like.
    pub rules: UrlRules,
}

impl Configured for Config {
    const TABLE: Option<&'static str> = Some("webhook");
    type Section = Section;
    type OnRoute = Nothing;
    type Options = ();

    fn parse(section: &Section, reader: &mut Reader<'_>, around: &Around<'_>) -> Self {
        let rules = around.rules;
        // Listing a URL with a port that is not dialled is a mistake, and no reason not to start.
        let any_port = UrlRules { ports: (1..=u16::MAX).collect(), ..rules.clone() };
        let mut callers = Callers::default();
        if let Some(written) = section.callers.as_ref().filter(|callers| callers.is_empty()) {
            reader.wrong("`callers` is empty: name some, or leave it out for nobody", written.span());
        }
        let listed = section.callers.iter().flat_map(|callers| callers.iter());
        let permissions = section.permissions.iter().flat_map(|permissions| permissions.iter());
        for text in listed.clone() {
            let entry = text.as_str();
            let granted = permissions
                .clone()
                .find(|(of, _)| *of == entry)
                .map(|(_, names)| Permissions::Only(names.iter().map(|name| Arc::from(&**name)).collect()));
            if let Err(error) = callers.add(entry, granted, &any_port) {
                reader.wrong(format!("`{entry}`: {error}"), text.span());
            } else if WebhookUrl::parse(entry, rules).is_err() {
                reader.warnings.push(format!(
                    "webhook.callers lists {entry}, and egress.ports does not list its port: it cannot call"
                ));
            }
        }
        let span = section.permissions.as_ref().map(Written::span).unwrap_or_default();
        for (entry, names) in permissions {
            if !listed.clone().any(|caller| caller.as_str() == entry) {
                let message = format!("webhook.permissions names `{entry}`, which is not among the callers");
                reader.wrong(message, span.clone());
            }
            if names.is_empty() {
                let message = format!("the permissions of `{entry}` are empty: leave it out instead");
                reader.wrong(message, span.clone());
            }
        }
        let in_flight = reader.number(&section.in_flight, 4..=32);
        Self { callers: Arc::new(callers.with_in_flight(in_flight)), rules: rules.clone() }
    }

    fn unmet(&self, taken: &dyn Fn(Scheme) -> bool) -> Vec<String> {
        let warning = "a route accepts webhook, and webhook.callers lists nobody: nobody can call it so";
        let vain = self.callers.is_empty() && taken(Scheme::Webhook);
        vain.then(|| warning.to_owned()).into_iter().collect()
    }
}
