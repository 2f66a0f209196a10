//! Starting Express executions, with and without waiting for their end.

use std::sync::Arc;
use std::time::Duration;

use asl::branch::{BranchPath, Event};
use asl::definition::WorkflowType;
use asl::limits::EXPRESS_SECONDS_MAX;
use bytes::Bytes;

use super::leaving::{Leaving, Left};
use super::turn::Turn;
use super::{Step, holds};
use crate::messages::{Express, ExpressResult, decode};
use crate::metrics::executions;
use crate::names::check as check_name;
use crate::ports::broker::{self, Delivery, DeliveryTag, Family, Headers, Publication, Published, Queue};
use crate::services::executions::{StartError, StartRequest, StartedExecution, SyncEnd, SyncOutcome};
use crate::services::programs::Compiled;
use crate::services::{Core, Unavailable, observed};

/// How long the number of waiting messages is taken for true.
const COUNT_AGAIN: Duration = Duration::from_secs(1);

fn started(message: &Express) -> StartedExecution {
    let id = message.execution.id;
    StartedExecution { id, arn: message.arn.clone(), started_at: message.execution.started_at }
}

/// The delivery of a message that was never sent: nobody waits for its end.
fn nobodys() -> Delivery {
    Delivery {
        tag: DeliveryTag(0),
        id: String::new(),
        body: Bytes::new(),
        reply_to: None,
        correlation_id: None,
        headers: Headers::new(),
        redeliveries: 0,
        routing_key: String::new(),
    }
}

impl Core {
    /// Starts an Express execution without waiting for its end.
    pub(in crate::services) async fn start_express(
        &self,
        request: &StartRequest,
    ) -> Result<StartedExecution, StartError> {
        let (message, compiled) = self.begin_express(request, false).await?;
        let publication = self.express_publication(&compiled.program, &message);
        self.publish(vec![publication]).await?;
        executions::started(&message.execution.machine_name, WorkflowType::Express);
        Ok(started(&message))
    }

    /// Starts an Express execution for a delivery that is settled once all that it leaves behind is with the
    /// broker. A first state that needs no answer is worked at once: the delivery stands for the message that
    /// would have brought it here.
    pub(in crate::services) async fn begin_express_here(
        self: &Arc<Self>,
        request: &StartRequest,
        leaving: &mut Leaving,
    ) -> Result<StartedExecution, StartError> {
        let begun = self.begin_express(request, false).await;
        observed::refused(&request.machine, &begun);
        let (message, compiled) = begun?;
        executions::started(&message.execution.machine_name, WorkflowType::Express);
        let answer = started(&message);
        if !holds(&compiled.program, &message) {
            let turn = Turn::new(self.clone(), compiled.clone(), nobodys(), message.clone());
            if let Ok(Step::Leave(left)) = turn.begin(Event::Enter { after: None }) {
                leaving.add(left);
                return Ok(answer);
            }
        }
        leaving.add(Left::Next(Box::new(self.express_publication(&compiled.program, &message))));
        Ok(answer)
    }

    /// Runs an Express execution and waits for its end.
    pub async fn start_sync_execution(&self, request: StartRequest) -> Result<SyncOutcome, StartError> {
        let begun = self.begin_express(&request, true).await;
        observed::refused(&request.machine, &begun);
        let (message, compiled) = begun?;
        let publication = self.express_publication(&compiled.program, &message);
        let (arn, name) = (message.arn, message.execution.name);
        let (started_at, deadline) = (message.execution.started_at, message.deadline);
        let id = message.execution.id.to_string();
        let mut expected = self.replies.expect(id.clone());
        let reply_to = Some(Queue::reply(&self.engine));
        let publication = Publication { reply_to, correlation_id: Some(id), ..publication };
        // Published again, it might run twice.
        match self.broker.publish(vec![publication]).await?.first() {
            Some(Published::Confirmed) | None => {
                executions::started(&request.machine.name, WorkflowType::Express);
            }
            Some(Published::InDoubt | Published::Returned) => {
                return Err(StartError::Unavailable(Unavailable::Broker(broker::Error::Unavailable(
                    "it is not known whether the execution was started; start it again".to_owned(),
                ))));
            }
        }
        let left = Duration::from_millis(self.milliseconds_until(deadline));
        let answer = tokio::time::timeout(left, expected.answers.recv()).await.ok().flatten();
        let end = match answer.map(|delivery| decode::<ExpressResult>(&delivery.body)) {
            Some(Ok(ExpressResult::Succeeded(output))) => SyncEnd::Succeeded(output),
            Some(Ok(ExpressResult::Failed(failure))) => SyncEnd::Failed(failure),
            Some(Ok(ExpressResult::Lost)) => {
                return Err(StartError::Unavailable(Unavailable::Broker(broker::Error::Unavailable(
                    "the engine that ran the execution is gone; start it again".to_owned(),
                ))));
            }
            Some(
                Ok(ExpressResult::TimedOut | ExpressResult::Branch(..) | ExpressResult::Branches(_)) | Err(_),
            )
            | None => SyncEnd::TimedOut,
        };
        Ok(SyncOutcome { arn, name, started_at, stopped_at: self.clock.now(), end })
    }

    async fn begin_express(
        &self,
        request: &StartRequest,
        synchronous: bool,
    ) -> Result<(Express, Arc<Compiled>), StartError> {
        request.name.as_deref().map_or(Ok(()), check_name).map_err(StartError::Name)?;
        self.admit()?;
        self.admit_express().await?;
        let compiled = self.programs.get(self.catalog.as_ref(), request.machine.revision.id).await?;
        let (header, value, started) = self.begin(request, &compiled);
        let seconds =
            compiled.program.timeout_seconds.unwrap_or(EXPRESS_SECONDS_MAX).min(EXPRESS_SECONDS_MAX);
        let message = Express {
            arn: self.home.express(&header.machine_name, &header.name, header.id.0),
            deadline: header.started_at.plus_seconds(i64::from(seconds)),
            execution: header,
            path: BranchPath::root(),
            value,
            timer: false,
            synchronous,
        };
        if self.announces.transitions {
            self.show_express(&message, None, &[started]);
        }
        Ok((message, compiled))
    }

    /// Nobody is let in while too many messages wait for engines.
    async fn admit_express(&self) -> Result<(), StartError> {
        let waiting = match self.express_waiting.recent(COUNT_AGAIN) {
            Some(waiting) => waiting,
            None => {
                let mut waiting = 0;
                for family in [Family::Express, Family::Calls] {
                    for queue in self.shards.queues(family) {
                        waiting += self.broker.ready(&queue).await?;
                    }
                }
                self.express_waiting.counted(waiting);
                waiting
            }
        };
        if waiting >= self.admission.express_waiting_max {
            return Err(StartError::Throttled(format!(
                "{waiting} transitions of Express executions wait for an engine, which is the limit"
            )));
        }
        Ok(())
    }

    pub(in crate::services) fn milliseconds_until(&self, at: asl::data::timestamp::Timestamp) -> u64 {
        let left = at.milliseconds().saturating_sub(self.clock.now().milliseconds());
        u64::try_from(left).unwrap_or(0)
    }
}
