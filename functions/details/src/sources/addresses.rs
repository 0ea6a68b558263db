//! Where a source may be: on the public internet, and nowhere else.
//!
//! Whoever writes the document of sources could otherwise point this function
//! at what only it can reach: the metadata of its instance, a neighbour in the
//! VPC, its own loopback. A name says little of where it leads, so what counts
//! is the address that a connection is about to go to.
//!
//! The blocks are those of the IANA IPv4 and IPv6 Special-Purpose Address
//! Registries (RFC 6890 and what was added since), with multicast and what
//! once was special. All of them are refused, even the few that are
//! globally reachable: nobody serves people's details from an anycast relay.
//! Of IPv6 that leaves 2000::/3, the one block that IANA gives out for global
//! unicast; what is outside it is refused without being named.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};

/// Why nothing is asked at an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is {0}")]
pub struct RefusedAddress(&'static str);

/// What sources are asked over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// TLS, and on the public internet only.
    Tls,
    /// Also plain HTTP, and on this machine: for development.
    Local,
}

/// Whether a source may be at an address; [`Over::Local`] adds loopback.
///
/// # Errors
/// What the address is instead of public.
pub fn check(address: IpAddr, over: Over) -> Result<(), RefusedAddress> {
    // Mapped addresses are how a socket of both families spells IPv4 ones.
    let address = address.to_canonical();
    if over == Over::Local && address.is_loopback() {
        return Ok(());
    }
    let special = match address {
        IpAddr::V4(address) => special_v4(address),
        IpAddr::V6(address) => special_v6(address),
    };
    special.map_or(Ok(()), |what| Err(RefusedAddress(what)))
}

fn special_v4(address: Ipv4Addr) -> Option<&'static str> {
    let mut blocks = SPECIAL_V4.iter();
    blocks
        .find(|(net, _)| net.contains(&address))
        .map(|&(_, what)| what)
}

fn special_v6(address: Ipv6Addr) -> Option<&'static str> {
    let mut blocks = SPECIAL_V6.iter();
    blocks
        .find(|(net, _)| net.contains(&address))
        .map(|&(_, what)| what)
        .or_else(|| (!GLOBAL_UNICAST.contains(&address)).then_some("no global unicast address"))
}

const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

/// A block of IPv6: the groups before `::`, at most four of them.
const fn v6(groups: [u16; 4], prefix: u8) -> Ipv6Net {
    let [a, b, c, d] = groups;
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0), prefix)
}

/// From the IANA IPv4 Special-Purpose Address Registry, unless it says so.
const SPECIAL_V4: &[(Ipv4Net, &str)] = &[
    // "This network", RFC 791; Linux takes 0.0.0.0 for loopback.
    (v4(0, 0, 0, 0, 8), "an address of \"this network\""),
    // Private use, RFC 1918.
    (v4(10, 0, 0, 0, 8), "a private address"),
    // Shared address space of carriers' NAT, RFC 6598.
    (v4(100, 64, 0, 0, 10), "a carrier's shared address"),
    // Loopback, RFC 1122.
    (v4(127, 0, 0, 0, 8), "a loopback address"),
    // Link local, RFC 3927: the metadata of EC2 and the credentials of ECS.
    (v4(169, 254, 0, 0, 16), "a link-local address"),
    // Private use, RFC 1918.
    (v4(172, 16, 0, 0, 12), "a private address"),
    // IETF protocol assignments, RFC 6890: DS-Lite, NAT64 discovery, PCP …
    (v4(192, 0, 0, 0, 24), "an address of a protocol"),
    // TEST-NET-1, RFC 5737.
    (v4(192, 0, 2, 0, 24), "a documentation address"),
    // AS112-v4, RFC 7535.
    (v4(192, 31, 196, 0, 24), "an address of a protocol"),
    // Automatic multicast tunnelling, RFC 7450.
    (v4(192, 52, 193, 0, 24), "an address of a protocol"),
    // 6to4 relay anycast, RFC 7526 (deprecated).
    (v4(192, 88, 99, 0, 24), "an address of a protocol"),
    // Private use, RFC 1918.
    (v4(192, 168, 0, 0, 16), "a private address"),
    // Direct delegation AS112, RFC 7534.
    (v4(192, 175, 48, 0, 24), "an address of a protocol"),
    // Benchmarking, RFC 2544.
    (v4(198, 18, 0, 0, 15), "a benchmarking address"),
    // TEST-NET-2, RFC 5737.
    (v4(198, 51, 100, 0, 24), "a documentation address"),
    // TEST-NET-3, RFC 5737.
    (v4(203, 0, 113, 0, 24), "a documentation address"),
    // Multicast, RFC 5771; in a registry of its own.
    (v4(224, 0, 0, 0, 4), "a multicast address"),
    // Limited broadcast, RFC 919.
    (v4(255, 255, 255, 255, 32), "the broadcast address"),
    // Reserved, RFC 1112.
    (v4(240, 0, 0, 0, 4), "a reserved address"),
];

