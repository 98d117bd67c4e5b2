//! The settings of bearer: whose access tokens are taken, and what for.

use std::collections::BTreeMap;
use std::path::PathBuf;

use countersign::dpop::NoncePolicy;
use countersign::schemes::bearer::IssuerTerms;
use schemars::JsonSchema;
use serde::Deserialize;
use toml::Spanned;

use crate::settings::{Text, Truth};

/// `[bearer]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Section {
    /// `accepted`, or `required`: then every DPoP proof has a nonce of ours. Default: accepted.
    #[schemars(with = "Option<String>")]
    pub dpop_nonces: Option<Text>,
    /// The longest token that is read, 1KiB to 1MiB; the whole head has `limits.max_head`. Default: 16KiB.
    #[schemars(with = "Option<String>")]
    pub max_token: Option<Text>,
    /// Whose tokens are taken. Default: nobody's.
    #[schemars(with = "Vec<IssuerSection>")]
    pub issuer: Vec<Spanned<IssuerSection>>,
}

/// `[[bearer.issuer]]`
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IssuerSection {
    /// Its identifier, byte for byte what `iss` says: a URL, or any text where it is said where its keys are. Our own
    /// `public_url` means `[issuer]` here: nobody is dialled.
    #[schemars(with = "String")]
    pub issuer: Text,
    /// What its tokens for us are for: one of these is among `aud`. Only our own `[issuer]` knows it already, and
    /// has its `audience` as the default.
    #[serde(default)]
    #[schemars(with = "Option<OneOrSeveral>")]
    pub audience: Option<Spanned<OneOrSeveral>>,
    /// The claim that names the audience, where that is not `aud`: `client_id` for Cognito's access tokens. A token that
    /// has `aud` too must name one of `audience` there as well. Default: `aud`.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub audience_claim: Option<Text>,
    /// Where its keys are. Default: where its discovery document says.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub jwks_uri: Option<Text>,
    /// A file with its public keys, a JWK set: then nobody is asked.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub jwks_file: Option<Text>,
    /// A file with the secret of its HS256, 32 to 4096 bytes; mode 0600.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub hmac_secret_file: Option<Text>,
    /// The `typ` of its access tokens; `""` for none. Default: `["at+jwt"]`; many issuers write `JWT`.
    #[serde(default)]
    #[schemars(with = "Option<Vec<String>>")]
    pub types: Option<Spanned<Vec<String>>>,
    /// Also take its ID tokens for a client among `audience`.
    #[serde(default)]
    #[schemars(with = "Option<bool>")]
    pub id_tokens: Option<Truth>,
    /// `sub` is the name of a key: an Ethereum address or a thumbprint. For `bearer+signature` and `bearer+asymmetric`.
    #[serde(default)]
    #[schemars(with = "Option<bool>")]
    pub names_keys: Option<Truth>,
    /// The claim that holds permissions, as `realm_access.roles` or `resource_access."my.app".roles`. Default: `scope`,
    /// or `scp`.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub permissions_claim: Option<Text>,
    /// What each of its values grants; others grant nothing. Default: the permission of the same name.
    #[serde(default)]
    #[schemars(with = "Option<BTreeMap<String, Vec<String>>>")]
    pub permissions: Option<Spanned<BTreeMap<String, Vec<String>>>>,
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
    /// As a list.
    #[must_use]
    pub fn to_list(&self) -> Vec<String> {
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
    Url(http::Uri),
    /// From this file, a JWK set.
    File(PathBuf),
    /// It signs with the secret in this file.
    Secret(PathBuf),
    /// It is `[issuer]`.
    Ourselves,
}
