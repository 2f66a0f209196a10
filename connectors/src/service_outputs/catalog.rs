//! The shapes of all services, as `schemas/service-outputs/generate.py` packs them.

use std::collections::HashMap;

use serde::Deserialize;

const PACKED: &[u8] = include_bytes!("../../../schemas/service-outputs/outputs.bin");

/// Where the shapes of each service are.
#[derive(Deserialize)]
struct Index {
    /// Name to place in the bodies, length there, and length when unpacked.
    services: HashMap<String, (usize, usize, usize)>,
}

/// Which of two spellings of a member is told when it is missing. Either is known when it is there: of the
/// names that begin with an acronym no two integrations are alike, and no recording tells all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spelling {
    /// `DBInstances`: the model's, in Pascal case. So do the optimized integrations.
    Model,
    /// `DbInstances`: what the AWS SDK for Java makes of it. So do the integrations of the SDK.
    Sdk,
}

/// What one service answers.
#[derive(Deserialize)]
pub(super) struct Service {
    operations: HashMap<String, usize>,
    shapes: Vec<Shape>,
}

/// The form of a value. Parts are numbers of shapes.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Shape {
    /// An object with members of these names.
    Structure(Structure),
    /// An array.
    List {
        /// What each element is.
        of: usize,
        /// How many there are.
        #[serde(flatten)]
        length: Bounds<u64>,
    },
    /// An object with members of any names.
    Map(usize),
    /// Also a time or bytes.
    Text(Bounds<u64>),
    /// One of these texts.
    Enum(Vec<String>),
    /// Whole or not.
    Number(Bounds<f64>),
    /// True or false.
    Boolean,
    /// Whatever it is.
    Any,
}

#[derive(Deserialize)]
pub(super) struct Structure {
    members: HashMap<String, usize>,
    #[serde(default)]
    required: Vec<String>,
    /// Each required member in both spellings, the one to tell first.
    #[serde(skip)]
    pub(super) must_have: Vec<[String; 2]>,
}

impl Structure {
    /// The shape of a member, by either spelling.
    pub(super) fn member(&self, name: &str) -> Option<usize> {
        self.members.get(name).copied()
    }

    fn spell(&mut self, spelling: Spelling) {
        for (name, shape) in std::mem::take(&mut self.members) {
            self.members.insert(pascal(&name), shape);
            self.members.entry(sdk(&name)).or_insert(shape);
        }
        let both = |name: String| match spelling {
            Spelling::Model => [pascal(&name), sdk(&name)],
            Spelling::Sdk => [sdk(&name), pascal(&name)],
        };
        self.must_have = std::mem::take(&mut self.required).into_iter().map(both).collect();
    }
}

#[derive(Deserialize)]
pub(super) struct Bounds<T> {
    pub(super) min: Option<T>,
    pub(super) max: Option<T>,
}

impl Service {
    /// By the name that resources have for it: `cloudwatchlogs`.
    pub(super) fn unpack(name: &str, spelling: Spelling) -> Option<Self> {
        let (index, bodies) = index();
        let (start, packed, unpacked) = *index.services.get(name)?;
        let body = &bodies[start..start + packed];
        let text = miniz_oxide::inflate::decompress_to_vec_with_limit(body, unpacked)
            .expect("what is built in is what was packed");
        let mut service: Service = serde_json::from_slice(&text).expect("what was packed has this form");
        for shape in &mut service.shapes {
            if let Shape::Structure(structure) = shape {
                structure.spell(spelling);
            }
        }
        Some(service)
    }

    /// The output of an operation, by the name that resources have for it: `startExecution`.
    pub(super) fn output(&self, operation: &str) -> Option<&Shape> {
        let (_, &number) = self.operations.iter().find(|(name, _)| name.eq_ignore_ascii_case(operation))?;
        Some(self.shape(number))
    }

    pub(super) fn shape(&self, number: usize) -> &Shape {
        &self.shapes[number]
    }
}

fn index() -> (Index, &'static [u8]) {
    let (length, rest) = PACKED.split_first_chunk().expect("it begins with the length of the index");
    let (index, bodies) = rest.split_at(u32::from_le_bytes(*length) as usize);
    (serde_json::from_slice(index).expect("the index has this form"), bodies)
}

fn pascal(name: &str) -> String {
    capitalized(name, 1)
}

/// As the AWS SDK for Java names a member, in Pascal case: capitals at the beginning are one word.
fn sdk(name: &str) -> String {
    // `null` is a word of Java.
    if name == "NULL" {
        return "Nul".to_owned();
    }
    let name_bytes = name.as_bytes();
    let begins_a_word = |at: usize| name_bytes.get(at + 1).is_some_and(u8::is_ascii_lowercase);
    let capitals =
        (1..name.len()).take_while(|&at| name_bytes[at].is_ascii_uppercase() && !begins_a_word(at)).count();
    capitalized(name, 1 + capitals)
}

/// The first letter as a capital, those after it up to the end of the word small.
fn capitalized(name: &str, word: usize) -> String {
    let (word, rest) = name.split_at_checked(word).unwrap_or((name, ""));
    let (first, others) = word.split_at_checked(1).unwrap_or((word, ""));
    format!("{}{}{rest}", first.to_ascii_uppercase(), others.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_have_the_name_of_the_model_and_that_of_the_sdk() {
        for (model, in_pascal_case, of_the_sdk) in [
            ("taskArn", "TaskArn", "TaskArn"),
            ("QueueUrl", "QueueUrl", "QueueUrl"),
            ("ETag", "ETag", "ETag"),
            ("DBClusters", "DBClusters", "DbClusters"),
            ("SSEKMSKeyId", "SSEKMSKeyId", "SsekmsKeyId"),
            ("SSECustomerKeyMD5", "SSECustomerKeyMD5", "SseCustomerKeyMD5"),
            ("MD5OfMessageBody", "MD5OfMessageBody", "Md5OfMessageBody"),
            ("NS", "NS", "Ns"),
            ("NULL", "NULL", "Nul"),
            ("x", "X", "X"),
            ("", "", ""),
        ] {
            assert_eq!((pascal(model), sdk(model)), (in_pascal_case.to_owned(), of_the_sdk.to_owned()));
        }
    }

    #[test]
    fn every_service_can_be_unpacked_and_refers_to_shapes_it_has() {
        let (index, _) = index();
        assert!(index.services.len() > 400, "{}", index.services.len());
        for name in index.services.keys() {
            let service = Service::unpack(name, Spelling::Sdk).unwrap();
            let parts = service.shapes.iter().flat_map(|shape| match shape {
                Shape::Structure(structure) => structure.members.values().copied().collect(),
                Shape::List { of: part, .. } | Shape::Map(part) => vec![*part],
                Shape::Text(_) | Shape::Enum(_) | Shape::Number(_) | Shape::Boolean | Shape::Any => vec![],
            });
            let highest = parts.chain(service.operations.values().copied()).max();
            assert!(highest.is_none_or(|number| number < service.shapes.len()), "{name}");
        }
    }
}
