//! Starting what a trigger asks for, however often it takes.

use std::sync::Arc;
use std::time::Duration;

use asl::data::timestamp::Timestamp;
use asl::definition::WorkflowType;
use serde_json::Value;
use tokio::time::{Instant, sleep, timeout_at};

use super::caps::{Caps, Place};
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

/// How often a start was tried, and what for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Tries {
    /// Tries that failed by what is wrong with the trigger or its message.
    pub(super) failed: u32,
    /// Not tried again before.
    pub(super) not_before: Option<Timestamp>,
}

impl Tries {
    /// Those of both together.
    pub(super) fn with(self, other: Tries) -> Self {
        Tries { failed: self.failed.max(other.failed), not_before: self.not_before.max(other.not_before) }
    }
}

/// What became of a start.
#[derive(Debug, PartialEq)]
pub(super) enum Outcome {
    /// It is durable.
    Started,
    /// What is wrong with it does not go away.
    Wrong(String),
    /// It must be tried later, and the message may not be held so long.
    Late(Tries),
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
        let place = caps.admit().await;
        self.start_at(trigger, caps, &place, order, leaving).await
    }

    async fn start_at(
        self: &Arc<Self>,
        trigger: &Compiled,
        caps: &Caps,
        place: &Place<'_>,
        order: &Order,
        leaving: &mut Leaving,
    ) -> Result<(), Missed> {
        if self.try_to_start(trigger, caps, place, order, leaving).await? {
            metrics::triggers::started(trigger.name(), order.events);
        }
        Ok(())
    }

    /// False if the same message has started it before.
    async fn try_to_start(
        self: &Arc<Self>,
        trigger: &Compiled,
        caps: &Caps,
        place: &Place<'_>,
        order: &Order,
        leaving: &mut Leaving,
    ) -> Result<bool, Missed> {
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
        match workflow_type {
            WorkflowType::Standard => match self.start_execution(request).await {
                Ok(started) => {
                    caps.keep(started.id, place);
                    Ok(true)
                }
                Err(StartError::AlreadyExists { .. }) => Ok(false),
                Err(error) => Err(missed(error)),
            },
            // Its end is seen by who waits for it, and by nobody else.
            WorkflowType::Express if caps.are_counted() => {
                let ended = self.start_sync_execution(request).await.map_err(missed)?;
                if let SyncEnd::Failed(failure) = &ended.end {
                    tracing::info!(arn = %ended.arn, error = failure.error.as_deref(), "an execution of a trigger failed");
                }
                Ok(true)
            }
            WorkflowType::Express => {
                self.begin_express_here(&request, leaving).await.map(|_| true).map_err(missed)
            }
        }
    }

    /// Starts it for sure: until it stands, or what is wrong with it does not go away; or until `held_until`, for
    /// what must not be held for longer.
    pub(super) async fn start_for_sure(
        self: &Arc<Self>,
        trigger: &Compiled,
        caps: &Caps,
        order: &Order,
        mut tries: Tries,
        held_until: Option<Instant>,
    ) -> Outcome {
        let (mut pause_away, mut is_again) = (PAUSE_MIN, false);
        loop {
            if !self.may_be_tried(&tries, held_until).await {
                return Outcome::Late(tries);
            }
            if is_again {
                metrics::triggers::retried(trigger.name());
            }
            is_again = true;
            let place = match held_until {
                None => caps.admit().await,
                Some(until) => match timeout_at(until, caps.admit()).await {
                    Ok(place) => place,
                    Err(_) => return Outcome::Late(tries),
                },
            };
            let mut leaving = Leaving::default();
            let pause = match self.start_at(trigger, caps, &place, order, &mut leaving).await {
                Ok(()) => {
                    self.leave(leaving).await;
                    return Outcome::Started;
                }
                Err(Missed::Wrong(reason)) => {
                    tries.failed = tries.failed.saturating_add(1);
                    let Some(seconds) = trigger.trigger.retry.pause_seconds(tries.failed) else {
                        return Outcome::Wrong(reason);
                    };
                    Duration::from_secs(u64::from(seconds))
                }
                Err(Missed::Away(reason)) => {
                    tracing::debug!(trigger = %trigger.name(), reason, "a start waits");
                    pause_away = (pause_away * 2).min(PAUSE_MAX);
                    pause_away
                }
            };
            let milliseconds = i64::try_from(pause.as_millis()).unwrap_or(i64::MAX);
            tries.not_before = Some(self.clock.now().plus_milliseconds(milliseconds));
        }
    }

    /// Waits for the time of the next try. False if that is later than what waits may be held.
    async fn may_be_tried(&self, tries: &Tries, held_until: Option<Instant>) -> bool {
        let Some(at) = tries.not_before else { return true };
        let milliseconds = at.milliseconds().saturating_sub(self.clock.now().milliseconds());
        let pause = Duration::from_millis(u64::try_from(milliseconds).unwrap_or_default());
        match held_until {
            None => sleep(pause).await,
            Some(until) => return timeout_at(until, sleep(pause)).await.is_ok(),
        }
        true
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
