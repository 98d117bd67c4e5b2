//! Where everybody is: addresses to listen on, and URLs by which the others call.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use countersign::schemes::webhook::WELL_KNOWN;
use serde::{Deserialize, Serialize};

/// Where one of them is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Place {
    /// The host in its URLs.
    pub(super) host: String,
    /// Where TLS ends.
    pub(super) front: SocketAddr,
    /// Where its gateway listens, behind that.
    pub(super) gateway: SocketAddr,
    /// Where its application listens: for people, or behind the gateway.
    pub(super) application: SocketAddr,
}

impl Place {
    /// Its origin, as the others call it.
    pub(super) fn url(&self) -> String {
        format!("https://{}:{}", self.host, self.front.port())
    }

    /// Where it is asked whether it sent a request.
    pub(super) fn webhook(&self) -> String {
        self.url() + WELL_KNOWN
    }
}

/// Where everybody is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Stage {
    /// The legitimate requester.
    pub(super) alice: Place,
    /// The receiver.
    pub(super) bob: Place,
    /// The attacker.
    pub(super) eve: Place,
    /// Where Alice's application calls Bob, and gets a proof on the way.
    pub(super) alice_to_bob: SocketAddr,
    /// The same for Eve: Alice does call Eve, for reasons of her own.
    pub(super) alice_to_eve: SocketAddr,
    /// Ranges that they reach each other in.
    pub(super) ranges: Vec<String>,
}

/// Where people find Alice's application, as in the seed.
pub(super) const ALICE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 5000);
/// Where people find Eve's.
pub(super) const EVE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 5001);
/// What the receiver guards.
pub(super) const RECEIVER: &str = "/receiver";

impl Stage {
    /// Everybody on this machine: Alice and Eve where the seed has them, the rest wherever is free.
    pub(super) fn here() -> std::io::Result<Self> {
        // All at once, so that no port is handed out twice.
        let held: Vec<TcpListener> =
            (0..8).map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).collect::<Result<_, _>>()?;
        let mut free = held.iter().map(TcpListener::local_addr).collect::<Result<Vec<_>, _>>()?.into_iter();
        let mut next = || free.next().unwrap_or(ALICE);
        let mut place = |application: Option<SocketAddr>| Place {
            host: "127.0.0.1".to_owned(),
            front: next(),
            gateway: next(),
            application: application.unwrap_or_else(&mut next),
        };
        let (alice, bob, mut eve) = (place(Some(ALICE)), place(None), place(Some(EVE)));
        // Eve has no gateway.
        let alice_to_bob = std::mem::replace(&mut eve.gateway, EVE);
        Ok(Self {
            alice,
            bob,
            eve,
            alice_to_bob,
            alice_to_eve: next(),
            ranges: vec!["127.0.0.0/8".to_owned()],
        })
    }

    /// Everybody in a container whose host name is its own, as in compose.yaml.
    pub(super) fn of_containers() -> Self {
        let everywhere = |port| SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
        let inside = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let place = |host: &str, application| Place {
            host: host.to_owned(),
            front: everywhere(8443),
            gateway: inside(8080),
            application,
        };
        Self {
            alice: place("alice", everywhere(5000)),
            bob: place("bob", inside(3000)),
            eve: place("eve", everywhere(5001)),
            alice_to_bob: inside(9100),
            alice_to_eve: inside(9101),
            ranges: ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"].map(str::to_owned).to_vec(),
        }
    }
}
