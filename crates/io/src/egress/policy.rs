//! What may be dialled: the ports, the addresses, the exceptions that an operator makes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use countersign::ChosenBy;
use rustls_pki_types::CertificateDer;

use super::Network;
use super::address::special;
use super::target::{Scheme, Target};

/// What the guarded client dials besides public addresses on port 443, and whom it trusts. The default is
/// the strict one: nothing besides.
#[derive(Clone, Debug)]
pub struct EgressPolicy {
    /// The ports of https. `[443]` unless configured.
    pub ports: Vec<u16>,
    /// Certificates of authorities that are trusted besides the system's; see
    /// [`read_roots`](super::read_roots).
    pub extra_roots: Vec<CertificateDer<'static>>,
    /// Ranges where https may go although they are not public, for hosts that the configuration names
    /// ([`ChosenBy::Configuration`]) and for no others.
    pub allow_private: Vec<Network>,
    /// Plain http on any port, where every address of the host is loopback, whoever chose it. For labs.
    pub allow_http_loopback: bool,
    /// Where this process itself listens: never dialled, whatever else is allowed. An unspecified address
    /// (`0.0.0.0`, `::`) stands for every address of this machine.
    pub own_listeners: Vec<SocketAddr>,
}

impl Default for EgressPolicy {
    fn default() -> Self {
        Self {
            ports: vec![443],
            extra_roots: Vec::new(),
            allow_private: Vec::new(),
            allow_http_loopback: false,
            own_listeners: Vec::new(),
        }
    }
}

impl EgressPolicy {
    /// Judges what the URL says by itself, before any look-up.
    pub(super) fn judge_target(&self, target: &Target) -> Result<(), String> {
        match target.scheme {
            Scheme::Https if self.ports.contains(&target.port) => Ok(()),
            Scheme::Https => Err(format!("{target}: port {} is not one of [egress] ports", target.port)),
            Scheme::Http if self.allow_http_loopback => Ok(()),
            Scheme::Http => Err(format!("{target}: plain http is not allowed")),
        }
    }

    /// Judges all that the host of `target` leads to: one forbidden address forbids them all, for a name
    /// with a public and a private answer was made by somebody who hopes for the private one.
    pub(super) fn judge(
        &self,
        target: &Target,
        addresses: &[IpAddr],
        chosen_by: ChosenBy,
    ) -> Result<(), String> {
        addresses.iter().try_for_each(|address| self.judge_address(target, *address, chosen_by))
    }

    fn judge_address(&self, target: &Target, address: IpAddr, chosen_by: ChosenBy) -> Result<(), String> {
        if self.is_own_listener(SocketAddr::new(address, target.port)) {
            return Err(format!("{target}: {address} is where this very process listens"));
        }
        if target.scheme == Scheme::Http {
            return if address.is_loopback() {
                Ok(())
            } else {
                Err(format!("{target}: plain http is for loopback alone, and {address} is not"))
            };
        }
        match special(address) {
            None => Ok(()),
            Some(_) if self.is_lifted(address, chosen_by) => Ok(()),
            Some(what) => Err(format!("{target}: {address} is not public: {what}")),
        }
    }

    fn is_lifted(&self, address: IpAddr, chosen_by: ChosenBy) -> bool {
        chosen_by == ChosenBy::Configuration
            // Systems dial themselves at 0.0.0.0, which no listener is named by.
            && !address.to_canonical().is_unspecified()
            && self.allow_private.iter().any(|network| network.contains(address))
    }

    fn is_own_listener(&self, dialled: SocketAddr) -> bool {
        let address = dialled.ip().to_canonical();
        self.own_listeners.iter().any(|listener| {
            let listens = listener.ip().to_canonical();
            listener.port() == dialled.port()
                && (listens == address || (listens.is_unspecified() && is_of_this_machine(address)))
        })
    }
}

