//! `MessageAttributes` of SQS and SNS: named values beside a message.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};
use serde_json::{Map, Value};

/// Attributes that one message may have (SQS quotas).
const ATTRIBUTES_MAX: usize = 10;
/// Bytes of a name and of a data type (SQS quotas).
const NAME_BYTES_MAX: usize = 256;
/// Names that nobody else may use: AWS's, and those of the engine's own headers.
const RESERVED: [&str; 3] = ["aws.", "amazon.", "warren-"];

/// The attributes of one message, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Attributes(BTreeMap<String, Attribute>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Attribute {
    /// `String`, `Number.int`.
    data_type: String,
    content: Content,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Content {
    Text(String),
    Bytes(Vec<u8>),
}

/// Why attributes cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Problem {
    /// They have not the shape that a task gives them in.
    Shape,
    /// The service would refuse them, for this reason.
    Refused(String),
}

impl Attributes {
    /// Reads `{NAME: {DataType, StringValue | BinaryValue}}`.
    pub(crate) fn read(written: Option<&Value>) -> Result<Self, Problem> {
        let Some(written) = written else { return Ok(Attributes::default()) };
        let written = written.as_object().ok_or(Problem::Shape)?;
        if written.len() > ATTRIBUTES_MAX {
            return Err(refused(format!(
                "Number of message attributes [{}] exceeds the allowed maximum [{ATTRIBUTES_MAX}].",
                written.len()
            )));
        }
        let mut read = BTreeMap::new();
        for (name, attribute) in written {
            check_name(name)?;
            let attribute = Attribute::read(name, attribute.as_object().ok_or(Problem::Shape)?)?;
            read.insert(name.clone(), attribute);
        }
        Ok(Attributes(read))
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What counts against the size of a message.
    pub(crate) fn bytes(&self) -> usize {
        self.0
            .iter()
            .map(|(name, attribute)| name.len() + attribute.data_type.len() + attribute.content.bytes().len())
            .sum()
    }

    /// Names and texts.
    pub(crate) fn headers(&self) -> BTreeMap<String, String> {
        let text = |attribute: &Attribute| match &attribute.content {
            Content::Text(text) => text.clone(),
            Content::Bytes(bytes) => STANDARD.encode(bytes),
        };
        self.0.iter().map(|(name, attribute)| (name.clone(), text(attribute))).collect()
    }

    /// `MD5OfMessageAttributes` (SQS developer guide, "Calculating the MD5 message digest for message
    /// attributes"): in the order of their names, each part with its length before it.
    pub(crate) fn md5(&self) -> String {
        let mut digest = Md5::new();
        for (name, Attribute { data_type, content }) in &self.0 {
            for part in [name.as_bytes(), data_type.as_bytes()] {
                digest.update(length(part));
                digest.update(part);
            }
            digest.update([if matches!(content, Content::Text(_)) { 1 } else { 2 }]);
            digest.update(length(content.bytes()));
            digest.update(content.bytes());
        }
        hexadecimal(&digest.finalize())
    }
}

fn length(part: &[u8]) -> [u8; 4] {
    u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes()
}

/// `MD5OfMessageBody`.
pub(crate) fn md5_of_body(body: &str) -> String {
    hexadecimal(&Md5::digest(body))
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Content {
    fn bytes(&self) -> &[u8] {
        match self {
            Content::Text(text) => text.as_bytes(),
            Content::Bytes(bytes) => bytes,
        }
    }
}

impl Attribute {
    fn read(name: &str, written: &Map<String, Value>) -> Result<Self, Problem> {
        const KNOWN: [&str; 3] = ["DataType", "StringValue", "BinaryValue"];
        let usable = |(field, value): (&String, &Value)| {
            KNOWN.contains(&field.as_str()) && (value.is_string() || value.is_null())
        };
        if !written.iter().all(usable) {
            return Err(Problem::Shape);
        }
        let text = |field: &str| written.get(field).and_then(Value::as_str).unwrap_or_default();
        let data_type = text("DataType");
        if data_type.is_empty() {
            return Err(refused(format!(
                "The message attribute '{name}' must contain non-empty message attribute type."
            )));
        }
        let kind = data_type.split('.').next().unwrap_or_default();
        let content = match kind {
            "String" | "Number" => Content::Text(text("StringValue").to_owned()),
            "Binary" => Content::Bytes(STANDARD.decode(text("BinaryValue")).map_err(|_| Problem::Shape)?),
            _ => {
                return Err(refused(format!(
                    "The message attribute '{name}' has an invalid message attribute type, the set of \
                     supported type prefixes is Binary, Number, and String."
                )));
            }
        };
        if content.bytes().is_empty() {
            return Err(refused(format!(
                "The message attribute '{name}' must contain non-empty message attribute value for message \
                 attribute type '{kind}'."
            )));
        }
        if kind == "Number" && !text("StringValue").parse().is_ok_and(f64::is_finite) {
            return Err(refused(format!("Can't cast the value of message attribute '{name}' to a number.")));
        }
        Ok(Attribute { data_type: data_type.to_owned(), content })
    }
}

/// The rules of the SQS developer guide for names.
fn check_name(name: &str) -> Result<(), Problem> {
    let characters = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte));
    let periods = name.starts_with('.') || name.ends_with('.') || name.contains("..");
    let lower = name.to_ascii_lowercase();
    let reserved = RESERVED.iter().any(|prefix| lower.starts_with(prefix));
    if name.is_empty() || name.len() > NAME_BYTES_MAX || !characters || periods || reserved {
        return Err(refused(format!("The message attribute name '{name}' is invalid.")));
    }
    Ok(())
}

