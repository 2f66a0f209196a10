//! Where calls may go. Whoever writes a state machine chooses URLs; what they must not reach by them is the
//! inside of the network that the engine stands in.
//!
//! ```text
//!   URL ─▶ Destination ─ names to addresses, once ─▶ each address is judged ─▶ only those that may be
//!   https, no user, a port that          │                                     reached are connected to
//!   is served, no name of metadata       └ spellings (0x7f.1, 2130706433, 127.1, [::ffff:7f00:1],
//!                                          IDNs, mixed case) are read by the URL's parser before
//! ```
//!
//! Without configuration: public addresses, https, ports 80 and 443. `allow` opens more. What a name
//! resolves to counts, never the name, so a name that changes its answer gains nothing. Addresses of
//! metadata, where clouds keep credentials, are opened only by a rule for exactly that address.

mod address;
mod rule;

use std::fmt;
use std::net::IpAddr;

use serde::Deserialize;
use url::{Host, Url};

use self::address::Reach;
pub use self::rule::Rule;

/// Ports that need no rule.
const PORTS: [u16; 2] = [80, 443];
/// Names by which clouds offer credentials to whoever asks.
const METADATA_NAMES: [&str; 8] = [
    "metadata",
    "metadata.goog",
    "metadata.google.internal",
    "metadata.azure.internal",
    "metadata.platformequinix.com",
    "metadata.tencentyun.com",
    "instance-data",
    "instance-data.ec2.internal",
];

/// What may be called beside public hosts.
///
/// A rule is an address, a network or a name, with a port where it is not 80 or 443 (`*` for any), and
/// `http://` before it where TLS is not asked for. A name stands for whatever it resolves to.
///
/// ```
/// use connectors::http::{Denied, EgressRules};
///
/// let rules: EgressRules = serde_json::from_value(serde_json::json!({
///     "allow": ["http://127.0.0.1:8080", "10.0.0.0/8:*", "*.internal.example.com", "[fd00::7]:8443"],
/// })).unwrap();
/// let port_8080 = rules.destination(&"http://127.0.0.1:8080/x".parse().unwrap()).unwrap();
/// assert!(rules.permits(&port_8080, "127.0.0.1".parse().unwrap()));
/// let port_80 = rules.destination(&"http://127.0.0.1/x".parse().unwrap());
/// assert_eq!(port_80, Err(Denied::PlainHttp));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EgressRules {
    /// What may be called although it is not public, or at another port, or without TLS.
    pub allow: Vec<Rule>,
}

/// What a URL leads to, before its name is resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// A name in lower case without a dot at its end, or an address.
    pub host: Host<String>,
    /// The port, the scheme's own if the URL names none.
    pub port: u16,
    /// Whether it is called without TLS.
    pub plain: bool,
}

/// Why a URL may not be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denied {
    /// Neither http nor https.
    Scheme,
    /// It names a user: credentials belong into a connection.
    User,
    /// It names no host, or one that cannot be.
    Host,
    /// http, and no rule allows that there.
    PlainHttp,
    /// A port that no rule allows there.
    Port,
    /// A name of metadata.
    Metadata,
    /// An address that is not public, and no rule allows it.
    Address,
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Denied::Scheme => "only https can be called",
            Denied::User => "a URL may not hold a user name; put credentials into a connection",
            Denied::Host => "the URL names no host that could be called",
            Denied::PlainHttp => "http without TLS is not allowed to this host by the egress rules",
            Denied::Port => "this port is not allowed by the egress rules",
            Denied::Metadata => "metadata of the machine are not allowed by the egress rules",
            Denied::Address => "this host is not allowed by the egress rules: its address is not public",
        })
    }
}

impl std::error::Error for Denied {}

