//! The schemes, a line each.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Declares every scheme once: what it is, and its name.
macro_rules! schemes {
    ($($(#[doc = $doc:literal])+ $(#[cfg($($cfg:tt)*)])? $variant:ident $name:literal;)+) => {
        /// One way to prove who sent a request.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum Scheme {
            $($(#[doc = $doc])+ $(#[cfg($($cfg)*)])? #[serde(rename = $name)] $variant,)+
        }

        impl Scheme {
            /// Every scheme.
            pub const ALL: [Self; [$($(#[cfg($($cfg)*)])? $name),+].len()] =
                [$($(#[cfg($($cfg)*)])? Self::$variant),+];

            /// The name in configuration, decisions and the `Countersign-Scheme` header.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $($(#[cfg($($cfg)*)])? Self::$variant => $name),+ }
            }
        }
    };
}

schemes! {
    /// Being asked at one's own URL.
    Webhook "webhook";
    /// A browser session in two halves.
    Session "session";
    /// An API key, sent as itself or used to sign.
    ApiKey "api-key";
    /// HTTP message signatures, RFC 9421.
    Signature "signature";
    /// The `AsymmetricAuthentication` header.
    Asymmetric "asymmetric";
    /// A URL that opens one thing, once, for a while.
    CallbackUrl "callback-url";
    /// OAuth 2 access tokens, RFC 6750 and RFC 9449.
    Bearer "bearer";
    /// A name that is believed: for tests alone.
    #[cfg(any(test, feature = "testing"))]
    Ping "ping";
}

impl Scheme {
    /// The scheme of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scheme| scheme.as_str() == name)
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scheme_goes_by_its_name() {
        for scheme in Scheme::ALL {
            assert_eq!(Scheme::from_name(scheme.as_str()), Some(scheme));
            assert_eq!(serde_json::to_value(scheme).unwrap(), scheme.as_str());
        }
        assert_eq!(Scheme::from_name("nonsense"), None);
    }
}
