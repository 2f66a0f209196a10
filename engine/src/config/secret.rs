//! What must not be shown: passwords in addresses, keys.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

/// What stands where a secret was.
const MASK: &str = "***";
/// Names of settings in an address whose values are secret.
const SECRET_SETTINGS: [&str; 2] = ["password", "sslpassword"];

/// The address of a server, which may hold a password. Shown without it.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Address(String);

impl Address {
    /// As it was written, password included.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Address {
    fn from(text: &str) -> Self {
        Address(text.to_owned())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&mask(&self.0))
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", mask(&self.0))
    }
}

/// The key under which task tokens are signed: 32 bytes, written as base64. Never shown.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct TokenKey(pub [u8; 32]);

impl fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl TryFrom<String> for TokenKey {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        const WRONG: &str = "a key is 32 bytes in base64, as `openssl rand -base64 32` prints them";
        let bytes = STANDARD.decode(text.trim()).map_err(|_| WRONG)?;
        bytes.try_into().map(TokenKey).map_err(|_| WRONG)
    }
}

/// A text with the passwords of addresses masked; anything else is as it was.
pub(super) fn mask(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let (address, query) = rest.split_once('?').map_or((rest, None), |(before, query)| (before, Some(query)));
    // The last `@`: one in a password that should have been escaped must not show half of it.
    let address = match address.rsplit_once('@') {
        Some((login, host)) => match login.split_once(':') {
            Some((user, _)) => format!("{user}:{MASK}@{host}"),
            None => address.to_owned(),
        },
        None => address.to_owned(),
    };
    let query = query.map(|query| query.split('&').map(mask_setting).collect::<Vec<_>>().join("&"));
    query.map_or_else(|| format!("{scheme}://{address}"), |query| format!("{scheme}://{address}?{query}"))
}

fn mask_setting(setting: &str) -> String {
    match setting.split_once('=') {
        Some((name, _)) if SECRET_SETTINGS.contains(&name) => format!("{name}={MASK}"),
        _ => setting.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_not_shown() {
        let cases = [
            ("amqp://user:secret@host:5672/%2f?heartbeat=5", "amqp://user:***@host:5672/%2f?heartbeat=5"),
            ("postgres://user:se@cret@host/db", "postgres://user:***@host/db"),
            ("postgres://host/db?user=a&password=secret", "postgres://host/db?user=a&password=***"),
            ("postgres://user@host/db", "postgres://user@host/db"),
            ("http://127.0.0.1:9001", "http://127.0.0.1:9001"),
            ("no address", "no address"),
        ];
        for (text, shown) in cases {
            assert_eq!(Address::from(text).to_string(), shown);
            assert_eq!(format!("{:?}", Address::from(text)), format!("{shown:?}"));
        }
    }

    #[test]
    fn a_key_has_32_bytes() {
        let read = |text: &str| TokenKey::try_from(text.to_owned());
        assert_eq!(read(&STANDARD.encode([7; 32])), Ok(TokenKey([7; 32])));
        assert_eq!(format!("{:?}", TokenKey([7; 32])), "***");
        for wrong in ["", "secret", &STANDARD.encode([7; 31])] {
            assert!(read(wrong).is_err());
        }
    }
}