/// Whether `address` is one of this machine's own: then the system would also send from it. Connecting a
/// datagram socket asks for the route and sends nothing.
fn is_of_this_machine(address: IpAddr) -> bool {
    if address.is_loopback() || address.is_unspecified() {
        return true;
    }
    let anywhere: IpAddr = match address {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    // Any port but 0 will do.
    let from = UdpSocket::bind((anywhere, 0))
        .and_then(|socket| socket.connect((address, 443)).and_then(|()| socket.local_addr()));
    from.is_ok_and(|from| from.ip() == address)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIGURATION: ChosenBy = ChosenBy::Configuration;
    const REQUEST: ChosenBy = ChosenBy::Request;

    fn judge(
        policy: &EgressPolicy,
        url: &str,
        addresses: &[&str],
        chosen_by: ChosenBy,
    ) -> Result<(), String> {
        let target = Target::of(&url.parse().unwrap()).unwrap();
        policy.judge_target(&target)?;
        let addresses: Vec<IpAddr> = addresses.iter().map(|address| address.parse().unwrap()).collect();
        policy.judge(&target, &addresses, chosen_by)
    }

    fn allowing(networks: &[&str]) -> EgressPolicy {
        let allow_private = networks.iter().map(|network| network.parse().unwrap()).collect();
        EgressPolicy { allow_private, ..EgressPolicy::default() }
    }

    fn listening(on: &str) -> EgressPolicy {
        EgressPolicy {
            own_listeners: vec![on.parse().unwrap()],
            allow_http_loopback: true,
            ..allowing(&["0.0.0.0/0", "::/0"])
        }
    }

    #[test]
    fn https_goes_to_public_addresses_on_the_listed_ports() {
        let strict = EgressPolicy::default();
        assert_eq!(judge(&strict, "https://alice.example", &["1.1.1.1", "2606:4700::1"], REQUEST), Ok(()));
        for port in [80, 8443, 22, 444] {
            let url = format!("https://alice.example:{port}");
            assert!(judge(&strict, &url, &["1.1.1.1"], CONFIGURATION).unwrap_err().contains("port"), "{url}");
        }
        let more = EgressPolicy { ports: vec![443, 8443], ..strict };
        assert_eq!(judge(&more, "https://alice.example:8443", &["1.1.1.1"], REQUEST), Ok(()));
    }

    #[test]
    fn one_forbidden_answer_forbids_the_name_wherever_it_stands() {
        let strict = EgressPolicy::default();
        for answers in [["1.1.1.1", "10.0.0.1"], ["10.0.0.1", "1.1.1.1"], ["2606:4700::1", "::1"]] {
            let refusal = judge(&strict, "https://alice.example", &answers, REQUEST).unwrap_err();
            assert!(refusal.contains("not public"), "{refusal}");
        }
    }

    #[test]
    fn what_was_allowed_is_allowed_for_the_configuration_alone() {
        let lab = allowing(&["10.1.0.0/16", "::1"]);
        for address in ["10.1.2.3", "::1", "::ffff:10.1.2.3"] {
            assert_eq!(judge(&lab, "https://alice.example", &[address], CONFIGURATION), Ok(()), "{address}");
            assert!(judge(&lab, "https://alice.example", &[address], REQUEST).is_err(), "{address}");
        }
        for address in ["10.2.0.1", "127.0.0.1", "::2", "fe80::1"] {
            assert!(judge(&lab, "https://alice.example", &[address], CONFIGURATION).is_err(), "{address}");
        }
    }

    #[test]
    fn what_was_allowed_lifts_neither_the_port_nor_https() {
        let lab = allowing(&["10.1.0.0/16", "127.0.0.0/8"]);
        assert!(judge(&lab, "https://alice.example:8443", &["10.1.0.1"], CONFIGURATION).is_err());
        assert!(judge(&lab, "http://alice.example", &["10.1.0.1"], CONFIGURATION).is_err());
        assert!(judge(&lab, "http://alice.example", &["127.0.0.1"], CONFIGURATION).is_err());
    }

    #[test]
    fn the_unspecified_address_is_dialled_for_nobody() {
        let open = allowing(&["0.0.0.0/0", "::/0"]);
        for address in ["0.0.0.0", "::", "::ffff:0.0.0.0"] {
            assert!(judge(&open, "https://alice.example", &[address], CONFIGURATION).is_err(), "{address}");
        }
    }

    #[test]
    fn plain_http_takes_the_flag_and_loopback_in_every_answer() {
        let lab = EgressPolicy { allow_http_loopback: true, ..allowing(&["10.0.0.0/8"]) };
        for chosen_by in [CONFIGURATION, REQUEST] {
            assert_eq!(judge(&lab, "http://localhost:3000", &["127.0.0.1", "::1"], chosen_by), Ok(()));
            for answers in [&["127.0.0.1", "10.0.0.1"][..], &["1.1.1.1"], &["::ffff:127.0.0.1"], &["0.0.0.0"]]
            {
                assert!(judge(&lab, "http://localhost:3000", answers, chosen_by).is_err(), "{answers:?}");
            }
            let strict = EgressPolicy::default();
            assert!(judge(&strict, "http://localhost:3000", &["127.0.0.1"], chosen_by).is_err());
        }
    }

    #[test]
    fn plain_http_on_loopback_does_not_bring_https_there() {
        let lab = EgressPolicy { allow_http_loopback: true, ..EgressPolicy::default() };
        assert!(judge(&lab, "https://localhost", &["127.0.0.1"], CONFIGURATION).is_err());
    }

    #[test]
    fn our_own_listener_is_refused_whatever_is_allowed() {
        let policy = listening("127.0.0.1:443");
        for (url, address) in [
            ("https://alice.example", "127.0.0.1"),
            ("https://alice.example", "::ffff:127.0.0.1"),
            ("http://alice.example:443", "127.0.0.1"),
        ] {
            let refusal = judge(&policy, url, &[address], CONFIGURATION).unwrap_err();
            assert!(refusal.contains("this very process"), "{refusal}");
        }
        assert_eq!(judge(&policy, "https://alice.example", &["127.0.0.2"], CONFIGURATION), Ok(()));
        assert_eq!(judge(&policy, "http://alice.example:444", &["127.0.0.1"], CONFIGURATION), Ok(()));
        let public = EgressPolicy { own_listeners: vec!["1.1.1.1:443".parse().unwrap()], ..policy };
        assert!(judge(&public, "https://alice.example", &["1.1.1.1"], REQUEST).is_err());
    }

    #[test]
    fn a_listener_on_every_address_is_on_each_of_this_machine_and_on_no_other() {
        for everywhere in ["0.0.0.0:443", "[::]:443"] {
            let policy = listening(everywhere);
            for address in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"] {
                let refusal = judge(&policy, "https://alice.example", &[address], CONFIGURATION).unwrap_err();
                assert!(refusal.contains("this very process"), "{refusal}");
            }
            assert_eq!(judge(&policy, "https://alice.example", &["10.255.255.1"], CONFIGURATION), Ok(()));
        }
    }

    #[test]
    fn this_machine_knows_its_own_address() {
        assert!(!is_of_this_machine("192.0.2.1".parse().unwrap()));
        let outwards = UdpSocket::bind("0.0.0.0:0").unwrap();
        // Without a route there is no address of its own to try.
        if outwards.connect("192.0.2.1:443").is_ok() {
            assert!(is_of_this_machine(outwards.local_addr().unwrap().ip()));
        }
    }
}
