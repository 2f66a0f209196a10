//! From the text of a definition to a compiled [`Program`], with every problem on the way.
//!
//! ```text
//!   text ──json──▶ value ──outline──▶ names and ids ──machine, state──▶ Program
//!            │               │                             │
//!            └───────────────┴───────── Report ◀───────────┘   all problems, each with its place
//! ```
//!
//! Rules and texts are those of AWS where they are known. What is correct but cannot run here yet
//! (Distributed Map) is checked as well, and told apart from what is wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::data::json;
use crate::limits;
use crate::program::{Machine, Program, State};

mod assign;
mod choice;
mod diagnostic;
mod distributed;
mod duplicates;
mod expressions;
mod fields;
mod machine;
mod map;
mod outline;
mod place;
mod resource;
mod retry;
mod source;
mod state;
mod state_alone;
mod task;
mod values;

pub use diagnostic::{Code, Diagnostic, Severity};
pub use state_alone::STATE_ALONE;

use diagnostic::Report;
use fields::Object;
use machine::Scope;
use place::Place;

/// How executions of a state machine are run; some integrations exist in one of them only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum WorkflowType {
    /// Durable, up to a year, each step recorded.
    Standard,
    /// Short and many, at least once.
    Express,
}

/// What [`check`] found.
#[derive(Debug, Clone, PartialEq)]
pub struct Checked {
    /// Present if, and only if, no diagnostic is an error and nothing is unsupported.
    pub program: Option<Program>,
    /// What is wrong, or looks like a mistake. AWS would refuse a definition with an error here.
    pub diagnostics: Vec<Diagnostic>,
    /// What is correct, but cannot run here yet.
    pub unsupported: Vec<Diagnostic>,
    /// Whether an expression may read `$$.Execution.Input`. Never false when one does.
    pub reads_execution_input: bool,
    /// The variables that each state reads, by the state's name; states that read none are left out.
    pub variable_references: BTreeMap<String, BTreeSet<String>>,
}

impl Checked {
    /// The diagnostics because of which the definition is refused.
    pub fn errors(&self) -> impl Iterator<Item = &Diagnostic> {
        self.diagnostics.iter().filter(|diagnostic| diagnostic.severity == Severity::Error)
    }
}

/// Checks a definition and compiles it.
///
/// ```
/// use asl::definition::{WorkflowType, check};
///
/// let text = r#"{"StartAt": "A", "States": {"A": {"Type": "Succeed"}}}"#;
/// assert!(check(text, WorkflowType::Standard).program.is_some());
///
/// let checked = check("{}", WorkflowType::Standard);
/// assert_eq!(
///     checked.diagnostics[0].to_string(),
///     "SCHEMA_VALIDATION_FAILED: These fields are required: [States, StartAt] at /"
/// );
/// ```
pub fn check(text: &str, workflow: WorkflowType) -> Checked {
    check_as(text, workflow, Purpose::Run)
}

/// Checks a definition of which one state is to be tried by itself. What cannot run as a whole yet is no
/// obstacle to that.
pub fn check_to_try(text: &str) -> Checked {
    check_as(text, WorkflowType::Standard, Purpose::Try)
}

/// Checks a single state that is to be tried by itself: the definition of nothing but that. In the program it is
/// called [`STATE_ALONE`], and the states that it leads to need not be there.
pub fn check_state_alone(text: &str) -> Checked {
    check_as(text, WorkflowType::Standard, Purpose::TryAlone)
}

/// What a definition is checked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// To run it.
    Run,
    /// To try one of its states.
    Try,
    /// To try the state that it is.
    TryAlone,
}

fn check_as(text: &str, workflow: WorkflowType, purpose: Purpose) -> Checked {
    let mut checker = Checker::new(workflow);
    let value = checker.parse(text).map(|value| match purpose {
        Purpose::TryAlone => state_alone::machine_of(value),
        Purpose::Run | Purpose::Try => value,
    });
    let program = value.as_ref().and_then(|value| checker.definition(value));
    let Checker { report, reads_execution_input, variable_references, .. } = checker;
    let program = program.filter(|_| match purpose {
        Purpose::Run => report.is_clean(),
        Purpose::Try | Purpose::TryAlone => !report.has_errors(),
    });
    let (diagnostics, unsupported) = report.into_parts();
    Checked { program, diagnostics, unsupported, reads_execution_input, variable_references }
}

