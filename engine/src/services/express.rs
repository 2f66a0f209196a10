//! Express executions: the transition loop without a store.
//!
//! An execution's state travels in its messages. A transition that needs an answer (a task, children) keeps
//! its delivery unacknowledged until the answer is in: if this engine dies, the broker gives the
//! transition to another one, which asks again. A synchronous execution runs at most once instead: a
//! redelivered message is not worked, and its caller learns that it was lost.
//!
//! ```text
//!   delivery ─▶ apply ─┬─ goes on ──▶ next message, acknowledge
//!                      ├─ waits ────▶ delayed message, acknowledge
//!                      ├─ task ─────▶ request … hold … reply ─▶ apply
//!                      ├─ fork ─────▶ children … hold … results ─▶ apply
//!                      └─ over ─────▶ result to who waits, acknowledge
//! ```

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use asl::branch::{BranchEnd, BranchPath, Effect, Event, Fork, Outcome, Run, TaskRequest, Waiting};
use asl::data::Failure;
use asl::data::failure::names;
use asl::data::timestamp::Timestamp;
use asl::limits::Limits;
use asl::program::StateType;
use tokio_util::sync::CancellationToken;

use crate::messages::{Express, ExpressResult, decode, encode};
use crate::names::check as check_name;
use crate::ports::broker::{self, Consumer, Delivery, Family, Publication, Queue, Settle};
use crate::services::advance::random_tick;
use crate::services::executions::{StartError, StartRequest, StartedExecution, SyncEnd, SyncOutcome};
use crate::services::programs::Compiled;
use crate::services::{Core, Unavailable};

mod held;
mod open;
mod replies;

use held::Held;
pub use open::{EndedForks, OpenExpress};
pub use replies::{Replies, run_replies};

/// Express executions last 5 minutes at most (AWS quota).
const EXPRESS_SECONDS_MAX: u32 = 300;
/// Root transitions whose delivery is held at a time; more wait in the broker.
const HELD_MAX: usize = 1_000;
/// Deliveries taken in one go.
const BATCH_MAX: usize = 64;
/// Pause before what is away is asked again.
const PAUSE: Duration = Duration::from_millis(200);

/// Works one queue of Express messages until told to stop.
pub async fn run(
    core: Arc<Core>,
    family: Family,
    queue: Queue,
    stop: CancellationToken,
) -> Result<(), broker::Error> {
    // Calls of root branches wait in the broker for a place; those inside branches are never refused, or
    // parents could hold all places while their children wait for one.
    let prefetch = if family == Family::Calls { HELD_MAX } else { usize::MAX };
    let consumer = core.broker.consume(&queue, prefetch).await?;
    // What is held ends with its consumer: the deliveries come back, and would be worked twice.
    let held = stop.child_token();
    let _ends = held.clone().drop_guard();
    loop {
        let deliveries = tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            deliveries = consumer.next(BATCH_MAX) => deliveries?,
        };
        for delivery in deliveries {
            let (core, consumer, held) = (core.clone(), consumer.clone(), held.clone());
            tokio::spawn(async move {
                tokio::select! {
                    biased;
                    () = held.cancelled() => {}
                    () = core.work_express(consumer, delivery) => {}
                }
            });
        }
    }
}

impl Core {
    /// Starts an Express execution without waiting for its end.
    pub(super) async fn start_express(&self, request: StartRequest) -> Result<StartedExecution, StartError> {
        let message = self.begin_express(&request, false).await?;
        let started = StartedExecution { arn: message.arn.clone(), started_at: message.execution.started_at };
        let publication = self.express_publication(message, None, None, None).await?;
        self.publish(vec![publication]).await?;
        Ok(started)
    }

