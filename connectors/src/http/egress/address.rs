//! How far an address reaches: the public network, this one, or the host's own secrets.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};

/// How far an address reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// Anybody's.
    Public,
    /// Of the host, of its networks, or of nobody: a rule may open it.
    Inner,
    /// Never meant to be called by name or as part of a network: multicast, broadcast, link-local and
    /// unspecified addresses. A rule for a network may open it, one for a name may not.
    Special,
    /// Where clouds keep credentials for whoever asks: only a rule for just this address opens it.
    Metadata,
}

/// Metadata services: AWS, Google, Azure and most others; AWS over IPv6; Google over IPv6; Alibaba;
/// Oracle; Azure's host agent; the containers of Amazon ECS and EKS.
const METADATA_V4: [Ipv4Addr; 6] = [
    Ipv4Addr::new(169, 254, 169, 254),
    Ipv4Addr::new(100, 100, 100, 200),
    Ipv4Addr::new(192, 0, 0, 192),
    Ipv4Addr::new(168, 63, 129, 16),
    Ipv4Addr::new(169, 254, 170, 2),
    Ipv4Addr::new(169, 254, 170, 23),
];
const METADATA_V6: [Ipv6Addr; 3] = [
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254),
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23),
    Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),
];

/// IANA IPv4 special-purpose address registry, and what is no unicast.
const SPECIAL_V4: [Ipv4Net; 4] = [
    v4([0, 0, 0, 0], 8),
    v4([169, 254, 0, 0], 16),
    v4([224, 0, 0, 0], 4),
    // Reserved, and broadcast.
    v4([240, 0, 0, 0], 4),
];
const INNER_V4: [Ipv4Net; 12] = [
    v4([10, 0, 0, 0], 8),
    // Shared between a provider and its customers.
    v4([100, 64, 0, 0], 10),
    v4([127, 0, 0, 0], 8),
    v4([172, 16, 0, 0], 12),
    v4([192, 0, 0, 0], 24),
    // For documentation: here and twice below.
    v4([192, 0, 2, 0], 24),
    // Relays from 6to4.
    v4([192, 88, 99, 0], 24),
    v4([192, 168, 0, 0], 16),
    // For benchmarks.
    v4([198, 18, 0, 0], 15),
    v4([198, 51, 100, 0], 24),
    v4([203, 0, 113, 0], 24),
    // AS112, which answers for private networks.
    v4([192, 175, 48, 0], 24),
];

/// All that is public is in here.
const GLOBAL_V6: Ipv6Net = v6([0x2000, 0], 3);
/// IANA IPv6 special-purpose address registry, as far as it lies in the global unicast range.
const INNER_V6: [Ipv6Net; 4] = [
    // Protocol assignments: Teredo, benchmarks, ORCHID and more.
    v6([0x2001, 0], 23),
    // For documentation: here and in 3fff.
    v6([0x2001, 0xdb8], 32),
    // 6to4.
    v6([0x2002, 0], 16),
    v6([0x3fff, 0], 20),
];
const SPECIAL_V6: [Ipv6Net; 2] = [v6([0xfe80, 0], 10), v6([0xff00, 0], 8)];
/// Translation to IPv4: the last 32 bits are the address that is reached (RFC 6052).
const NAT64: Ipv6Net = v6([0x64, 0xff9b], 96);

const fn v4(octets: [u8; 4], length: u8) -> Ipv4Net {
    let [a, b, c, d] = octets;
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), length)
}

const fn v6(begin: [u16; 2], length: u8) -> Ipv6Net {
    let [a, b] = begin;
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, 0, 0, 0, 0, 0, 0), length)
}

/// The address that is really reached: IPv4 addresses come in the clothes of IPv6, too.
pub(super) fn reached(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) if NAT64.contains(&v6) => {
            let [.., a, b, c, d] = v6.octets();
            Ipv4Addr::new(a, b, c, d).into()
        }
        address => address.to_canonical(),
    }
}

impl Reach {
    pub(super) fn of(address: IpAddr) -> Self {
        match reached(address) {
            IpAddr::V4(address) => Reach::of_v4(address),
            IpAddr::V6(address) => Reach::of_v6(address),
        }
    }

