//! The settings of bearer: whose access tokens are taken, and what for.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use countersign::Scheme;
use countersign::claim_path::ClaimPath;
use countersign::crypto::jwt::is_same_type;
use countersign::dpop::NoncePolicy;
use countersign::schemes::bearer::{FOREIGN_TYPES, IssuerTerms, LONGEST_TOKEN};
use countersign::schemes::webhook::UrlRules;
use http::Uri;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::settings::scheme::{Around, Configured};
use crate::settings::{Nothing, Reader, Text, Truth, Written};

/// The `bearer` scheme: access tokens of listed issuers.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Section {
    /// `accepted`, or `required`: then every DPoP proof has a nonce of ours.
    #[schemars(extend("default" = "accepted"))]
    pub dpop_nonces: Text,
    /// The longest token that is read, 1KiB to 1MiB; the whole head has `limits.max_head`.
    #[schemars(extend("default" = "16KiB"))]
    pub max_token: Text,
    /// Whose tokens are taken.
    #[schemars(extend("default" = []))]
    pub issuer: Vec<IssuerSection>,
}

/// `[[bearer.issuer]]`
#[derive(Debug, Deserialize, JsonSchema)]
pub struct IssuerSection {
    /// Its identifier, byte for byte what `iss` says: a URL, or any text where it is said where its keys are. Our own
    /// `public_url` means `[issuer]` here: nobody is dialled.
    pub issuer: Text,
    /// What its tokens for us are for: one of these is among `aud`. Only our own `[issuer]` knows it already.
    #[schemars(extend("x-default" = "`issuer.audience`, for our own issuer"))]
    pub audience: Option<Written<OneOrSeveral>>,
    /// The claim that names the audience, where that is not `aud`: `client_id` for Cognito's access tokens. A token that
    /// has `aud` too must name one of `audience` there as well.
    #[schemars(extend("x-default" = "`aud`"))]
    pub audience_claim: Option<Text>,
    /// Where its keys are.
    #[schemars(extend("x-default" = "from discovery"))]
    pub jwks_uri: Option<Text>,
    /// A file with its public keys, a JWK set: then nobody is asked.
    pub jwks_file: Option<Text>,
    /// A file with the secret of its HS256, 32 to 4096 bytes; mode 0600.
    pub hmac_secret_file: Option<Text>,
    /// The `typ` of its access tokens; `""` for none. Many issuers write `JWT`.
    #[schemars(extend("default" = ["at+jwt"]))]
    pub types: Written<Vec<String>>,
    /// Also take its ID tokens for a client among `audience`.
    #[schemars(extend("default" = false))]
    pub id_tokens: Truth,
    /// `sub` is the name of a key: an Ethereum address or a thumbprint. For `bearer+signature` and `bearer+asymmetric`.
    #[schemars(extend("default" = false))]
    pub names_keys: Truth,
    /// The claim that holds permissions, as `realm_access.roles` or `resource_access."my.app".roles`.
    #[schemars(extend("x-default" = "`scope`, or `scp`"))]
    pub permissions_claim: Option<Text>,
    /// What each of its values grants; others grant nothing.
    #[schemars(extend("x-default" = "the same names"))]
    pub permissions: Option<BTreeMap<String, Vec<String>>>,
}

/// One text, or several.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum OneOrSeveral {
    /// One.
    One(String),
    /// Several.
    Several(Vec<String>),
}

impl OneOrSeveral {
    fn to_list(&self) -> Vec<String> {
        match self {
            Self::One(text) => vec![text.clone()],
            Self::Several(texts) => texts.clone(),
        }
    }
}

/// `[bearer]`, parsed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// Whether DPoP proofs need a nonce.
    pub dpop_nonces: NoncePolicy,
    /// How many bytes a token has at most.
    pub max_token: usize,
    /// Whose tokens are taken.
    pub issuers: Vec<ListedIssuer>,
}

/// `[[bearer.issuer]]`, parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedIssuer {
    /// What is asked of its tokens.
    pub terms: IssuerTerms,
    /// Where its keys come from.
    pub keys: KeysFrom,
}

/// Where an issuer's keys come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeysFrom {
    /// From where its discovery document says.
    Discovery,
    /// From this URL.
    Url(Uri),
    /// From this file, a JWK set.
    File(PathBuf),
    /// It signs with the secret in this file.
    Secret(PathBuf),
    /// It is `[issuer]`.
    Ourselves,
}

impl Configured for Config {
    const TABLE: Option<&'static str> = Some("bearer");
    type Section = Section;
    type OnRoute = Nothing;
    type Options = ();

    fn parse(section: &Section, reader: &mut Reader<'_>, around: &Around<'_>) -> Self {
        let dpop_nonces = reader.dpop_nonces(&section.dpop_nonces);
        let max_token = max_token(&section.max_token, reader, around.max_head);
        let mut issuers: Vec<ListedIssuer> = Vec::new();
        for written in &section.issuer {
            let Some(listed) = written.parse(reader, around) else { continue };
            if issuers.iter().any(|other| other.terms.issuer == listed.terms.issuer) {
                let message = "another [[bearer.issuer]] has this issuer: name several audiences in one";
                reader.wrong(message, written.issuer.span());
            }
            issuers.push(listed);
        }
        Self { dpop_nonces, max_token, issuers }
    }

