//! What crosses the broker and what a history row holds: JSON, each with its version.
//!
//! A message never holds the definition: it names a revision. Bodies written by the last release must be
//! readable; `tests/messages.rs` keeps its bytes.

use asl::branch::{Answer, Branch, BranchEnd, BranchPath, EventRef, TaskRequest};
use asl::data::timestamp::Timestamp;
use asl::history::HistoryEvent;
use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ids::{ExecutionId, RevisionId, Stamp};
use crate::ports::catalog::versions::Qualifier;
use crate::ports::store::{BranchKey, Fence};

/// Deepest nesting of a body: a value of the language in a few wrappers of ours.
const DEPTH_MAX: usize = asl::limits::JSON_DEPTH_MAX + 32;

/// A body that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("failed to read a message: {0}")]
pub struct DecodeError(#[from] serde_json::Error);

/// Writes a body.
pub fn encode<T: Serialize>(message: &T) -> Bytes {
    // Only maps with keys that are no strings can fail here, and there are none in these types.
    Bytes::from(serde_json::to_vec(message).unwrap_or_default())
}

/// Reads a body.
pub fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, DecodeError> {
    if depth(body) > DEPTH_MAX {
        return Err(DecodeError(serde::de::Error::custom(format!("it nests deeper than {DEPTH_MAX}"))));
    }
    // The reader's own limit is that of the values alone, without our wrappers.
    let mut reader = serde_json::Deserializer::from_slice(body);
    reader.disable_recursion_limit();
    Ok(T::deserialize(&mut reader)?)
}

/// How deep JSON nests, without reading it.
fn depth(body: &[u8]) -> usize {
    let (mut depth, mut deepest, mut quoted, mut escaped) = (0_usize, 0, false, false);
    for byte in body {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'[' | b'{' if !quoted => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// What a message on the queues of transitions says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum Move {
    /// A branch moves on, with all its state.
    #[serde(rename = "transition.1")]
    Transition(Box<Transition>),
    /// Look at a branch row: a timer is due, children have ended.
    #[serde(rename = "nudge.1")]
    Nudge(Nudge),
}

/// A Standard branch at the point of entering a state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Transition {
    /// The execution.
    pub execution: Header,
    /// The branch.
    pub path: BranchPath,
    /// The stamp of its last transition; `seq` is in the value.
    pub stamp: Stamp,
    /// Its value.
    pub value: Branch,
    /// For an iteration that waited for room: the event its start follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<EventRef>,
    /// When the commit was made that it follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
}

/// What each message of an execution says of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// Its id.
    pub id: ExecutionId,
    /// The definition it runs.
    pub revision: RevisionId,
    /// The version or alias it was started by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub qualifier: Option<Qualifier>,
    /// Its machine's name.
    pub machine_name: String,
    /// Its name.
    pub name: String,
    /// When it started.
    pub started_at: Timestamp,
    /// Its input, where the definition can read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Value>,
}

/// Names a branch row and what it was when the message was made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Nudge {
    /// The execution.
    pub execution: ExecutionId,
    /// The branch.
    pub path: BranchPath,
    /// Its transitions then.
    pub seq: u32,
    /// Its stamp then.
    pub stamp: Stamp,
    /// When the commit was made that it follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
}

impl Nudge {
    /// Of a row.
    pub fn new(key: &BranchKey, fence: Fence, at: Timestamp) -> Self {
        let Fence { seq, stamp } = fence;
        Nudge { execution: key.execution, path: key.branch.clone(), seq, stamp, at: Some(at) }
    }

    /// Which row.
    pub fn key(&self) -> BranchKey {
        BranchKey { execution: self.execution, branch: self.path.clone() }
    }

    /// What it was at.
    pub fn fence(&self) -> Fence {
        Fence { seq: self.seq, stamp: self.stamp }
    }
}

/// A task on its way to a connector or an activity worker (`task-request.1`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskMessage {
    /// The execution's ARN.
    pub execution_arn: String,
    /// The execution, for Standard ones.
    pub execution: ExecutionId,
    /// The branch that asks.
    pub path: BranchPath,
    /// What is asked.
    pub request: TaskRequest,
    /// The token that answers it.
    pub token: String,
    /// Whether it may have been sent before, by an engine that died.
    pub again: bool,
}

impl TaskMessage {
    /// Names the attempt: correlation id of the request and of what answers it.
    pub fn id(&self) -> String {
        format!("{}/{}/{}", self.execution, self.path, self.request.task)
    }
}

/// What became of a task (`task-result.1`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskResult {
    /// The execution.
    pub execution: ExecutionId,
    /// The branch.
    pub path: BranchPath,
    /// The `seq` that scheduled it.
    pub task: u32,
    /// What happened.
    pub report: TaskReport,
}

/// What a call reports.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum TaskReport {
    /// It was accepted and goes on.
    Submitted(Value),
    /// It has ended.
    Ended(Answer),
    /// It has ended after it was reported as accepted, which may arrive later than this.
    JobEnded(Answer),
}

/// The body of a history row (`history.1`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Body {
    /// What is recorded.
    #[serde(rename = "e", default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<HistoryEvent>,
    /// The branch after it; `None` once it is over.
    #[serde(rename = "v", default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Branch>,
    /// The task that it sends out.
    #[serde(rename = "r", default, skip_serializing_if = "Option::is_none")]
    pub request: Option<TaskRequest>,
    /// How the branch, a child, ended.
    #[serde(rename = "b", default, skip_serializing_if = "Option::is_none")]
    pub end: Option<BranchEnd>,
}

/// Of a [`Body`], what moves a branch on: its events are not read.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Standing {
    /// The branch after it; `None` once it is over.
    #[serde(rename = "v", default)]
    pub value: Option<Branch>,
    /// The task that it sends out.
    #[serde(rename = "r", default)]
    pub request: Option<TaskRequest>,
}

/// An Express branch on its way (`express.1`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Express {
    /// The execution.
    pub execution: Header,
    /// Its ARN.
    pub arn: String,
    /// The branch.
    pub path: BranchPath,
    /// Its value.
    pub value: Branch,
    /// Whether a timer has brought it here.
    pub timer: bool,
    /// When the execution times out.
    pub deadline: Timestamp,
    /// Whether a caller waits for the end: then it runs at most once.
    pub synchronous: bool,
}

/// How an Express branch or execution ended, to whoever waits for it (`express-result.1`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum ExpressResult {
    /// A child branch has ended.
    Branch(BranchPath, BranchEnd),
    /// Children of one fork have ended.
    Branches(Vec<(BranchPath, BranchEnd)>),
    /// The execution succeeded with this output (JSON text).
    Succeeded(String),
    /// The execution failed.
    Failed(asl::data::Failure),
    /// The execution timed out.
    TimedOut,
    /// It was lost with the engine that ran it, and is not run again.
    Lost,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deepest_value_of_the_language_is_read_in_its_wrappers() {
        let deep = |levels: usize| format!("{}1{}", "[".repeat(levels), "]".repeat(levels));
        assert!(decode::<Value>(deep(DEPTH_MAX).as_bytes()).is_ok());
        assert!(decode::<Value>(deep(DEPTH_MAX + 1).as_bytes()).is_err());
        assert!(decode::<Value>(deep(1_000_000).as_bytes()).is_err());
        assert_eq!(depth(br#"{"a": "[[[\"[[", "b": [1]}"#), 2);
    }
}