    fn of_v4(address: Ipv4Addr) -> Self {
        let within = |networks: &[Ipv4Net]| networks.iter().any(|network| network.contains(&address));
        if METADATA_V4.contains(&address) {
            Reach::Metadata
        } else if within(&SPECIAL_V4) {
            Reach::Special
        } else if within(&INNER_V4) {
            Reach::Inner
        } else {
            Reach::Public
        }
    }

    fn of_v6(address: Ipv6Addr) -> Self {
        let within = |networks: &[Ipv6Net]| networks.iter().any(|network| network.contains(&address));
        if METADATA_V6.contains(&address) {
            Reach::Metadata
        } else if address.is_unspecified() || within(&SPECIAL_V6) {
            Reach::Special
        } else if !GLOBAL_V6.contains(&address) || within(&INNER_V6) {
            Reach::Inner
        } else {
            Reach::Public
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(reach: Reach, addresses: &[&str]) {
        for address in addresses {
            assert_eq!(Reach::of(address.parse().unwrap()), reach, "{address}");
        }
    }

    #[test]
    fn public_addresses_are() {
        check(
            Reach::Public,
            &[
                "1.1.1.1",
                "9.255.255.255",
                "11.0.0.0",
                "100.63.255.255",
                "100.128.0.0",
                "172.15.255.255",
                "172.32.0.0",
                "192.0.1.0",
                "192.167.255.255",
                "198.20.0.0",
                "223.255.255.255",
                "::ffff:1.1.1.1",
                "64:ff9b::101:101",
                "2001:4860:4860::8888",
                "2606:4700::1111",
                "2a00:1450::1",
                "3ffe::1",
            ],
        );
    }

    #[test]
    fn inner_addresses_are_known_in_all_their_clothes() {
        check(
            Reach::Inner,
            &[
                "10.0.0.0",
                "10.255.255.255",
                "100.64.0.1",
                "100.127.255.255",
                "127.0.0.1",
                "127.255.255.255",
                "172.16.0.1",
                "172.31.255.255",
                "192.0.0.1",
                "192.0.2.1",
                "192.88.99.1",
                "192.168.0.1",
                "198.18.0.1",
                "198.19.255.255",
                "198.51.100.1",
                "203.0.113.1",
                "192.175.48.1",
                "::1",
                // Compatible, mapped, translated (also by a network's own prefix), 6to4, Teredo.
                "::127.0.0.1",
                "::10.0.0.1",
                "::1.1.1.1",
                "::ffff:127.0.0.1",
                "::ffff:10.0.0.1",
                "::ffff:0:7f00:1",
                "64:ff9b::7f00:1",
                "64:ff9b::a00:1",
                "64:ff9b:1::7f00:1",
                "2002:7f00:1::",
                "2002:a00:1::1",
                "2001:0:a00:1::",
                "2001:0:4136:e378:8000:63bf:80ff:fffe",
                "2001:2::1",
                "2001:10::1",
                "2001:20::1",
                "2001:db8::1",
                "3fff::1",
                "100::1",
                "5f00::1",
                "fc00::1",
                "fdff::1",
                "fec0::1",
            ],
        );
    }

    #[test]
    fn special_addresses_and_metadata_are_known() {
        check(
            Reach::Special,
            &[
                "0.0.0.0",
                "0.1.2.3",
                "169.254.1.1",
                "224.0.0.1",
                "239.255.255.255",
                "240.0.0.1",
                "255.255.255.255",
                "::",
                "::ffff:0.0.0.0",
                "fe80::1",
                "febf::1",
                "ff02::1",
                "64:ff9b::a9fe:101",
            ],
        );
        check(
            Reach::Metadata,
            &[
                "169.254.169.254",
                "169.254.170.2",
                "169.254.170.23",
                "100.100.100.200",
                "192.0.0.192",
                "168.63.129.16",
                "::ffff:169.254.169.254",
                "64:ff9b::a9fe:a9fe",
                "fd00:ec2::254",
                "fd00:ec2::23",
                "fd20:ce::254",
            ],
        );
    }
}