impl EgressRules {
    /// What a URL leads to, if it can be called at all, whatever its name resolves to.
    pub fn destination(&self, url: &Url) -> Result<Destination, Denied> {
        let plain = match url.scheme() {
            "https" => false,
            "http" => true,
            _ => return Err(Denied::Scheme),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Denied::User);
        }
        let host = match url.host().ok_or(Denied::Host)? {
            Host::Domain(name) => Host::Domain(bare(name)?),
            Host::Ipv4(address) => Host::Ipv4(address),
            Host::Ipv6(address) => Host::Ipv6(address),
        };
        let port = url.port_or_known_default().ok_or(Denied::Host)?;
        let destination = Destination { host, port, plain };
        self.judge(&destination)?;
        if let Some(address) = destination.address()
            && !self.permits(&destination, address)
        {
            return Err(Denied::Address);
        }
        Ok(destination)
    }

    /// What needs no address: some rule must be able to open what is not open to all.
    fn judge(&self, destination: &Destination) -> Result<(), Denied> {
        let Destination { host, port, plain } = destination;
        let might = |rule: &&Rule| rule.might_match(host);
        if let Host::Domain(name) = host
            && METADATA_NAMES.contains(&name.as_str())
            && !self.allow.iter().any(|rule| rule.is_name(name))
        {
            return Err(Denied::Metadata);
        }
        if *plain && !self.allow.iter().filter(might).any(|rule| rule.serves_plain(*port)) {
            return Err(Denied::PlainHttp);
        }
        if !PORTS.contains(port) && !self.allow.iter().filter(might).any(|rule| rule.serves(*port)) {
            return Err(Denied::Port);
        }
        Ok(())
    }

    /// Whether a destination may be connected to at this address, which its name was resolved to.
    pub fn permits(&self, destination: &Destination, address: IpAddr) -> bool {
        let Destination { host, port, plain } = destination;
        let reach = Reach::of(address);
        let open = reach == Reach::Public && !plain && PORTS.contains(port);
        let by_rule = |rule: &Rule| {
            let serves = if *plain { rule.serves_plain(*port) } else { rule.serves(*port) };
            serves && rule.opens(host, address, reach)
        };
        open || self.allow.iter().any(by_rule)
    }
}

impl Destination {
    /// The address, where the URL names one.
    pub fn address(&self) -> Option<IpAddr> {
        match self.host {
            Host::Domain(_) => None,
            Host::Ipv4(address) => Some(address.into()),
            Host::Ipv6(address) => Some(address.into()),
        }
    }
}