/// What IANA gives out, RFC 4291 and the IPv6 Address Space registry.
const GLOBAL_UNICAST: Ipv6Net = v6([0x2000, 0, 0, 0], 3);

/// From the IANA IPv6 Special-Purpose Address Registry, unless it says so.
/// What carries an IPv4 address leads to it, through whoever translates.
const SPECIAL_V6: &[(Ipv6Net, &str)] = &[
    // Unspecified, RFC 4291.
    (
        Ipv6Net::new_assert(Ipv6Addr::UNSPECIFIED, 128),
        "the unspecified address",
    ),
    // Loopback, RFC 4291.
    (
        Ipv6Net::new_assert(Ipv6Addr::LOCALHOST, 128),
        "a loopback address",
    ),
    // IPv4-compatible, RFC 4291 (deprecated; no longer in the registry).
    (
        v6([0, 0, 0, 0], 96),
        "an IPv4 address in an IPv6 one (compatible)",
    ),
    // NAT64's well-known prefix, RFC 6052.
    (
        v6([0x64, 0xff9b, 0, 0], 96),
        "an IPv4 address in an IPv6 one (NAT64)",
    ),
    // NAT64 for local use, RFC 8215.
    (
        v6([0x64, 0xff9b, 1, 0], 48),
        "an IPv4 address in an IPv6 one (NAT64)",
    ),
    // Discard-only, RFC 6666, and the dummy prefix, RFC 9780.
    (v6([0x100, 0, 0, 0], 63), "an address that leads nowhere"),
    // Teredo, RFC 4380.
    (
        v6([0x2001, 0, 0, 0], 32),
        "an IPv4 address in an IPv6 one (Teredo)",
    ),
    // Benchmarking, RFC 5180.
    (v6([0x2001, 2, 0, 0], 48), "a benchmarking address"),
    // The rest of the IETF protocol assignments, RFC 2928: PCP, TURN, AMT,
    // AS112, ORCHID, drone identities …
    (v6([0x2001, 0, 0, 0], 23), "an address of a protocol"),
    // Documentation, RFC 3849.
    (v6([0x2001, 0xdb8, 0, 0], 32), "a documentation address"),
    // 6to4, RFC 3056.
    (
        v6([0x2002, 0, 0, 0], 16),
        "an IPv4 address in an IPv6 one (6to4)",
    ),
    // Direct delegation AS112, RFC 7534.
    (
        v6([0x2620, 0x4f, 0x8000, 0], 48),
        "an address of a protocol",
    ),
    // Documentation, RFC 9637.
    (v6([0x3fff, 0, 0, 0], 20), "a documentation address"),
    // Segment routing, RFC 9602.
    (v6([0x5f00, 0, 0, 0], 16), "an address of a protocol"),
    // Unique local, RFC 4193: the metadata of EC2 is at fd00:ec2::254.
    (v6([0xfc00, 0, 0, 0], 7), "a private address"),
    // Link local, RFC 4291.
    (v6([0xfe80, 0, 0, 0], 10), "a link-local address"),
    // Site local, RFC 3879 (deprecated; no longer in the registry).
    (v6([0xfec0, 0, 0, 0], 10), "a private address"),
    // Multicast, RFC 4291; in a registry of its own.
    (v6([0xff00, 0, 0, 0], 8), "a multicast address"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn why(address: &str, over: Over) -> Option<String> {
        check(address.parse().unwrap(), over)
            .err()
            .map(|refused| refused.to_string())
    }

    #[test]
    fn special_addresses_are_refused_with_what_they_are() {
        for (addresses, what) in [
            (
                "0.0.0.0 0.255.255.255",
                "it is an address of \"this network\"",
            ),
            (
                "10.0.0.0 10.255.255.255 172.16.0.0 172.31.255.255 192.168.0.0 192.168.255.255",
                "it is a private address",
            ),
            (
                "fc00:: fd00:ec2::254 fd00:ec2::23 fdff::1 fec0:: feff::1",
                "it is a private address",
            ),
            (
                "100.64.0.0 100.127.255.255",
                "it is a carrier's shared address",
            ),
            (
                "127.0.0.0 127.0.0.1 127.255.255.255 ::1",
                "it is a loopback address",
            ),
            (
                "169.254.0.0 169.254.169.254 169.254.170.2 169.254.255.255 fe80::1 febf::1",
                "it is a link-local address",
            ),
            (
                "192.0.0.0 192.0.0.9 192.0.0.255 192.31.196.1 192.52.193.1 192.88.99.1 192.175.48.1",
                "it is an address of a protocol",
            ),
            (
                "2001:1::1 2001:3::1 2001:10::1 2001:20::1 2001:1ff:ffff::1 2620:4f:8000::1 5f00::1",
                "it is an address of a protocol",
            ),
            (
                "192.0.2.1 198.51.100.1 203.0.113.1 2001:db8::1 3fff::1 3fff:fff::1",
                "it is a documentation address",
            ),
            (
                "198.18.0.0 198.19.255.255 2001:2::1",
                "it is a benchmarking address",
            ),
            (
                "224.0.0.1 239.255.255.255 ff02::1",
                "it is a multicast address",
            ),
            ("240.0.0.0 255.255.255.254", "it is a reserved address"),
            ("255.255.255.255", "it is the broadcast address"),
            ("::", "it is the unspecified address"),
            (
                "::7f00:1 ::127.0.0.1 ::8.8.8.8",
                "it is an IPv4 address in an IPv6 one (compatible)",
            ),
            (
                "64:ff9b::a9fe:a9fe 64:ff9b::8.8.8.8 64:ff9b:1::1 64:ff9b:1:ffff::7f00:1",
                "it is an IPv4 address in an IPv6 one (NAT64)",
            ),
            (
                "2001::1 2001:0:53aa:64c::1",
                "it is an IPv4 address in an IPv6 one (Teredo)",
            ),
            (
                "2002:7f00:1::1 2002:a9fe:a9fe::1 2002:808:808::1",
                "it is an IPv4 address in an IPv6 one (6to4)",
            ),
            ("100::1 100:0:0:1::1", "it is an address that leads nowhere"),
            (
                "::1:0:0:0 64:ff9b:2::1 200::1 1fff::1 4000::1 8000::1 fe00::1",
                "it is no global unicast address",
            ),
        ] {
            for address in addresses.split(' ') {
                assert_eq!(why(address, Over::Tls).as_deref(), Some(what), "{address}");
            }
        }
    }

    #[test]
    fn a_mapped_address_is_the_one_that_it_maps() {
        for (mapped, what) in [
            ("::ffff:127.0.0.1", "it is a loopback address"),
            ("::ffff:7f00:1", "it is a loopback address"),
            ("::ffff:10.0.0.1", "it is a private address"),
            ("::ffff:169.254.169.254", "it is a link-local address"),
            ("::ffff:0.0.0.0", "it is an address of \"this network\""),
        ] {
            assert_eq!(why(mapped, Over::Tls).as_deref(), Some(what), "{mapped}");
        }
        assert_eq!(why("::ffff:8.8.8.8", Over::Tls), None);
    }

    /// The neighbours of each block: none is wider than it should be.
    #[test]
    fn public_addresses_are_fine() {
        for address in "1.0.0.0 8.8.8.8 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 \
             126.255.255.255 128.0.0.0 169.253.255.255 169.255.0.0 172.15.255.255 172.32.0.0 \
             191.255.255.255 192.0.1.0 192.0.3.0 192.88.98.0 192.88.100.0 192.167.255.255 \
             192.169.0.0 198.17.255.255 198.20.0.0 198.51.99.0 203.0.112.0 203.0.114.0 \
             223.255.255.255 2000::1 2001:200::1 2001:4860:4860::8888 2001:db7::1 2001:db9::1 \
             2003::1 2600:1f18::1 2620:4f:7fff::1 3ffe::1 3fff:1000::1"
            .split_whitespace()
        {
            assert_eq!(why(address, Over::Tls), None, "{address}");
            assert_eq!(why(address, Over::Local), None, "{address}");
        }
    }

    #[test]
    fn local_adds_loopback_and_nothing_else() {
        for address in "127.0.0.1 127.8.8.8 ::1 ::ffff:127.0.0.1".split(' ') {
            assert_eq!(why(address, Over::Local), None, "{address}");
        }
        for address in "0.0.0.0 :: 10.0.0.1 192.168.0.1 169.254.169.254 fd00:ec2::254 fe80::1 \
             ::127.0.0.1 64:ff9b::7f00:1 2002:7f00:1::1 ::ffff:10.0.0.1"
            .split_whitespace()
        {
            assert!(why(address, Over::Local).is_some(), "{address}");
        }
    }
}
