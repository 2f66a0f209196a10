//! History events, exactly as GetExecutionHistory shows them.
//!
//! An event is made before its id is known: other branches may record at the same time. So it refers to
//! its predecessor by [`EventRef`], and ids are given when the history is read.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::branch::{BranchFailure, EventRef};
use crate::data::Failure;
use crate::data::timestamp::Timestamp;
use crate::program::StateType;

/// One entry of an execution's history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HistoryEvent {
    /// When it happened.
    #[serde(rename = "t")]
    pub at: Timestamp,
    /// The event that led to it; `None` shows as 0.
    #[serde(rename = "p", default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<EventRef>,
    /// What happened.
    #[serde(rename = "k")]
    pub kind: EventKind,
}

/// What happened, with its details. Inputs and outputs are JSON texts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "names and fields are those of the API")]
pub enum EventKind {
    ExecutionStarted {
        input: String,
        role_arn: String,
    },
    ExecutionSucceeded {
        output: String,
    },
    ExecutionFailed(Failure),
    ExecutionAborted(Failure),
    ExecutionTimedOut(Failure),
    ExecutionRedriven {
        redrive_count: u32,
    },
    StateEntered {
        state: StateType,
        name: String,
        input: String,
    },
    StateExited {
        state: StateType,
        name: String,
        output: String,
        /// The variables that it assigned, each as JSON text.
        #[serde(default, skip_serializing_if = "Map::is_empty")]
        assigned: Map<String, Value>,
    },
    /// A JSONata expression failed. Where the cause lacks its beginning, the state's `StateEntered` is named.
    EvaluationFailed {
        failed: BranchFailure,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        location: Option<String>,
        state: String,
    },
    TaskScheduled(TaskScheduled),
    TaskStarted(TaskName),
    TaskSubmitted {
        task: TaskName,
        output: String,
    },
    TaskSucceeded {
        task: TaskName,
        output: String,
    },
    TaskFailed {
        task: TaskName,
        failure: Failure,
    },
    TaskTimedOut {
        task: TaskName,
        failure: Failure,
    },
    TaskStateAborted,
    WaitStateAborted,
    LambdaFunctionScheduled {
        resource: String,
        input: String,
        timeout_in_seconds: Option<u32>,
        role_arn: Option<String>,
    },
    LambdaFunctionStarted,
    LambdaFunctionSucceeded {
        output: String,
    },
    LambdaFunctionFailed(Failure),
    LambdaFunctionTimedOut(Failure),
    ActivityScheduled {
        resource: String,
        input: String,
        timeout_in_seconds: Option<u32>,
        heartbeat_in_seconds: Option<u32>,
    },
    ActivityStarted {
        worker_name: Option<String>,
    },
    ActivitySucceeded {
        output: String,
    },
    ActivityFailed(Failure),
    ActivityTimedOut(Failure),
    MapStateStarted {
        length: u32,
    },
    MapStateSucceeded,
    MapStateFailed,
    MapStateAborted,
    MapIterationStarted(Iteration),
    MapIterationSucceeded(Iteration),
    MapIterationFailed(Iteration),
    MapIterationAborted(Iteration),
    ParallelStateStarted,
    ParallelStateSucceeded,
    ParallelStateFailed,
    ParallelStateAborted,
}

/// `resourceType` and `resource` of a service task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskName {
    /// `lambda`, `states`, `aws-sdk:dynamodb`.
    pub resource_type: String,
    /// `invoke`, `startExecution.sync:2`.
    pub resource: String,
}

/// Details of `TaskScheduled`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "fields are those of the API")]
pub struct TaskScheduled {
    pub task: TaskName,
    pub region: String,
    pub parameters: String,
    pub timeout_in_seconds: Option<u32>,
    pub heartbeat_in_seconds: Option<u32>,
    pub role_arn: Option<String>,
}

/// An iteration of a Map state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Iteration {
    /// The Map state's name.
    pub name: String,
    /// From 0.
    pub index: u32,
}

