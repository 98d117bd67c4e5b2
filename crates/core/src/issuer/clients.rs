//! Who may ask for tokens: the clients that the operator lists.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::crypto::jwt::{Json, JwtKey};
use crate::crypto::{KeyError, VerifyingKey};
use crate::denial::Denial;
use crate::principal::KeyId;
use crate::time::Timestamp;

/// Keys that one client may have: each may have to be tried.
const MOST_KEYS: usize = 8;

/// A public key of a client.
#[derive(Clone, Debug)]
pub struct ClientKey {
    kid: Option<String>,
    key: JwtKey,
    thumbprint: String,
}

impl ClientKey {
    /// Reads what a client gave its operator: a PEM, a JWK or a JWK set (RFC 7517 §5) of public keys.
    ///
    /// # Errors
    /// [`KeyError`]; also for an empty set, and one of more than 8 keys.
    pub fn read(text: &str) -> Result<Vec<Self>, KeyError> {
        if !text.trim_start().starts_with('{') {
            return Ok(vec![Self::of(VerifyingKey::from_pem(text, None)?)?]);
        }
        let json = Json::parse(text.as_bytes());
        let json = json.ok_or(KeyError::Jwk("it is no JSON, or a name is there twice"))?.to_value();
        let one = |jwk: &serde_json::Value| {
            let kid = jwk.get("kid").and_then(serde_json::Value::as_str).map(str::to_owned);
            Self::new(kid, JwtKey::from_jwk(&jwk.to_string())?)
        };
        match json.get("keys").and_then(serde_json::Value::as_array) {
            None => Ok(vec![one(&json)?]),
            Some(keys) if (1..=MOST_KEYS).contains(&keys.len()) => keys.iter().map(one).collect(),
            Some(_) => Err(KeyError::Jwk("a set has 1 to 8 keys")),
        }
    }

    /// A key that goes by no name.
    ///
    /// # Errors
    /// [`KeyError`]: a secret.
    pub fn of(key: VerifyingKey) -> Result<Self, KeyError> {
        Self::new(None, key.into())
    }

    fn new(kid: Option<String>, key: JwtKey) -> Result<Self, KeyError> {
        let thumbprint = key.thumbprint().ok_or(KeyError::Jwk("a secret is no public key"))?;
        Ok(Self { kid, key, thumbprint })
    }

    /// What verifies.
    pub(super) const fn key(&self) -> &JwtKey {
        &self.key
    }

    /// Its RFC 7638 thumbprint.
    pub(super) fn thumbprint(&self) -> &str {
        &self.thumbprint
    }
}

/// A client, as it is at a moment.
#[derive(Clone, Debug)]
pub struct Client {
    /// What it is called.
    pub id: String,
    /// What it proves itself with. None: anybody can say to be it, and wallets that sign in by it prove
    /// themselves.
    pub keys: Vec<ClientKey>,
    /// What it may ask for. `None`: what its subject may.
    pub scopes: Option<BTreeSet<String>>,
}

impl Client {
    /// The keys that a token with this key id may have been signed with: one that is named so, else any.
    pub(super) fn candidates<'a>(&'a self, kid: Option<&'a str>) -> impl Iterator<Item = &'a ClientKey> {
        let named = self.keys.iter().any(|key| key.kid.is_some() && key.kid.as_deref() == kid);
        self.keys.iter().filter(move |key| !named || key.kid.as_deref() == kid)
    }
}

/// Whoever keeps registered keys, of which an issuer lists some as its clients.
pub trait RegisteredClients: Send + Sync + 'static {
    /// The client that a registered public key is, unless it has lapsed. Read anew each time.
    ///
    /// # Errors
    /// `store_unavailable`, `keys_unavailable`: the future.
    fn client(&self, id: KeyId, now: Timestamp) -> FoundClient<'_>;
}

/// A client that is being looked up.
pub type FoundClient<'a> = Pin<Box<dyn Future<Output = Result<Option<Client>, Denial>> + Send + 'a>>;

/// Why a client cannot be listed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// There is one already.
    #[error("there are two clients `{0}`")]
    Twice(String),
    /// An id that cannot be.
    #[error("`{0}` cannot be a client's id: 1 to 64 visible ASCII characters, and no address of a wallet")]
    Id(String),
    /// A scope that cannot be.
    #[error("`{0}` cannot be a scope: 1 to 64 visible ASCII characters, without quotes and backslashes")]
    Scope(String),
}

enum Listed {
    /// A registered public key, whose record says what it may.
    Registered(KeyId, Arc<dyn RegisteredClients>),
    Configured(Client),
}

/// The public key of RFC 8032 §7.1, test 2. Everybody has its private half: no signature under it is worth
/// more than the time that it takes.
const STRANGER: [u8; 32] = [
    0x3d, 0x40, 0x17, 0xc3, 0xe8, 0x43, 0x89, 0x5a, 0x92, 0xb7, 0x0a, 0xa7, 0x4d, 0x1b, 0x7e, 0xbc, 0x9c,
    0x98, 0x2c, 0xcf, 0x2e, 0xc4, 0x96, 0x8c, 0xc0, 0xcd, 0x55, 0xf1, 0x2a, 0xf4, 0x66, 0x0c,
];

