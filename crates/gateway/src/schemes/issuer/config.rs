//! The settings of the issuer: who may ask for tokens, and how long those live.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use countersign::crypto::ethereum::Address;
use countersign::dpop::NoncePolicy;
use countersign::issuer::{LONGEST_REFRESH, Wallets};
use countersign::{KeyId, PublicUrl};
use schemars::JsonSchema;
use serde::Deserialize;
use toml::Value;

use crate::settings::declared::schema_of;
use crate::settings::scheme::{Around, Configured};
use crate::settings::{Nothing, Reader, Text, Truth, Written};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

/// The issuer of tokens for signed messages.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Section {
    /// Serve /oauth/* and the discovery documents.
    #[schemars(extend("default" = false))]
    pub enabled: Truth,
    /// What access tokens are for: their `aud`.
    #[schemars(extend("x-default" = "`public_url`"))]
    pub audience: Option<Text>,
    /// Who may ask for tokens: ids of registered public keys (`key add --public`), or tables.
    #[schemars(
        with = "Option<Vec<serde_json::Value>>",
        extend("items" = { "anyOf": [{ "type": "string" }, schema_of::<ClientSection>()] }, "x-default" = "nobody")
    )]
    pub clients: Option<Vec<Written<Value>>>,
    /// Which wallets may sign in (EIP-4361): addresses, or `"any"` for whoever makes one.
    #[schemars(
        with = "Option<serde_json::Value>",
        extend(
            "anyOf" = [
                { "type": "string", "const": "any" },
                { "type": "array", "items": { "type": "string" } },
            ],
            "x-default" = "nobody"
        )
    )]
    pub wallets: Option<Written<Value>>,
    /// How long access and ID tokens live, 10s to 1h.
    #[schemars(extend("default" = "5m"))]
    pub access_ttl: Text,
    /// How long refresh tokens may follow each other, 1m to 365d.
    #[schemars(extend("default" = "30d"))]
    pub refresh_ttl: Text,
    /// How long a signing key signs, 1h to 365d.
    #[schemars(extend("default" = "30d"))]
    pub rotate_every: Text,
    /// How long before that it is among the public keys, 10s to 7d.
    #[schemars(extend("default" = "1h"))]
    pub publish_before: Text,
    /// `accepted`, or `required`: then every DPoP proof here has a nonce of ours.
    #[schemars(extend("default" = "accepted"))]
    pub dpop_nonces: Text,
}

/// A client that the file describes: `{ id = "shop", public_key_file = "shop.pem" }`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClientSection {
    /// What it calls itself.
    pub id: String,
    /// Its public key: PEM or a JWK.
    pub public_key_file: Option<String>,
    /// Its public keys, as a JWK set.
    pub jwks_file: Option<String>,
    /// What it may ask for; without it, what `subject set` grants.
    pub scopes: Option<Vec<String>>,
}

/// `[issuer]`, parsed; `None` while it is off.
pub type Config = Option<Issuing>;

/// The issuer, while it is enabled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuing {
    /// What access tokens are for.
    pub audience: String,
    /// Who may ask.
    pub clients: Vec<ClientConfig>,
    /// Which wallets may sign in.
    pub wallets: Wallets,
    /// How long access and ID tokens live.
    pub access_life: Duration,
    /// How long a family of refresh tokens lives.
    pub refresh_life: Duration,
    /// How long a signing key signs.
    pub rotate_every: Duration,
    /// How long before that it is published.
    pub publish_before: Duration,
    /// Whether DPoP proofs need a nonce.
    pub dpop_nonces: NoncePolicy,
}

/// A client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientConfig {
    /// A registered public key.
    Registered(KeyId),
    /// One that the configuration describes.
    Described {
        /// What it calls itself.
        id: String,
        /// Where its public keys are; `None`: it has none, and only wallets sign in by it.
        key_file: Option<PathBuf>,
        /// What it may ask for.
        scopes: Option<Vec<String>>,
    },
}

impl Section {
    /// What tokens are for, while there are any.
    #[must_use]
    pub fn own_audience(&self, public_url: Option<&PublicUrl>) -> Option<String> {
        let own = self
            .audience
            .as_ref()
            .map(|text| text.to_string())
            .or_else(|| public_url.map(ToString::to_string));
        own.filter(|_| *self.enabled)
    }
}

impl Configured for Config {
    const TABLE: Option<&'static str> = Some("issuer");
    type Section = Section;
    type OnRoute = Nothing;
    type Options = ();

