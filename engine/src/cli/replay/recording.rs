//! What a recording holds: JSON, a line each. First a [`Heading`], then every [`Step`] in order.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The version of recordings that this binary reads and writes.
pub const VERSION: u32 = 1;

/// A run that was written down.
#[derive(Debug, Clone, PartialEq)]
pub struct Recording {
    /// What it is about.
    pub heading: Heading,
    /// What happened.
    pub steps: Vec<Step>,
}

/// Why a text is no recording.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotARecording {
    /// The first line is something else.
    #[error("it does not begin as a recording does, with {{\"warren_recording\": {VERSION}, …}}")]
    Other,
    /// It was written by another release.
    #[error("it is a recording of version {0}, and this binary reads version {VERSION}")]
    Version(u64),
    /// A line cannot be read.
    #[error("line {line} is no step of a recording: {reason}")]
    Line {
        /// From 1.
        line: usize,
        /// Why not.
        reason: String,
    },
}

impl Recording {
    /// Reads the text of a file.
    pub fn parse(text: &str) -> Result<Self, NotARecording> {
        let mut lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
        let Some((first, heading)) = lines.next() else { return Err(NotARecording::Other) };
        let value: Value = serde_json::from_str(heading).map_err(|_| NotARecording::Other)?;
        match value.get("warren_recording").and_then(Value::as_u64) {
            None => return Err(NotARecording::Other),
            Some(version) if version != u64::from(VERSION) => return Err(NotARecording::Version(version)),
            Some(_) => {}
        }
        let heading = Heading::deserialize(value).map_err(|error| unreadable(first, &error))?;
        let step = |(line, text)| serde_json::from_str(text).map_err(|error| unreadable(line, &error));
        Ok(Recording { heading, steps: lines.map(step).collect::<Result<_, _>>()? })
    }
}

fn unreadable(line: usize, error: &serde_json::Error) -> NotARecording {
    NotARecording::Line { line, reason: error.to_string() }
}

/// The first line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Heading {
    /// [`VERSION`]; also tells that the file is a recording.
    #[serde(rename = "warren_recording")]
    pub version: u32,
    /// What repeats the run.
    pub seed: u64,
    /// What did not hold in the end.
    pub rule: String,
    /// What was run.
    pub workflows: Vec<Workflow>,
}

/// A state machine with the input of its executions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Workflow {
    /// The machine's name.
    pub name: String,
    /// STANDARD or EXPRESS.
    #[serde(rename = "type")]
    pub workflow_type: String,
    /// The definition.
    pub definition: Value,
    /// The input.
    pub input: Value,
}

/// Any other line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Milliseconds since the run began.
    #[serde(rename = "at")]
    pub at_milliseconds: u64,
    /// Which engine; empty for what befell everybody.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub engine: String,
    /// What it did.
    #[serde(flatten)]
    pub what: What,
}

/// What an engine did at a port, or what befell it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum What {
    /// The store was asked to make an execution.
    Started {
        /// Its id.
        execution: String,
        /// Its name.
        name: String,
        /// What became of it.
        outcome: String,
    },
    /// A message came.
    Delivered {
        /// From where.
        queue: String,
        /// The message's id, which begins with its execution.
        id: String,
        /// How often it came before.
        redeliveries: u32,
    },
    /// A delivery was settled.
    Settled {
        /// Of which queue.
        queue: String,
        /// The message's id.
        id: String,
        /// How.
        how: String,
    },
    /// A message was published.
    Published {
        /// To where.
        queue: String,
        /// Its id.
        id: String,
        /// How long it is held back.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        delay_milliseconds: Option<u64>,
        /// What became of it.
        outcome: String,
    },
    /// The store was asked for a transition.
    Committed(Transition),
    /// The scheduler took a row that was due.
    Claimed {
        /// The execution.
        execution: String,
        /// The branch.
        branch: String,
        /// Its transitions so far.
        seq: u32,
        /// What it was doing.
        phase: String,
    },
    /// An execution was closed from outside its own transitions.
    Closed {
        /// The execution.
        execution: String,
        /// How.
        status: String,
    },
    /// An execution that had closed runs again.
    Redriven {
        /// The execution.
        execution: String,
        /// How often it was redriven.
        count: u32,
    },
    /// Something went wrong.
    Fault {
        /// What.
        what: String,
    },
    /// The engine died, or all did.
    Crashed,
    /// The engine began.
    Began,
}

/// A transition that the store was asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Transition {
    /// The execution.
    pub execution: String,
    /// The branch.
    pub branch: String,
    /// Its number in the branch.
    pub seq: u32,
    /// `done`, `stale` or `full`.
    pub verdict: String,
    /// What the branch does after it.
    pub phase: String,
    /// The events that it records, with the names of states.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<String>,
    /// Whether all branches below it are over.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ends_below: bool,
    /// Branches below it that begin.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub begins: Vec<String>,
}

impl Transition {
    /// Whether the store made it.
    pub fn stands(&self) -> bool {
        self.verdict == "done"
    }
}

impl What {
    /// The execution that it is about; `None` for what may concern any.
    pub fn execution(&self) -> Option<&str> {
        match self {
            What::Started { execution, .. }
            | What::Claimed { execution, .. }
            | What::Closed { execution, .. }
            | What::Redriven { execution, .. } => Some(execution),
            What::Committed(transition) => Some(&transition.execution),
            What::Delivered { id, .. } | What::Settled { id, .. } | What::Published { id, .. } => {
                id.split('/').next()
            }
            What::Fault { .. } | What::Crashed | What::Began => None,
        }
    }
}