    fn unmet(&self, taken: &dyn Fn(Scheme) -> bool) -> Vec<String> {
        let warning = "a route accepts bearer, and there is no [[bearer.issuer]]: nobody can call it so";
        let vain = self.issuers.is_empty() && taken(Scheme::Bearer);
        vain.then(|| warning.to_owned()).into_iter().collect()
    }
}

fn max_token(written: &Text, reader: &mut Reader<'_>, max_head: Option<usize>) -> usize {
    let size = reader.size(written, 1024..=1024 * 1024, "from 1KiB to 1MiB").unwrap_or(LONGEST_TOKEN);
    if let Some(max_head) = max_head
        && size >= max_head
        && !reader.is_default(written)
    {
        let message = format!("limits.max_head, {max_head} bytes, lets no such token in: raise it too");
        reader.wrong(message, written.span());
    }
    size
}

impl IssuerSection {
    fn parse(&self, reader: &mut Reader<'_>, around: &Around<'_>) -> Option<ListedIssuer> {
        let has_keys = [&self.jwks_uri, &self.jwks_file, &self.hmac_secret_file];
        let has_keys = has_keys.into_iter().any(Option::is_some);
        let issuer = reader.parsed(&self.issuer, |text| match has_keys {
            true => parse_name(text),
            false => parse_url(text).map(|_| text.to_owned()).map_err(|why| {
                format!("{why}, or say where its keys are: jwks_file, jwks_uri or hmac_secret_file")
            }),
        });
        let issuer = issuer?;
        let ours = around.public_url.is_some_and(|public_url| public_url.to_string() == issuer);
        let audiences = self.audiences(reader, around.own_audience.filter(|_| ours));
        let keys = self.keys_from(reader, &issuer, ours, around.rules);
        if ours && around.own_audience.is_none() {
            let message = "this is our own public_url, and issuer.enabled is not true";
            reader.wrong(message, self.issuer.span());
        }
        let mut terms = IssuerTerms::new(issuer, "");
        terms.audiences = audiences;
        terms.audience_claim = reader.maybe(self.audience_claim.as_ref(), str::parse::<ClaimPath>);
        terms.types = self.types(reader);
        terms.id_tokens = *self.id_tokens;
        terms.names_keys = *self.names_keys;
        terms.permissions_claim = reader.maybe(self.permissions_claim.as_ref(), str::parse::<ClaimPath>);
        terms.permissions = self.permissions.as_ref().map(|map| {
            let granted = |names: &Vec<String>| names.iter().map(|name| Arc::from(name.as_str())).collect();
            map.iter().map(|(value, names)| (value.clone(), granted(names))).collect()
        });
        Some(ListedIssuer { terms, keys: keys? })
    }

    fn audiences(&self, reader: &mut Reader<'_>, own: Option<&str>) -> Vec<String> {
        let audiences = match (&self.audience, own) {
            (Some(audiences), _) => audiences.to_list(),
            (None, own) => own.map(str::to_owned).into_iter().collect(),
        };
        if audiences.is_empty() || audiences.iter().any(String::is_empty) {
            let message = "an issuer makes tokens for others too: name the audience that means us";
            reader.wrong(message, self.audience.as_ref().map_or_else(|| self.issuer.span(), Written::span));
        }
        audiences
    }

    fn keys_from(
        &self,
        reader: &mut Reader<'_>,
        issuer: &str,
        ours: bool,
        rules: &UrlRules,
    ) -> Option<KeysFrom> {
        let said = [&self.jwks_uri, &self.jwks_file, &self.hmac_secret_file];
        let said: Vec<&Text> = said.into_iter().flatten().collect();
        if let [_, other, ..] = &said[..] {
            let message = "an issuer's keys come from one place: jwks_uri, jwks_file or hmac_secret_file";
            reader.wrong(message, other.span());
        }
        if ours {
            if let [one, ..] = &said[..] {
                reader.wrong("our own keys are read in this process", one.span());
            }
            return Some(KeysFrom::Ourselves);
        }
        if let Some(file) = &self.jwks_file {
            return Some(KeysFrom::File(reader.file(file)));
        }
        if let Some(file) = &self.hmac_secret_file {
            return Some(KeysFrom::Secret(reader.file(file)));
        }
        let (asked, span, keys) = match &self.jwks_uri {
            Some(text) => {
                let url = reader.parsed(text, parse_url)?;
                (url.clone(), text.span(), KeysFrom::Url(url))
            }
            None => (parse_url(issuer).ok()?, self.issuer.span(), KeysFrom::Discovery),
        };
        // Its keys are to be had, so it must be somebody whom we may ask.
        if !may_be_asked(&asked, rules) {
            let message =
                format!("{asked} cannot be asked for keys: https on a port that egress.ports lists");
            reader.wrong(message, span);
        }
        Some(keys)
    }

    fn types(&self, reader: &mut Reader<'_>) -> Vec<String> {
        if self.types.is_empty() {
            let message = "`types` is empty: name some, or leave it out for at+jwt";
            reader.wrong(message, self.types.span());
        }
        let foreign = |typ: &&String| FOREIGN_TYPES.iter().any(|foreign| is_same_type(foreign, typ));
        if let Some(typ) = self.types.iter().find(foreign) {
            let message = format!("`{typ}` is the type of something else than access tokens");
            reader.wrong(message, self.types.span());
        }
        self.types.to_vec()
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

fn may_be_asked(url: &Uri, rules: &UrlRules) -> bool {
    match url.scheme_str() {
        Some("https") => rules.ports.contains(&url.port_u16().unwrap_or(443)),
        _ => rules.http_on_loopback,
    }
}