    fn parse(section: &Section, reader: &mut Reader<'_>, around: &Around<'_>) -> Self {
        let clients = clients(section.clients.as_deref().unwrap_or_default(), reader);
        let wallets = wallets(section.wallets.as_ref(), reader);
        let access = reader.between(&section.access_ttl, 10 * SECOND..=HOUR);
        let refresh = reader.between(&section.refresh_ttl, MINUTE..=LONGEST_REFRESH);
        let rotate = reader.between(&section.rotate_every, HOUR..=365 * DAY);
        let publish = reader.between(&section.publish_before, 10 * SECOND..=7 * DAY);
        if let (Some(rotate), Some(publish)) = (rotate, publish)
            && publish >= rotate
        {
            let message = "a key is published for a shorter time before it signs than it signs";
            reader.wrong(message, section.publish_before.span());
        }
        let dpop_nonces = reader.dpop_nonces(&section.dpop_nonces);
        let audience = match &section.audience {
            Some(text) => reader.parsed(text, |text| match text {
                "" => Err("an audience has a name"),
                _ => Ok(text.to_owned()),
            }),
            None => {
                let own = around.public_url.map(ToString::to_string);
                if let Some(own) = &own {
                    reader.comes_to("issuer.audience", own);
                }
                own
            }
        };
        if !*section.enabled {
            return None;
        }
        if wallets == Some(Wallets::Any) {
            reader.warnings.push(
                "issuer.wallets = \"any\" gives tokens to whoever makes a wallet, which anybody can: \
                 they are worth what `subject set` and routes with `anyone` give them"
                    .to_owned(),
            );
        }
        if clients.is_empty() && wallets.as_ref().is_none_or(is_nobody) {
            reader.warnings.push(
                "issuer.enabled, and neither issuer.clients nor issuer.wallets lists anybody: nobody gets a token"
                    .to_owned(),
            );
        }
        Some(Issuing {
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
}

fn clients(written: &[Written<Value>], reader: &mut Reader<'_>) -> Vec<ClientConfig> {
    let mut clients: Vec<ClientConfig> = Vec::new();
    for entry in written {
        let client = match &**entry {
            Value::String(id) => {
                let what = "a client is the id of a registered public key, 12 letters and digits, or a table { id, public_key_file }";
                KeyId::parse(id).map(ClientConfig::Registered).ok_or_else(|| format!("`{id}`: {what}"))
            }
            table => described(table, reader),
        };
        match client {
            Ok(client) if clients.iter().any(|other| id_of(other) == id_of(&client)) => {
                reader.wrong(format!("there are two clients `{}`", id_of(&client)), entry.span());
            }
            Ok(client) => clients.push(client),
            Err(why) => reader.wrong(why, entry.span()),
        }
    }
    clients
}

fn described(table: &Value, reader: &Reader<'_>) -> Result<ClientConfig, String> {
    if !table.is_table() {
        return Err(format!("a client is an id or a table, and no {}", table.type_str()));
    }
    let client = ClientSection::deserialize(table.clone()).map_err(|error| error.message().to_owned())?;
    let key_file = match (client.public_key_file, client.jwks_file) {
        (Some(_), Some(_)) => return Err("a client has public_key_file or jwks_file, not both".to_owned()),
        (one, other) => one.or(other).map(|file| reader.file(&file)),
    };
    if client.scopes.as_ref().is_some_and(Vec::is_empty) {
        return Err("`scopes` is empty: name some, or leave it out".to_owned());
    }
    Ok(ClientConfig::Described { id: client.id, key_file, scopes: client.scopes })
}

fn wallets(written: Option<&Written<Value>>, reader: &mut Reader<'_>) -> Option<Wallets> {
    let Some(written) = written else { return Some(Wallets::Listed(BTreeSet::new())) };
    let entries = match &**written {
        Value::String(any) if any == "any" => return Some(Wallets::Any),
        // Nobody, said aloud.
        Value::Array(entries) => entries,
        _ => {
            reader.wrong("wallets are a list of addresses, or \"any\"", written.span());
            return None;
        }
    };
    let mut listed = BTreeSet::new();
    for entry in entries {
        let text = entry.as_str().unwrap_or_default();
        match Address::parse(text) {
            Ok(address) => drop(listed.insert(address)),
            Err(error) => reader.wrong(format!("`{text}`: {error}"), written.span()),
        }
    }
    Some(Wallets::Listed(listed))
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