impl HistoryEvent {
    /// The event whose id its cause names, beside its predecessor.
    pub fn mentioned(&self) -> Option<&EventRef> {
        match &self.kind {
            EventKind::EvaluationFailed { failed, .. } => failed.state.as_ref().map(|state| &state.entered),
            _ => None,
        }
    }

    /// Completes its cause with the id of the event that it mentions.
    pub fn complete(&mut self, id: Option<u64>) {
        if let EventKind::EvaluationFailed { failed, .. } = &mut self.kind {
            let failure = failed.clone().resolve(|_| id);
            *failed = BranchFailure { failure, state: None };
        }
    }

    /// As GetExecutionHistory shows it. Without `data`, inputs, outputs and parameters are left out.
    pub fn to_json(&self, id: u64, previous_event_id: u64, data: bool) -> Value {
        let mut event = Map::new();
        event.insert("timestamp".into(), json!(self.at.seconds()));
        event.insert("type".into(), self.kind.type_name().into());
        event.insert("id".into(), id.into());
        event.insert("previousEventId".into(), previous_event_id.into());
        if let Some((member, details)) = self.kind.details(data) {
            event.insert(member.into(), details);
        }
        Value::Object(event)
    }
}

impl EventKind {
    /// The event's `type`.
    pub fn type_name(&self) -> String {
        let name = match self {
            EventKind::StateEntered { state, .. } => return format!("{}StateEntered", state.name()),
            EventKind::StateExited { state, .. } => return format!("{}StateExited", state.name()),
            EventKind::ExecutionStarted { .. } => "ExecutionStarted",
            EventKind::ExecutionSucceeded { .. } => "ExecutionSucceeded",
            EventKind::ExecutionFailed(_) => "ExecutionFailed",
            EventKind::ExecutionAborted(_) => "ExecutionAborted",
            EventKind::ExecutionTimedOut(_) => "ExecutionTimedOut",
            EventKind::ExecutionRedriven { .. } => "ExecutionRedriven",
            EventKind::EvaluationFailed { .. } => "EvaluationFailed",
            EventKind::TaskScheduled(_) => "TaskScheduled",
            EventKind::TaskStarted(_) => "TaskStarted",
            EventKind::TaskSubmitted { .. } => "TaskSubmitted",
            EventKind::TaskSucceeded { .. } => "TaskSucceeded",
            EventKind::TaskFailed { .. } => "TaskFailed",
            EventKind::TaskTimedOut { .. } => "TaskTimedOut",
            EventKind::TaskStateAborted => "TaskStateAborted",
            EventKind::WaitStateAborted => "WaitStateAborted",
            EventKind::LambdaFunctionScheduled { .. } => "LambdaFunctionScheduled",
            EventKind::LambdaFunctionStarted => "LambdaFunctionStarted",
            EventKind::LambdaFunctionSucceeded { .. } => "LambdaFunctionSucceeded",
            EventKind::LambdaFunctionFailed(_) => "LambdaFunctionFailed",
            EventKind::LambdaFunctionTimedOut(_) => "LambdaFunctionTimedOut",
            EventKind::ActivityScheduled { .. } => "ActivityScheduled",
            EventKind::ActivityStarted { .. } => "ActivityStarted",
            EventKind::ActivitySucceeded { .. } => "ActivitySucceeded",
            EventKind::ActivityFailed(_) => "ActivityFailed",
            EventKind::ActivityTimedOut(_) => "ActivityTimedOut",
            EventKind::MapStateStarted { .. } => "MapStateStarted",
            EventKind::MapStateSucceeded => "MapStateSucceeded",
            EventKind::MapStateFailed => "MapStateFailed",
            EventKind::MapStateAborted => "MapStateAborted",
            EventKind::MapIterationStarted(_) => "MapIterationStarted",
            EventKind::MapIterationSucceeded(_) => "MapIterationSucceeded",
            EventKind::MapIterationFailed(_) => "MapIterationFailed",
            EventKind::MapIterationAborted(_) => "MapIterationAborted",
            EventKind::ParallelStateStarted => "ParallelStateStarted",
            EventKind::ParallelStateSucceeded => "ParallelStateSucceeded",
            EventKind::ParallelStateFailed => "ParallelStateFailed",
            EventKind::ParallelStateAborted => "ParallelStateAborted",
        };
        name.to_owned()
    }

