//! `[issuer]`: who may ask for tokens, and how long those live.

use std::collections::BTreeSet;
use std::ops::{Range, RangeInclusive};
use std::time::Duration;

use countersign::KeyId;
use countersign::crypto::ethereum::Address;
use countersign::issuer::{LONGEST_REFRESH, Wallets};
use serde::Deserialize as _;
use toml::{Spanned, Value};

use super::Reader;
use crate::config::ServerConfig;
use crate::schemes::issuer::config::{ClientConfig, ClientSection, Config, Section};
use crate::settings::Text;
use crate::settings::quantities::parse_duration;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

impl Reader<'_> {
    /// What `[issuer]` says; `None` while it is off.
    pub(super) fn issuer(&mut self, issuer: &Section, server: Option<&ServerConfig>) -> Option<Config> {
        let enabled = self.said("issuer.enabled", issuer.enabled.as_ref());
        let clients = self.issuer_clients(&issuer.clients);
        let wallets = self.wallets(issuer.wallets.as_ref());
        let access = self.between("issuer.access_ttl", issuer.access_ttl.as_ref(), "5m", 10 * SECOND..=HOUR);
        let refresh =
            self.between("issuer.refresh_ttl", issuer.refresh_ttl.as_ref(), "30d", MINUTE..=LONGEST_REFRESH);
        let rotate =
            self.between("issuer.rotate_every", issuer.rotate_every.as_ref(), "30d", HOUR..=365 * DAY);
        let publish = self.between(
            "issuer.publish_before",
            issuer.publish_before.as_ref(),
            "1h",
            10 * SECOND..=7 * DAY,
        );
        if let (Some(rotate), Some(publish)) = (rotate, publish)
            && publish >= rotate
        {
            let message = "a key is published for a shorter time before it signs than it signs";
            self.wrong(message, "issuer.publish_before", issuer.publish_before.as_ref().map(Spanned::span));
        }
        let dpop_nonces = self.dpop_nonces("issuer.dpop_nonces", issuer.dpop_nonces.as_ref());
        let own = server.map(|server| server.public_url.to_string()).unwrap_or_default();
        let audience = self.parsed("issuer.audience", issuer.audience.as_ref(), &own, |text| match text {
            "" => Err("an audience has a name".to_owned()),
            _ => Ok(text.to_owned()),
        });
        if !enabled {
            return None;
        }
        if wallets == Some(Wallets::Any) {
            self.warnings.push(
                "issuer.wallets = \"any\" gives tokens to whoever makes a wallet, which anybody can: \
                 they are worth what `subject set` and routes with `anyone` give them"
                    .to_owned(),
            );
        }
        if clients.is_empty() && wallets.as_ref().is_none_or(is_nobody) {
            self.warnings.push(
                "issuer.enabled, and neither issuer.clients nor issuer.wallets lists anybody: nobody gets a token"
                    .to_owned(),
            );
        }
        Some(Config {
            audience: audience?,
            clients,
            wallets: wallets?,
            access_life: access?,
            refresh_life: refresh?,
            rotate_every: rotate?,
            publish_before: publish?,
            dpop_nonces,
        })
    }

    fn between(
        &mut self,
        path: &str,
        written: Option<&Text>,
        default: &str,
        bounds: RangeInclusive<Duration>,
    ) -> Option<Duration> {
        self.parsed(path, written, default, |text| match parse_duration(text)? {
            life if bounds.contains(&life) => Ok(life),
            _ => Err(format!("{path} is from {:?} to {:?}", bounds.start(), bounds.end())),
        })
    }

    fn issuer_clients(&mut self, written: &[Spanned<Value>]) -> Vec<ClientConfig> {
        let mut clients: Vec<ClientConfig> = Vec::new();
        for entry in written {
            let client = match entry.get_ref() {
                Value::String(id) => {
                    self.show("issuer.clients", id, Some(entry.span()));
                    let what = "a client is the id of a registered public key, 12 letters and digits, or a table { id, public_key_file }";
                    KeyId::parse(id).map(ClientConfig::Registered).ok_or_else(|| format!("`{id}`: {what}"))
                }
                table => self.described(table, entry.span()),
            };
            match client {
                Ok(client) if clients.iter().any(|other| id_of(other) == id_of(&client)) => {
                    let message = format!("there are two clients `{}`", id_of(&client));
                    self.wrong(message, "issuer.clients", Some(entry.span()));
                }
                Ok(client) => clients.push(client),
                Err(why) => self.wrong(why, "issuer.clients", Some(entry.span())),
            }
        }
        clients
    }

    fn described(&mut self, table: &Value, span: Range<usize>) -> Result<ClientConfig, String> {
        let client = ClientSection::deserialize(table.clone()).map_err(|error| error.message().to_owned())?;
        self.show("issuer.clients", &client.id, Some(span));
        let key_file = match (client.public_key_file, client.jwks_file) {
            (Some(_), Some(_)) => {
                return Err("a client has public_key_file or jwks_file, not both".to_owned());
            }
            (one, other) => one.or(other).map(|file| self.file_path(&file)),
        };
        if client.scopes.as_ref().is_some_and(Vec::is_empty) {
            return Err("`scopes` is empty: name some, or leave it out".to_owned());
        }
        Ok(ClientConfig::Described { id: client.id, key_file, scopes: client.scopes })
    }

    fn wallets(&mut self, written: Option<&Spanned<Value>>) -> Option<Wallets> {
        let Some(written) = written else { return Some(Wallets::Listed(BTreeSet::new())) };
        let entries = match written.get_ref() {
            Value::String(any) if any == "any" => {
                self.show("issuer.wallets", any, Some(written.span()));
                return Some(Wallets::Any);
            }
            // Nobody, said aloud.
            Value::Array(entries) => entries,
            _ => {
                let message = "wallets are a list of addresses, or \"any\"";
                self.wrong(message, "issuer.wallets", Some(written.span()));
                return None;
            }
        };
        let mut listed = BTreeSet::new();
        for entry in entries {
            let text = entry.as_str().unwrap_or_default();
            self.show("issuer.wallets", text, Some(written.span()));
            match Address::parse(text) {
                Ok(address) => drop(listed.insert(address)),
                Err(error) => {
                    self.wrong(format!("`{text}`: {error}"), "issuer.wallets", Some(written.span()));
                }
            }
        }
        Some(Wallets::Listed(listed))
    }
}

fn is_nobody(wallets: &Wallets) -> bool {
    matches!(wallets, Wallets::Listed(listed) if listed.is_empty())
}

fn id_of(client: &ClientConfig) -> &str {
    match client {
        ClientConfig::Registered(id) => id.as_str(),
        ClientConfig::Described { id, .. } => id,
    }
}
