//! `Resource` of a Task: what is called, and how its end is known.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a Task calls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Resource {
    /// `arn:…:states:R:A:activity:NAME`: workers poll for it.
    Activity {
        /// As written.
        arn: String,
    },
    /// `arn:…:lambda:R:A:function:NAME[:QUALIFIER]` or its alias `arn:…:rpcmessage:local::function:NAME`: called
    /// with the input, answers the output.
    Function {
        /// As written.
        arn: String,
    },
    /// `arn:PARTITION:states:::SERVICE:ACTION[.PATTERN]`.
    Service(ServiceResource),
}

/// An integration that AWS knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceResource {
    /// As written.
    pub arn: String,
    /// `lambda`, `states`, `aws-sdk:dynamodb`: the history's `resourceType`.
    pub service: String,
    /// `invoke`, `startExecution`: without the pattern.
    pub action: String,
    /// How the end of the task is known.
    pub pattern: Pattern,
}

impl ServiceResource {
    /// Action and pattern: the history's `resource`.
    pub fn resource(&self) -> String {
        format!("{}{}", self.action, self.pattern)
    }
}

/// How the end of a service task is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Pattern {
    /// The response is the result.
    RequestResponse,
    /// The job's end is the result (`.sync`).
    Sync,
    /// As [`Pattern::Sync`], its output parsed as JSON (`.sync:2`).
    Sync2,
    /// A callback with the task token is the result (`.waitForTaskToken`).
    WaitForTaskToken,
}

impl Pattern {
    /// Whether the task goes on after the call has answered (`TaskSubmitted`).
    pub fn is_submitted(self) -> bool {
        !matches!(self, Pattern::RequestResponse)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Pattern::RequestResponse => "",
            Pattern::Sync => ".sync",
            Pattern::Sync2 => ".sync:2",
            Pattern::WaitForTaskToken => ".waitForTaskToken",
        })
    }
}
