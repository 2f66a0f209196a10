//! Bytes that a release has written are read by the next one: `messages/<type>.<version>[-<case>].json` are
//! messages and history bodies as they were sent and stored. They are never edited; a new version of a type
//! adds files. Each also fits its schema in `schemas/messages/`.

#![expect(clippy::unwrap_used, reason = "a failure here is the result of a test")]

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::path::{Path, PathBuf};

use engine::messages::{Body, Express, ExpressResult, Move, TaskMessage, TaskResult, decode, encode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Every type and version that is read.
const TYPES: [&str; 7] = [
    "transition.1",
    "nudge.1",
    "task-request.1",
    "task-result.1",
    "history.1",
    "express.1",
    "express-result.1",
];

fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Type, name and bytes of all samples.
fn samples() -> Vec<(String, String, Vec<u8>)> {
    let folder = project().join("engine/tests/messages");
    let mut samples = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let kind = TYPES.iter().find(|kind| name == **kind || name.starts_with(&format!("{kind}-"))).unwrap();
        samples.push(((*kind).to_owned(), name, std::fs::read(path).unwrap()));
    }
    samples
}

/// It is read, and what is written of it means the same.
fn check<T: DeserializeOwned + Serialize + PartialEq + Debug>(name: &str, bytes: &[u8]) {
    let read: T = decode(bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
    let written = encode(&read);
    assert_eq!(decode::<T>(&written).unwrap(), read, "{name}");
    let (before, after): (Value, Value) = (decode(bytes).unwrap(), decode(&written).unwrap());
    assert_eq!(after, before, "{name} loses something");
}

#[test]
fn what_was_written_is_read_and_means_the_same() {
    let mut seen = BTreeSet::new();
    for (kind, name, bytes) in samples() {
        match kind.as_str() {
            "transition.1" | "nudge.1" => check::<Move>(&name, &bytes),
            "task-request.1" => check::<TaskMessage>(&name, &bytes),
            "task-result.1" => check::<TaskResult>(&name, &bytes),
            "history.1" => check::<Body>(&name, &bytes),
            "express.1" => check::<Express>(&name, &bytes),
            "express-result.1" => check::<ExpressResult>(&name, &bytes),
            other => panic!("nothing reads {other}"),
        }
        seen.insert(kind);
    }
    assert_eq!(seen.len(), TYPES.len(), "a type has no sample: {seen:?}");
}

#[test]
fn every_kind_of_history_event_has_a_sample() {
    let (_, _, bytes) = samples().into_iter().find(|(_, name, _)| name == "history.1-events").unwrap();
    let body: Body = decode(&bytes).unwrap();
    let kinds: BTreeSet<String> = body.events.iter().map(|event| event.kind.type_name()).collect();
    let common = schema("common.schema.json");
    let listed = common["$defs"]["history_event"]["properties"]["k"]["oneOf"].as_array().unwrap();
    let count = listed[0]["enum"].as_array().unwrap().len() + listed.len() - 1;
    assert_eq!((kinds.len(), body.events.len()), (count, count));
}

#[test]
fn every_sample_fits_its_schema() {
    for (kind, name, bytes) in samples() {
        let file = format!("{kind}.schema.json");
        let problem = Schemas { file: &file }.problem(&schema(&file), &decode(&bytes).unwrap());
        assert_eq!(problem, None, "{name}");
    }
}

#[test]
fn what_does_not_fit_a_schema_is_noticed() {
    let file = "nudge.1.schema.json";
    let (_, _, bytes) = samples().into_iter().find(|(_, name, _)| name == "nudge.1").unwrap();
    for (field, value) in [("seq", Value::from("4")), ("type", Value::from("nudge.2")), ("more", Value::Null)]
    {
        let mut nudge: Value = decode(&bytes).unwrap();
        nudge[field] = value;
        assert!(Schemas { file }.problem(&schema(file), &nudge).is_some(), "{field}");
    }
}

fn schema(file: &str) -> Value {
    let bytes = std::fs::read(project().join("schemas/messages").join(file)).unwrap();
    decode(&bytes).unwrap()
}

/// As much of JSON Schema as the schemas use; any other keyword is an error.
struct Schemas<'a> {
    /// Where `#` refers to.
    file: &'a str,
}

impl Schemas<'_> {
    /// Why a value does not fit; `None` if it does.
    fn problem(&self, schema: &Value, value: &Value) -> Option<String> {
        let rules = schema.as_object().unwrap().iter();
        rules.filter_map(|(word, rule)| self.breaks(schema, word, rule, value)).next()
    }

    fn breaks(&self, schema: &Value, word: &str, rule: &Value, value: &Value) -> Option<String> {
        let unless = |fits: bool| (!fits).then(|| format!("{value} is not of {word} {rule}"));
        match word {
            "$schema" | "$defs" | "title" | "description" => None,
            "$ref" => self.refers(rule.as_str().unwrap(), value),
            "const" => unless(value == rule),
            "enum" => unless(rule.as_array().unwrap().contains(value)),
            "minimum" => unless(value.as_f64() >= rule.as_f64()),
            "type" => unless(is_of(rule.as_str().unwrap(), value)),
            "oneOf" => {
                let fitting =
                    rule.as_array().unwrap().iter().filter(|one| self.problem(one, value).is_none());
                unless(fitting.count() == 1)
            }
            "items" => value.as_array()?.iter().find_map(|item| self.problem(rule, item)),
            "prefixItems" => {
                let mut pairs = rule.as_array().unwrap().iter().zip(value.as_array()?);
                pairs.find_map(|(rule, item)| self.problem(rule, item))
            }
            "properties" => {
                let members = value.as_object()?;
                members.iter().find_map(|(name, member)| self.problem(rule.get(name)?, member))
            }
            "required" => {
                let has = |name: &Value| value.get(name.as_str().unwrap()).is_some();
                unless(rule.as_array().unwrap().iter().all(has))
            }
            "additionalProperties" => {
                let known = |name: &String| schema["properties"].get(name).is_some();
                unless(value.as_object()?.keys().all(known))
            }
            other => panic!("{}: the keyword {other} is not checked", self.file),
        }
    }

    fn refers(&self, place: &str, value: &Value) -> Option<String> {
        let (file, pointer) = place.split_once('#').unwrap();
        let file = if file.is_empty() { self.file } else { file };
        let schema = schema(file);
        Schemas { file }.problem(schema.pointer(pointer).unwrap(), value)
    }
}

fn is_of(kind: &str, value: &Value) -> bool {
    match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        other => panic!("the type {other} is not checked"),
    }
}
