//! Bytes that a release has written are read by the next one: `messages/<type>.<version>[-<case>].json` are
//! messages and history bodies as they were sent and stored. They are never edited; a new version of a type
//! adds files. Each also fits its schema in `schemas/messages/`.

#![expect(clippy::unwrap_used, reason = "a failure here is the result of a test")]

use std::collections::BTreeSet;
use std::fmt::Debug;

use engine::messages::{Body, Express, ExpressResult, Move, TaskMessage, TaskResult, decode, encode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

#[path = "support/schema.rs"]
mod schema;

use schema::project;

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
        let problem = schema::problem(&format!("messages/{file}"), &decode(&bytes).unwrap());
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
        assert!(schema::problem(&format!("messages/{file}"), &nudge).is_some(), "{field}");
    }
}

fn schema(file: &str) -> Value {
    schema::read(&format!("messages/{file}"))
}