    /// Runs an Express execution and waits for its end.
    pub async fn start_sync_execution(&self, request: StartRequest) -> Result<SyncOutcome, StartError> {
        let message = self.begin_express(&request, true).await?;
        let (arn, name) = (message.arn.clone(), message.execution.name.clone());
        let (started_at, deadline) = (message.execution.started_at, message.deadline);
        let id = message.execution.id.to_string();
        let mut expected = self.replies.expect(id.clone());
        let reply_to = Queue::reply(&self.engine);
        let publication = self.express_publication(message, Some(reply_to), Some(id), None).await?;
        self.publish(vec![publication]).await?;
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
            Some(Ok(ExpressResult::TimedOut | ExpressResult::Branch(..)) | Err(_)) | None => {
                SyncEnd::TimedOut
            }
        };
        Ok(SyncOutcome { arn, name, started_at, stopped_at: self.clock.now(), end })
    }

    async fn begin_express(&self, request: &StartRequest, synchronous: bool) -> Result<Express, StartError> {
        request.name.as_deref().map_or(Ok(()), check_name).map_err(StartError::Name)?;
        let compiled = self.programs.get(self.catalog.as_ref(), request.machine.revision.id).await?;
        let (header, value, _) = self.begin(request, &compiled);
        let seconds =
            compiled.program.timeout_seconds.unwrap_or(EXPRESS_SECONDS_MAX).min(EXPRESS_SECONDS_MAX);
        let deadline = header.started_at.plus_seconds(i64::from(seconds));
        let max = self.admission.open_express_max;
        self.open_express.enter(header.id, deadline, header.started_at, max).map_err(|open| {
            StartError::Throttled(format!("{open} Express executions are open, which is the limit"))
        })?;
        Ok(Express {
            arn: self.home.express(&header.machine_name, &header.name, header.id.0),
            deadline,
            execution: header,
            path: BranchPath::root(),
            value,
            timer: false,
            synchronous,
        })
    }

    fn milliseconds_until(&self, at: Timestamp) -> u64 {
        let left = at.milliseconds().saturating_sub(self.clock.now().milliseconds());
        u64::try_from(left).unwrap_or(0)
    }

    /// The queue is that of what the branch does next: a transition that will hold its delivery must not
    /// stand in the way of those that never do.
    async fn express_publication(
        &self,
        message: Express,
        reply_to: Option<Queue>,
        correlation_id: Option<String>,
        delay: Option<Duration>,
    ) -> Result<Publication, Unavailable> {
        let compiled = self.programs.get(self.catalog.as_ref(), message.execution.revision).await?;
        let program = &compiled.program;
        let holds = program.has_state(message.value.state)
            && matches!(
                program.state(message.value.state).state_type(),
                StateType::Task | StateType::Parallel | StateType::Map
            );
        let family = match (holds, message.path.is_root()) {
            (false, _) => Family::Express,
            (true, true) => Family::Calls,
            (true, false) => Family::Inner,
        };
        let queue = self.shards.queue(family, message.execution.id);
        let id = format!("{}/{}/{}", message.execution.id, message.path, message.value.seq);
        Ok(Publication { reply_to, correlation_id, delay, ..Publication::new(queue, id, encode(&message)) })
    }

    async fn work_express(self: Arc<Self>, consumer: Arc<dyn Consumer>, delivery: Delivery) {
        let settle = match decode::<Express>(&delivery.body) {
            Err(error) => {
                tracing::error!(%error, message = %delivery.id, "a message cannot be worked");
                self.give_up_express(&delivery, error.to_string()).await;
                Settle::DeadLetter(error.to_string())
            }
            Ok(message) => {
                self.work_express_until_done(message, &delivery).await;
                Settle::Acknowledge
            }
        };
        if let Err(error) = consumer.settle(vec![(delivery.tag, settle)]).await {
            tracing::warn!(%error, "an Express transition comes again");
        }
    }

    /// Works a message until it is done, or its execution's time is over.
    async fn work_express_until_done(&self, message: Express, delivery: &Delivery) {
        while let Err(error) = self.work_express_message(message.clone(), delivery).await {
            match error {
                Unavailable::Definition(reason) => {
                    tracing::error!(reason, arn = %message.arn, "an Express execution cannot go on");
                    return self.give_up_express(delivery, reason).await;
                }
                Unavailable::Store(_) | Unavailable::Broker(_) if message.deadline <= self.clock.now() => {
                    return self.give_up_express(delivery, error.to_string()).await;
                }
                Unavailable::Store(_) | Unavailable::Broker(_) => {
                    tracing::warn!(%error, "holding an Express transition");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// Tells who waits that there will be no other end.
    async fn give_up_express(&self, delivery: &Delivery, reason: String) {
        let failed = ExpressResult::Failed(Failure::new(names::RUNTIME, reason));
        if let Err(error) = self.answer_express(delivery, failed).await {
            tracing::warn!(%error, "who waits for an Express execution is not told of its end");
        }
    }

    async fn work_express_message(&self, message: Express, delivery: &Delivery) -> Result<(), Unavailable> {
        if message.synchronous && delivery.redeliveries > 0 {
            return self.answer_express(delivery, ExpressResult::Lost).await;
        }
        if self.ended_forks.has(&message) {
            return Ok(());
        }
        let compiled = self.programs.get(self.catalog.as_ref(), message.execution.revision).await?;
        let event = if message.timer { Event::TimerFired } else { Event::Enter { after: None } };
        let turn = ExpressTurn { core: self, compiled, delivery, message };
        match turn.comes_early() {
            Some(at) => turn.send(Some(at)).await,
            None => turn.run(event).await,
        }
    }

    async fn answer_express(&self, delivery: &Delivery, result: ExpressResult) -> Result<(), Unavailable> {
        let Some(queue) = delivery.reply_to.clone() else { return Ok(()) };
        let id = format!("{}/end", delivery.id);
        let correlation_id = delivery.correlation_id.clone();
        let body = encode(&result);
        self.publish(vec![Publication { correlation_id, ..Publication::new(queue, id, body) }]).await
    }
}

/// One delivery and the branch that it moves.
struct ExpressTurn<'a> {
    core: &'a Core,
    compiled: Arc<Compiled>,
    delivery: &'a Delivery,
    message: Express,
}

impl ExpressTurn<'_> {
    /// Applies events until the branch can be left to a message, or is over.
    async fn run(mut self, mut event: Event) -> Result<(), Unavailable> {
        loop {
            if self.message.deadline <= self.core.clock.now() {
                return self.time_out().await;
            }
            let Some(effects) = self.apply(event)? else { return Ok(()) };
            let held = match first_of(effects) {
                Next::GoOn => return self.send(None).await,
                Next::Timer(at) if !matches!(self.message.value.waiting, Waiting::Task(_)) => {
                    return self.send(Some(at)).await;
                }
                Next::Timer(_) => return Ok(()),
                Next::Task(request) => self.hold_task(request).await?,
                Next::Fork(fork) => self.hold_fork(fork).await?,
                Next::EndBranch(end) => {
                    let result = ExpressResult::Branch(self.message.path.clone(), end);
                    return self.core.answer_express(self.delivery, result).await;
                }
                Next::Finish(outcome) => return self.finish(outcome).await,
            };
            event = match held {
                Held::Event(event) => *event,
                Held::TimedOut => return self.time_out().await,
                Held::Lost => return self.core.answer_express(self.delivery, ExpressResult::Lost).await,
            };
        }
    }

    /// For a timer's message that comes before its time, as another clock may have delayed it: that time. An
    /// early timer would be taken for a copy, and the branch be lost.
    fn comes_early(&self) -> Option<Timestamp> {
        let at = match self.message.value.waiting {
            Waiting::Wait { until: at } | Waiting::Retry { at } if self.message.timer => at,
            _ => return None,
        };
        let now = self.core.clock.now();
        (now < at && now < self.message.deadline).then_some(at)
    }

    /// `None` when the branch does not wait for the event: a copy of a message that was worked.
    fn apply(&mut self, event: Event) -> Result<Option<Vec<Effect>>, Unavailable> {
        let mut facts = self.core.facts(&self.message.execution, &self.compiled);
        facts.id.clone_from(&self.message.arn);
        // No history is kept, so it has no limit.
        let limits = Limits { history_events_max: u64::MAX, ..self.core.limits.clone() };
        let run = Run {
            program: &self.compiled.program,
            execution: &facts,
            limits: &limits,
            path: &self.message.path,
        };
        let tick = random_tick(self.core.clock.now());
        let value = &mut self.message.value;
        let applied = catch_unwind(AssertUnwindSafe(|| value.apply(&run, event, &tick)));
        let moved = applied
            .map_err(|_| Unavailable::Definition("the interpreter failed on this event".to_owned()))?;
        Ok(moved.ok().map(|moved| moved.effects))
    }

    /// Leaves the branch to its next message, now or at a time.
    async fn send(self, at: Option<Timestamp>) -> Result<(), Unavailable> {
        let Self { core, delivery, mut message, .. } = self;
        message.timer = at.is_some();
        let delay = at.map(|at| {
            let until = at.min(message.deadline);
            Duration::from_millis(core.milliseconds_until(until))
        });
        let (reply_to, correlation_id) = (delivery.reply_to.clone(), delivery.correlation_id.clone());
        let publication = core.express_publication(message, reply_to, correlation_id, delay).await?;
        core.publish(vec![publication]).await
    }

    async fn time_out(self) -> Result<(), Unavailable> {
        self.core.cancel(format!("{}/", self.message.execution.id));
        if self.message.path.is_root() {
            self.core.open_express.leave(self.message.execution.id);
            tracing::info!(arn = %self.message.arn, "Express execution timed out");
            return self.core.answer_express(self.delivery, ExpressResult::TimedOut).await;
        }
        // The root ends by its own deadline; nobody waits for this branch.
        Ok(())
    }

    async fn finish(self, outcome: Outcome) -> Result<(), Unavailable> {
        self.core.open_express.leave(self.message.execution.id);
        let result = match outcome {
            Outcome::Succeeded(output) => ExpressResult::Succeeded(output),
            Outcome::Failed(failure) => {
                tracing::info!(arn = %self.message.arn, error = failure.error.as_deref(), "Express execution failed");
                ExpressResult::Failed(failure)
            }
        };
        self.core.answer_express(self.delivery, result).await
    }
}

/// The one thing that a transition asks for.
enum Next {
    GoOn,
    Timer(Timestamp),
    Task(TaskRequest),
    Fork(Fork),
    EndBranch(BranchEnd),
    Finish(Outcome),
}

/// A task comes with its timer; the task is what counts.
fn first_of(effects: Vec<Effect>) -> Next {
    let mut next = Next::GoOn;
    for effect in effects {
        next = match effect {
            Effect::Continue => Next::GoOn,
            Effect::StartTimer { at } => match next {
                Next::GoOn => Next::Timer(at),
                other => other,
            },
            Effect::ScheduleTask(request) => Next::Task(request),
            Effect::Fork(fork) => Next::Fork(fork),
            Effect::EndBranch(end) => Next::EndBranch(end),
            Effect::Finish(outcome) => Next::Finish(outcome),
        };
    }
    next
}
