//! The settings of signature: whose signatures count besides those of registered keys.

use countersign::requirement::SchemeSet;
use countersign::schemes::webhook::WebhookUrl;
use countersign::{PublicUrl, Scheme};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::settings::scheme::{Anybody, Around, Configured, WHAT_MAY_BE_DIALLED, about};
use crate::settings::{Reader, Text, Truth, Written};

/// The `signature` scheme: requests signed one by one.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Section {
    /// Also take signatures by Ethereum wallets (ERC-8128). Anybody can make one: routes then say `require` or `anyone`.
    #[schemars(extend("default" = false))]
    pub wallets: Truth,
    /// Also take signatures by these web bots (Web Bot Auth), `["https://agent.example"]`: they publish their keys.
    pub web_bot_auth: Option<Written<Vec<Text>>>,
}

/// What a route says.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct OnRoute {
    /// Also take signatures without a tag, by registered keys: for clients that cannot tag.
    #[schemars(extend("x-default" = "`false`"))]
    pub untagged: Option<Truth>,
}

/// The same, parsed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Also take signatures without a tag.
    pub untagged: bool,
}

/// `[signature]`, parsed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// Also take signatures by wallets.
    pub wallets: bool,
    /// Also take signatures by these web bots.
    pub web_bot_auth: Vec<PublicUrl>,
}

impl Configured for Config {
    const TABLE: Option<&'static str> = Some("signature");
    type Section = Section;
    type OnRoute = OnRoute;
    type Options = Options;

    fn parse(section: &Section, reader: &mut Reader<'_>, around: &Around<'_>) -> Self {
        if let Some(written) = section.web_bot_auth.as_ref().filter(|agents| agents.is_empty()) {
            let message = "`web_bot_auth` is empty: name some agents, or leave it out for none";
            reader.wrong(message, written.span());
        }
        let mut web_bot_auth = Vec::new();
        for text in section.web_bot_auth.iter().flat_map(|agents| agents.iter()) {
            let Some(agent) = reader.parsed(text, PublicUrl::parse) else { continue };
            // Its keys are to be had, so it must be somebody whom we may ask.
            if WebhookUrl::parse(&agent.to_string(), around.rules).is_err() {
                let message = format!("{agent} cannot be asked for its keys");
                reader.wrong_with(message, text.span(), WHAT_MAY_BE_DIALLED);
            }
            web_bot_auth.push(agent);
        }
        Self { wallets: *section.wallets, web_bot_auth }
    }

    fn on_route(&self, written: &OnRoute, reader: &mut Reader<'_>, accepted: Option<SchemeSet>) -> Options {
        about(
            reader,
            "untagged",
            written.untagged.as_ref(),
            Scheme::Signature,
            accepted.map(takes_signatures),
        );
        Options { untagged: written.untagged.as_ref().is_some_and(|truth| **truth) }
    }

    fn anybody(&self, accepted: SchemeSet) -> Option<Anybody> {
        (self.wallets && takes_signatures(accepted)).then_some(Anybody::WALLET)
    }

    /// Their signatures stand for no API key.
    fn unmet(&self, taken: &dyn Fn(Scheme) -> bool) -> Vec<String> {
        if taken(Scheme::Signature) {
            return Vec::new();
        }
        let said = [
            (self.wallets, "signature.wallets lets wallets in"),
            (!self.web_bot_auth.is_empty(), "signature.web_bot_auth lists agents"),
        ];
        let said = said.into_iter().filter(|(said, _)| *said);
        said.map(|(_, who)| format!("{who}, and no route accepts signature: nobody can call so")).collect()
    }
}

/// API keys sign too.
fn takes_signatures(accepted: SchemeSet) -> bool {
    accepted.contains(Scheme::Signature) || accepted.contains(Scheme::ApiKey)
}
