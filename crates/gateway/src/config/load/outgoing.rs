//! `[egress]`, `[webhook]`, `[signature]` and `[[outbound]]`: whom we ask, who may ask us to, and for whom we speak.

use std::sync::Arc;

use countersign::schemes::webhook::{Callers, UrlRules, WebhookUrl};
use countersign::{Permissions, PublicUrl};
use countersign_io::egress::Network;
use toml::Spanned;

use super::Reader;
use super::routes::is_one_of;
use crate::config::file;
use crate::config::{EgressConfig, OutboundConfig, OutboundListen, ServerConfig};
use crate::schemes::signature::config as signature;
use crate::schemes::webhook::config as webhook;
use crate::settings::diagnostics::Problem;
use crate::settings::quantities::parse_duration;

impl Reader<'_> {
    pub(super) fn egress(&mut self, egress: &file::Egress) -> EgressConfig {
        let ports = match &egress.ports {
            None => vec![443],
            Some(ports) => {
                if ports.get_ref().is_empty() || ports.get_ref().contains(&0) {
                    let message = "egress.ports names at least one port, and not port 0";
                    self.wrong(message, "egress.ports", Some(ports.span()));
                }
                ports.get_ref().clone()
            }
        };
        let shown: Vec<String> = ports.iter().map(u16::to_string).collect();
        self.show("egress.ports", shown.join(", "), egress.ports.as_ref().map(Spanned::span));
        let folder = self.folder.clone();
        let ca_file =
            self.maybe("egress.ca_file", egress.ca_file.as_ref(), |text| Ok::<_, String>(folder.join(text)));
        let mut allow_private = Vec::new();
        for text in &egress.allow_private {
            allow_private.extend(self.parsed("egress.allow_private", Some(text), "", str::parse::<Network>));
        }
        if let [network, ..] = &egress.allow_private[..] {
            self.warnings.push(format!(
                "egress.allow_private lets outgoing calls reach {} and what else it lists: for labs and \
                 for hosts inside your own network",
                network.get_ref()
            ));
        }
        let allow_http_loopback =
            self.said("egress.allow_http_loopback", egress.allow_http_loopback.as_ref());
        if allow_http_loopback {
            let warning =
                "egress.allow_http_loopback accepts plain HTTP on loopback, on any port: for labs alone";
            self.warnings.push(warning.to_owned());
        }
        let idle_timeout =
            self.parsed("egress.idle_timeout", egress.idle_timeout.as_ref(), "1500ms", parse_duration);
        // What cannot be read is a problem already.
        let idle_timeout = idle_timeout.unwrap_or_default();
        EgressConfig { ports, ca_file, allow_private, allow_http_loopback, idle_timeout }
    }

    pub(super) fn webhook(&mut self, webhook: &webhook::Section, egress: &EgressConfig) -> webhook::Config {
        let rules = egress.url_rules();
        // Listing a URL with a port that is not dialled is a mistake, and no reason not to start.
        let any_port = UrlRules { ports: (1..=u16::MAX).collect(), ..rules.clone() };
        let mut callers = Callers::default();
        let written = webhook.callers.as_ref();
        if written.is_some_and(|callers| callers.get_ref().is_empty()) {
            let message = "`callers` is empty: name some, or leave it out for nobody";
            self.wrong(message, "webhook.callers", written.map(Spanned::span));
        }
        for text in written.into_iter().flat_map(Spanned::get_ref) {
            let entry = text.get_ref();
            self.show("webhook.callers", entry, Some(text.span()));
            let granted = webhook
                .permissions
                .get(entry)
                .map(|names| Permissions::Only(names.iter().map(|name| Arc::from(name.as_str())).collect()));
            if let Err(error) = callers.add(entry, granted, &any_port) {
                self.wrong(format!("`{entry}`: {error}"), "webhook.callers", Some(text.span()));
            } else if WebhookUrl::parse(entry, &rules).is_err() {
                self.warnings.push(format!(
                    "webhook.callers lists {entry}, and egress.ports does not list its port: it cannot call"
                ));
            }
        }
        for (entry, names) in &webhook.permissions {
            let listed = written.into_iter().flat_map(Spanned::get_ref);
            if !listed.into_iter().any(|caller| caller.get_ref() == entry) {
                let message = format!("webhook.permissions names `{entry}`, which is not among the callers");
                self.wrong(message, "webhook.permissions", written.map(Spanned::span));
            }
            if names.is_empty() {
                let message = format!("the permissions of `{entry}` are empty: leave it out instead");
                self.wrong(message, "webhook.permissions", written.map(Spanned::span));
            }
        }
        let in_flight = self.number("webhook.in_flight", webhook.in_flight.as_ref(), 4, 4..=32);
        webhook::Config { callers: Arc::new(callers.with_in_flight(in_flight)), rules }
    }

    pub(super) fn signature(
        &mut self,
        signature: &signature::Section,
        egress: &EgressConfig,
    ) -> signature::Config {
        let wallets = self.said("signature.wallets", signature.wallets.as_ref());
        let written = signature.web_bot_auth.as_ref();
        if written.is_some_and(|agents| agents.get_ref().is_empty()) {
            let message = "`web_bot_auth` is empty: name some agents, or leave it out for none";
            self.wrong(message, "signature.web_bot_auth", written.map(Spanned::span));
        }
        let mut web_bot_auth = Vec::new();
        for text in written.into_iter().flat_map(Spanned::get_ref) {
            let agent = self.parsed("signature.web_bot_auth", Some(text), "", PublicUrl::parse);
            let Some(agent) = agent else { continue };
            // Its keys are to be had, so it must be somebody whom we may ask.
            if WebhookUrl::parse(&agent.to_string(), &egress.url_rules()).is_ok() {
                web_bot_auth.push(agent);
                continue;
            }
            let origin = self.origin("signature.web_bot_auth", Some(text.span()));
            let problem = Problem::new(format!("{agent} cannot be asked for its keys"), origin);
            self.problems.push(problem.help("egress.ports lists the ports that https may use; allow_http_loopback allows plain HTTP on loopback"));
        }
        signature::Config { wallets, web_bot_auth }
    }

    pub(super) fn outbounds(
        &mut self,
        written: &[Spanned<file::Outbound>],
        server: Option<&ServerConfig>,
        egress: &EgressConfig,
    ) -> Vec<OutboundConfig> {
        let mut outbounds: Vec<OutboundConfig> = Vec::new();
        for outbound in written {
            let span = outbound.get_ref().listen.span();
            let Some(outbound) = self.outbound(outbound.get_ref(), server, egress) else { continue };
            if outbounds.iter().any(|other| other.listen == outbound.listen && !other.listen.is_any_port()) {
                self.wrong("another [[outbound]] listens there", "outbound.listen", Some(span));
            }
            outbounds.push(outbound);
        }
        outbounds
    }

    fn outbound(
        &mut self,
        outbound: &file::Outbound,
        server: Option<&ServerConfig>,
        egress: &EgressConfig,
    ) -> Option<OutboundConfig> {
        let folder = self.folder.clone();
        let listen = self.parsed("outbound.listen", Some(&outbound.listen), "", |text| {
            OutboundListen::parse(text, &folder)
        });
        let target = self.parsed("outbound.target", Some(&outbound.target), "", PublicUrl::parse);
        if let (Some(OutboundListen::Tcp(listen)), Some(server)) = (&listen, server)
            && listen.port() != 0
            && (*listen == server.listen || Some(*listen) == server.admin_listen)
        {
            let span = Some(outbound.listen.span());
            self.wrong("this is one of our other listeners", "outbound.listen", span);
        }
        if let (Some(target), Some(server)) = (&target, server)
            && is_one_of(target.authority(), target.default_port(), server)
        {
            let message = "the target is one of our own listeners";
            self.wrong(message, "outbound.target", Some(outbound.target.span()));
        }
        if let Some(target) = &target
            && let Err(error) = WebhookUrl::parse(&target.to_string(), &egress.url_rules())
        {
            let origin = self.origin("outbound.target", Some(outbound.target.span()));
            let problem = Problem::new(format!("the target cannot be called: {error}"), origin);
            self.problems.push(problem.help("egress.ports lists the ports that https may use; allow_http_loopback allows plain HTTP on loopback"));
        }
        let prove = self.prove(&outbound.prove, egress);
        Some(OutboundConfig { listen: listen?, target: target?, prove: prove? })
    }
}
