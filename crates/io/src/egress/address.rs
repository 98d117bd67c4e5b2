//! Which addresses are public unicast, and what every other one is.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What `address` is, if it is anything but public unicast; `None` for public unicast.
///
/// From the registries of special-purpose addresses (RFC 6890 and its successors). An IPv6 address with an
/// IPv4 address inside is never public, whatever is inside: a translator or a tunnel on the way would make
/// another address of it than the one that was judged.
pub(super) fn special(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => special_v4(address),
        IpAddr::V6(address) => special_v6(address),
    }
}

/// First address, length of the prefix, what it is.
const SPECIAL_V4: [([u8; 4], u32, &str); 17] = [
    ([0, 0, 0, 0], 8, "unspecified or of this network"),
    ([10, 0, 0, 0], 8, "private"),
    ([100, 64, 0, 0], 10, "shared (carrier-grade NAT)"),
    ([127, 0, 0, 0], 8, "loopback"),
    ([169, 254, 0, 0], 16, "link-local"),
    ([172, 16, 0, 0], 12, "private"),
    ([192, 0, 0, 0], 24, "for protocol assignments"),
    ([192, 0, 2, 0], 24, "for documentation"),
    ([192, 88, 99, 0], 24, "a 6to4 relay"),
    ([192, 168, 0, 0], 16, "private"),
    ([198, 18, 0, 0], 15, "for benchmarks"),
    ([198, 51, 100, 0], 24, "for documentation"),
    ([203, 0, 113, 0], 24, "for documentation"),
    // In the public range, but answered by the host of a virtual machine at Azure. The other metadata
    // addresses are link-local, shared, of 192.0.0.0/24, or unique local.
    ([168, 63, 129, 16], 32, "a metadata address"),
    ([224, 0, 0, 0], 4, "multicast"),
    ([255, 255, 255, 255], 32, "broadcast"),
    ([240, 0, 0, 0], 4, "reserved"),
];

fn special_v4(address: Ipv4Addr) -> Option<&'static str> {
    SPECIAL_V4.into_iter().find_map(|(first, prefix, what)| {
        let shift = 32 - prefix;
        (address.to_bits() >> shift == u32::from_be_bytes(first) >> shift).then_some(what)
    })
}

/// First address, length of the prefix, what it is; the more specific one first.
const SPECIAL_V6: [(Ipv6Addr, u32, &str); 19] = [
    (Ipv6Addr::UNSPECIFIED, 128, "unspecified"),
    (Ipv6Addr::LOCALHOST, 128, "loopback"),
    (v6(0, 0, 0, 0, 0), 96, "IPv4 inside IPv6 (compatible)"),
    (v6(0, 0, 0, 0, 0xffff), 96, "IPv4 inside IPv6 (mapped)"),
    (v6(0, 0, 0, 0xffff, 0), 96, "IPv4 inside IPv6 (translated)"),
    (v6(0x64, 0xff9b, 0, 0, 0), 96, "IPv4 inside IPv6 (NAT64)"),
    (v6(0x64, 0xff9b, 1, 0, 0), 48, "IPv4 inside IPv6 (local NAT64)"),
    (v6(0x100, 0, 0, 0, 0), 64, "discarded"),
    (v6(0x2001, 0, 0, 0, 0), 32, "IPv4 inside IPv6 (Teredo)"),
    (v6(0x2001, 0x10, 0, 0, 0), 28, "no place on a network (ORCHID)"),
    (v6(0x2001, 0x20, 0, 0, 0), 28, "no place on a network (ORCHID)"),
    (v6(0x2001, 0, 0, 0, 0), 23, "for protocol assignments"),
    (v6(0x2001, 0xdb8, 0, 0, 0), 32, "for documentation"),
    (v6(0x2002, 0, 0, 0, 0), 16, "IPv4 inside IPv6 (6to4)"),
    (v6(0x3fff, 0, 0, 0, 0), 20, "for documentation"),
    (v6(0xfc00, 0, 0, 0, 0), 7, "unique local"),
    (v6(0xfe80, 0, 0, 0, 0), 10, "link-local"),
    (v6(0xfec0, 0, 0, 0, 0), 10, "site-local"),
    (v6(0xff00, 0, 0, 0, 0), 8, "multicast"),
];

/// The first, second, third, fifth and sixth group: all that the table needs.
const fn v6(first: u16, second: u16, third: u16, fifth: u16, sixth: u16) -> Ipv6Addr {
    Ipv6Addr::new(first, second, third, 0, fifth, sixth, 0, 0)
}

