//! One rule of `allow`: `[http://](ADDRESS | NETWORK | NAME | *.NAME)[:PORT | :*]`.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use ipnet::IpNet;
use serde::Deserialize;
use url::Host;

use super::address::{Reach, reached};
use super::{Destination, PORTS};

/// Opens something that is not open to all.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Rule {
    target: Target,
    ports: Ports,
    /// Whether TLS is not asked for.
    plain: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Target {
    /// A network, or one address.
    Network(IpNet),
    /// A host by its name, in lower case.
    Name(String),
    /// All hosts below a name, not itself.
    Below(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ports {
    /// Those that are open anyway.
    Usual,
    One(u16),
    Any,
}

/// Why a text is no rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrongRule(String);

impl fmt::Display for WrongRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} is no egress rule: write an address (127.0.0.1, [fd00::7]), a network (10.0.0.0/8), a name \
             (api.example.com) or all below one (*.example.com), then :PORT or :* where it is not 80 or 443, \
             and http:// before it where TLS is not asked for",
            self.0
        )
    }
}

impl std::error::Error for WrongRule {}

impl TryFrom<String> for Rule {
    type Error = WrongRule;

    fn try_from(text: String) -> Result<Self, WrongRule> {
        let (plain, rest) = match text.strip_prefix("http://") {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix("https://").unwrap_or(&text)),
        };
        let rule = split_port(rest).and_then(|(target, ports)| {
            let target = Target::parse(target)?;
            Some(Rule { target, ports, plain })
        });
        rule.ok_or(WrongRule(text))
    }
}

/// The target, and the ports behind its last colon. One of IPv6 with ports is in brackets.
fn split_port(text: &str) -> Option<(&str, Ports)> {
    if text.parse::<Ipv6Addr>().is_ok() || text.parse::<IpNet>().is_ok() {
        return Some((text, Ports::Usual));
    }
    match text.rsplit_once(':') {
        Some((target, port)) if !port.ends_with(']') => {
            let ports = match port {
                "*" => Ports::Any,
                port => Ports::One(port.parse().ok().filter(|port| *port != 0)?),
            };
            Some((target, ports))
        }
        Some(_) | None => Some((text, Ports::Usual)),
    }
}

impl Target {
    fn parse(text: &str) -> Option<Self> {
        let inner = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
        if let Ok(network) = inner.parse::<IpNet>() {
            return Some(Target::Network(network.trunc()));
        }
        if let Ok(address) = inner.parse::<IpAddr>() {
            return Some(Target::Network(address.into()));
        }
        match text.strip_prefix("*.") {
            Some(name) => Some(Target::Below(name_of(name)?)),
            None => Some(Target::Name(name_of(text)?)),
        }
    }
}

/// A name as URLs have it: lower case, ASCII. A number is none: it would be read as an address.
fn name_of(text: &str) -> Option<String> {
    let usable = |character: char| character.is_alphanumeric() || "-_.".contains(character);
    if !text.chars().all(usable) || text.starts_with('.') || text.ends_with('.') {
        return None;
    }
    match Host::parse(text).ok()? {
        Host::Domain(name) => Some(name.to_ascii_lowercase()),
        Host::Ipv4(_) | Host::Ipv6(_) => None,
    }
}

impl Rule {
    /// Whether it is for this port.
    pub(super) fn serves(&self, port: u16) -> bool {
        match self.ports {
            Ports::Usual => PORTS.contains(&port),
            Ports::One(one) => one == port,
            Ports::Any => true,
        }
    }

    /// Whether it is for this port without TLS.
    pub(super) fn serves_plain(&self, port: u16) -> bool {
        self.plain && self.serves(port)
    }

    /// Whether it is for this destination, as far as its URL tells.
    pub fn covers(&self, destination: &Destination) -> bool {
        let Destination { host, port, plain } = destination;
        let named = match (&self.target, destination.address()) {
            (Target::Network(network), Some(address)) => network.contains(&reached(address)),
            (Target::Network(_), None) => false,
            (Target::Name(_) | Target::Below(_), _) => self.names(host),
        };
        named && self.serves(*port) && (self.plain || !plain)
    }

    /// Whether it is for just this name.
    pub(super) fn is_name(&self, name: &str) -> bool {
        matches!(&self.target, Target::Name(own) if own == name)
    }

    /// Whether it can open a host, before its name is resolved: a name may lead into any network.
    pub(super) fn might_match(&self, host: &Host<String>) -> bool {
        match (&self.target, host) {
            (Target::Network(_), Host::Domain(_)) => true,
            (Target::Network(network), Host::Ipv4(address)) => network.contains(&IpAddr::from(*address)),
            (Target::Network(network), Host::Ipv6(address)) => network.contains(&reached((*address).into())),
            (Target::Name(_) | Target::Below(_), host) => self.names(host),
        }
    }

    fn names(&self, host: &Host<String>) -> bool {
        let Host::Domain(host) = host else { return false };
        match &self.target {
            Target::Network(_) => false,
            Target::Name(name) => name == host,
            Target::Below(name) => host
                .strip_suffix(name.as_str())
                .is_some_and(|before| before.len() > 1 && before.ends_with('.')),
        }
    }

    /// Whether it opens a host at this address.
    pub(super) fn opens(&self, host: &Host<String>, address: IpAddr, reach: Reach) -> bool {
        match &self.target {
            Target::Network(network) => {
                let address = reached(address);
                let exact = network.prefix_len() == network.max_prefix_len();
                network.contains(&address) && (exact || reach != Reach::Metadata)
            }
            Target::Name(_) | Target::Below(_) => {
                self.names(host) && matches!(reach, Reach::Public | Reach::Inner)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_read() {
        for text in [
            "127.0.0.1",
            "127.0.0.1:8080",
            "http://127.0.0.1:8080",
            "https://127.0.0.1:8443",
            "10.0.0.0/8",
            "10.0.0.0/8:*",
            "::1",
            "[::1]",
            "[::1]:8080",
            "fd00::/8",
            "[fd00::/8]:8443",
            "localhost:9000",
            "*.internal.example.com",
            "http://*.internal.example.com:8080",
            "GRÖSSE.example",
            "a_b",
        ] {
            assert!(Rule::try_from(text.to_owned()).is_ok(), "{text}");
        }
    }

    #[test]
    fn what_is_no_rule_says_how_one_is_written() {
        for text in [
            "",
            "*",
            "*.",
            "*.*.com",
            "a b",
            "ftp://a",
            "http://",
            "a/b",
            "user@host",
            "127.0.0.1:0",
            "127.0.0.1:65536",
            "127.0.0.1:http",
            "10.0.0.0/33",
            "0x7f.1",
            "2130706433",
            "host:",
            ".host",
            "host.",
            "[::1",
            "::1]:80",
        ] {
            let error = Rule::try_from(text.to_owned()).unwrap_err();
            assert_eq!(error, WrongRule(text.to_owned()));
            assert!(error.to_string().contains("is no egress rule: write an address"));
        }
    }
}
