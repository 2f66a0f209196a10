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

/// A key: 32 bytes, written as base64 or in hexadecimal. Never shown.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Key(pub [u8; 32]);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl TryFrom<String> for Key {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        const WRONG: &str =
            "a key is 32 bytes in base64 or hexadecimal, as `openssl rand -base64 32` prints them";
        let text = text.trim();
        let bytes = from_hexadecimal(text).or_else(|| STANDARD.decode(text).ok()).ok_or(WRONG)?;
        bytes.try_into().map(Key).map_err(|_| WRONG)
    }
}

/// 64 digits; base64 of 32 bytes has 44 characters.
fn from_hexadecimal(text: &str) -> Option<Vec<u8>> {
    let digits = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let byte = |start: usize| u8::from_str_radix(text.get(start..start + 2)?, 16).ok();
    digits.then(|| (0..text.len()).step_by(2).filter_map(byte).collect())
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
        let read = |text: &str| Key::try_from(text.to_owned());
        assert_eq!(read(&STANDARD.encode([7; 32])), Ok(Key([7; 32])));
        assert_eq!(read(&format!(" {}\n", "0f".repeat(32))), Ok(Key([15; 32])));
        assert_eq!(format!("{:?}", Key([7; 32])), "***");
        for wrong in ["", "secret", &STANDARD.encode([7; 31]), &"0f".repeat(31), &"0g".repeat(32)] {
            assert!(read(wrong).is_err());
        }
    }
}
