//! Secrets at rest: a text that only the holder of a key can read, in a form that fits into a
//! configuration file.
//!
//! ```text
//!   warren-sealed.1:base64( nonce, 12 bytes ‖ AES-256-GCM( text ) ‖ tag, 16 bytes )
//! ```
//!
//! The nonce is random, so the same text sealed twice looks different. The prefix is authenticated as well:
//! what was sealed as one version is not opened as another.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::connection::Secret;

/// What a sealed text begins with.
const PREFIX: &str = "warren-sealed.1:";
/// Bytes of a key.
const KEY_BYTES: usize = 32;

/// Why a text was not sealed or opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Error {
    /// It does not begin as sealed texts do.
    NotSealed,
    /// It was sealed under another key, or was changed since.
    WrongKeyOrDamaged,
    /// The machine gave no random numbers.
    NoRandomness,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::NotSealed => write!(f, "open a secret: it does not begin with {PREFIX:?}"),
            Error::WrongKeyOrDamaged => {
                f.write_str("open a secret: it was sealed under another key, or was changed since")
            }
            Error::NoRandomness => f.write_str("seal a secret: the machine gave no random numbers"),
        }
    }
}

impl std::error::Error for Error {}

/// Seals a text under a key.
///
/// ```
/// use connectors::http::{Secret, sealed};
///
/// let key = [7; 32];
/// let text = sealed::seal(&key, &Secret::new("correct horse")).unwrap();
/// assert!(text.starts_with("warren-sealed.1:"));
/// assert_eq!(sealed::open(&key, &text).unwrap().reveal(), "correct horse");
/// assert_eq!(sealed::open(&[8; 32], &text), Err(sealed::Error::WrongKeyOrDamaged));
/// ```
pub fn seal(key: &[u8; KEY_BYTES], secret: &Secret) -> Result<String, Error> {
    let key = RandomizedNonceKey::new(&AES_256_GCM, key).map_err(|_| Error::NoRandomness)?;
    let mut sealed = secret.reveal().as_bytes().to_vec();
    let nonce =
        key.seal_in_place_append_tag(Aad::from(PREFIX), &mut sealed).map_err(|_| Error::NoRandomness)?;
    Ok(format!("{PREFIX}{}", STANDARD.encode([&nonce.as_ref()[..], &sealed].concat())))
}

/// Opens what was sealed under this key.
pub fn open(key: &[u8; KEY_BYTES], text: &str) -> Result<Secret, Error> {
    let encoded = text.trim().strip_prefix(PREFIX).ok_or(Error::NotSealed)?;
    let damaged = Error::WrongKeyOrDamaged;
    let bytes = STANDARD.decode(encoded).map_err(|_| damaged)?;
    let (nonce, sealed) = bytes.split_at_checked(NONCE_LEN).ok_or(damaged)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| damaged)?;
    let key = RandomizedNonceKey::new(&AES_256_GCM, key).map_err(|_| damaged)?;
    let mut sealed = sealed.to_vec();
    let opened = key.open_in_place(nonce, Aad::from(PREFIX), &mut sealed).map_err(|_| damaged)?;
    let text = std::str::from_utf8(opened).map_err(|_| damaged)?;
    Ok(Secret::new(text))
}

/// Whether a text looks sealed, so that one that is not can be told from one that cannot be opened.
pub fn is_sealed(text: &str) -> bool {
    text.trim().starts_with(PREFIX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; KEY_BYTES] = [7; KEY_BYTES];

    #[test]
    fn what_was_sealed_is_opened_by_its_key_alone() {
        for text in ["", "x", "Größe ✓", &"long ".repeat(1000)] {
            let sealed = seal(&KEY, &Secret::new(text)).unwrap();
            assert!(is_sealed(&sealed) && !sealed.contains("long"));
            assert_eq!(open(&KEY, &format!(" {sealed}\n")).unwrap().reveal(), text);
            assert_eq!(open(&[8; KEY_BYTES], &sealed), Err(Error::WrongKeyOrDamaged));
            assert_ne!(seal(&KEY, &Secret::new(text)).unwrap(), sealed);
        }
    }

    /// What a release has sealed, later ones must open.
    #[test]
    fn the_first_version_is_opened() {
        let sealed = "warren-sealed.1:AAECAwQFBgcICQoLe+6bAnhqrWkf3ZfvhwXwUh3fYzwTKD2f8Z87ycQ=";
        assert_eq!(open(&KEY, sealed).unwrap().reveal(), "correct horse");
    }

    #[test]
    fn what_was_changed_is_not_opened() {
        let sealed = seal(&KEY, &Secret::new("correct horse")).unwrap();
        let bytes = STANDARD.decode(&sealed[PREFIX.len()..]).unwrap();
        for index in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[index] ^= 1;
            let changed = format!("{PREFIX}{}", STANDARD.encode(changed));
            assert_eq!(open(&KEY, &changed), Err(Error::WrongKeyOrDamaged), "byte {index}");
        }
        for damaged in ["", "AAAA", "not base64!", &STANDARD.encode([0; NONCE_LEN + 15])] {
            assert_eq!(open(&KEY, &format!("{PREFIX}{damaged}")), Err(Error::WrongKeyOrDamaged));
        }
        for other in ["", "correct horse", "warren-sealed.2:AAAA"] {
            assert_eq!(open(&KEY, other), Err(Error::NotSealed));
        }
    }
}
