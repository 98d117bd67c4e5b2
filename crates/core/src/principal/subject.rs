//! The name of who was proven.

use std::fmt;
use std::sync::Arc;

use serde::{Serialize, Serializer};

use super::names::{KeyId, UserId};
use crate::crypto::ethereum::Address;

/// The name of who was proven. It names its authority, so that no two collide. It is matched on, and printed where
/// others read it; nothing is read back from what was printed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Subject {
    /// `webhook:<url>`: the API at a webhook URL, as that was asked.
    Webhook(Arc<str>),
    /// `key:<id>`: the holder of a registered key.
    Key(KeyId),
    /// `user:<id>`: whoever signed in here as this user; never the e-mail address, which may change hands.
    User(UserId),
    /// `callback:<user>`: whoever holds a callback URL that was minted for this user of the application. It
    /// is not that user, who may sign in here too.
    Callback(Arc<str>),
    /// `eip155:<lower-case address>`: the holder of an Ethereum account's key, on whatever chain.
    Ethereum(Address),
    /// `jkt:<thumbprint>`: the holder of the key with this RFC 7638 thumbprint.
    Thumbprint(Arc<str>),
    /// `<issuer>#<sub>`: whom an issuer of tokens means by `sub`, or the holder of the key of this thumbprint that the
    /// agent at an origin lists: either way it is that origin that says who this is.
    Issued {
        /// The issuer's identifier, or the agent's origin.
        issuer: Arc<str>,
        /// What it calls the subject.
        sub: Arc<str>,
    },
    /// A whole name as somebody else tells it: a gateway, of whom it proved, or whoever minted a callback URL, of
    /// the user for whom.
    Named(Arc<str>),
}

impl Subject {
    /// Whether both are one, where this one may be a name that was told: then it is compared as the other prints.
    #[must_use]
    pub fn means(&self, other: &Self) -> bool {
        match self {
            Self::Named(name) => **name == *other.to_string(),
            _ => self == other,
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Webhook(url) => write!(f, "webhook:{url}"),
            Self::Key(id) => write!(f, "key:{id}"),
            Self::User(id) => write!(f, "user:{id}"),
            Self::Callback(user) => write!(f, "callback:{user}"),
            Self::Ethereum(address) => write!(f, "eip155:{address}"),
            Self::Thumbprint(thumbprint) => write!(f, "jkt:{thumbprint}"),
            Self::Issued { issuer, sub } => write!(f, "{issuer}#{sub}"),
            Self::Named(name) => f.write_str(name),
        }
    }
}

impl Serialize for Subject {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_authority_is_printed_as_it_is_written_elsewhere() {
        let address = Address::parse("0x2C7536E3605D9C16A7A3D7B1898E529396A65C23").unwrap();
        let user = UserId::parse("usr_0123456789ABCDEFGHIJab").unwrap();
        for (subject, printed) in [
            (Subject::Webhook("https://alice.example/hook".into()), "webhook:https://alice.example/hook"),
            (Subject::Key(KeyId::parse("0123456789AB").unwrap()), "key:0123456789AB"),
            (Subject::User(user), "user:usr_0123456789ABCDEFGHIJab"),
            (Subject::Callback("u1".into()), "callback:u1"),
            (Subject::Ethereum(address), "eip155:0x2c7536e3605d9c16a7a3d7b1898e529396a65c23"),
            (Subject::Thumbprint("kPrK".into()), "jkt:kPrK"),
            (
                Subject::Issued { issuer: "https://a.example".into(), sub: "b#c".into() },
                "https://a.example#b#c",
            ),
            (Subject::Named("key:alice".into()), "key:alice"),
        ] {
            assert_eq!(subject.to_string(), printed);
            assert_eq!(serde_json::to_value(&subject).unwrap(), printed);
        }
    }

    #[test]
    fn a_name_that_was_told_means_whoever_prints_so_and_no_other_does() {
        let key = Subject::Key(KeyId::parse("0123456789AB").unwrap());
        let told = Subject::Named("key:0123456789AB".into());
        assert!(told.means(&key) && key.means(&key) && told != key);
        assert!(!key.means(&told), "what was proven is not compared as text");
        assert!(!Subject::Named("key:0123456789AC".into()).means(&key));
        assert!(!Subject::Named("0123456789AB".into()).means(&key));
    }
}