    /// The details member with its content; `None` for events that have none.
    fn details(&self, data: bool) -> Option<(&'static str, Value)> {
        let details = Details { data, members: Map::new() };
        let shown = match self {
            EventKind::ExecutionStarted { input, role_arn } => {
                ("executionStartedEventDetails", details.input(input).put("roleArn", role_arn))
            }
            EventKind::ExecutionSucceeded { output } => {
                ("executionSucceededEventDetails", details.output(output))
            }
            EventKind::ExecutionFailed(failure) => ("executionFailedEventDetails", details.failure(failure)),
            EventKind::ExecutionAborted(failure) => {
                ("executionAbortedEventDetails", details.failure(failure))
            }
            EventKind::ExecutionTimedOut(failure) => {
                ("executionTimedOutEventDetails", details.failure(failure))
            }
            EventKind::ExecutionRedriven { redrive_count } => {
                ("executionRedrivenEventDetails", details.put_value("redriveCount", (*redrive_count).into()))
            }
            EventKind::StateEntered { name, input, .. } => {
                ("stateEnteredEventDetails", details.put("name", name).input(input))
            }
            EventKind::StateExited { name, output, assigned, .. } => {
                ("stateExitedEventDetails", details.put("name", name).output(output).assigned(assigned))
            }
            EventKind::EvaluationFailed { failed, location, state } => (
                "evaluationFailedEventDetails",
                details
                    .failure(&failed.failure)
                    .put_some("location", location.as_deref())
                    .put("state", state),
            ),
            EventKind::TaskScheduled(scheduled) => {
                ("taskScheduledEventDetails", details.scheduled(scheduled))
            }
            EventKind::TaskStarted(task) => ("taskStartedEventDetails", details.task(task)),
            EventKind::TaskSubmitted { task, output } => {
                ("taskSubmittedEventDetails", details.task(task).output(output))
            }
            EventKind::TaskSucceeded { task, output } => {
                ("taskSucceededEventDetails", details.task(task).output(output))
            }
            EventKind::TaskFailed { task, failure } => {
                ("taskFailedEventDetails", details.task(task).failure(failure))
            }
            EventKind::TaskTimedOut { task, failure } => {
                ("taskTimedOutEventDetails", details.task(task).failure(failure))
            }
            _ => return self.function_activity_or_fork_details(details),
        };
        Some((shown.0, shown.1.done()))
    }

