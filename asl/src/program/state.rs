//! The eight state types, each with the fields that are its own.

use serde::{Deserialize, Serialize};
use serde_json::{Number, Value};

use super::{Choice, ErrorHandling, ItemReader, MachineId, Resource, StateId, StateName};
use crate::data::DataFlow;
use crate::data::expression::Expression;
use crate::data::intrinsic::Intrinsic;
use crate::data::path::{Path, ReferencePath};
use crate::data::template::Template;
use crate::data::timestamp::Timestamp;

/// A state: its name, how values flow through it, and what it does.
#[derive(Debug, Clone, PartialEq)]
pub struct State {
    /// Unique in the whole definition.
    pub name: StateName,
    /// How its input and output are made, in its query language.
    pub flow: DataFlow,
    /// `Assign`: the variables that it leaves behind.
    pub assign: Option<Template>,
    /// What it does.
    pub kind: StateKind,
}

/// What a state does.
#[derive(Debug, Clone, PartialEq)]
pub enum StateKind {
    /// Passes its input on, or a fixed result.
    Pass(Pass),
    /// Calls something outside.
    Task(Box<Task>),
    /// Goes where the first rule that holds says.
    Choice(Choice),
    /// Waits for a time.
    Wait(Wait),
    /// Ends its machine well.
    Succeed,
    /// Ends its machine with an error.
    Fail(Fail),
    /// Runs several machines at once on the same input.
    Parallel(Parallel),
    /// Runs one machine for each item.
    Map(Box<Map>),
}

/// The type of a state, as in `Type` and in the names of history events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the words of the language")]
pub enum StateType {
    Task,
    Wait,
    Pass,
    Succeed,
    Fail,
    Choice,
    Parallel,
    Map,
}

impl StateType {
    /// The word in a definition.
    pub fn name(self) -> &'static str {
        match self {
            StateType::Task => "Task",
            StateType::Wait => "Wait",
            StateType::Pass => "Pass",
            StateType::Succeed => "Succeed",
            StateType::Fail => "Fail",
            StateType::Choice => "Choice",
            StateType::Parallel => "Parallel",
            StateType::Map => "Map",
        }
    }
}

impl State {
    /// The type of this state.
    pub fn state_type(&self) -> StateType {
        match &self.kind {
            StateKind::Pass(_) => StateType::Pass,
            StateKind::Task(_) => StateType::Task,
            StateKind::Choice(_) => StateType::Choice,
            StateKind::Wait(_) => StateType::Wait,
            StateKind::Succeed => StateType::Succeed,
            StateKind::Fail(_) => StateType::Fail,
            StateKind::Parallel(_) => StateType::Parallel,
            StateKind::Map(_) => StateType::Map,
        }
    }

    /// Whether it touches nothing outside: it asks nobody, waits for nothing and makes no branches.
    pub fn is_pure(&self) -> bool {
        match &self.kind {
            StateKind::Pass(_) | StateKind::Choice(_) | StateKind::Succeed | StateKind::Fail(_) => true,
            StateKind::Task(_) | StateKind::Wait(_) | StateKind::Parallel(_) | StateKind::Map(_) => false,
        }
    }
}

/// Where a state leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// To another state of the same machine.
    State(StateId),
    /// Out of the machine.
    End,
}

/// Fields of a `Pass` state.
#[derive(Debug, Clone, PartialEq)]
pub struct Pass {
    /// Taken as it is: not a template.
    pub result: Option<Value>,
    /// `Next` or `End`.
    pub next: Next,
}

/// Fields of a `Task` state.
#[derive(Debug, Clone, PartialEq)]
pub struct Task {
    /// What it calls.
    pub resource: Resource,
    /// The role to assume, kept for the history.
    pub credentials: Option<Template>,
    /// `TimeoutSeconds` or `TimeoutSecondsPath`.
    pub timeout: Option<Quantity<u32>>,
    /// `HeartbeatSeconds` or `HeartbeatSecondsPath`.
    pub heartbeat: Option<Quantity<u32>>,
    /// `Retry` and `Catch`.
    pub handling: ErrorHandling,
    /// `Next` or `End`.
    pub next: Next,
}

