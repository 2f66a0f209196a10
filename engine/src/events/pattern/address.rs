//! `{"cidr": "10.0.0.0/24"}`, and texts that are addresses.

use std::net::IpAddr;

/// A range of addresses of one family. As in event-ruler it begins at the address that is written, not at the
/// first one of the network: `10.0.0.5/24` leaves out `10.0.0.4`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Network {
    first: IpAddr,
    last: IpAddr,
}

impl Network {
    /// Reads `address/bits`.
    pub(super) fn parse(text: &str) -> Result<Network, String> {
        // Like Java's split: nothing behind the last slash counts as no slash.
        let parts: Vec<&str> = text.trim_end_matches('/').split('/').collect();
        let [address, bits] = parts[..] else {
            return Err("Malformed CIDR, one '/' required".to_owned());
        };
        let bits: i32 =
            bits.parse().map_err(|_| "Malformed CIDR, mask bits must be an integer".to_owned())?;
        let bits =
            u32::try_from(bits).map_err(|_| "Malformed CIDR, mask bits must not be negative".to_owned())?;
        if !looks_like_one(address) {
            return Err(format!("Nonstandard IP address: {address}"));
        }
        let first = parse(address).ok_or_else(|| format!("Invalid IP address: {address}"))?;
        let last = match first {
            IpAddr::V4(_) if bits > 31 => return Err("IPv4 mask bits must be < 32".to_owned()),
            IpAddr::V6(_) if bits > 127 => return Err("IPv6 mask bits must be < 128".to_owned()),
            IpAddr::V4(address) => IpAddr::V4((address.to_bits() | (u32::MAX >> bits)).into()),
            IpAddr::V6(address) => IpAddr::V6((address.to_bits() | (u128::MAX >> bits)).into()),
        };
        Ok(Network { first, last })
    }

    pub(super) fn contains(&self, text: &str) -> bool {
        let same_family = |address: &IpAddr| address.is_ipv4() == self.first.is_ipv4();
        parse(text).filter(same_family).is_some_and(|address| self.first <= address && address <= self.last)
    }
}

/// The address that a text is, if it is one. An IPv4 address in the clothes of IPv6 is an IPv4 address.
pub(super) fn parse(text: &str) -> Option<IpAddr> {
    if !looks_like_one(text) {
        return None;
    }
    text.parse().ok().map(|address: IpAddr| address.to_canonical())
}

/// Whether event-ruler takes a text for an address at all: four numbers with dots, or hexadecimal digits with
/// at least one colon.
fn looks_like_one(text: &str) -> bool {
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let is_v4 = text.split('.').count() == 4 && text.split('.').all(is_number);
    is_v4 || text.contains(':') && text.bytes().all(|byte| byte == b':' || byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(cidr: &str, inside: &[&str], outside: &[&str]) {
        let network = Network::parse(cidr).unwrap();
        for text in inside {
            assert!(network.contains(text), "{text} in {cidr}");
        }
        for text in outside {
            assert!(!network.contains(text), "{text} not in {cidr}");
        }
    }

    #[test]
    fn a_network_has_the_addresses_from_the_one_written_to_its_last() {
        check(
            "10.0.0.0/24",
            &["10.0.0.0", "10.0.0.255", "::ffff:a00:1"],
            &["10.0.1.0", "9.255.255.255", "::1", "x", ""],
        );
        check("10.0.0.5/24", &["10.0.0.5", "10.0.0.255"], &["10.0.0.4"]);
        check("0.0.0.0/0", &["255.255.255.255"], &["::", "1.2.3", "1.2.3.4.5", "1.2.3.256", " 1.2.3.4"]);
        check("10.0.0.0/31", &["10.0.0.1"], &["10.0.0.2"]);
        check(
            "2001:db8:1234:1a00::/64",
            &["2001:db8:1234:1a00::1", "2001:0DB8:1234:1A00:ffff:ffff:ffff:ffff"],
            &["2001:db8:1234:1a01::", "10.0.0.1"],
        );
        check("::/0", &["::", "ffff::"], &["0.0.0.0"]);
    }

    #[test]
    fn what_is_no_network_is_told_as_by_aws() {
        let cases = [
            ("10.0.0.0", "Malformed CIDR, one '/' required"),
            ("10.0.0.0/", "Malformed CIDR, one '/' required"),
            ("10.0.0.0/8/8", "Malformed CIDR, one '/' required"),
            ("", "Malformed CIDR, one '/' required"),
            ("10.0.0.0/x", "Malformed CIDR, mask bits must be an integer"),
            ("10.0.0.0/99999999999", "Malformed CIDR, mask bits must be an integer"),
            ("10.0.0.0/-1", "Malformed CIDR, mask bits must not be negative"),
            ("xx.11.xx/8", "Nonstandard IP address: xx.11.xx"),
            ("xxxx:db8:1234:1a00::/64", "Nonstandard IP address: xxxx:db8:1234:1a00::"),
            ("10.0.0.256/8", "Invalid IP address: 10.0.0.256"),
            ("1:2/8", "Invalid IP address: 1:2"),
            ("10.0.0.0/32", "IPv4 mask bits must be < 32"),
            ("::/128", "IPv6 mask bits must be < 128"),
        ];
        for (text, told) in cases {
            assert_eq!(Network::parse(text), Err(told.to_owned()), "{text}");
        }
    }
}
