//! Base64 and hashes.

use std::borrow::Cow;
use std::fmt::Write;

use base64::alphabet::STANDARD as ALPHABET;
use base64::engine::general_purpose::{GeneralPurpose, STANDARD};
use base64::engine::{DecodePaddingMode, Engine, GeneralPurposeConfig};
use md5::Md5;
use serde_json::Value;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha384, Sha512};

use super::TEXT_CHARACTERS_MAX;
use super::evaluate::{INVALID, Invalid};

/// Takes sextets without padding, whatever their last bits are.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &ALPHABET,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone),
);

/// Base64, with padding, of the text's UTF-8 bytes.
pub(super) fn base64_encode([text]: [Value; 1]) -> Result<Value, Invalid> {
    let text = bounded(text.as_str().ok_or(INVALID)?)?;
    Ok(Value::String(STANDARD.encode(text)))
}

/// The text in base64. AWS refuses nothing: what is not of the alphabet is skipped, `=` ends the data,
/// padding may be missing, and bytes that are not UTF-8 become U+FFFD.
pub(super) fn base64_decode([text]: [Value; 1]) -> Result<Value, Invalid> {
    let text = bounded(text.as_str().ok_or(INVALID)?)?;
    let data = text.split('=').next().unwrap_or_default();
    let mut sextets: Vec<u8> = data.bytes().filter_map(standard_digit).collect();
    if sextets.len() % 4 == 1 {
        sextets.pop();
    }
    let bytes = LENIENT.decode(sextets).map_err(|_| INVALID)?;
    Ok(Value::String(String::from_utf8_lossy(&bytes).into_owned()))
}

/// The hash, in lower-case hexadecimal, of a string's UTF-8 bytes or of another value's JSON text.
pub(super) fn hash([data, algorithm]: [Value; 2]) -> Result<Value, Invalid> {
    let data = match &data {
        Value::String(text) => Cow::Borrowed(text.as_str()),
        other => Cow::Owned(other.to_string()),
    };
    let hash = algorithm.as_str().and_then(|algorithm| digest(bounded(&data).ok()?, algorithm));
    hash.map(Value::String).ok_or(INVALID)
}

/// The hash of a text's UTF-8 bytes in lower-case hexadecimal; `None` for an algorithm that AWS does not have.
pub(in crate::data) fn digest(data: &str, algorithm: &str) -> Option<String> {
    Some(match algorithm {
        "MD5" => hexadecimal(&Md5::digest(data)),
        "SHA-1" => hexadecimal(&Sha1::digest(data)),
        "SHA-256" => hexadecimal(&Sha256::digest(data)),
        "SHA-384" => hexadecimal(&Sha384::digest(data)),
        "SHA-512" => hexadecimal(&Sha512::digest(data)),
        _ => return None,
    })
}

fn bounded(text: &str) -> Result<&str, Invalid> {
    if text.encode_utf16().take(TEXT_CHARACTERS_MAX + 1).count() > TEXT_CHARACTERS_MAX {
        return Err(INVALID);
    }
    Ok(text)
}

/// The digit of the standard alphabet; the URL-safe one is read as well.
fn standard_digit(byte: u8) -> Option<u8> {
    match byte {
        b'-' => Some(b'+'),
        b'_' => Some(b'/'),
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'+' | b'/' => Some(byte),
        _ => None,
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
