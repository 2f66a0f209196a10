//! What all states have in common, and the state types that have little of their own.

use std::sync::Arc;

use serde_json::Value;

use super::Checker;
use super::QueryLanguage::{self, JsonPath, Jsonata};
use super::diagnostic::Code;
use super::expressions::Given;
use super::fields::{Object, STATE_TYPES};
use super::machine::{Scope, Surroundings};
use super::outline::StateOutline;
use super::place::Place;
use super::values::{NOT_A_PATH, looks_like_expression};
use crate::data::expression::Uses;
use crate::data::intrinsic::{Function, Intrinsic};
use crate::data::path::Path;
use crate::data::timestamp::Timestamp;
use crate::data::{DataFlow, JsonPathFlow, JsonataFlow};
use crate::limits;
use crate::program::{Fail, Next, Parallel, Pass, State, StateKind, StateType, Text, Until, Wait};

impl<'a> Checker<'a> {
    /// Compiles a state into its slot.
    pub(super) fn state(
        &mut self,
        name: &'a str,
        value: &'a Value,
        place: &Place<'_>,
        around: &Surroundings<'a, '_>,
    ) {
        self.state_name(name, place);
        let (Some(fields), Some(outline)) = (value.as_object(), around.machine.states.get(name)) else {
            self.report.error(place, "Expected value of type [OBJECT]");
            return;
        };
        let object = Object { fields, place, language: self.language };
        let Some(state_type) = self.state_type(object) else { return };
        let language = language_of(object);
        let object = Object { fields, place, language };
        let around_it = std::mem::replace(&mut self.state, (name.to_owned(), place.to_string()));
        let mixes = self.mixes(object);
        let mixed_around_it = std::mem::replace(&mut self.is_mixed, mixes);
        self.state_fields(object, state_type);
        self.query_language(object);
        let uses = match state_type {
            StateType::Task | StateType::Parallel | StateType::Map => Uses::Result,
            _ => Uses::Input,
        };
        let assign = self.assign(object, uses);
        let flow = self.flow(object, state_type, uses);
        let kind = self.kind(object, state_type, outline, around);
        self.state = around_it;
        self.is_mixed = mixed_around_it;
        if let Some(slot) = self.states.get_mut(outline.id.0 as usize) {
            *slot = kind.map(|kind| State { name: Arc::from(name), flow, assign, kind });
        }
    }

    fn state_name(&mut self, name: &str, place: &Place<'_>) {
        let maximum = limits::NAME_CHARACTERS_MAX;
        if name.is_empty() {
            self.report.push_at(
                Code::InvalidStateName,
                place,
                "Invalid State name: State name cannot be empty",
            );
        } else if name.chars().count() > maximum {
            let message = format!(
                "Invalid State name: State '{name}' exceeds the {maximum}-character limit allowed by the service"
            );
            self.report.push_at(Code::InvalidStateName, place, message);
        }
    }

    fn state_type(&mut self, object: Object<'a, '_>) -> Option<StateType> {
        self.required(object, &["Type"]);
        let value = object.get("Type")?;
        let known =
            value.as_str().and_then(|text| STATE_TYPES.into_iter().find(|known| known.name() == text));
        if known.is_none() {
            let names = STATE_TYPES.map(StateType::name).join(", ");
            let message = format!("The field 'Type' should have one of these values: [{names}]");
            self.report.error(&object.place.field("Type"), message);
        }
        known
    }

    /// Whether a state takes back the language of a machine in JSONata, which is reported. AWS then says nothing
    /// of fields of the other language.
    fn mixes(&mut self, object: Object<'a, '_>) -> bool {
        let mixes = self.language == Jsonata && object.language == JsonPath;
        if mixes {
            let message = "'QueryLanguage' can not be 'JSONPath' if set to 'JSONata' for whole state machine";
            self.report.error(object.place, message);
        }
        mixes
    }

    /// Checks the value of `QueryLanguage`.
    pub(super) fn query_language(&mut self, object: Object<'a, '_>) {
        self.one_of(object, "QueryLanguage", &["JSONPath", "JSONata"]);
    }

