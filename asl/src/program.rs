//! What a definition compiles to: every path, template, intrinsic, rule and retrier parsed once.
//!
//! States of all nesting levels lie in one list; a [`StateId`] is the place in it, in document order, so
//! the same definition always gives the same ids. The root machine and the machines inside `Parallel`
//! and `Map` states lie in another.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::data::DataFlow;

mod choice;
mod edge;
mod error_handling;
mod item_reader;
mod resource;
mod state;

pub use choice::{Choice, Comparison, Condition, Operand, Order, Rule, StringPattern, TypeTest};
pub use edge::{Edge, Way};
pub use error_handling::{Catcher, ErrorHandling, Jitter, Retrier};
pub use item_reader::{Csv, CsvHeaders, ItemFormat, ItemReader};
pub use resource::{Pattern, Resource, ServiceResource};
pub use state::{
    Fail, Items, Map, Next, Parallel, Pass, Quantity, State, StateKind, StateType, Task, Text,
    ToleratedFailure, Until, Wait,
};

/// A compiled state machine. Immutable; share it behind an [`Arc`].
#[derive(Debug, Clone, PartialEq)]
pub struct Program {
    /// Limit of the whole execution (`TimeoutSeconds` of the definition).
    pub timeout_seconds: Option<u32>,
    /// The root machine first, then those of branches and item processors.
    pub machines: Vec<Machine>,
    /// All states, in document order.
    pub states: Vec<State>,
}

impl Program {
    /// The machine that an execution starts in.
    pub fn root(&self) -> MachineId {
        MachineId(0)
    }

    /// The state with this id.
    ///
    /// # Panics
    /// When the id is of another program: ids come from this program or from a branch that runs it.
    pub fn state(&self, id: StateId) -> &State {
        &self.states[id.0 as usize]
    }

    /// The first state of a machine.
    pub fn start_at(&self, machine: MachineId) -> StateId {
        self.machines[machine.0 as usize].start_at
    }

    /// Whether a branch value names a state of this program (a message may name anything).
    pub fn has_state(&self, id: StateId) -> bool {
        (id.0 as usize) < self.states.len()
    }

    /// Whether nothing outside is touched from this state on, whatever way is taken.
    pub fn is_pure_from(&self, id: StateId) -> bool {
        let (mut seen, mut left) = (BTreeSet::new(), vec![id]);
        while let Some(id) = left.pop() {
            if !seen.insert(id) {
                continue;
            }
            match &self.state(id).kind {
                StateKind::Pass(pass) => left.extend(match pass.next {
                    Next::State(next) => Some(next),
                    Next::End => None,
                }),
                StateKind::Choice(choice) => {
                    left.extend(choice.rules.iter().map(|rule| rule.next).chain(choice.default));
                }
                StateKind::Succeed | StateKind::Fail(_) => {}
                StateKind::Task(_) | StateKind::Wait(_) | StateKind::Parallel(_) | StateKind::Map(_) => {
                    return false;
                }
            }
        }
        true
    }

    /// Whether a state is in JSONata or assigns variables: what the language has had since November 2024.
    pub fn uses_variables_or_jsonata(&self) -> bool {
        let assigns = |state: &State| match &state.kind {
            StateKind::Choice(choice) => choice.rules.iter().any(|rule| rule.assign.is_some()),
            StateKind::Task(task) => task.handling.assigns(),
            StateKind::Parallel(parallel) => parallel.handling.assigns(),
            StateKind::Map(map) => map.handling.assigns(),
            StateKind::Pass(_) | StateKind::Wait(_) | StateKind::Succeed | StateKind::Fail(_) => false,
        };
        self.states.iter().any(|state| {
            state.assign.is_some() || matches!(state.flow, DataFlow::Jsonata(_)) || assigns(state)
        })
    }

    /// The state with this name.
    pub fn state_named(&self, name: &str) -> Option<&State> {
        self.states.iter().find(|state| &*state.name == name)
    }
}

/// A set of states with its own start: the root, a branch of a `Parallel`, an item processor of a `Map`.
#[derive(Debug, Clone, PartialEq)]
pub struct Machine {
    /// Where it begins.
    pub start_at: StateId,
}

/// Names a state of one program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct StateId(pub u32);

/// Names a machine of one program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct MachineId(pub u32);

/// The name of a state, shared by all that mention it.
pub type StateName = Arc<str>;
