//! The fields of a Map.

use super::expressions::Given;
use super::fields::Object;
use super::machine::{Scope, Surroundings};
use super::outline::{StateOutline, processor_field};
use super::{Checker, WorkflowType};
use crate::data::expression::Uses;
use crate::data::template::Template;
use crate::program::{Items, Map, Quantity, ToleratedFailure};

/// Largest `MaxConcurrency` and `ToleratedFailureCount` that fit; AWS names no bound.
const COUNT_MAX: u32 = i32::MAX as u32;

/// How the iterations of a Map run.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Inline,
    /// As executions of their own, of the given type if that is right.
    Distributed(Option<WorkflowType>),
}

impl<'a> Checker<'a> {
    pub(super) fn map(
        &mut self,
        object: Object<'a, '_>,
        outline: &StateOutline<'a>,
        around: &Surroundings<'a, '_>,
    ) -> Option<Map> {
        self.exactly_one(object, &["ItemProcessor", "Iterator"]);
        let items = self.items(object);
        let item_selector = self.item_selector(object);
        let max_concurrency = self.quantity(object, ["MaxConcurrency", "MaxConcurrencyPath"], 0, COUNT_MAX);
        let tolerated_failure = self.tolerated_failure(object);
        self.outside_of_context(
            object,
            &["MaxConcurrencyPath", "ToleratedFailureCountPath", "ToleratedFailurePercentagePath"],
        );
        let handling = self.error_handling(object, around);
        let next = self.next(object, around);
        let items = match self.distributed_fields(object) {
            Some(reader) => Some(Items::Reader(reader)),
            None => items,
        };
        self.processor(object, outline, around);
        Some(Map {
            items: items?,
            item_selector,
            processor: outline.processor.as_ref()?.id,
            max_concurrency,
            tolerated_failure,
            // With nothing but a `WriterConfig` it is the result that is written.
            writes_results: object.get("ResultWriter").is_some_and(|writer| writer.get("Resource").is_some()),
            handling,
            next: next?,
        })
    }

    /// `ItemsPath` or, in JSONata, `Items`.
    fn items(&mut self, object: Object<'a, '_>) -> Option<Items> {
        if object.is_jsonata() {
            let Some(items) = object.get("Items") else { return Some(Items::Input) };
            let template = self.payload(object, "Items", Uses::Input)?;
            if matches!(template, Template::Literal(_)) && !items.is_array() && !items.is_object() {
                self.report.error(&object.place.field("Items"), "Expected value of type [ARRAY]");
                return None;
            }
            return Some(Items::Template(template));
        }
        if !object.has("ItemsPath") {
            return Some(Items::Input);
        }
        let path = self.reference_path(object, "ItemsPath")?;
        Some(if path.text() == "$" { Items::Input } else { Items::Path(path) })
    }

    /// `ItemSelector`, or `Parameters` as it was called.
    fn item_selector(&mut self, object: Object<'a, '_>) -> Option<Template> {
        self.at_most_one(object, &["ItemSelector", "Parameters"]);
        let selector = self.payload(object, "ItemSelector", Uses::Input);
        if object.is_jsonata() { selector } else { selector.or_else(|| self.template(object, "Parameters")) }
    }

    fn tolerated_failure(&mut self, object: Object<'a, '_>) -> ToleratedFailure {
        let count =
            self.quantity(object, ["ToleratedFailureCount", "ToleratedFailureCountPath"], 0, COUNT_MAX);
        let names = ["ToleratedFailurePercentage", "ToleratedFailurePercentagePath"];
        self.at_most_one(object, &names);
        let percentage = if object.has(names[1]) {
            self.reference_path(object, names[1]).map(Quantity::Path)
        } else if let Given::Expression(expression) = self.expression(object, names[0]) {
            expression.map(Quantity::Expression)
        } else {
            self.number(object, names[0], 0, Some(100)).cloned().map(Quantity::Literal)
        };
        ToleratedFailure { count, percentage }
    }

    /// `ItemProcessor`, or `Iterator` as it was called.
    fn processor(
        &mut self,
        object: Object<'a, '_>,
        outline: &StateOutline<'a>,
        around: &Surroundings<'a, '_>,
    ) {
        let name = processor_field(object.fields);
        let (Some(fields), Some(machine)) = (self.object(object, name), &outline.processor) else {
            return;
        };
        let place = object.place.field(name);
        let processor = Object { fields, place: &place, language: self.language };
        self.machine_fields(processor, &["StartAt", "States", "ProcessorConfig"]);
        let scope = match self.mode(processor) {
            Mode::Inline => Scope { workflow: around.workflow, outer: Some(around.variables) },
            Mode::Distributed(children) => {
                self.distributed(object, around);
                // Child executions see none of the variables of their parent.
                Scope { workflow: children.unwrap_or(around.workflow), outer: None }
            }
        };
        self.machine(processor, machine, &scope);
    }

    /// `ProcessorConfig`.
    fn mode(&mut self, processor: Object<'a, '_>) -> Mode {
        let Some(fields) = self.object(processor, "ProcessorConfig") else { return Mode::Inline };
        let place = processor.place.field("ProcessorConfig");
        let config = Object { fields, place: &place, language: processor.language };
        let mode = self.one_of(config, "Mode", &["INLINE", "DISTRIBUTED"]);
        match mode {
            Some("DISTRIBUTED") => {
                self.required(config, &["ExecutionType"]);
                self.only(config, &["Mode", "ExecutionType"]);
                Mode::Distributed(match self.one_of(config, "ExecutionType", &["STANDARD", "EXPRESS"]) {
                    Some("STANDARD") => Some(WorkflowType::Standard),
                    Some(_) => Some(WorkflowType::Express),
                    None => None,
                })
            }
            Some(_) => {
                self.only(config, &["Mode"]);
                Mode::Inline
            }
            None => {
                self.only(config, &["Mode", "ExecutionType"]);
                Mode::Inline
            }
        }
    }
}
