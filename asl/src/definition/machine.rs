//! A set of states: where it starts, and whether its transitions hold together.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::assign::Variables;
use super::diagnostic::Code;
use super::fields::Object;
use super::outline::MachineOutline;
use super::place::Place;
use super::{Checker, WorkflowType};
use crate::program::{Machine, StateId};

/// What a machine takes over from around it.
pub(super) struct Scope<'a, 'o> {
    /// What its states may do; inside a Distributed Map, that of the child executions.
    pub(super) workflow: WorkflowType,
    /// The variables that its states can see but not assign.
    pub(super) outer: Option<&'o Variables<'a, 'o>>,
}

impl Scope<'_, '_> {
    /// Around the outermost machine there is nothing.
    pub(super) fn root(workflow: WorkflowType) -> Self {
        Scope { workflow, outer: None }
    }
}

/// What a state needs to know of the machine it stands in.
pub(super) struct Surroundings<'a, 'o> {
    /// The states that it can lead to.
    pub(super) machine: &'o MachineOutline<'a>,
    pub(super) workflow: WorkflowType,
    /// What machines inside it can see.
    pub(super) variables: &'o Variables<'a, 'o>,
}

impl<'a> Checker<'a> {
    /// Reports which of the fields of a machine are missing, and those that it does not have.
    pub(super) fn machine_fields(&mut self, object: Object<'a, '_>, fields: &[&str]) {
        self.required(object, &["States", "StartAt"]);
        self.only(object, fields);
    }

    /// Compiles a machine and all states in it; see [`Checker::machine_fields`] for its other fields.
    pub(super) fn machine(
        &mut self,
        object: Object<'a, '_>,
        outline: &MachineOutline<'a>,
        scope: &Scope<'a, '_>,
    ) {
        let place = object.place.field("States");
        let Some(states) = self.object(object, "States").filter(|states| !states.is_empty()) else {
            if object.get("States").and_then(Value::as_object).is_some() {
                self.report.error(&place, "Value cannot be empty");
            }
            // Which state it names cannot be told, but whether it is a name.
            self.string(object, "StartAt");
            return;
        };
        if outline.id.0 == 0 {
            self.has_end = has_end(states);
        }
        let start = self.target(object, "StartAt", outline);
        let variables = self.variables(states, &place, scope.outer);
        let surroundings = Surroundings { machine: outline, workflow: scope.workflow, variables: &variables };
        for (name, state) in states {
            self.state(name, state, &place.field(name), &surroundings);
        }
        if !self.has_end {
            // AWS then does not ask what can be reached. It gives this no location.
            if outline.id.0 == 0 {
                let message = "Workflow has no terminal state".to_owned();
                self.report.push(Code::MissingEndState, None, message);
            }
        } else if object.has("StartAt") {
            self.reachability(object.get("StartAt").and_then(Value::as_str), states, &place);
        }
        if let Some(slot) = self.machines.get_mut(outline.id.0 as usize) {
            *slot = start.map(|start_at| Machine { start_at });
        }
    }

    /// The state that a field names, which must be one of the same machine.
    pub(super) fn target(
        &mut self,
        object: Object<'a, '_>,
        name: &str,
        machine: &MachineOutline<'a>,
    ) -> Option<StateId> {
        let target = self.string(object, name)?;
        if let Some(state) = machine.states.get(target) {
            return Some(state.id);
        }
        // AWS calls every kind of target 'Next'.
        let message = format!("Missing 'Next' target: {target}");
        self.report.push_at(Code::MissingTransitionTarget, &object.place.field(name), message);
        None
    }

    /// Reports states that no way leads to. A state that lacks its transition may be the one that was
    /// meant to lead there, so then nothing is said.
    fn reachability(&mut self, start: Option<&str>, states: &'a Map<String, Value>, place: &Place<'_>) {
        if states.values().any(is_dead_end) {
            return;
        }
        let mut reached: BTreeSet<&str> = BTreeSet::new();
        let mut open: Vec<&str> = start.into_iter().collect();
        while let Some(name) = open.pop() {
            if let Some(state) = states.get(name)
                && reached.insert(name)
            {
                open.extend(targets(state));
            }
        }
        for name in states.keys().filter(|name| !reached.contains(name.as_str())) {
            let message = format!("State \"{name}\" is not reachable.");
            self.report.push_at(Code::MissingTransitionTarget, &place.field(name), message);
        }
    }
}

/// Whether one of the outermost states ends the workflow. A state that lacks its transition may be meant to.
fn has_end(states: &Map<String, Value>) -> bool {
    states.values().any(|state| is_terminal(state) || is_dead_end(state))
}

/// The names of all states that a state leads to.
pub(super) fn targets(state: &Value) -> impl Iterator<Item = &str> {
    let own = [state.get("Next"), state.get("Default")].into_iter().flatten();
    let nested = [state.get("Choices"), state.get("Catch")]
        .into_iter()
        .filter_map(|list| list?.as_array())
        .flatten()
        .filter_map(|entry| entry.get("Next"));
    own.chain(nested).filter_map(Value::as_str)
}

fn is_terminal(state: &Value) -> bool {
    let ends = state.get("End") == Some(&Value::Bool(true));
    ends || matches!(state.get("Type").and_then(Value::as_str), Some("Succeed" | "Fail"))
}

/// Neither the end nor on the way to one: a mistake that is reported elsewhere.
fn is_dead_end(state: &Value) -> bool {
    !is_terminal(state) && targets(state).next().is_none()
}
