//! Starting what a trigger asks for, however often it takes.

use std::sync::Arc;
use std::time::Duration;

use asl::definition::WorkflowType;
use serde_json::Value;

use super::caps::Caps;
use super::compiled::Compiled;
use crate::metrics;
use crate::services::Core;
use crate::services::door::Startable;
use crate::services::executions::{StartError, StartRequest, SyncEnd};
use crate::services::express::Leaving;

/// Longest pause while the world is away.
const PAUSE_MAX: Duration = Duration::from_secs(30);
const PAUSE_MIN: Duration = Duration::from_millis(200);

/// An execution to start.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Order {
    /// Its name, if the message has one to give: one name is one Standard execution.
    pub(super) name: Option<String>,
    pub(super) input: Value,
    /// How many events it is for.
    pub(super) events: usize,
}

/// Why an execution was not started.
pub(super) enum Missed {
    /// What the world does; it is tried for ever.
    Away(String),
    /// What the trigger or its message does; it is tried a few times.
    Wrong(String),
}

impl Core {
    /// Starts it, and returns when that is durable. What an Express execution leaves behind is added to
    /// `leaving`: it is durable once the broker has that.
    pub(super) async fn start_ordered(
        self: &Arc<Self>,
        trigger: &Compiled,
        caps: &Caps,
        order: &Order,
        leaving: &mut Leaving,
    ) -> Result<(), Missed> {
        self.try_to_start(trigger, caps, order, leaving).await?;
        metrics::triggers::started(trigger.name(), order.events);
        Ok(())
    }

    async fn try_to_start(
        self: &Arc<Self>,
        trigger: &Compiled,
        caps: &Caps,
        order: &Order,
        leaving: &mut Leaving,
    ) -> Result<(), Missed> {
        let Startable { machine, qualifier } = match self.machine_to_start(&trigger.machine).await {
            Ok(Some(found)) => found,
            Ok(None) => {
                return Err(Missed::Wrong(format!("there is no state machine '{}'", trigger.machine)));
            }
            Err(error) => return Err(Missed::Away(error.to_string())),
        };
        let workflow_type = machine.workflow_type;
        let input_text = order.input.to_string();
        if input_text.len() > self.limits.payload_bytes_max {
            let bytes = input_text.len();
            return Err(Missed::Wrong(format!("the input has {bytes} bytes, which is over the limit")));
        }
        let (name, input) = (order.name.clone(), order.input.clone());
        let request = StartRequest { machine, qualifier, name, input, input_text };
        let place = caps.admit().await;
        match workflow_type {
            WorkflowType::Standard => match self.start_execution(request).await {
                Ok(started) => {
                    caps.keep(started.id, place);
                    Ok(())
                }
                // The same message started it before.
                Err(StartError::AlreadyExists { .. }) => Ok(()),
                Err(error) => Err(missed(error)),
            },
            // Its end is seen by who waits for it, and by nobody else.
            WorkflowType::Express if caps.are_counted() => {
                let ended = self.start_sync_execution(request).await.map_err(missed)?;
                if let SyncEnd::Failed(failure) = &ended.end {
                    tracing::info!(arn = %ended.arn, error = failure.error.as_deref(), "an execution of a trigger failed");
                }
                Ok(())
            }
            WorkflowType::Express => {
                self.begin_express_here(&request, leaving).await.map(|_| ()).map_err(missed)
            }
        }
    }

    /// Starts it for sure: until it stands, or what is wrong with it does not go away. Answers what that is.
    pub(super) async fn start_for_sure(
        self: &Arc<Self>,
        trigger: &Compiled,
        caps: &Caps,
        order: &Order,
    ) -> Result<(), String> {
        let (mut failed, mut pause, mut is_again) = (0, PAUSE_MIN, false);
        loop {
            let mut leaving = Leaving::default();
            if is_again {
                metrics::triggers::retried(trigger.name());
            }
            is_again = true;
            match self.start_ordered(trigger, caps, order, &mut leaving).await {
                Ok(()) => {
                    self.leave(leaving).await;
                    return Ok(());
                }
                Err(Missed::Wrong(reason)) => {
                    failed += 1;
                    let Some(seconds) = trigger.trigger.retry.pause_seconds(failed) else {
                        return Err(reason);
                    };
                    tokio::time::sleep(Duration::from_secs(u64::from(seconds))).await;
                }
                Err(Missed::Away(reason)) => {
                    tracing::debug!(trigger = %trigger.name(), reason, "a start waits");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(PAUSE_MAX);
                }
            }
        }
    }
}

fn missed(error: StartError) -> Missed {
    let reason = error.to_string();
    match error {
        StartError::Throttled(_) | StartError::Full(_) | StartError::Unavailable(_) => Missed::Away(reason),
        StartError::AlreadyExists { .. }
        | StartError::Name(_)
        | StartError::NoMachine
        | StartError::Definition(_) => Missed::Wrong(reason),
    }
}
