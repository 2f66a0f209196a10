//! What the `states` connector needs of the engine: starting executions and waiting for their end.

use std::sync::Arc;

use asl::data::Failure;
use asl::definition::WorkflowType;
use asl::history::EventKind;
use async_trait::async_trait;
use connectors::states::{Description, Executions, Refused, Start, StartedExecution};

use crate::arn::Arn;
use crate::messages::{Body, decode};
use crate::ports::catalog::Execution;
use crate::ports::store::ExecutionStatus;
use crate::services::door::Startable;
use crate::services::executions::{StartError, StartRequest};
use crate::services::late_core::{LateCore, STOPPING};
use crate::services::{Core, Unavailable};

/// The engine as the connector sees it.
pub struct ChildExecutions {
    core: Arc<LateCore>,
}

impl ChildExecutions {
    /// Of this engine.
    pub fn new(core: Arc<LateCore>) -> Self {
        ChildExecutions { core }
    }

    fn core(&self) -> Result<Arc<Core>, Refused> {
        self.core.get().ok_or_else(|| refused("ServiceUnavailable", STOPPING))
    }
}

fn refused(code: &str, message: impl Into<String>) -> Refused {
    Refused { code: code.to_owned(), message: message.into() }
}

fn unavailable(error: &Unavailable) -> Refused {
    refused("ServiceUnavailable", error.to_string())
}

/// What the ARN of a machine of this home names, or that of a version or an alias; other homes are refused.
fn machine_name<'a>(core: &Core, arn: &'a str) -> Option<&'a str> {
    Arn::parse(arn).ok()?;
    let name = arn.rsplit_once(":stateMachine:")?.1;
    (core.home.state_machine(name) == arn).then_some(name)
}

/// Machine and execution name in the ARN of a Standard execution of this home.
fn execution_names<'a>(core: &Core, arn: &'a str) -> Option<(&'a str, &'a str)> {
    Arn::parse(arn).ok()?;
    let (machine, name) = arn.rsplit_once(":execution:")?.1.split_once(':')?;
    (core.home.execution(machine, name) == arn).then_some((machine, name))
}

impl Core {
    async fn find_execution(&self, arn: &str) -> Result<Option<Execution>, Unavailable> {
        match execution_names(self, arn) {
            Some((machine, name)) => Ok(self.catalog.execution(machine, name).await?),
            None => Ok(None),
        }
    }

    async fn describe_closed(&self, execution: Execution) -> Result<Description, Unavailable> {
        let ends = self.catalog.ends(execution.id).await?;
        let body = |bytes: &bytes::Bytes| decode::<Body>(bytes).ok();
        let first = ends.as_ref().and_then(|ends| body(&ends.first));
        let last = ends.as_ref().and_then(|ends| ends.last.as_ref()).and_then(body);
        let mut input = "{}".to_owned();
        for event in first.into_iter().flat_map(|body| body.events) {
            if let EventKind::ExecutionStarted { input: text, .. } = event.kind {
                input = text;
            }
        }
        let (mut output, mut failure) = (None, Failure { error: execution.error.clone(), cause: None });
        match last.and_then(|body| body.events.into_iter().next_back()).map(|event| event.kind) {
            Some(EventKind::ExecutionSucceeded { output: text }) => output = Some(text),
            Some(
                EventKind::ExecutionFailed(end)
                | EventKind::ExecutionAborted(end)
                | EventKind::ExecutionTimedOut(end),
            ) => failure = end,
            _ => {}
        }
        Ok(Description {
            arn: self.home.execution(&execution.machine_name, &execution.name),
            state_machine_arn: self.home.state_machine(&execution.machine_name),
            name: execution.name,
            status: execution.status.as_str().to_owned(),
            started_at: execution.started_at.milliseconds(),
            stopped_at: execution.stopped_at.unwrap_or(execution.started_at).milliseconds(),
            input,
            output,
            error: failure.error,
            cause: failure.cause,
        })
    }
}

#[async_trait]
impl Executions for ChildExecutions {
    async fn start(&self, start: Start) -> Result<StartedExecution, Refused> {
        let core = self.core()?;
        let missing = || {
            let arn = &start.state_machine_arn;
            refused("StateMachineDoesNotExist", format!("State Machine Does Not Exist: '{arn}'"))
        };
        let name = machine_name(&core, &start.state_machine_arn).ok_or_else(missing)?;
        let Startable { machine, qualifier } = core
            .machine_to_start(name)
            .await
            .map_err(|error| unavailable(&error.into()))?
            .ok_or_else(missing)?;
        if start.waits && machine.workflow_type == WorkflowType::Express {
            let message = "This operation is not supported by this type of state machine";
            return Err(refused("StateMachineTypeNotSupported", message));
        }
        let input = asl::data::json::parse(&start.input).map_err(|error| {
            refused("InvalidExecutionInput", format!("Invalid State Machine Execution Input: '{error}'"))
        })?;
        let request = StartRequest {
            machine,
            qualifier,
            name: Some(start.name.clone()),
            input,
            input_text: start.input.clone(),
        };
        match core.start_execution(request).await {
            Ok(started) => {
                Ok(StartedExecution { arn: started.arn, started_at: started.started_at.milliseconds() })
            }
            Err(StartError::AlreadyExists { arn }) => {
                Err(refused("ExecutionAlreadyExists", format!("Execution Already Exists: '{arn}'")))
            }
            Err(StartError::Name(error)) => Err(refused("InvalidName", error.to_string())),
            Err(StartError::NoMachine) => Err(missing()),
            Err(StartError::Full(text)) => Err(refused("ExecutionLimitExceeded", text)),
            Err(StartError::Throttled(text)) => Err(refused("ThrottlingException", text)),
            Err(error @ (StartError::Definition(_) | StartError::Unavailable(_))) => {
                Err(refused("ServiceUnavailable", error.to_string()))
            }
        }
    }

    async fn ended(&self, arn: &str) -> Result<Description, Refused> {
        let core = self.core()?;
        let missing = || refused("ExecutionDoesNotExist", format!("Execution Does Not Exist: '{arn}'"));
        let id = core.find_execution(arn).await.map_err(|error| unavailable(&error))?.ok_or_else(missing)?.id;
        let execution =
            core.execution_ended(id).await.map_err(|error| unavailable(&error))?.ok_or_else(missing)?;
        core.describe_closed(execution).await.map_err(|error| unavailable(&error))
    }

    async fn stop(&self, arn: &str) {
        let Ok(core) = self.core() else { return };
        // The task is asked again by the next engine, and waits for this very execution.
        if core.stopping.is_cancelled() {
            return;
        }
        let stopped = match core.find_execution(arn).await {
            Ok(Some(execution)) if execution.status == ExecutionStatus::Running => {
                let failure = Failure { error: None, cause: None };
                core.stop_execution(execution.id, failure).await.map(|_| ())
            }
            Ok(_) => Ok(()),
            Err(error) => Err(error),
        };
        if let Err(error) = stopped {
            tracing::warn!(%error, arn, "a child execution was not stopped");
        }
    }
}
