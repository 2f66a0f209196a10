//! Numbers machines and states before they are compiled, so that a transition can name a state that
//! stands further down. Also the place for what concerns all names at once.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::diagnostic::{Code, Report};
use super::place::Place;
use crate::limits;
use crate::program::{MachineId, StateId};

/// Ids of a whole definition.
pub(super) struct Outline<'a> {
    pub(super) root: MachineOutline<'a>,
    /// How many machines there are.
    pub(super) machines: usize,
    /// How many states there are.
    pub(super) states: usize,
}

/// Ids of one machine.
pub(super) struct MachineOutline<'a> {
    pub(super) id: MachineId,
    pub(super) states: BTreeMap<&'a str, StateOutline<'a>>,
}

/// Ids of one state and of the machines inside it.
pub(super) struct StateOutline<'a> {
    pub(super) id: StateId,
    /// One for each element of a Parallel's `Branches`.
    pub(super) branches: Vec<MachineOutline<'a>>,
    /// A Map's `ItemProcessor` or `Iterator`.
    pub(super) processor: Option<Box<MachineOutline<'a>>>,
}

/// Numbers all of a definition in document order; a state comes before the states inside it. `None`
/// when a limit is exceeded, which has been reported.
pub(super) fn outline<'a>(definition: &'a Map<String, Value>, report: &mut Report) -> Option<Outline<'a>> {
    let mut numbering = Numbering { report, names: BTreeSet::new(), machines: 0, states: 0 };
    let root = numbering.machine(definition, &Place::root(), 0)?;
    Some(Outline { root, machines: numbering.machines, states: numbering.states })
}

/// The name of the field that holds a Map's machine; the newer one wins.
pub(super) fn processor_field(state: &Map<String, Value>) -> &'static str {
    if state.contains_key("ItemProcessor") || !state.contains_key("Iterator") {
        "ItemProcessor"
    } else {
        "Iterator"
    }
}

struct Numbering<'a, 'r> {
    report: &'r mut Report,
    names: BTreeSet<&'a str>,
    machines: usize,
    states: usize,
}

impl<'a> Numbering<'a, '_> {
    fn machine(
        &mut self,
        machine: &'a Map<String, Value>,
        place: &Place<'_>,
        depth: usize,
    ) -> Option<MachineOutline<'a>> {
        if depth > limits::STATE_DEPTH_MAX {
            let message = format!("States must not be nested deeper than {}", limits::STATE_DEPTH_MAX);
            self.report.push_at(Code::TooDeeplyNested, place, message);
            return None;
        }
        let id = MachineId(u32::try_from(self.machines).ok()?);
        self.machines += 1;
        let mut states = BTreeMap::new();
        if let Some(Value::Object(all)) = machine.get("States") {
            let place = place.field("States");
            for (name, state) in all {
                states.insert(name.as_str(), self.state(name, state, &place.field(name), depth)?);
            }
        }
        Some(MachineOutline { id, states })
    }

    fn state(
        &mut self,
        name: &'a str,
        state: &'a Value,
        place: &Place<'_>,
        depth: usize,
    ) -> Option<StateOutline<'a>> {
        if self.states == limits::STATES_MAX {
            let message = format!("Definition must not have more than {} states", limits::STATES_MAX);
            self.report.push(Code::SchemaValidationFailed, None, message);
            return None;
        }
        if !self.names.insert(name) {
            self.report.push_at(Code::DuplicateStateName, place, format!("Duplicate State name: {name}"));
        }
        let id = StateId(u32::try_from(self.states).ok()?);
        self.states += 1;
        let mut outline = StateOutline { id, branches: Vec::new(), processor: None };
        let field = |name: &str| state.get(name);
        match field("Type").and_then(Value::as_str) {
            Some("Parallel") => {
                let place = place.field("Branches");
                for (index, branch) in
                    field("Branches").and_then(Value::as_array).into_iter().flatten().enumerate()
                {
                    let fields = branch.as_object().unwrap_or(&EMPTY);
                    outline.branches.push(self.machine(fields, &place.element(index), depth + 1)?);
                }
            }
            Some("Map") => {
                let name = processor_field(state.as_object()?);
                if let Some(Value::Object(processor)) = field(name) {
                    let machine = self.machine(processor, &place.field(name), depth + 1)?;
                    outline.processor = Some(Box::new(machine));
                }
            }
            _ => {}
        }
        Some(outline)
    }
}

/// Stands for a branch that is not an object; that is reported when the branch is compiled.
static EMPTY: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);