/// A number in the definition, or a path to it (the `…Path` form of a field).
#[derive(Debug, Clone, PartialEq)]
pub enum Quantity<T> {
    /// Given in the definition.
    Literal(T),
    /// Read from the state's effective input.
    Path(ReferencePath),
    /// Computed, in JSONata.
    Expression(Expression),
}

/// Fields of a `Wait` state.
#[derive(Debug, Clone, PartialEq)]
pub struct Wait {
    /// Until when.
    pub until: Until,
    /// `Next` or `End`.
    pub next: Next,
}

/// The ways to say how long a `Wait` lasts.
#[derive(Debug, Clone, PartialEq)]
pub enum Until {
    /// `Seconds`.
    Seconds(u32),
    /// `SecondsPath`.
    SecondsPath(ReferencePath),
    /// `Timestamp`.
    Timestamp(Timestamp),
    /// `TimestampPath`.
    TimestampPath(ReferencePath),
    /// `Seconds`, computed.
    SecondsExpression(Expression),
    /// `Timestamp`, computed.
    TimestampExpression(Expression),
}

/// Fields of a `Fail` state.
#[derive(Debug, Clone, PartialEq)]
pub struct Fail {
    /// `Error` or `ErrorPath`.
    pub error: Option<Text>,
    /// `Cause` or `CausePath`.
    pub cause: Option<Text>,
}

/// A text in the definition, or where it comes from.
#[derive(Debug, Clone, PartialEq)]
pub enum Text {
    /// Given in the definition.
    Literal(String),
    /// Read from the input.
    Path(Path),
    /// Computed.
    Intrinsic(Intrinsic<Path>),
    /// Computed, in JSONata.
    Expression(Expression),
}

/// Fields of a `Parallel` state.
#[derive(Debug, Clone, PartialEq)]
pub struct Parallel {
    /// One machine for each branch, never empty.
    pub branches: Vec<MachineId>,
    /// `Retry` and `Catch`.
    pub handling: ErrorHandling,
    /// `Next` or `End`.
    pub next: Next,
}

/// Fields of a `Map` state in inline mode.
#[derive(Debug, Clone, PartialEq)]
pub struct Map {
    /// Where the items are.
    pub items: Items,
    /// `ItemSelector`, or the older `Parameters`: makes the input of each iteration.
    pub item_selector: Option<Template>,
    /// The machine run for each item (`ItemProcessor`, or the older `Iterator`).
    pub processor: MachineId,
    /// `MaxConcurrency` or `MaxConcurrencyPath`; 0 or absent means the service's default.
    pub max_concurrency: Option<Quantity<u32>>,
    /// `ToleratedFailureCount`, `ToleratedFailurePercentage` and their paths.
    pub tolerated_failure: ToleratedFailure,
    /// Whether a `ResultWriter` with a `Resource` puts the results somewhere: the Map's result then says where.
    pub writes_results: bool,
    /// `Retry` and `Catch`.
    pub handling: ErrorHandling,
    /// `Next` or `End`.
    pub next: Next,
}

/// Where the items of a `Map` come from.
#[derive(Debug, Clone, PartialEq)]
pub enum Items {
    /// The effective input itself (`ItemsPath` absent or `$`; `Items` absent).
    Input,
    /// `ItemsPath`.
    Path(ReferencePath),
    /// `Items`, in JSONata.
    Template(Template),
    /// `ItemReader`, which only a Distributed Map has.
    Reader(ItemReader),
}

/// How many iterations may fail before the `Map` does. Nothing given: none.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ToleratedFailure {
    /// `ToleratedFailureCount` or its path.
    pub count: Option<Quantity<u32>>,
    /// `ToleratedFailurePercentage` (0 to 100) or its path.
    pub percentage: Option<Quantity<Number>>,
}
