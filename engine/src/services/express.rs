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
//!
//! What needs no answer is worked in batches, published together and acknowledged together.

use std::sync::Arc;
use std::time::Duration;

use asl::branch::Event;
use asl::data::Failure;
use asl::data::failure::names;
use asl::definition::WorkflowType;
use asl::program::{Program, StateType};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::messages::{Express, ExpressResult, decode, encode};
use crate::metrics::states::Batch;
use crate::ports::broker::{self, Consumer, Delivery, Family, Publication, Queue, Settle};
use crate::services::{Core, Unavailable, observed};

mod answers;
mod ended_forks;
mod held;
mod held_bytes;
mod leaving;
mod orphans;
mod replies;
mod start;
mod turn;

pub use ended_forks::EndedForks;
pub use held_bytes::HeldBytes;
pub(in crate::services) use leaving::Leaving;
use leaving::Left;
pub use orphans::ReplyQueues;
pub use replies::{Replies, run_replies};
use turn::{Hold, Turn};

/// Root transitions whose delivery is held at a time; more wait in the broker.
const HELD_MAX: usize = 1_000;
/// The same inside branches: as many as a consumer can take, each about a kilobyte.
const INNER_MAX: usize = 65_535;
/// Deliveries taken in one go.
const BATCH_MAX: usize = 128;
/// Batches that are under way at a time.
const TURNS_MAX: usize = 8;
/// Deliveries that are taken and not settled, where none is held.
const PREFETCH: usize = 2 * TURNS_MAX * BATCH_MAX;
/// Pause before what is away is asked again.
const PAUSE: Duration = Duration::from_millis(200);

/// Works one queue of Express messages until told to stop; then what is at hand is worked to its end, unless
/// it is cut off.
pub async fn run(
    core: Arc<Core>,
    family: Family,
    queue: Queue,
    stop: CancellationToken,
) -> Result<(), broker::Error> {
    let prefetch = match family {
        // Calls of root branches wait in the broker for a place; those inside branches are never refused, or
        // parents could hold all places while their children wait for one.
        Family::Calls => HELD_MAX,
        Family::Inner => INNER_MAX,
        Family::Express | Family::Standard | Family::Results => PREFETCH,
    };
    let consumer = core.broker.consume(&queue, prefetch).await?;
    // What is held ends with its consumer: the deliveries come back, and would be worked twice.
    let gone = core.cut_off.child_token();
    let _ends = gone.clone().drop_guard();
    let line = Line { core, consumer, held: TaskTracker::new(), gone };
    let mut turns = FuturesUnordered::new();
    let mut receives = true;
    let mut ended = loop {
        tokio::select! {
            biased;
            () = stop.cancelled(), if receives => match line.consumer.stop().await {
                Ok(()) => receives = false,
                Err(error) => break Err(error),
            },
            Some(turn) = turns.next() => if let Err(error) = turn { break Err(error) },
            deliveries = line.consumer.next(BATCH_MAX), if turns.len() < TURNS_MAX => match deliveries {
                Err(error) => break Err(error),
                Ok(deliveries) if deliveries.is_empty() => break Ok(()),
                Ok(deliveries) => turns.push(line.work(deliveries)),
            },
        }
    };
    if ended.is_err() {
        line.gone.cancel();
    }
    while let Some(turn) = turns.next().await {
        ended = ended.and(turn);
    }
    line.held.close();
    line.held.wait().await;
    ended
}

/// One consumer and what is held of it.
struct Line {
    core: Arc<Core>,
    consumer: Arc<dyn Consumer>,
    held: TaskTracker,
    gone: CancellationToken,
}

impl Line {
    /// Works a batch: what needs no answer at once, the rest each by itself.
    async fn work(&self, deliveries: Vec<Delivery>) -> Result<(), broker::Error> {
        let (mut leaving, mut settled) = (Leaving::default(), Vec::new());
        let batch = Batch::begin(WorkflowType::Express, deliveries.len());
        for delivery in deliveries {
            let tag = delivery.tag;
            match self.core.begin_turn(delivery).await {
                Begun::Left(left) => {
                    settled.push((tag, Settle::Acknowledge));
                    leaving.add(left);
                }
                Begun::Held(held) => self.spawn(held),
            }
        }
        tokio::select! {
            biased;
            () = self.gone.cancelled() => return Ok(()),
            () = self.core.leave(leaving) => {}
        }
        batch.end();
        self.consumer.settle(settled).await
    }

    fn spawn(&self, held: HeldTurn) {
        let (core, consumer, gone) = (self.core.clone(), self.consumer.clone(), self.gone.clone());
        self.held.spawn(async move {
            let counts = core.clone();
            let _in_memory = counts.held_bytes.hold(held.delivery().body.len());
            tokio::select! {
                biased;
                () = gone.cancelled() => {}
                () = core.work_held(consumer, held) => {}
            }
        });
    }
}

/// What a delivery's first step is.
enum Begun {
    /// It is done with.
    Left(Left),
    /// It is worked by itself.
    Held(HeldTurn),
}

/// A delivery that is worked by itself.
enum HeldTurn {
    /// It asks for something and waits.
    Waits(Box<Turn>, Box<Hold>),
    /// Something that it needs is away: from the beginning, until it is there.
    Again(Delivery),
    /// It cannot be read.
    Dead(Delivery, String),
}

impl HeldTurn {
    fn delivery(&self) -> &Delivery {
        match self {
            HeldTurn::Waits(turn, _) => turn.delivery(),
            HeldTurn::Again(delivery) | HeldTurn::Dead(delivery, _) => delivery,
        }
    }
}

