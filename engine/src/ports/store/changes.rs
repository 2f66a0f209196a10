//! The changes of an execution's status, by number.

use super::ExecutionStatus;
use crate::ids::ExecutionId;

/// The number of the change to this status of an execution that was redriven so often: it begins with 1, ends with
/// 2, is redriven with 3, ends with 4.
pub fn change_number(redrives: u32, status: ExecutionStatus) -> u32 {
    2 * redrives + if status == ExecutionStatus::Running { 1 } else { 2 }
}

/// A change that was announced, as were all before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Announced {
    /// Of this execution.
    pub execution: ExecutionId,
    /// Its number.
    pub number: u32,
}
