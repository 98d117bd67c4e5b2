//! `prove = { .. }` of an `[[outbound]]`: one kind of proof, and what belongs to it.

use countersign::schemes::webhook::{Algorithm, UrlRules, WebhookUrl};
use countersign_io::key_file::{KeyFile, WalletForm};
use schemars::JsonSchema;
use serde::Deserialize;

use super::egress::EgressConfig;
use crate::settings::{Reader, Text, Truth, Written};

/// `prove = { .. }`: exactly one of `webhook`, `key_file`, `private_key_file`, `hmac_secret_file`, `wallet_file` and `token_file`.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Section {
    /// Our webhook URL: where the peer asks. This gateway answers there if it is under `public_url`.
    pub webhook: Option<Text>,
    /// A file that holds an API key (`cs_…`), which signs. All files are read at the start.
    pub key_file: Option<Text>,
    /// Send the API key as itself instead.
    #[schemars(extend("x-default" = "`false`"))]
    pub bearer: Option<Truth>,
    /// A private key that signs: PEM or a JWK. The peer registered its public half.
    pub private_key_file: Option<Text>,
    /// A file whose bytes are the secret of an HMAC-SHA256, which the peer registered.
    pub hmac_secret_file: Option<Text>,
    /// What the peer calls the private key or the secret.
    pub key_id: Option<Text>,
    /// An Ethereum wallet: a version 3 key file, or the private key in hexadecimal digits.
    pub wallet_file: Option<Text>,
    /// What the wallet makes: `asymmetric`, `erc8128` or `erc8128-untagged`.
    #[schemars(extend("x-default" = "`asymmetric`"))]
    pub form: Option<Text>,
    /// A file that holds the wallet's password.
    pub password_file: Option<Text>,
    /// A file that holds an access token.
    pub token_file: Option<Text>,
    /// The private key that the token is bound to (DPoP): PEM or a JWK.
    pub dpop_key_file: Option<Text>,
    /// How tokens are hashed for a peer that is not known yet: `bcrypt` or `sha-256`.
    #[schemars(extend("x-default" = "`bcrypt`"))]
    pub hash: Option<Text>,
    /// What introduced keys may do, permissions separated by spaces.
    #[schemars(extend("x-default" = "whatever we may"))]
    pub scope: Option<Text>,
}

/// How an outbound's requests are proven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Prove {
    /// By being asked.
    Webhook {
        /// Where.
        url: WebhookUrl,
        /// The hash for peers that are not known yet.
        hash: Algorithm,
        /// What introduced keys may do.
        scope: Option<String>,
    },
    /// By a key of ours.
    Key(KeyFile),
}

const KINDS: &str = "webhook, key_file, private_key_file, hmac_secret_file, wallet_file and token_file";

pub(super) fn read(
    written: &Written<Section>,
    reader: &mut Reader<'_>,
    egress: &EgressConfig,
) -> Option<Prove> {
    let prove: &Section = written;
    let kinds = [
        ("webhook", &prove.webhook),
        ("key_file", &prove.key_file),
        ("private_key_file", &prove.private_key_file),
        ("hmac_secret_file", &prove.hmac_secret_file),
        ("wallet_file", &prove.wallet_file),
        ("token_file", &prove.token_file),
    ];
    let named: Vec<(&str, &Text)> =
        kinds.into_iter().filter_map(|(name, value)| value.as_ref().map(|value| (name, value))).collect();
    let [(kind, value)] = named[..] else {
        let message = match &named[..] {
            [] => format!("`prove` says nothing: name one of {KINDS}"),
            several => {
                let names: Vec<&str> = several.iter().map(|(name, _)| *name).collect();
                format!("`prove` names {}: name one of {KINDS}", names.join(" and "))
            }
        };
        reader.wrong(message, written.span());
        return None;
    };
    let fits = prove.belongs(reader, kind);
    let proof = match kind {
        "webhook" => prove.webhook_proof(reader, value, egress),
        _ => prove.key_proof(reader, kind, value, written).map(Prove::Key),
    };
    proof.filter(|_| fits)
}

