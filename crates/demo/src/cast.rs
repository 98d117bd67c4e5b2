//! Which demonstrations there are, who takes part, and how each is asked for.

use std::path::PathBuf;

use countersign_gateway::config::Overrides;

/// One of the seeds' demonstrations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Demonstration {
    /// APIs that share no secret prove who they are.
    Webhook,
    /// A callback URL that is good for one use.
    Callback,
    /// A session in two halves that no script can carry away.
    Session,
    /// An Ethereum key signs in without a page, and signs every request.
    Wallet,
}

impl Demonstration {
    /// Every one, in the order of the seeds.
    pub const ALL: [Self; 4] = [Self::Webhook, Self::Callback, Self::Session, Self::Wallet];

    /// As it is typed.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Callback => "callback",
            Self::Session => "session",
            Self::Wallet => "wallet",
        }
    }

    /// What it shows, for people.
    #[must_use]
    pub const fn shows(self) -> &'static str {
        match self {
            Self::Webhook => "APIs that share no secret prove who they are; Eve tries to be Alice",
            Self::Callback => {
                "an external service loses all its callback URLs; what each kind of them opens for Eve"
            }
            Self::Session => {
                "a bank for your browser: XSS and CSRF at the press of a button, and what Eve gets by them"
            }
            Self::Wallet => {
                "an Ethereum key signs in without a page, and every request; a stolen token opens nothing"
            }
        }
    }

    /// The one of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name() == name)
    }
}

/// Who takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Makes the certificates of all others, and ends.
    Authority,
    /// Calls Bob.
    Alice,
    /// Lets Alice in, and nobody else; in `session`, Bob's bank.
    Bob,
    /// Would like to be Alice, or to rewrite results.
    Eve,
    /// Our API, in `callback`: it has tasks done, and takes their results.
    Api,
    /// The external service, in `callback`: it does tasks, and sends results back.
    Service,
}

impl Part {
    /// By what each is called in arguments.
    const NAMES: [(&str, Self); 6] = [
        ("authority", Self::Authority),
        ("alice", Self::Alice),
        ("bob", Self::Bob),
        ("eve", Self::Eve),
        ("api", Self::Api),
        ("service", Self::Service),
    ];

    /// What it is called: the names that [`named`](Self::named) knows.
    #[must_use]
    pub fn names() -> [&'static str; 6] {
        Self::NAMES.map(|(name, _)| name)
    }

    /// The one of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::NAMES.into_iter().find_map(|(known, part)| (known == name).then_some(part))
    }
}

/// How a demonstration is to be given.
#[derive(Clone, Debug, Default)]
pub struct Wishes {
    /// Where everything that it writes is kept; `None`: in a temporary folder.
    pub folder: Option<PathBuf>,
    /// Stay up afterwards, until a signal comes.
    pub keep: bool,
    /// Print JSON, for programs.
    pub json: bool,
    /// Where `session` has its pages.
    pub sites: Sites,
}

/// Where `session` is found; what is `None` is as usual.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sites {
    /// The port of the bank's page; 0 takes one that is free.
    pub port: Option<u16>,
    /// The port of Eve's page; 0 takes one that is free.
    pub eve_port: Option<u16>,
    /// Whether both are served by HTTPS, under an authority that is made for this run.
    pub tls: bool,
    /// The host in the bank's URLs.
    pub host: Option<String>,
    /// The host in Eve's URLs, of another site than the bank's.
    pub eve_host: Option<String>,
}

/// How a part is played as a process of its own.
#[derive(Clone, Debug)]
pub struct Casting {
    /// Where it keeps what is its own.
    pub folder: PathBuf,
    /// Takes orders from standard input, and ends with it.
    pub directed: bool,
    /// What the environment says over the configuration of its gateway.
    pub settings: Overrides,
}