/// A name without the dot that makes it absolute.
fn bare(name: &str) -> Result<String, Denied> {
    let bare = name.strip_suffix('.').unwrap_or(name);
    if bare.is_empty() || bare.split('.').any(str::is_empty) {
        return Err(Denied::Host);
    }
    Ok(bare.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rules(allow: &[&str]) -> EgressRules {
        serde_json::from_value(json!({"allow": allow})).unwrap()
    }

    fn destination(rules: &EgressRules, url: &str) -> Result<Destination, Denied> {
        rules.destination(&url.parse().map_err(|_| Denied::Host)?)
    }

    fn check(allow: &[&str], url: &str, expected: Option<Denied>) {
        let rules = rules(allow);
        assert_eq!(destination(&rules, url).err(), expected, "{url} with {allow:?}");
    }

    /// Every way to write an address of the inside that is known to have got past somebody's check.
    #[test]
    fn hostile_urls_are_denied() {
        let inner = [
            "https://127.0.0.1/",
            "https://127.1/",
            "https://127.0.1/",
            "https://2130706433/",
            "https://0x7f000001/",
            "https://0x7f.1/",
            "https://0x7F.0x0.0x0.0x1/",
            "https://0177.0.0.1/",
            "https://017700000001/",
            "https://127.0.0.1./",
            "https://0/",
            "https://0.0.0.0/",
            "https://10.1.2.3/",
            "https://192.168.1.1/",
            "https://172.16.0.1/",
            "https://169.254.169.254/latest/meta-data/",
            "https://169.254.43518/",
            "https://0xA9FEA9FE/",
            "https://2852039166/",
            "https://168.63.129.16/",
            "https://[::1]/",
            "https://[::]/",
            "https://[0:0:0:0:0:0:0:1]/",
            "https://[::ffff:127.0.0.1]/",
            "https://[::ffff:7f00:1]/",
            "https://[::FFFF:A9FE:A9FE]/",
            "https://[::127.0.0.1]/",
            "https://[64:ff9b::127.0.0.1]/",
            "https://[2002:7f00:1::]/",
            "https://[2001:0:7f00:1::]/",
            "https://[fe80::1]/",
            "https://[fc00::1]/",
            "https://[fd00:ec2::254]/",
            "https://[ff02::1]/",
            // Digits and dots of other scripts.
            "https://\u{ff11}\u{ff12}\u{ff17}.0.0.1/",
            "https://127\u{3002}0\u{3002}0\u{3002}1/",
            "https://\u{2460}\u{2461}\u{2466}.0.0.1/",
            "https://%31%32%37.0.0.1/",
            "https://12\t7.0.0.1/",
            "https:/\\127.0.0.1/",
            "https:127.0.0.1",
        ];
        for url in inner {
            check(&[], url, Some(Denied::Address));
        }
    }

    #[test]
    fn what_is_no_address_is_judged_before_it_is_looked_up() {
        for (url, denied) in [
            ("ftp://1.1.1.1/", Denied::Scheme),
            ("file:///etc/passwd", Denied::Scheme),
            ("gopher://127.0.0.1:6379/_x", Denied::Scheme),
            ("javascript:alert(1)", Denied::Scheme),
            ("HTTP://1.1.1.1/", Denied::PlainHttp),
            ("http://127.0.0.1/", Denied::PlainHttp),
            ("https://user@1.1.1.1/", Denied::User),
            ("https://user:password@1.1.1.1/", Denied::User),
            ("https://:password@1.1.1.1/", Denied::User),
            ("https://example.com@127.0.0.1/", Denied::User),
            ("https://1.1.1.1:22/", Denied::Port),
            ("https://example.com:6379/", Denied::Port),
            ("https://metadata.google.internal/", Denied::Metadata),
            ("https://METADATA.Google.Internal./", Denied::Metadata),
            ("https://instance-data/", Denied::Metadata),
            ("https://./", Denied::Host),
            ("https://a..b/", Denied::Host),
            ("https://example.com../", Denied::Host),
            // Zones, empty hosts, numbers that are too large, and what no host may hold: no URLs at all.
            ("https://[fe80::1%25eth0]/", Denied::Host),
            ("https://[fe80::1%eth0]/", Denied::Host),
            ("https:///", Denied::Host),
            ("https://4294967296/", Denied::Host),
            ("https://256.1.1.1/", Denied::Host),
            ("https://1.1.1.1:99999/", Denied::Host),
            ("https://exa mple.com/", Denied::Host),
            ("https://127.0.0.1%00.example.com/", Denied::Host),
        ] {
            check(&[], url, Some(denied));
        }
    }

    #[test]
    fn public_urls_are_not() {
        for (url, host, port) in [
            ("https://example.com/x?y#z", "example.com", 443),
            ("https://EXAMPLE.com.:443/", "example.com", 443),
            ("https://example.com:80/", "example.com", 80),
            ("https://bücher.example/", "xn--bcher-kva.example", 443),
            ("https://1.1.1.1/", "1.1.1.1", 443),
            ("https://[2606:4700::1111]/", "[2606:4700::1111]", 443),
            ("https://[64:ff9b::1.1.1.1]/", "[64:ff9b::101:101]", 443),
        ] {
            let destination = destination(&EgressRules::default(), url).unwrap();
            assert_eq!((destination.host.to_string().as_str(), destination.port), (host, port), "{url}");
            assert!(!destination.plain);
        }
    }

    #[test]
    fn what_a_name_resolves_to_counts() {
        let cases: [(&[&str], &str, &str, bool); 21] = [
            (&[], "https://a.example/", "1.1.1.1", true),
            (&[], "https://a.example/", "10.0.0.1", false),
            (&[], "https://a.example/", "::ffff:10.0.0.1", false),
            (&[], "https://a.example/", "169.254.169.254", false),
            (&["10.0.0.0/8"], "https://a.example/", "10.0.0.1", true),
            (&["10.0.0.0/8"], "https://a.example/", "::ffff:10.0.0.1", true),
            (&["10.0.0.0/8"], "https://a.example/", "192.168.0.1", false),
            (&["10.0.0.0/8:*"], "https://a.example:9000/", "10.0.0.1", true),
            (&["10.0.0.0/8:*"], "https://a.example:9000/", "1.1.1.1", false),
            (&["a.example"], "https://a.example/", "10.0.0.1", true),
            (&["a.example:9000"], "https://a.example:9000/", "1.1.1.1", true),
            (&["http://a.example"], "http://a.example/", "1.1.1.1", true),
            (&["http://a.example", "10.0.0.0/8"], "http://a.example/", "10.0.0.1", true),
            (&["http://10.0.0.0/8"], "http://a.example/", "1.1.1.1", false),
            (&["*.example"], "https://b.a.example/", "127.0.0.1", true),
            // What no name opens, and what no network does.
            (&["a.example"], "https://a.example/", "169.254.169.254", false),
            (&["a.example"], "https://a.example/", "0.0.0.0", false),
            (&["a.example"], "https://a.example/", "fe80::1", false),
            (&["169.254.0.0/16"], "https://a.example/", "169.254.1.1", true),
            (&["169.254.0.0/16", "0.0.0.0/0"], "https://a.example/", "169.254.169.254", false),
            (&["169.254.169.254"], "https://a.example/", "169.254.169.254", true),
        ];
        for (allow, url, address, permitted) in cases {
            let rules = rules(allow);
            let destination = destination(&rules, url).unwrap();
            let permits = rules.permits(&destination, address.parse().unwrap());
            assert_eq!(permits, permitted, "{url} at {address} with {allow:?}");
        }
    }

    #[test]
    fn rules_open_just_what_they_say() {
        check(&["127.0.0.1:8443"], "https://127.0.0.1:8443/", None);
        check(&["127.0.0.1:8443"], "https://0x7f.1:8443/", None);
        check(&["127.0.0.1:8443"], "https://[::ffff:127.0.0.1]:8443/", None);
        check(&["127.0.0.1:8443"], "https://127.0.0.1/", Some(Denied::Address));
        check(&["127.0.0.1:8443"], "https://127.0.0.2:8443/", Some(Denied::Port));
        check(&["127.0.0.1:8443"], "http://127.0.0.1:8443/", Some(Denied::PlainHttp));
        check(&["http://127.0.0.1:8080"], "http://127.0.0.1:8080/", None);
        check(&["http://127.0.0.1:8080"], "https://127.0.0.1:8080/", None);
        check(&["http://127.0.0.1:8080"], "http://127.0.0.1/", Some(Denied::PlainHttp));
        check(&["[fd00::7]:8443"], "https://[fd00:0::7]:8443/", None);
        check(&["*.example.com"], "http://a.example.com/", Some(Denied::PlainHttp));
        check(&["*.example.com:9000"], "https://a.b.EXAMPLE.com.:9000/", None);
        check(&["*.example.com:9000"], "https://example.com:9000/", Some(Denied::Port));
        check(&["*.example.com:9000"], "https://badexample.com:9000/", Some(Denied::Port));
        check(&["*.internal"], "https://metadata.google.internal/", Some(Denied::Metadata));
        check(&["metadata.google.internal"], "https://metadata.google.internal/", None);
        check(&["0.0.0.0/0"], "https://169.254.169.254/", Some(Denied::Address));
        check(&["169.254.169.254"], "https://169.254.169.254/", None);
    }
}
