//! stub
use serde::{Deserialize, Serialize};
/// Type of a state machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[expect(missing_docs, reason = "the words of the API")]
pub enum WorkflowType { Standard, Express }