impl Core {
    /// The first step of a delivery, which never waits for an answer.
    async fn begin_turn(self: &Arc<Self>, delivery: Delivery) -> Begun {
        let message = match decode::<Express>(&delivery.body) {
            Ok(message) => message,
            Err(error) => return Begun::Held(HeldTurn::Dead(delivery, error.to_string())),
        };
        match self.first_step(message, &delivery).await {
            Ok(Step::Leave(left)) => Begun::Left(left),
            Ok(Step::Hold(turn, hold)) => Begun::Held(HeldTurn::Waits(turn, hold)),
            Err(_told_when_it_is_tried_again) => Begun::Held(HeldTurn::Again(delivery)),
        }
    }

    async fn first_step(
        self: &Arc<Self>,
        message: Express,
        delivery: &Delivery,
    ) -> Result<Step, Unavailable> {
        if message.synchronous && delivery.redeliveries > 0 {
            observed::given_up(&delivery.body, self.clock.now());
            return Ok(Step::Leave(Left::Answer(delivery.clone(), Box::new(ExpressResult::Lost))));
        }
        let own = delivery.reply_to.as_ref() == Some(&Queue::reply(&self.engine));
        if own && self.ended_forks.has(&message) || self.is_orphan(&message, delivery).await? {
            return Ok(Step::Leave(Left::Nothing));
        }
        let compiled = self.programs.get(self.catalog.as_ref(), message.execution.revision).await?;
        let event = if message.timer { Event::TimerFired } else { Event::Enter { after: None } };
        Turn::new(self.clone(), compiled, delivery.clone(), message).begin(event)
    }

    /// Works a delivery by itself until it is done with, or its execution's time is over.
    async fn work_held(self: Arc<Self>, consumer: Arc<dyn Consumer>, held: HeldTurn) {
        let (delivery, left, settle) = match held {
            HeldTurn::Dead(delivery, reason) => {
                tracing::error!(reason, message = %delivery.id, "a message cannot be worked");
                (delivery.clone(), self.given_up(delivery, reason.clone()), Settle::DeadLetter(reason))
            }
            HeldTurn::Waits(turn, hold) => {
                let delivery = turn.delivery().clone();
                let done = turn.go_on(*hold).await;
                let left = self.work_until_done(&delivery, done).await;
                (delivery, left, Settle::Acknowledge)
            }
            HeldTurn::Again(delivery) => {
                let done = self.work_from_start(&delivery).await;
                let left = self.work_until_done(&delivery, done).await;
                (delivery, left, Settle::Acknowledge)
            }
        };
        self.leave_one(left).await;
        if let Err(error) = consumer.settle(vec![(delivery.tag, settle)]).await {
            tracing::debug!(%error, "an Express transition comes again");
        }
    }

    /// From the beginning, until it is done with.
    async fn work_until_done(
        self: &Arc<Self>,
        delivery: &Delivery,
        mut done: Result<Left, Unavailable>,
    ) -> Left {
        let over = |message: Express| message.deadline <= self.clock.now();
        loop {
            match done {
                Ok(left) => return left,
                Err(Unavailable::Definition(reason)) => {
                    tracing::error!(reason, message = %delivery.id, "an Express execution cannot go on");
                    return self.given_up(delivery.clone(), reason);
                }
                Err(error) if decode(&delivery.body).is_ok_and(over) => {
                    return self.given_up(delivery.clone(), error.to_string());
                }
                Err(error) => {
                    self.outages.noticed(&error);
                    tokio::time::sleep(PAUSE).await;
                }
            }
            done = self.work_from_start(delivery).await;
            if done.is_ok() {
                self.outages.over();
            }
        }
    }

    async fn work_from_start(self: &Arc<Self>, delivery: &Delivery) -> Result<Left, Unavailable> {
        let message =
            decode::<Express>(&delivery.body).map_err(|error| Unavailable::Definition(error.to_string()))?;
        match self.first_step(message, delivery).await? {
            Step::Leave(left) => Ok(left),
            Step::Hold(turn, hold) => turn.go_on(*hold).await,
        }
    }

    /// Who waits is told that there will be no other end.
    fn given_up(&self, delivery: Delivery, reason: String) -> Left {
        observed::given_up(&delivery.body, self.clock.now());
        Left::Answer(delivery, Box::new(ExpressResult::Failed(Failure::new(names::RUNTIME, reason))))
    }

    /// The queue is that of what the branch does next: a transition that will hold its delivery must not
    /// stand in the way of those that never do.
    fn express_publication(&self, program: &Program, message: &Express) -> Publication {
        let family = match (holds(program, message), message.path.is_root()) {
            (false, _) => Family::Express,
            (true, true) => Family::Calls,
            (true, false) => Family::Inner,
        };
        let queue = self.shards.queue(family, message.execution.id);
        let id = format!("{}/{}/{}", message.execution.id, message.path, message.value.seq);
        Publication::new(queue, id, encode(message))
    }
}

/// Whether the branch's next state holds its delivery until an answer is in.
fn holds(program: &Program, message: &Express) -> bool {
    program.has_state(message.value.state)
        && matches!(
            program.state(message.value.state).state_type(),
            StateType::Task | StateType::Parallel | StateType::Map
        )
}

/// One step of a turn.
enum Step {
    /// The turn is over.
    Leave(Left),
    /// It asks for something and waits.
    Hold(Box<Turn>, Box<Hold>),
}
