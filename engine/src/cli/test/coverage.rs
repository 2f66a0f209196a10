//! Which states and which ways out of them the cases of a definition took.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use asl::program::{Edge, Next, Program, StateId, StateKind, Way};
use serde_json::{Value, json};

use super::observed::Observed;

/// What was taken of one definition, by all cases of all files.
#[derive(Debug)]
pub(super) struct Coverage {
    program: Program,
    visited: BTreeSet<StateId>,
    taken: BTreeSet<Edge>,
}

/// All definitions, by their file.
#[derive(Debug, Default)]
pub(super) struct Coverages(BTreeMap<PathBuf, (String, Coverage)>);

impl Coverages {
    /// Adds a definition that has cases.
    pub(super) fn add(&mut self, definition: &Path, program: &Program) {
        // Two files may name one definition in two ways.
        let key = definition.canonicalize().unwrap_or_else(|_| definition.to_owned());
        let coverage = || (definition.display().to_string(), Coverage::of(program.clone()));
        self.0.entry(key).or_insert_with(coverage);
    }

    /// Adds what one case took.
    pub(super) fn count(&mut self, definition: &Path, observed: &Observed) {
        let key = definition.canonicalize().unwrap_or_else(|_| definition.to_owned());
        if let Some((_, coverage)) = self.0.get_mut(&key) {
            coverage.count(observed);
        }
    }

    /// Each definition with its name.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Coverage)> {
        self.0.values().map(|(name, coverage)| (name.as_str(), coverage))
    }
}

/// So many of so many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Share {
    pub(super) covered: usize,
    pub(super) of: usize,
}

/// A state that no case entered, or a way out of one that was entered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Missing {
    pub(super) state: String,
    /// `Next → Ship`; absent where the state itself was not entered.
    pub(super) way: Option<String>,
}

impl Coverage {
    pub(super) fn of(program: Program) -> Self {
        Coverage { program, visited: BTreeSet::new(), taken: BTreeSet::new() }
    }

    pub(super) fn count(&mut self, observed: &Observed) {
        for (number, state) in (0..).zip(&self.program.states) {
            if observed.visits.contains_key(&*state.name) {
                self.visited.insert(StateId(number));
            }
        }
        self.taken.extend(&observed.ways);
    }

    pub(super) fn states(&self) -> Share {
        Share { covered: self.visited.len(), of: self.program.states.len() }
    }

    pub(super) fn edges(&self) -> Share {
        let edges = self.program.edges();
        let covered = edges.iter().filter(|(edge, _)| self.taken.contains(edge)).count();
        Share { covered, of: edges.len() }
    }

    /// States and ways together.
    pub(super) fn percent(&self) -> f64 {
        let (states, edges) = (self.states(), self.edges());
        (states.covered + edges.covered) as f64 * 100.0 / (states.of + edges.of) as f64
    }

    /// What is missing, in the order of the definition. The ways out of a state that was not entered are not told.
    pub(super) fn missing(&self) -> Vec<Missing> {
        let mut missing = Vec::new();
        let edges = self.program.edges();
        for (number, state) in (0..).zip(&self.program.states) {
            let (id, name) = (StateId(number), state.name.to_string());
            if !self.visited.contains(&id) {
                missing.push(Missing { state: name, way: None });
                continue;
            }
            let ways = edges.iter().filter(|(edge, _)| edge.from == id && !self.taken.contains(edge));
            let told =
                ways.map(|(edge, next)| Missing { state: name.clone(), way: Some(self.told(*edge, *next)) });
            missing.extend(told);
        }
        missing
    }

    fn told(&self, edge: Edge, next: Next) -> String {
        let to = match next {
            Next::State(state) => format!(" → {}", self.program.state(state).name),
            Next::End => String::new(),
        };
        match (edge.way, next) {
            (Way::Onward, Next::End) => "End".to_owned(),
            (Way::Onward, Next::State(_)) => format!("Next{to}"),
            (Way::Rule(place), _) => format!("Choices[{place}]{to}"),
            (Way::Default, _) => format!("Default{to}"),
            (Way::Catcher(place), _) => {
                let errors = self.errors(edge.from, place).join(", ");
                format!("Catch[{place}] {errors}{to}")
            }
        }
    }

    fn errors(&self, state: StateId, place: usize) -> &[String] {
        let handling = match &self.program.state(state).kind {
            StateKind::Task(task) => &task.handling,
            StateKind::Parallel(parallel) => &parallel.handling,
            StateKind::Map(map) => &map.handling,
            _ => return &[],
        };
        handling.catchers.get(place).map_or(&[], |catcher| &catcher.error_equals)
    }

    pub(super) fn to_json(&self, definition: &str) -> Value {
        let share = |share: Share| json!({"covered": share.covered, "of": share.of});
        let missing = self.missing().into_iter();
        let missing = missing.map(|Missing { state, way }| json!({"state": state, "way": way}));
        json!({
            "definition": definition,
            "states": share(self.states()),
            "edges": share(self.edges()),
            "percent": (self.percent() * 10.0).floor() / 10.0,
            "missing": missing.collect::<Vec<_>>(),
        })
    }
}
