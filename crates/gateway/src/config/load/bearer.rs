//! `[bearer]` and `[[bearer.issuer]]`: whose tokens are taken, and what for.

use std::sync::Arc;

use countersign::claim_path::ClaimPath;
use countersign::crypto::jwt::is_same_type;
use countersign::schemes::bearer::{FOREIGN_TYPES, IssuerTerms, LONGEST_TOKEN};
use http::Uri;
use toml::Spanned;

use super::Reader;
use crate::config::{EgressConfig, ServerConfig};
use crate::schemes::bearer::config::{Config, IssuerSection, KeysFrom, ListedIssuer, Section};
use crate::schemes::issuer::config as issuer;
use crate::settings::Text;
use crate::settings::quantities::parse_size;

impl Reader<'_> {
    /// `own`: our own issuer, if it is enabled.
    pub(super) fn bearer(
        &mut self,
        bearer: &Section,
        server: Option<&ServerConfig>,
        egress: &EgressConfig,
        own: Option<&issuer::Config>,
        max_head: Option<usize>,
    ) -> Config {
        let dpop_nonces = self.dpop_nonces("bearer.dpop_nonces", bearer.dpop_nonces.as_ref());
        let max_token = self.max_token(bearer.max_token.as_ref(), max_head);
        let mut issuers: Vec<ListedIssuer> = Vec::new();
        for written in &bearer.issuer {
            let span = written.get_ref().issuer.span();
            let Some(listed) = self.listed_issuer(written.get_ref(), server, egress, own) else {
                continue;
            };
            if issuers.iter().any(|other| other.terms.issuer == listed.terms.issuer) {
                let message = "another [[bearer.issuer]] has this issuer: name several audiences in one";
                self.wrong(message, "bearer.issuer.issuer", Some(span));
            }
            issuers.push(listed);
        }
        Config { dpop_nonces, max_token, issuers }
    }

    fn max_token(&mut self, written: Option<&Text>, max_head: Option<usize>) -> usize {
        let size = self.parsed("bearer.max_token", written, "16KiB", |text| match parse_size(text)? {
            size if (1024..=1024 * 1024).contains(&size) => Ok(size),
            _ => Err("bearer.max_token is from 1KiB to 1MiB".to_owned()),
        });
        let size = size.unwrap_or(LONGEST_TOKEN);
        if let (Some(written), Some(max_head)) = (written, max_head)
            && size >= max_head
        {
            let message = format!("limits.max_head, {max_head} bytes, lets no such token in: raise it too");
            self.wrong(message, "bearer.max_token", Some(written.span()));
        }
        size
    }

    fn listed_issuer(
        &mut self,
        written: &IssuerSection,
        server: Option<&ServerConfig>,
        egress: &EgressConfig,
        own: Option<&issuer::Config>,
    ) -> Option<ListedIssuer> {
        let has_keys = [&written.jwks_uri, &written.jwks_file, &written.hmac_secret_file];
        let has_keys = has_keys.into_iter().any(Option::is_some);
        let issuer = self.parsed("bearer.issuer.issuer", Some(&written.issuer), "", |text| match has_keys {
            true => parse_name(text),
            false => parse_url(text).map(|_| text.to_owned()).map_err(|why| {
                format!("{why}, or say where its keys are: jwks_file, jwks_uri or hmac_secret_file")
            }),
        });
        let issuer = issuer?;
        let ours = server.is_some_and(|server| server.public_url.to_string() == issuer);
        let audiences = self.audiences(written, own.filter(|_| ours));
        let keys = self.keys_from(written, &issuer, ours, egress);
        if ours && own.is_none() {
            let message = "this is our own public_url, and issuer.enabled is not true";
            self.wrong(message, "bearer.issuer.issuer", Some(written.issuer.span()));
        }
        let mut terms = IssuerTerms::new(issuer, "");
        terms.audiences = audiences;
        let (path, claim) = ("bearer.issuer.audience_claim", written.audience_claim.as_ref());
        terms.audience_claim = self.maybe(path, claim, str::parse::<ClaimPath>);
        if let Some(types) = &written.types {
            self.types(types);
            terms.types.clone_from(types.get_ref());
        }
        terms.id_tokens = self.said("bearer.issuer.id_tokens", written.id_tokens.as_ref());
        terms.names_keys = self.said("bearer.issuer.names_keys", written.names_keys.as_ref());
        let (path, claim) = ("bearer.issuer.permissions_claim", written.permissions_claim.as_ref());
        terms.permissions_claim = self.maybe(path, claim, str::parse::<ClaimPath>);
        if let Some(map) = &written.permissions {
            let shown: Vec<&str> = map.get_ref().keys().map(String::as_str).collect();
            self.show("bearer.issuer.permissions", shown.join(", "), Some(map.span()));
            let granted = |names: &Vec<String>| names.iter().map(|name| Arc::from(name.as_str())).collect();
            let map = map.get_ref().iter().map(|(value, names)| (value.clone(), granted(names)));
            terms.permissions = Some(map.collect());
        }
        Some(ListedIssuer { terms, keys: keys? })
    }

    fn audiences(&mut self, written: &IssuerSection, own: Option<&issuer::Config>) -> Vec<String> {
        let audiences = match (&written.audience, own) {
            (Some(audiences), _) => audiences.get_ref().to_list(),
            (None, Some(own)) => vec![own.audience.clone()],
            (None, None) => Vec::new(),
        };
        let span = written.audience.as_ref().map(Spanned::span);
        self.show("bearer.issuer.audience", audiences.join(", "), span.clone());
        if audiences.is_empty() || audiences.iter().any(String::is_empty) {
            let message = "an issuer makes tokens for others too: name the audience that means us";
            self.wrong(message, "bearer.issuer.audience", span.or(Some(written.issuer.span())));
        }
        audiences
    }

    fn keys_from(
        &mut self,
        written: &IssuerSection,
        issuer: &str,
        ours: bool,
        egress: &EgressConfig,
    ) -> Option<KeysFrom> {
        let said = [&written.jwks_uri, &written.jwks_file, &written.hmac_secret_file];
        let said: Vec<&Text> = said.into_iter().flatten().collect();
        if let [_, other, ..] = &said[..] {
            let message = "an issuer's keys come from one place: jwks_uri, jwks_file or hmac_secret_file";
            self.wrong(message, "bearer.issuer", Some(other.span()));
        }
        if ours {
            if let [one, ..] = &said[..] {
                let message = "our own keys are read in this process";
                self.wrong(message, "bearer.issuer", Some(one.span()));
            }
            return Some(KeysFrom::Ourselves);
        }
        if let Some(file) = &written.jwks_file {
            self.show("bearer.issuer.jwks_file", file.get_ref(), Some(file.span()));
            return Some(KeysFrom::File(self.file_path(file.get_ref())));
        }
        if let Some(file) = &written.hmac_secret_file {
            self.show("bearer.issuer.hmac_secret_file", file.get_ref(), Some(file.span()));
            return Some(KeysFrom::Secret(self.file_path(file.get_ref())));
        }
        let url = self.maybe("bearer.issuer.jwks_uri", written.jwks_uri.as_ref(), parse_url);
        let (asked, span) = match (&url, &written.jwks_uri) {
            (Some(url), Some(text)) => (url.clone(), text.span()),
            (None, Some(_)) => return None,
            _ => (parse_url(issuer).ok()?, written.issuer.span()),
        };
        // Its keys are to be had, so it must be somebody whom we may ask.
        if !may_be_asked(&asked, egress) {
            let message =
                format!("{asked} cannot be asked for keys: https on a port that egress.ports lists");
            self.wrong(message, "bearer.issuer", Some(span));
        }
        Some(url.map_or(KeysFrom::Discovery, KeysFrom::Url))
    }

    fn types(&mut self, types: &Spanned<Vec<String>>) {
        self.show("bearer.issuer.types", types.get_ref().join(", "), Some(types.span()));
        if types.get_ref().is_empty() {
            let message = "`types` is empty: name some, or leave it out for at+jwt";
            self.wrong(message, "bearer.issuer.types", Some(types.span()));
        }
        let foreign = |typ: &&String| FOREIGN_TYPES.iter().any(|foreign| is_same_type(foreign, typ));
        if let Some(typ) = types.get_ref().iter().find(foreign) {
            let message = format!("`{typ}` is the type of something else than access tokens");
            self.wrong(message, "bearer.issuer.types", Some(types.span()));
        }
    }
}

/// What an issuer calls itself whose keys need no looking for: `accounts.google.com`, `https://login.example/{tid}`.
/// A subject is `<issuer>#<sub>` in a header.
fn parse_name(text: &str) -> Result<String, String> {
    match text.len() {
        1..=255 if text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#') => Ok(text.to_owned()),
        _ => Err(format!("`{text}` is no issuer: 1 to 255 visible characters of ASCII, without #")),
    }
}

/// An absolute URL, `https` or `http`, without user information, query and fragment.
fn parse_url(text: &str) -> Result<Uri, String> {
    let wrong = || format!("`{text}` is no URL of an issuer: write https://host[:port][/path]");
    let url: Uri = text.parse().map_err(|_| wrong())?;
    let plain = !text.contains('#') && url.query().is_none();
    match (url.scheme_str(), url.authority()) {
        (Some("https" | "http"), Some(authority)) if plain && !authority.as_str().contains('@') => Ok(url),
        _ => Err(wrong()),
    }
}

fn may_be_asked(url: &Uri, egress: &EgressConfig) -> bool {
    match url.scheme_str() {
        Some("https") => egress.ports.contains(&url.port_u16().unwrap_or(443)),
        _ => egress.allow_http_loopback,
    }
}