fn refused(reason: String) -> Problem {
    Problem::Refused(reason)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(written: Value) -> Attributes {
        Attributes::read(Some(&written)).unwrap()
    }

    #[test]
    fn attributes_become_headers() {
        let attributes = read(json!({
            "who": {"DataType": "String", "StringValue": "World"},
            "count": {"DataType": "Number.int", "StringValue": "7"},
            "raw": {"DataType": "Binary", "BinaryValue": "AAH/"},
        }));
        let headers = [("count", "7"), ("raw", "AAH/"), ("who", "World")];
        let headers = headers.map(|(name, text)| (name.to_owned(), text.to_owned()));
        assert_eq!(attributes.headers(), BTreeMap::from(headers));
        assert_eq!(attributes.bytes(), "count".len() + 10 + 1 + "raw".len() + 6 + 3 + "who".len() + 6 + 5);
        assert_eq!(Attributes::read(None), Ok(Attributes::default()));
    }

    /// The digests are those of the algorithm run with another implementation (Python's hashlib).
    #[test]
    fn digests_are_those_of_sqs() {
        assert_eq!(md5_of_body("test_message_body"), "3caa9a099bc4e58ae7923f68c5d7d081");
        let attributes = read(json!({
            "my_attribute_no_2": {"DataType": "String", "StringValue": "World"},
            "my_attribute_no_1": {"DataType": "String", "StringValue": "Hello"},
        }));
        assert_eq!(attributes.md5(), "7a2370fb1a1bb683e7d1ed61e44ffe02");
        assert_eq!(
            read(json!({"b": {"DataType": "Binary", "BinaryValue": "AAH/"}})).md5(),
            "35842bdf855d374207ff397bc05e1ca4"
        );
    }

    #[test]
    fn what_cannot_be_an_attribute_is_refused() {
        let text = |kind: &str| json!({"DataType": kind, "StringValue": "x"});
        let cases = [
            (json!([]), None),
            (json!({"a": "text"}), None),
            (json!({"a": {"DataType": "String", "StringValue": 1}}), None),
            (json!({"a": {"DataType": "String", "StringValue": "x", "Other": "y"}}), None),
            (json!({"a": {"DataType": "Binary", "BinaryValue": "not base64"}}), None),
            (json!({"a": {"StringValue": "x"}}), Some("non-empty message attribute type")),
            (json!({"a": {"DataType": "String"}}), Some("non-empty message attribute value")),
            (json!({"a": {"DataType": "String", "BinaryValue": "AAH/"}}), Some("non-empty")),
            (json!({"a": text("Number")}), Some("to a number")),
            (json!({"a": text("Text")}), Some("supported type prefixes")),
            (json!({"AWS.a": text("String")}), Some("name 'AWS.a' is invalid")),
            (json!({"Warren-type": text("String")}), Some("name 'Warren-type' is invalid")),
            (json!({".a": text("String")}), Some("is invalid")),
            (json!({"a..b": text("String")}), Some("is invalid")),
            (json!({"a b": text("String")}), Some("is invalid")),
            (json!({"": text("String")}), Some("is invalid")),
            (
                Value::Object((0..11).map(|number| (format!("a{number}"), text("String"))).collect()),
                Some("Number of message attributes [11]"),
            ),
        ];
        for (written, says) in cases {
            match (Attributes::read(Some(&written)), says) {
                (Err(Problem::Shape), None) => {}
                (Err(Problem::Refused(reason)), Some(says)) => assert!(reason.contains(says), "{reason}"),
                (read, _) => panic!("{written}: {read:?}"),
            }
        }
    }
}