    fn function_activity_or_fork_details(&self, details: Details) -> Option<(&'static str, Value)> {
        let shown = match self {
            EventKind::LambdaFunctionScheduled { resource, input, timeout_in_seconds, role_arn } => (
                "lambdaFunctionScheduledEventDetails",
                details
                    .put("resource", resource)
                    .input(input)
                    .seconds("timeoutInSeconds", *timeout_in_seconds)
                    .credentials(role_arn.as_deref()),
            ),
            EventKind::LambdaFunctionSucceeded { output } => {
                ("lambdaFunctionSucceededEventDetails", details.output(output))
            }
            EventKind::LambdaFunctionFailed(failure) => {
                ("lambdaFunctionFailedEventDetails", details.failure(failure))
            }
            EventKind::LambdaFunctionTimedOut(failure) => {
                ("lambdaFunctionTimedOutEventDetails", details.failure(failure))
            }
            EventKind::ActivityScheduled { resource, input, timeout_in_seconds, heartbeat_in_seconds } => (
                "activityScheduledEventDetails",
                details
                    .put("resource", resource)
                    .input(input)
                    .seconds("timeoutInSeconds", *timeout_in_seconds)
                    .seconds("heartbeatInSeconds", *heartbeat_in_seconds),
            ),
            EventKind::ActivityStarted { worker_name } => {
                ("activityStartedEventDetails", details.put_some("workerName", worker_name.as_deref()))
            }
            EventKind::ActivitySucceeded { output } => {
                ("activitySucceededEventDetails", details.output(output))
            }
            EventKind::ActivityFailed(failure) => ("activityFailedEventDetails", details.failure(failure)),
            EventKind::ActivityTimedOut(failure) => {
                ("activityTimedOutEventDetails", details.failure(failure))
            }
            EventKind::MapStateStarted { length } => {
                ("mapStateStartedEventDetails", details.put_value("length", (*length).into()))
            }
            EventKind::MapIterationStarted(iteration) => {
                ("mapIterationStartedEventDetails", details.iteration(iteration))
            }
            EventKind::MapIterationSucceeded(iteration) => {
                ("mapIterationSucceededEventDetails", details.iteration(iteration))
            }
            EventKind::MapIterationFailed(iteration) => {
                ("mapIterationFailedEventDetails", details.iteration(iteration))
            }
            EventKind::MapIterationAborted(iteration) => {
                ("mapIterationAbortedEventDetails", details.iteration(iteration))
            }
            _ => return None,
        };
        Some((shown.0, shown.1.done()))
    }
}

/// Builds a details member.
struct Details {
    data: bool,
    members: Map<String, Value>,
}

impl Details {
    fn put(self, name: &str, text: &str) -> Self {
        self.put_value(name, text.into())
    }

    fn put_value(mut self, name: &str, value: Value) -> Self {
        self.members.insert(name.to_owned(), value);
        self
    }

    fn put_some(self, name: &str, text: Option<&str>) -> Self {
        match text {
            Some(text) => self.put(name, text),
            None => self,
        }
    }

    fn seconds(self, name: &str, seconds: Option<u32>) -> Self {
        match seconds {
            Some(seconds) => self.put_value(name, seconds.into()),
            None => self,
        }
    }

    fn input(self, input: &str) -> Self {
        self.payload("input", "inputDetails", input)
    }

    fn output(self, output: &str) -> Self {
        self.payload("output", "outputDetails", output)
    }

    fn assigned(self, variables: &Map<String, Value>) -> Self {
        if !self.data || variables.is_empty() {
            return self;
        }
        self.put_value("assignedVariables", Value::Object(variables.clone()))
            .put_value("assignedVariablesDetails", json!({ "truncated": false }))
    }

    fn payload(self, name: &str, details: &str, text: &str) -> Self {
        if !self.data {
            return self;
        }
        self.put(name, text).put_value(details, json!({ "truncated": false }))
    }

    fn failure(self, failure: &Failure) -> Self {
        self.put_some("error", failure.error.as_deref()).put_some("cause", failure.cause.as_deref())
    }

    fn task(self, task: &TaskName) -> Self {
        self.put("resourceType", &task.resource_type).put("resource", &task.resource)
    }

    fn scheduled(self, scheduled: &TaskScheduled) -> Self {
        let named = self.task(&scheduled.task).put("region", &scheduled.region);
        let data = named.data;
        let shown = if data { named.put("parameters", &scheduled.parameters) } else { named };
        shown
            .seconds("timeoutInSeconds", scheduled.timeout_in_seconds)
            .seconds("heartbeatInSeconds", scheduled.heartbeat_in_seconds)
            .credentials(scheduled.role_arn.as_deref())
    }

    fn credentials(self, role_arn: Option<&str>) -> Self {
        match role_arn {
            Some(role_arn) => self.put_value("taskCredentials", json!({ "roleArn": role_arn })),
            None => self,
        }
    }

    fn iteration(self, iteration: &Iteration) -> Self {
        self.put("name", &iteration.name).put_value("index", iteration.index.into())
    }

    fn done(self) -> Value {
        Value::Object(self.members)
    }
}