/// The clients that are listed.
pub struct Clients {
    listed: BTreeMap<String, Listed>,
    stranger: VerifyingKey,
}

impl Default for Clients {
    /// Nobody.
    ///
    /// # Panics
    /// Never: the stranger's key is one.
    fn default() -> Self {
        let stranger = VerifyingKey::from_ed25519(STRANGER).expect("a published key is a key");
        Self { listed: BTreeMap::new(), stranger }
    }
}

impl Clients {
    /// Takes as long as verifying takes, and learns nothing: an unknown client costs what a wrong signature
    /// costs.
    pub(super) fn lose_time(&self, token: &str) {
        let _ = self.stranger.verify(token.as_bytes(), &[1; 64]);
    }

    /// Lists a registered public key, among those that `keys` keeps, by its id: its permissions are what it may ask
    /// for.
    ///
    /// # Errors
    /// [`ClientError::Twice`].
    pub fn add_registered(&mut self, id: KeyId, keys: Arc<dyn RegisteredClients>) -> Result<(), ClientError> {
        self.add(id.as_str().to_owned(), Listed::Registered(id, keys))
    }

    /// Lists a client that the configuration describes.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn add_configured(&mut self, client: Client) -> Result<(), ClientError> {
        if !super::subjects::is_name(&client.id) || client.id.starts_with("0x") {
            return Err(ClientError::Id(client.id));
        }
        if let Some(scope) = client.scopes.iter().flatten().find(|scope| !super::subjects::is_name(scope)) {
            return Err(ClientError::Scope(scope.clone()));
        }
        self.add(client.id.clone(), Listed::Configured(client))
    }

    fn add(&mut self, id: String, listed: Listed) -> Result<(), ClientError> {
        if self.listed.contains_key(&id) {
            return Err(ClientError::Twice(id));
        }
        self.listed.insert(id, listed);
        Ok(())
    }

    /// The scopes that the configuration names, for the discovery document.
    pub(super) fn scopes(&self) -> BTreeSet<&str> {
        let configured = self.listed.values().filter_map(|listed| match listed {
            Listed::Configured(client) => client.scopes.as_ref(),
            Listed::Registered(..) => None,
        });
        configured.flatten().map(String::as_str).collect()
    }

    /// The client called `id`, if it is listed and, where it is a registered key, has not lapsed.
    ///
    /// # Errors
    /// `store_unavailable`, `keys_unavailable`.
    pub(super) async fn find(&self, id: &str, now: Timestamp) -> Result<Option<Client>, Denial> {
        match self.listed.get(id) {
            None => Ok(None),
            Some(Listed::Configured(client)) => Ok(Some(client.clone())),
            Some(Listed::Registered(id, keys)) => keys.client(*id, now).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::{Ed25519Key, Secret};

    fn client(id: &str, scope: &str) -> Client {
        Client { id: id.to_owned(), keys: Vec::new(), scopes: Some([scope.to_owned()].into()) }
    }

    #[test]
    fn what_cannot_be_told_apart_or_written_down_is_no_client() {
        let mut clients = Clients::default();
        assert_eq!(clients.add_configured(client("shop", "orders:read")), Ok(()));
        let twice = ClientError::Twice("shop".to_owned());
        assert_eq!(clients.add_configured(client("shop", "orders:write")), Err(twice));
        for id in ["", "a b", "a\n", &"a".repeat(65), "0x0000000000000000000000000000000000000000"] {
            assert_eq!(clients.add_configured(client(id, "a")), Err(ClientError::Id(id.to_owned())));
        }
        for scope in ["", "a b", "a\"b", "a\\b"] {
            let refused = clients.add_configured(client("stall", scope));
            assert_eq!(refused, Err(ClientError::Scope(scope.to_owned())));
        }
    }

    #[test]
    fn keys_are_read_from_pem_a_jwk_and_a_set() {
        let pem = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n-----END PUBLIC KEY-----\n";
        let key = VerifyingKey::from_pem(pem, None).unwrap();
        let jwk = key.to_jwk().unwrap();
        let other = Ed25519Key::from_seed(Secret::new([1; 32])).public();
        let other = VerifyingKey::from_ed25519(other).unwrap().to_jwk().unwrap();
        let prints = |text: &str| -> Option<Vec<String>> {
            let keys = ClientKey::read(text).ok()?;
            Some(keys.iter().map(|key| key.thumbprint().to_owned()).collect())
        };
        let first = key.thumbprint().unwrap();
        assert_eq!(prints(pem), Some(vec![first.clone()]));
        assert_eq!(prints(&jwk), Some(vec![first.clone()]));
        let both = prints(&format!("{{\"keys\":[{jwk},{other}]}}")).unwrap();
        assert!(both.len() == 2 && both[0] == first);
        let nine = [&*jwk; 9].join(",");
        for wrong in [
            "",
            "x",
            "{}",
            "{\"keys\":[]}",
            &format!("{{\"keys\":[{nine}]}}"),
            &format!("{{\"kid\":1,{}", &jwk[..9]),
        ] {
            assert_eq!(prints(wrong), None, "{wrong}");
        }
    }
}
