//! Which field may stand where: the table of state types, and the checks that only need names.

use serde_json::{Map, Value};

use super::place::Place;
use super::{Checker, QueryLanguage};
use crate::program::StateType::{self, Choice, Fail, Parallel, Pass, Succeed, Task, Wait};

/// An object of the definition, where it stands, and the language its fields are in.
#[derive(Clone, Copy)]
pub(super) struct Object<'a, 'p> {
    pub(super) fields: &'a Map<String, Value>,
    pub(super) place: &'p Place<'p>,
    pub(super) language: QueryLanguage,
}

impl<'a> Object<'a, '_> {
    pub(super) fn get(&self, name: &str) -> Option<&'a Value> {
        self.fields.get(name)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.fields.contains_key(name)
    }

    pub(super) fn is_jsonata(&self) -> bool {
        self.language == QueryLanguage::Jsonata
    }
}

/// In which query languages a field exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Availability {
    Both,
    JsonPathOnly,
    JsonataOnly,
}

use Availability::{Both, JsonPathOnly, JsonataOnly};

/// All state types, in the order in which AWS lists them.
pub(super) const STATE_TYPES: [StateType; 8] =
    [Task, Wait, Pass, Succeed, Fail, Choice, Parallel, StateType::Map];

const WITH_NEXT: &[StateType] = &[Pass, Task, Wait, Parallel, StateType::Map];
const ALL_BUT_FAIL: &[StateType] = &[Pass, Task, Choice, Wait, Succeed, Parallel, StateType::Map];
const WITH_RESULT: &[StateType] = &[Pass, Task, Parallel, StateType::Map];
const WITH_WORK: &[StateType] = &[Task, Parallel, StateType::Map];
const MAP: &[StateType] = &[StateType::Map];

/// The field matrix: name, language, state types.
const STATE_FIELDS: &[(&str, Availability, &[StateType])] = &[
    ("Type", Both, &STATE_TYPES),
    ("Comment", Both, &STATE_TYPES),
    ("QueryLanguage", Both, &STATE_TYPES),
    ("Next", Both, WITH_NEXT),
    ("End", Both, WITH_NEXT),
    ("InputPath", JsonPathOnly, ALL_BUT_FAIL),
    ("OutputPath", JsonPathOnly, ALL_BUT_FAIL),
    ("Parameters", JsonPathOnly, WITH_RESULT),
    ("Result", JsonPathOnly, &[Pass]),
    ("ResultPath", JsonPathOnly, WITH_RESULT),
    ("ResultSelector", JsonPathOnly, WITH_WORK),
    ("Arguments", JsonataOnly, &[Task, Parallel]),
    ("Output", JsonataOnly, ALL_BUT_FAIL),
    ("Assign", Both, &[Pass, Task, Choice, Wait, Parallel, StateType::Map]),
    ("Retry", Both, WITH_WORK),
    ("Catch", Both, WITH_WORK),
    ("Resource", Both, &[Task]),
    ("Credentials", Both, &[Task]),
    ("TimeoutSeconds", Both, &[Task]),
    ("TimeoutSecondsPath", JsonPathOnly, &[Task]),
    ("HeartbeatSeconds", Both, &[Task]),
    ("HeartbeatSecondsPath", JsonPathOnly, &[Task]),
    ("Choices", Both, &[Choice]),
    ("Default", Both, &[Choice]),
    ("Seconds", Both, &[Wait]),
    ("SecondsPath", JsonPathOnly, &[Wait]),
    ("Timestamp", Both, &[Wait]),
    ("TimestampPath", JsonPathOnly, &[Wait]),
    ("Error", Both, &[Fail]),
    ("ErrorPath", JsonPathOnly, &[Fail]),
    ("Cause", Both, &[Fail]),
    ("CausePath", JsonPathOnly, &[Fail]),
    ("Branches", Both, &[Parallel]),
    ("ItemProcessor", Both, MAP),
    ("Iterator", Both, MAP),
    ("ItemReader", Both, MAP),
    ("ItemBatcher", Both, MAP),
    ("ResultWriter", Both, MAP),
    ("ItemSelector", Both, MAP),
    ("ItemsPath", JsonPathOnly, MAP),
    ("Items", JsonataOnly, MAP),
    ("MaxConcurrency", Both, MAP),
    ("MaxConcurrencyPath", JsonPathOnly, MAP),
    ("ToleratedFailureCount", Both, MAP),
    ("ToleratedFailureCountPath", JsonPathOnly, MAP),
    ("ToleratedFailurePercentage", Both, MAP),
    ("ToleratedFailurePercentagePath", JsonPathOnly, MAP),
    ("Label", Both, MAP),
];