    /// The fields that move data. Those that the state's type does not have are absent.
    fn flow(&mut self, object: Object<'a, '_>, state_type: StateType, uses: Uses) -> DataFlow {
        if object.is_jsonata() {
            let arguments = self.payload(object, "Arguments", Uses::Input);
            return DataFlow::Jsonata(JsonataFlow {
                arguments,
                output: self.payload(object, "Output", uses),
            });
        }
        // Those of a Map are its older `ItemSelector`.
        let parameters =
            if state_type == StateType::Map { None } else { self.template(object, "Parameters") };
        DataFlow::JsonPath(Box::new(JsonPathFlow {
            input_path: self.selection(object, "InputPath"),
            parameters,
            result_selector: self.template(object, "ResultSelector"),
            result_path: self.result_path(object),
            output_path: self.selection(object, "OutputPath"),
        }))
    }

    fn kind(
        &mut self,
        object: Object<'a, '_>,
        state_type: StateType,
        outline: &StateOutline<'a>,
        around: &Surroundings<'a, '_>,
    ) -> Option<StateKind> {
        match state_type {
            StateType::Pass => self.pass(object, around).map(StateKind::Pass),
            StateType::Task => self.task(object, around).map(Box::new).map(StateKind::Task),
            StateType::Choice => self.choice(object, around).map(StateKind::Choice),
            StateType::Wait => self.wait(object, around).map(StateKind::Wait),
            StateType::Succeed => Some(StateKind::Succeed),
            StateType::Fail => Some(StateKind::Fail(self.fail(object))),
            StateType::Parallel => self.parallel(object, outline, around).map(StateKind::Parallel),
            StateType::Map => self.map(object, outline, around).map(Box::new).map(StateKind::Map),
        }
    }

    /// `Next` or `End`: exactly one.
    pub(super) fn next(&mut self, object: Object<'a, '_>, around: &Surroundings<'a, '_>) -> Option<Next> {
        let end = self.boolean(object, "End") == Some(true);
        match (object.has("Next"), end) {
            (true, false) => self.target(object, "Next", around.machine).map(Next::State),
            (false, true) => Some(Next::End),
            (true, true) => {
                self.at_most_one(object, &["Next", "End"]);
                None
            }
            (false, false) => {
                self.missing_one(object, &["Next", "End"]);
                None
            }
        }
    }

    fn pass(&mut self, object: Object<'a, '_>, around: &Surroundings<'a, '_>) -> Option<Pass> {
        let result = object.get("Result");
        if let Some(result) = result
            && holds_expression(result)
        {
            let message = "The field 'Result' is taken as it is: paths in it are not evaluated";
            self.report.push_at(Code::PassResultIsStatic, &object.place.field("Result"), message);
        }
        Some(Pass { result: result.cloned(), next: self.next(object, around)? })
    }

    fn wait(&mut self, object: Object<'a, '_>, around: &Surroundings<'a, '_>) -> Option<Wait> {
        self.exactly_one(object, &["SecondsPath", "Seconds", "TimestampPath", "Timestamp"]);
        let seconds = match self.expression(object, "Seconds") {
            Given::Expression(expression) => expression.map(Until::SecondsExpression),
            Given::Plain => self.whole(object, "Seconds", 0, limits::TIMEOUT_SECONDS_MAX).map(Until::Seconds),
        };
        let timestamp = match self.expression(object, "Timestamp") {
            Given::Expression(expression) => expression.map(Until::TimestampExpression),
            Given::Plain => self.timestamp(object, "Timestamp").map(Until::Timestamp),
        };
        let seconds_path = self.reference_path(object, "SecondsPath").map(Until::SecondsPath);
        let timestamp_path = self.reference_path(object, "TimestampPath").map(Until::TimestampPath);
        let next = self.next(object, around);
        Some(Wait { until: seconds.or(timestamp).or(seconds_path).or(timestamp_path)?, next: next? })
    }

