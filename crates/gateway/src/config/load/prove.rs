//! `prove = { .. }` of an `[[outbound]]`: one kind of proof, and what belongs to it.

use std::convert::Infallible;

use countersign::schemes::webhook::{Algorithm, UrlRules, WebhookUrl};
use toml::Spanned;

use super::Reader;
use crate::config::file;
use crate::config::{EgressConfig, Prove};
use crate::schemes::proof::{KeyFile, WalletForm};
use crate::settings::Text;

const KINDS: &str = "webhook, key_file, private_key_file, hmac_secret_file, wallet_file and token_file";

impl Reader<'_> {
    pub(super) fn prove(&mut self, written: &Spanned<file::Prove>, egress: &EgressConfig) -> Option<Prove> {
        let prove = written.get_ref();
        let kinds = [
            ("webhook", &prove.webhook),
            ("key_file", &prove.key_file),
            ("private_key_file", &prove.private_key_file),
            ("hmac_secret_file", &prove.hmac_secret_file),
            ("wallet_file", &prove.wallet_file),
            ("token_file", &prove.token_file),
        ];
        let named: Vec<&str> =
            kinds.into_iter().filter(|(_, value)| value.is_some()).map(|(name, _)| name).collect();
        let [kind] = named[..] else {
            let message = match &named[..] {
                [] => format!("`prove` says nothing: name one of {KINDS}"),
                several => format!("`prove` names {}: name one of {KINDS}", several.join(" and ")),
            };
            self.wrong(message, "outbound.prove", Some(written.span()));
            return None;
        };
        let fits = self.belongs(prove, kind);
        let proof = match kind {
            "webhook" => self.webhook_proof(prove, egress),
            _ => self.key_proof(prove, written).map(Prove::Key),
        };
        proof.filter(|_| fits)
    }

    /// Whether all that is said belongs to this kind.
    fn belongs(&mut self, prove: &file::Prove, kind: &str) -> bool {
        let of_keys: &[&str] = &["private_key_file", "hmac_secret_file"];
        let span = |text: &Option<Text>| text.as_ref().map(Spanned::span);
        let mut fits = true;
        for (name, span, kinds) in [
            ("hash", span(&prove.hash), &["webhook"][..]),
            ("scope", span(&prove.scope), &["webhook"]),
            ("bearer", prove.bearer.as_ref().map(Spanned::span), &["key_file"]),
            ("key_id", span(&prove.key_id), of_keys),
            ("form", span(&prove.form), &["wallet_file"]),
            ("password_file", span(&prove.password_file), &["wallet_file"]),
            ("dpop_key_file", span(&prove.dpop_key_file), &["token_file"]),
        ] {
            if span.is_some() && !kinds.contains(&kind) {
                let message = format!("`{name}` goes with {}, not with {kind}", kinds.join(" or "));
                self.wrong(message, &format!("outbound.prove.{name}"), span);
                fits = false;
            }
        }
        fits
    }

    /// Where a key is; the file is read at the start.
    fn key_proof(&mut self, prove: &file::Prove, written: &Spanned<file::Prove>) -> Option<KeyFile> {
        let folder = self.folder.clone();
        let file = |text: &str| Ok::<_, Infallible>(folder.join(text));
        if let Some(file) = self.maybe("outbound.prove.key_file", prove.key_file.as_ref(), file) {
            let bearer = self.said("outbound.prove.bearer", prove.bearer.as_ref());
            return Some(KeyFile::ApiKey { file, bearer });
        }
        if let Some(file) = self.maybe("outbound.prove.wallet_file", prove.wallet_file.as_ref(), file) {
            let form = self.maybe("outbound.prove.form", prove.form.as_ref(), WalletForm::parse);
            let password = prove.password_file.as_ref();
            let password_file = self.maybe("outbound.prove.password_file", password, |text| {
                Ok::<_, Infallible>(folder.join(text))
            });
            return Some(KeyFile::Wallet { file, form: form.unwrap_or_default(), password_file });
        }
        if let Some(file) = self.maybe("outbound.prove.token_file", prove.token_file.as_ref(), file) {
            let key = prove.dpop_key_file.as_ref();
            let dpop_key = self
                .maybe("outbound.prove.dpop_key_file", key, |text| Ok::<_, Infallible>(folder.join(text)));
            return Some(KeyFile::Token { file, dpop_key });
        }
        let private = self.maybe("outbound.prove.private_key_file", prove.private_key_file.as_ref(), file);
        let secret = self.maybe("outbound.prove.hmac_secret_file", prove.hmac_secret_file.as_ref(), file);
        if prove.key_id.is_none() {
            let message = "`key_id` is missing: what does the peer call the key?";
            self.wrong(message, "outbound.prove", Some(written.span()));
        }
        let id = self.maybe("outbound.prove.key_id", prove.key_id.as_ref(), |text| {
            match !text.is_empty() && text.bytes().all(|byte| (b' '..0x7f).contains(&byte)) {
                true => Ok(text.to_owned()),
                false => Err("a key's id is printable ASCII"),
            }
        })?;
        match (private, secret) {
            (Some(file), _) => Some(KeyFile::Private { file, id }),
            (None, file) => Some(KeyFile::Hmac { file: file?, id }),
        }
    }

    fn webhook_proof(&mut self, prove: &file::Prove, egress: &EgressConfig) -> Option<Prove> {
        // Where others ask is for them to dial: any port will do here.
        let rules = UrlRules { ports: (1..=u16::MAX).collect(), ..egress.url_rules() };
        let url = self
            .maybe("outbound.prove.webhook", prove.webhook.as_ref(), |text| WebhookUrl::parse(text, &rules));
        let hash = self.maybe("outbound.prove.hash", prove.hash.as_ref(), |text| match text {
            "bcrypt" => Ok(Algorithm::Bcrypt),
            "sha-256" => Ok(Algorithm::Sha256),
            _ => Err(format!("`{text}` is no hash: write bcrypt or sha-256")),
        });
        let scope = self.maybe("outbound.prove.scope", prove.scope.as_ref(), |text| {
            let plain = |byte: u8| (b' '..0x7f).contains(&byte) && byte != b'"' && byte != b'\\';
            match !text.is_empty() && text.bytes().all(plain) {
                true => Ok(text.to_owned()),
                false => Err("a scope is permissions, separated by spaces"),
            }
        });
        Some(Prove::Webhook { url: url?, hash: hash.unwrap_or(Algorithm::Bcrypt), scope })
    }
}