/// Where in the text a diagnostic's location is: the value it names, or the key if the value is an
/// object or array. `None` when the text holds no such thing.
pub fn locate(text: &str, location: &str) -> Option<Range<usize>> {
    source::locate(text, location)
}

/// The query language of a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum QueryLanguage {
    JsonPath,
    Jsonata,
}

/// What is collected while a definition is read.
struct Checker<'a> {
    /// Problems so far.
    report: Report,
    /// The language of states that do not name theirs.
    language: QueryLanguage,
    /// The type of the state machine itself.
    workflow: WorkflowType,
    /// By [`crate::program::MachineId`]; `None` where something is wrong.
    machines: Vec<Option<Machine>>,
    /// By [`crate::program::StateId`]; `None` where something is wrong.
    states: Vec<Option<State>>,
    /// Labels of Distributed Maps so far.
    labels: BTreeSet<&'a str>,
    reads_execution_input: bool,
    variable_references: BTreeMap<String, BTreeSet<String>>,
    /// The state that is being read: its name, and its place as written.
    state: (String, String),
    /// Whether that state names another language than its machine lets it.
    is_mixed: bool,
    /// Whether one of the outermost states ends the workflow.
    has_end: bool,
}

impl<'a> Checker<'a> {
    fn new(workflow: WorkflowType) -> Self {
        Checker {
            report: Report::default(),
            language: QueryLanguage::JsonPath,
            workflow,
            machines: Vec::new(),
            states: Vec::new(),
            labels: BTreeSet::new(),
            reads_execution_input: false,
            variable_references: BTreeMap::new(),
            state: (String::new(), String::new()),
            is_mixed: false,
            has_end: true,
        }
    }

    /// Text to JSON.
    fn parse(&mut self, text: &str) -> Option<Value> {
        if text.len() > limits::DEFINITION_BYTES_MAX {
            let message =
                format!("Definition must not be longer than {} bytes", limits::DEFINITION_BYTES_MAX);
            self.report.push(Code::SchemaValidationFailed, None, message);
            return None;
        }
        if text.trim().is_empty() {
            self.report.push(Code::SchemaValidationFailed, None, NOT_AN_OBJECT.to_owned());
            return None;
        }
        match json::parse(text) {
            Ok(value) => {
                for (location, name) in duplicates::state_names(text) {
                    let message = format!("Duplicate State name: {name}");
                    self.report.push(Code::DuplicateStateName, Some(location), message);
                }
                Some(value)
            }
            Err(error) => {
                let location = error.location().to_owned();
                self.report.push(Code::InvalidJsonDescription, Some(location), error.with_location());
                None
            }
        }
    }

    /// JSON to program. What it returns is of use only if the report is clean.
    fn definition(&mut self, value: &'a Value) -> Option<Program> {
        let Some(fields) = value.as_object() else {
            self.report.push(Code::SchemaValidationFailed, None, NOT_AN_OBJECT.to_owned());
            return None;
        };
        let place = Place::root();
        let root = Object { fields, place: &place, language: QueryLanguage::JsonPath };
        self.language = state::language_of(root);
        let timeout_seconds = self.root_fields(root);
        let outline = outline::outline(fields, &mut self.report)?;
        self.machines.resize(outline.machines, None);
        self.states.resize(outline.states, None);
        self.machine(root, &outline.root, &Scope::root(self.workflow));
        Some(Program {
            timeout_seconds,
            machines: std::mem::take(&mut self.machines).into_iter().collect::<Option<_>>()?,
            states: std::mem::take(&mut self.states).into_iter().collect::<Option<_>>()?,
        })
    }

    /// What only the outermost machine has. Answers its time limit; 0 is none, as AWS accepts it.
    fn root_fields(&mut self, root: Object<'a, '_>) -> Option<u32> {
        self.machine_fields(root, &["StartAt", "States", "Version", "TimeoutSeconds", "QueryLanguage"]);
        self.one_of(root, "Version", &["1.0"]);
        self.query_language(root);
        self.whole(root, "TimeoutSeconds", 0, limits::TIMEOUT_SECONDS_MAX).filter(|seconds| *seconds > 0)
    }
}

/// AWS's answer to a text that is blank or holds something else than an object.
const NOT_AN_OBJECT: &str = "Definition must be a valid JSON object";