/// The fields without which a state is none, beside `Type`.
const REQUIRED_FIELDS: &[(StateType, &[&str])] =
    &[(Task, &["Resource"]), (Choice, &["Choices"]), (Parallel, &["Branches"])];

impl<'a> Checker<'a> {
    /// Reports the fields of a state that are missing, and those that its type or its language does not
    /// have.
    pub(super) fn state_fields(&mut self, state: Object<'a, '_>, state_type: StateType) {
        if let Some((_, names)) = REQUIRED_FIELDS.iter().find(|(of, _)| *of == state_type) {
            self.required(state, names);
        }
        for name in state.fields.keys() {
            let row =
                STATE_FIELDS.iter().find(|(field, _, types)| field == name && types.contains(&state_type));
            match row {
                None => self.report.error(state.place, not_supported(name)),
                Some((_, availability, _)) => self.language_of(state, name, *availability),
            }
        }
    }

    /// Reports fields of an object other than a state that are not in the list.
    pub(super) fn only(&mut self, object: Object<'a, '_>, allowed: &[&str]) {
        for name in object.fields.keys() {
            if name != "Comment" && !allowed.contains(&name.as_str()) {
                self.report.error(object.place, not_supported(name));
            }
        }
    }

    /// As [`Checker::only`]; a field of one language only is reported in AWS's words for that.
    pub(super) fn only_in(
        &mut self,
        object: Object<'a, '_>,
        both: &[&str],
        json_path: &[&str],
        jsonata: &[&str],
    ) {
        for name in object.fields.keys() {
            let name = name.as_str();
            if json_path.contains(&name) {
                self.language_of(object, name, JsonPathOnly);
            } else if jsonata.contains(&name) {
                self.language_of(object, name, JsonataOnly);
            } else if name != "Comment" && !both.contains(&name) {
                self.report.error(object.place, not_supported(name));
            }
        }
    }

    fn language_of(&mut self, object: Object<'a, '_>, name: &str, availability: Availability) {
        if self.is_mixed {
            return;
        }
        let (set, only) = match (object.language, availability) {
            (QueryLanguage::Jsonata, JsonPathOnly) => ("JSONata", "JSONPath"),
            (QueryLanguage::JsonPath, JsonataOnly) => ("JSONPath", "JSONata"),
            _ => return,
        };
        self.report.error(
            object.place,
            format!(
                "The QueryLanguage is set to '{set}', but field '{name}' is only supported for the '{only}' QueryLanguage"
            ),
        );
    }

    /// Reports which of the fields are missing, all in one.
    pub(super) fn required(&mut self, object: Object<'a, '_>, names: &[&str]) {
        let missing: Vec<&str> = names.iter().copied().filter(|name| !object.has(name)).collect();
        if !missing.is_empty() {
            self.report.error(object.place, format!("These fields are required: [{}]", missing.join(", ")));
        }
    }

    /// Reports fields that exclude each other.
    pub(super) fn at_most_one(&mut self, object: Object<'a, '_>, names: &[&str]) {
        if names.iter().filter(|name| object.has(name)).count() > 1 {
            let names = names.join(", ");
            let message = format!("There should only be one of the following fields: [{names}]");
            self.report.error(object.place, message);
        }
    }

    /// Reports fields of which there must be one, and one only.
    pub(super) fn exactly_one(&mut self, object: Object<'a, '_>, names: &[&str]) {
        if names.iter().any(|name| object.has(name)) {
            self.at_most_one(object, names);
        } else {
            self.missing_one(object, names);
        }
    }

    /// Reports that none of several fields is there.
    pub(super) fn missing_one(&mut self, object: Object<'a, '_>, names: &[&str]) {
        let names = names.join(", ");
        let message = format!("This object should have only one of the following fields: [{names}]");
        self.report.error(object.place, message);
    }
}

fn not_supported(name: &str) -> String {
    format!("Field '{name}' is not supported")
}