fn special_v6(address: Ipv6Addr) -> Option<&'static str> {
    let listed = SPECIAL_V6.into_iter().find_map(|(first, prefix, what)| {
        let shift = 128 - prefix;
        (address.to_bits() >> shift == first.to_bits() >> shift).then_some(what)
    });
    let group = address.segments();
    // RFC 5214 §6.1: an interface identifier, so it may stand behind any prefix. The two bits that vary
    // are "universal" and "group".
    let isatap = group[4] & 0xfcff == 0 && group[5] == 0x5efe;
    // RFC 4291 §2.4: global unicast is assigned from 2000::/3 and from nowhere else.
    let assigned = group[0] & 0xe000 == 0x2000;
    listed
        .or(isatap.then_some("IPv4 inside IPv6 (ISATAP)"))
        .or((!assigned).then_some("not assigned as global unicast"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(address: &str) -> Option<&'static str> {
        special(address.parse().unwrap())
    }

    #[test]
    fn public_unicast_is_nothing_special() {
        for address in [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "169.253.255.255",
            "169.255.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "192.0.3.0",
            "192.88.98.255",
            "192.88.100.0",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "198.51.99.255",
            "198.51.101.0",
            "203.0.112.255",
            "203.0.114.0",
            "223.255.255.255",
            "168.63.129.15",
            "168.63.129.17",
            "2001:200::1",
            "2001:db7:ffff::1",
            "2001:db9::1",
            "2003::1",
            "2606:4700::1111",
            "2a00:1450:4001::1",
            "3ffe:ffff::1",
            "3fff:1000::1",
            "2a00::5eff:a00:1",
        ] {
            assert_eq!(judged(address), None, "{address}");
        }
    }

    #[test]
    fn every_special_range_of_ipv4_is_refused_from_its_first_to_its_last_address() {
        for (address, what) in [
            ("0.0.0.0", "unspecified"),
            ("0.255.255.255", "this network"),
            ("10.0.0.0", "private"),
            ("10.255.255.255", "private"),
            ("100.64.0.0", "shared"),
            ("100.127.255.255", "shared"),
            ("100.100.100.200", "shared"),
            ("127.0.0.0", "loopback"),
            ("127.255.255.255", "loopback"),
            ("169.254.0.0", "link-local"),
            ("169.254.169.254", "link-local"),
            ("169.254.255.255", "link-local"),
            ("172.16.0.0", "private"),
            ("172.31.255.255", "private"),
            ("192.0.0.0", "protocol"),
            ("192.0.0.192", "protocol"),
            ("192.0.0.255", "protocol"),
            ("192.0.2.0", "documentation"),
            ("192.0.2.255", "documentation"),
            ("192.88.99.0", "6to4"),
            ("192.88.99.255", "6to4"),
            ("192.168.0.0", "private"),
            ("192.168.255.255", "private"),
            ("198.18.0.0", "benchmarks"),
            ("198.19.255.255", "benchmarks"),
            ("198.51.100.0", "documentation"),
            ("198.51.100.255", "documentation"),
            ("203.0.113.0", "documentation"),
            ("203.0.113.255", "documentation"),
            ("168.63.129.16", "metadata"),
            ("224.0.0.0", "multicast"),
            ("239.255.255.255", "multicast"),
            ("240.0.0.0", "reserved"),
            ("255.255.255.254", "reserved"),
            ("255.255.255.255", "broadcast"),
        ] {
            assert!(judged(address).is_some_and(|found| found.contains(what)), "{address}: {what}");
        }
    }

    #[test]
    fn every_special_range_of_ipv6_is_refused() {
        for (address, what) in [
            ("::", "unspecified"),
            ("::1", "loopback"),
            ("100::1", "discarded"),
            ("100::ffff:ffff:ffff:ffff", "discarded"),
            ("2001:1::1", "protocol"),
            ("2001:2::1", "protocol"),
            ("2001:1ff:ffff::", "protocol"),
            ("2001:10::1", "ORCHID"),
            ("2001:1f:ffff::", "ORCHID"),
            ("2001:2f:ffff::", "ORCHID"),
            ("2001:db8::", "documentation"),
            ("2001:db8:ffff:ffff::1", "documentation"),
            ("3fff::", "documentation"),
            ("3fff:fff:ffff::1", "documentation"),
            ("5f00::1", "not assigned"),
            ("4000::1", "not assigned"),
            ("1fff::1", "not assigned"),
            ("200::1", "not assigned"),
            ("100:0:0:1::1", "not assigned"),
            ("::1:0:0:0", "not assigned"),
            ("fc00::", "unique local"),
            ("fd00:ec2::254", "unique local"),
            ("fd20:ce::254", "unique local"),
            ("fdff:ffff::1", "unique local"),
            ("fe80::1", "link-local"),
            ("febf::1", "link-local"),
            ("fec0::1", "site-local"),
            ("feff::1", "site-local"),
            ("ff00::", "multicast"),
            ("ff02::1", "multicast"),
            ("ffff::1", "multicast"),
        ] {
            assert!(judged(address).is_some_and(|found| found.contains(what)), "{address}: {what}");
        }
    }

    #[test]
    fn ipv4_inside_ipv6_is_refused_in_every_embedding_even_when_what_is_inside_is_public() {
        for (private, public, what) in [
            ("::ffff:127.0.0.1", "::ffff:1.1.1.1", "mapped"),
            ("::127.0.0.1", "::1.1.1.1", "compatible"),
            ("::ffff:0:127.0.0.1", "::ffff:0:1.1.1.1", "translated"),
            ("64:ff9b::127.0.0.1", "64:ff9b::1.1.1.1", "(NAT64)"),
            ("64:ff9b:1::127.0.0.1", "64:ff9b:1:ffff::1.1.1.1", "local NAT64"),
            ("2002:7f00:1::", "2002:101:101::1", "6to4"),
            ("2001:0:7f00:1::80ff:fffe", "2001::fefe:fefe", "Teredo"),
            ("2a00::5efe:127.0.0.1", "2a00::5efe:1.1.1.1", "ISATAP"),
            ("2a00::200:5efe:10.0.0.1", "2a00::200:5efe:1.1.1.1", "ISATAP"),
            ("2a00:1:2:3:100:5efe:a00:1", "2a00:1:2:3:300:5efe:101:101", "ISATAP"),
        ] {
            for address in [private, public] {
                assert!(judged(address).is_some_and(|found| found.contains(what)), "{address}: {what}");
            }
        }
    }
}