impl Section {
    /// Whether all that is said belongs to this kind.
    fn belongs(&self, reader: &mut Reader<'_>, kind: &str) -> bool {
        let of_keys: &[&str] = &["private_key_file", "hmac_secret_file"];
        let span = |text: &Option<Text>| text.as_ref().map(Written::span);
        let mut fits = true;
        for (name, span, kinds) in [
            ("hash", span(&self.hash), &["webhook"][..]),
            ("scope", span(&self.scope), &["webhook"]),
            ("bearer", self.bearer.as_ref().map(Written::span), &["key_file"]),
            ("key_id", span(&self.key_id), of_keys),
            ("form", span(&self.form), &["wallet_file"]),
            ("password_file", span(&self.password_file), &["wallet_file"]),
            ("dpop_key_file", span(&self.dpop_key_file), &["token_file"]),
        ] {
            if let Some(span) = span
                && !kinds.contains(&kind)
            {
                reader.wrong(format!("`{name}` goes with {}, not with {kind}", kinds.join(" or ")), span);
                fits = false;
            }
        }
        fits
    }

    /// Where a key is; the file is read at the start.
    fn key_proof(
        &self,
        reader: &mut Reader<'_>,
        kind: &str,
        value: &Text,
        written: &Written<Self>,
    ) -> Option<KeyFile> {
        let file = reader.file(value);
        let beside = |file: &Option<Text>| file.as_ref().map(|file| reader.file(file));
        match kind {
            "key_file" => {
                return Some(KeyFile::ApiKey {
                    file,
                    bearer: self.bearer.as_ref().is_some_and(|truth| **truth),
                });
            }
            "wallet_file" => {
                let password_file = beside(&self.password_file);
                let form = reader.maybe(self.form.as_ref(), WalletForm::parse);
                return Some(KeyFile::Wallet { file, form: form.unwrap_or_default(), password_file });
            }
            "token_file" => return Some(KeyFile::Token { file, dpop_key: beside(&self.dpop_key_file) }),
            _ => {}
        }
        if self.key_id.is_none() {
            reader.wrong("`key_id` is missing: what does the peer call the key?", written.span());
        }
        let id = reader.maybe(self.key_id.as_ref(), |text| {
            match !text.is_empty() && text.bytes().all(|byte| (b' '..0x7f).contains(&byte)) {
                true => Ok(text.to_owned()),
                false => Err("a key's id is printable ASCII"),
            }
        })?;
        match kind {
            "private_key_file" => Some(KeyFile::Private { file, id }),
            _ => Some(KeyFile::Hmac { file, id }),
        }
    }

    fn webhook_proof(&self, reader: &mut Reader<'_>, url: &Text, egress: &EgressConfig) -> Option<Prove> {
        // Where others ask is for them to dial: any port will do here.
        let rules = UrlRules { ports: (1..=u16::MAX).collect(), ..egress.url_rules() };
        let url = reader.parsed(url, |text| WebhookUrl::parse(text, &rules));
        let hash = reader.maybe(self.hash.as_ref(), |text| match text {
            "bcrypt" => Ok(Algorithm::Bcrypt),
            "sha-256" => Ok(Algorithm::Sha256),
            _ => Err(format!("`{text}` is no hash: write bcrypt or sha-256")),
        });
        let scope = reader.maybe(self.scope.as_ref(), |text| {
            let plain = |byte: u8| (b' '..0x7f).contains(&byte) && byte != b'"' && byte != b'\\';
            match !text.is_empty() && text.bytes().all(plain) {
                true => Ok(text.to_owned()),
                false => Err("a scope is permissions, separated by spaces"),
            }
        });
        Some(Prove::Webhook { url: url?, hash: hash.unwrap_or(Algorithm::Bcrypt), scope })
    }
}
