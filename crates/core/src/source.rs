//! Who sent a request, as far as the network says.

use std::fmt;
use std::net::IpAddr;

use crate::crypto::hash_parts;

/// Who opened a connection, or whom a trusted proxy names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// An address.
    Address(IpAddr),
    /// A trusted proxy stands in front, and says in a way that cannot be read for whom.
    Unread {
        /// The proxy.
        through: IpAddr,
        /// What it says.
        said: Said,
    },
}

/// What a proxy says of a source that is no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Said {
    /// A name of the proxy's own (RFC 7239, 6.3), by its hash: one source has one.
    Hidden(u64),
    /// `unknown`, or nothing that could be an address.
    NoAddress,
    /// Two fields name two sources.
    Contradiction,
}

impl Said {
    /// A name of the proxy's own.
    #[must_use]
    pub fn hidden(name: &str) -> Self {
        let mut hash = [0; 8];
        hash.copy_from_slice(&hash_parts(&[b"hidden source", name.as_bytes()])[..8]);
        Self::Hidden(u64::from_be_bytes(hash))
    }

    /// In words, for the operator.
    #[must_use]
    pub const fn in_words(self) -> &'static str {
        match self {
            Self::Hidden(_) => {
                "the source could not be read: a trusted proxy hides it under a name of its own"
            }
            Self::NoAddress => "the source could not be read: what a trusted proxy says last is no address",
            Self::Contradiction => {
                "the source could not be read: X-Forwarded-For and Forwarded, by a trusted proxy, name two"
            }
        }
    }
}

impl Source {
    /// As what it is counted. Whoever cannot be read counts neither as the proxy, which stands for all of its callers,
    /// nor as anybody else: as a network of its own in 100::/8, which is nobody's (RFC 6666, RFC 3513).
    #[must_use]
    pub fn counted_as(self) -> IpAddr {
        let (through, said) = match self {
            Self::Address(address) => return address,
            Self::Unread { through, said } => (through, said),
        };
        let (kind, name) = match said {
            Said::Hidden(name) => (0_u8, name),
            Said::NoAddress => (1, 0),
            Said::Contradiction => (2, 0),
        };
        let through = through.to_canonical().to_string();
        let hash = hash_parts(&[b"unread source", through.as_bytes(), &[kind], &name.to_be_bytes()]);
        let mut octets = [0; 16];
        octets[0] = 1;
        octets[1..8].copy_from_slice(&hash[..7]);
        IpAddr::from(octets)
    }

    /// What could not be read of it, in words.
    #[must_use]
    pub const fn unread(self) -> Option<&'static str> {
        match self {
            Self::Address(_) => None,
            Self::Unread { said, .. } => Some(said.in_words()),
        }
    }
}

impl From<IpAddr> for Source {
    fn from(address: IpAddr) -> Self {
        Self::Address(address)
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Unread { through, .. } => write!(f, "unread, through {through}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limit::network;

    #[test]
    fn whoever_cannot_be_read_is_counted_apart_from_everybody_else() {
        let (one, other) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        let unread = |through, said| Source::Unread { through, said };
        let sources = [
            Source::from(one),
            Source::from(other),
            unread(one, Said::hidden("_a")),
            unread(one, Said::hidden("_b")),
            unread(one, Said::NoAddress),
            unread(one, Said::Contradiction),
            unread(other, Said::hidden("_a")),
            unread(other, Said::NoAddress),
        ];
        let counted: std::collections::HashSet<IpAddr> =
            sources.iter().map(|source| network(source.counted_as())).collect();
        assert_eq!(counted.len(), sources.len(), "also where a whole /64 is one");
        assert_eq!(unread(one, Said::hidden("_a")).to_string(), "unread, through 10.0.0.1");
    }
}