    /// A point in time given in the definition.
    pub(super) fn timestamp(&mut self, object: Object<'a, '_>, name: &str) -> Option<Timestamp> {
        let place = object.place.field(name);
        let text = self.string(object, name)?;
        self.warn_without_path(text, &place);
        let timestamp = Timestamp::parse(text);
        if timestamp.is_none() {
            self.report.error(&place, "String does not match RFC3339 timestamp");
        }
        timestamp
    }

    fn fail(&mut self, object: Object<'a, '_>) -> Fail {
        Fail {
            error: self.text(object, ["Error", "ErrorPath"]),
            cause: self.text(object, ["Cause", "CausePath"]),
        }
    }

    /// A text in `name`, or where it comes from in `path_name`; not both.
    fn text(&mut self, object: Object<'a, '_>, [name, path_name]: [&str; 2]) -> Option<Text> {
        self.at_most_one(object, &[name, path_name]);
        if object.has(path_name) && !object.is_jsonata() {
            return self.text_path(object, path_name);
        }
        if let Given::Expression(expression) = self.expression(object, name) {
            return expression.map(Text::Expression);
        }
        let text = self.string(object, name)?;
        if !object.is_jsonata() {
            self.warn_without_path(text, &object.place.field(name));
        }
        Some(Text::Literal(text.to_owned()))
    }

    /// `ErrorPath` or `CausePath`: a path or one of the intrinsic functions that answer a string.
    fn text_path(&mut self, object: Object<'a, '_>, name: &str) -> Option<Text> {
        let text = self.string(object, name)?;
        if !Intrinsic::<Path>::looks_like(text) {
            return self.path(object, name).map(Text::Path);
        }
        let place = object.place.field(name);
        let intrinsic = Intrinsic::parse(text, |path| Path::parse(path).ok()).ok();
        let Some(intrinsic) = intrinsic.filter(answers_string) else {
            self.report.error(&place, NOT_A_PATH);
            return None;
        };
        for path in intrinsic.paths() {
            self.note(path);
        }
        Some(Text::Intrinsic(intrinsic))
    }

    fn parallel(
        &mut self,
        object: Object<'a, '_>,
        outline: &StateOutline<'a>,
        around: &Surroundings<'a, '_>,
    ) -> Option<Parallel> {
        let handling = self.error_handling(object, around);
        let next = self.next(object, around);
        let place = object.place.field("Branches");
        let branches = self.list(object, "Branches")?;
        for (index, (branch, machine)) in branches.iter().zip(&outline.branches).enumerate() {
            let place = place.element(index);
            let Some(fields) = branch.as_object() else {
                self.report.error(&place, "Expected value of type [OBJECT]");
                continue;
            };
            let branch = Object { fields, place: &place, language: self.language };
            self.machine_fields(branch, &["StartAt", "States"]);
            let scope = Scope { workflow: around.workflow, outer: Some(around.variables) };
            self.machine(branch, machine, &scope);
        }
        let branches = outline.branches.iter().map(|machine| machine.id).collect();
        Some(Parallel { branches, handling, next: next? })
    }
}

/// The language that an object is in. To AWS everything is JSONata that does not say `JSONPath`, what it reports as
/// unknown included.
pub(super) fn language_of(object: Object<'_, '_>) -> QueryLanguage {
    match object.get("QueryLanguage") {
        None => object.language,
        Some(value) if value == "JSONPath" => JsonPath,
        Some(_) => Jsonata,
    }
}

/// Whether a string that looks like a path stands anywhere in a value.
fn holds_expression(value: &Value) -> bool {
    match value {
        Value::String(text) => looks_like_expression(text),
        Value::Array(elements) => elements.iter().any(holds_expression),
        Value::Object(fields) => fields.values().any(holds_expression),
        _ => false,
    }
}

/// The functions that AWS allows in `ErrorPath` and `CausePath`.
fn answers_string(call: &Intrinsic<Path>) -> bool {
    matches!(
        call.function(),
        Function::Format
            | Function::JsonToString
            | Function::ArrayGetItem
            | Function::Base64Encode
            | Function::Base64Decode
            | Function::Hash
            | Function::Uuid
    )
}
