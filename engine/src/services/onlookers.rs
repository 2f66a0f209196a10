//! Those who look on: status changes and transitions as they happen, for a live view.
//!
//! ```text
//!   events, transitions ─▶ a queue of its own ─▶ pump ─▶ a bounded buffer ─▶ onlooker
//!        (exchanges)          (exclusive)          └ what has no room is dropped, and counted
//! ```
//!
//! Nobody waits for an onlooker: one that reads too slowly misses events, and is told how many. So does one whose
//! broker was away, and then nobody knows how many. Its queue goes when it does.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio_util::sync::{CancellationToken, DropGuard};
use uuid::Uuid;

use crate::ports::broker::{self, Consumer, Delivery, Exchange, Queue, Settle};
use crate::ports::store::ExecutionStatus;
use crate::services::Core;

/// Onlookers of one process at a time.
pub const ONLOOKERS_MAX: usize = 100;
/// Events that wait for an onlooker, and their bytes together.
const WAITING_MAX: usize = 512;
const WAITING_BYTES_MAX: u32 = 4 * 1_048_576;
/// Messages taken from its queue and not acknowledged.
const PREFETCH: usize = 256;
/// Pause before a broker that is away is asked again.
const PAUSE: Duration = Duration::from_secs(1);
/// How long the end of an onlooker waits for that of its queue, and how often while the broker is away.
const DELETED_WITHIN: Duration = Duration::from_secs(5);
const DELETE_TRIES_MAX: u32 = 60;
/// Routing keys and patterns have at most so many bytes (AMQP 0-9-1).
const PATTERN_BYTES_MAX: usize = 255;

/// What an onlooker wants to see; everything unless it says otherwise, transitions only if it does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Interest {
    /// The ARN of a state machine.
    pub machine: Option<String>,
    /// The name or the ARN of an execution.
    pub execution: Option<String>,
    /// Changes to this status alone.
    pub status: Option<ExecutionStatus>,
    /// Transitions too.
    pub transitions: bool,
}

/// What an onlooker sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// A change of the status of an execution: its id, and the event.
    Status(String, Bytes),
    /// A transition: its id, and what it was.
    Transition(String, Bytes),
    /// It has missed so many; `None`: nobody knows how many.
    Missed(Option<u64>),
}

/// Looks on until it is dropped.
pub struct Onlooker {
    seen: mpsc::Receiver<(Seen, Option<OwnedSemaphorePermit>)>,
    _ends: DropGuard,
}

impl Onlooker {
    /// Waits for the next. `None`: this process stops.
    pub async fn next(&mut self) -> Option<Seen> {
        self.seen.recv().await.map(|(seen, _room)| seen)
    }
}

/// Why nobody may look on.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// Too many do.
    #[error("{ONLOOKERS_MAX} clients of this process look on already; close one, or ask another process")]
    TooMany,
    /// The broker is away.
    #[error(transparent)]
    Unavailable(#[from] broker::Error),
}

/// Room for onlookers.
#[derive(Debug)]
pub struct Onlookers(Arc<Semaphore>);

impl Default for Onlookers {
    fn default() -> Self {
        Onlookers(Arc::new(Semaphore::new(ONLOOKERS_MAX)))
    }
}

/// Of an event, what tells whether it is of interest.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Head<'a> {
    #[serde(borrow)]
    execution_arn: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    state_machine_arn: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    name: std::borrow::Cow<'a, str>,
    #[serde(borrow, default)]
    status: Option<std::borrow::Cow<'a, str>>,
}

/// A status event.
#[derive(Deserialize)]
struct StatusEvent<'a> {
    #[serde(borrow)]
    detail: Head<'a>,
}

impl Interest {
    /// The exchanges and patterns whose messages hold all that is of interest, and little else.
    fn bindings(&self) -> Vec<(Exchange, String)> {
        let machine = self.machine.as_deref().unwrap_or("#");
        let status = self.status.map_or("*", ExecutionStatus::as_str);
        let mut bindings = vec![(Exchange::events(), format!("{machine}.{status}"))];
        if self.transitions {
            bindings.push((Exchange::transitions(), format!("{machine}.#")));
        }
        for (_, pattern) in &mut bindings {
            if pattern.len() > PATTERN_BYTES_MAX {
                *pattern = "#".to_owned();
            }
        }
        bindings
    }

    /// What an onlooker with this interest sees of a message. Anybody may publish to the exchanges: what is not
    /// of our shape is not shown.
    fn sees(&self, delivery: &Delivery) -> Option<Seen> {
        let text = std::str::from_utf8(&delivery.body).ok()?;
        // A line break would be one of the stream.
        if text.contains(['\r', '\n']) || delivery.id.chars().any(char::is_control) {
            return None;
        }
        if let Ok(StatusEvent { detail }) = serde_json::from_str(text) {
            let wanted = self.status.is_none_or(|status| detail.status.as_deref() == Some(status.as_str()));
            let seen = Seen::Status(delivery.id.clone(), delivery.body.clone());
            return (wanted && self.is_of(&detail)).then_some(seen);
        }
        let head: Head<'_> = serde_json::from_str(text).ok()?;
        let seen = Seen::Transition(delivery.id.clone(), delivery.body.clone());
        (self.transitions && self.is_of(&head)).then_some(seen)
    }

    fn is_of(&self, head: &Head<'_>) -> bool {
        let of_machine = self.machine.as_ref().is_none_or(|arn| *arn == head.state_machine_arn);
        let is_execution = |named: &String| *named == head.execution_arn || *named == head.name;
        of_machine && self.execution.as_ref().is_none_or(is_execution)
    }
}

impl Core {
    /// Lets somebody look on from now on.
    pub async fn look_on(self: &Arc<Self>, interest: Interest) -> Result<Onlooker, Refused> {
        let place = self.onlookers.0.clone().try_acquire_owned().map_err(|_| Refused::TooMany)?;
        let queue = Queue::onlooker(&Uuid::new_v4().simple().to_string());
        let (sender, seen) = mpsc::channel(WAITING_MAX);
        let gone = self.stopping.child_token();
        let ends = gone.clone().drop_guard();
        let pump = Pump { core: self.clone(), queue, interest, room: Room::new(sender), gone };
        // Whoever asks may leave at any time: what is made for them is removed by the one who made it.
        let (tell, attended) = oneshot::channel();
        tokio::spawn(async move {
            pump.run(tell).await;
            drop(place);
        });
        match attended.await {
            Ok(attended) => attended.map(|()| Onlooker { seen, _ends: ends }).map_err(Refused::from),
            Err(_) => Err(broker::Error::Cancelled.into()),
        }
    }

    /// A consumer of a queue that gets what is of interest.
    async fn attend(&self, queue: &Queue, interest: &Interest) -> Result<Arc<dyn Consumer>, broker::Error> {
        self.broker.declare(std::slice::from_ref(queue)).await?;
        for (exchange, pattern) in interest.bindings() {
            self.broker.bind(queue, &exchange, &pattern).await?;
        }
        self.broker.consume(queue, PREFETCH).await
    }
}

/// Moves what comes to an onlooker.
struct Pump {
    core: Arc<Core>,
    queue: Queue,
    interest: Interest,
    room: Room,
    gone: CancellationToken,
}

impl Pump {
    /// Until the onlooker is gone, or this process stops.
    async fn run(mut self, tell: oneshot::Sender<Result<(), broker::Error>>) {
        let gone = self.gone.clone();
        let mut consumer = match self.core.attend(&self.queue, &self.interest).await {
            Ok(consumer) => consumer,
            Err(error) => {
                let _ = tell.send(Err(error));
                return self.delete().await;
            }
        };
        let _ = tell.send(Ok(()));
        while gone.run_until_cancelled(self.pass_on(consumer.as_ref())).await.is_some() {
            self.room.missed_unknown();
            match gone.run_until_cancelled(self.attend_again()).await {
                Some(again) => consumer = again,
                None => break,
            }
        }
        drop(consumer);
        self.delete().await;
    }

    /// The queue goes with this process's connection, if it does not now.
    async fn delete(&self) {
        for _ in 0..DELETE_TRIES_MAX {
            let deleted = tokio::time::timeout(DELETED_WITHIN, self.core.broker.delete(&self.queue)).await;
            if matches!(deleted, Ok(Ok(()))) || self.core.stopping.is_cancelled() {
                return;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn attend_again(&self) -> Arc<dyn Consumer> {
        loop {
            tokio::time::sleep(PAUSE).await;
            match self.core.attend(&self.queue, &self.interest).await {
                Ok(consumer) => return consumer,
                Err(error) => tracing::debug!(%error, "an onlooker waits for the broker"),
            }
        }
    }

    /// Ends when the consumer is gone.
    async fn pass_on(&mut self, consumer: &dyn Consumer) {
        loop {
            let deliveries = tokio::select! {
                biased;
                () = self.room.tell_missed() => continue,
                deliveries = consumer.next(PREFETCH) => deliveries,
            };
            let Ok(deliveries) = deliveries else { return };
            for seen in deliveries.iter().filter_map(|delivery| self.interest.sees(delivery)) {
                self.room.offer(seen);
            }
            let settled = deliveries.iter().map(|delivery| (delivery.tag, Settle::Acknowledge)).collect();
            if deliveries.is_empty() || consumer.settle(settled).await.is_err() {
                return;
            }
        }
    }
}

/// What waits for an onlooker.
struct Room {
    sender: mpsc::Sender<(Seen, Option<OwnedSemaphorePermit>)>,
    bytes: Arc<Semaphore>,
    /// What it has missed and was not told yet, in order.
    missed: VecDeque<Option<u64>>,
}

impl Room {
    fn new(sender: mpsc::Sender<(Seen, Option<OwnedSemaphorePermit>)>) -> Self {
        let bytes = Arc::new(Semaphore::new(WAITING_BYTES_MAX as usize));
        Room { sender, bytes, missed: VecDeque::new() }
    }

    /// It may have missed anything.
    fn missed_unknown(&mut self) {
        if !self.missed.contains(&None) {
            self.missed.push_back(None);
        }
    }

    /// Waits for room to tell it what it has missed, if anything, and tells it.
    async fn tell_missed(&mut self) {
        if self.missed.is_empty() {
            return std::future::pending().await;
        }
        let Ok(place) = self.sender.reserve().await else { return std::future::pending().await };
        if let Some(missed) = self.missed.pop_front() {
            place.send((Seen::Missed(missed), None));
        }
    }

    /// Adds it, if there is room. What comes after something that was missed is missed until that is told.
    fn offer(&mut self, seen: Seen) {
        let bytes = match &seen {
            Seen::Status(_, body) | Seen::Transition(_, body) => {
                u32::try_from(body.len()).unwrap_or(u32::MAX)
            }
            Seen::Missed(_) => 0,
        };
        let room = self.bytes.clone().try_acquire_many_owned(bytes).ok().filter(|_| self.missed.is_empty());
        if room.is_some_and(|room| self.sender.try_send((seen, Some(room))).is_ok()) {
            return;
        }
        match self.missed.back_mut() {
            Some(Some(count)) => *count += 1,
            Some(None) | None => self.missed.push_back(Some(1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::ports::broker::{DeliveryTag, Headers};

    const MACHINE: &str = "arn:aws:states:us-east-1:000000000000:stateMachine:m";

    fn delivery(body: &str) -> Delivery {
        Delivery {
            tag: DeliveryTag(1),
            id: "id".to_owned(),
            body: Bytes::from(body.to_owned()),
            reply_to: None,
            correlation_id: None,
            headers: Headers::new(),
            routing_key: String::new(),
            redeliveries: 0,
        }
    }

    fn of(machine: &str, name: &str) -> Value {
        json!({ "executionArn": format!("arn:{name}"), "stateMachineArn": machine, "name": name })
    }

    fn check(interest: &Interest, body: &str, expected: &str) {
        let seen = interest.sees(&delivery(body)).map_or("nothing", |seen| match seen {
            Seen::Status(..) => "status",
            Seen::Transition(..) => "transition",
            Seen::Missed(_) => "missed",
        });
        assert_eq!(seen, expected, "{interest:?} {body}");
    }

    #[test]
    fn an_onlooker_sees_what_it_is_interested_in() {
        let status = |status: &str| {
            let mut detail = of(MACHINE, "\u{e9}\"first");
            detail["status"] = status.into();
            json!({ "detail": detail }).to_string()
        };
        let moved = of(MACHINE, "first").to_string();
        let all = Interest { transitions: true, ..Interest::default() };
        for (interest, of_status, of_move) in [
            (Interest::default(), "status", "nothing"),
            (all.clone(), "status", "transition"),
            (Interest { status: Some(ExecutionStatus::Failed), ..all.clone() }, "status", "transition"),
            (Interest { status: Some(ExecutionStatus::Running), ..all.clone() }, "nothing", "transition"),
            (Interest { machine: Some(MACHINE.to_owned()), ..all.clone() }, "status", "transition"),
            (Interest { machine: Some("other".to_owned()), ..all.clone() }, "nothing", "nothing"),
            (Interest { execution: Some("first".to_owned()), ..all.clone() }, "nothing", "transition"),
            (Interest { execution: Some("arn:first".to_owned()), ..all.clone() }, "nothing", "transition"),
            (Interest { execution: Some("\u{e9}\"first".to_owned()), ..all }, "status", "nothing"),
        ] {
            check(&interest, &status("FAILED"), of_status);
            check(&interest, &moved, of_move);
        }
    }

    #[test]
    fn what_strangers_publish_is_not_shown() {
        let all = Interest { transitions: true, ..Interest::default() };
        let broken = of(MACHINE, "first").to_string().replace(',', ",\r\n");
        for body in ["", "text", "{}", "[1]", r#"{"detail": {}}"#, broken.as_str()] {
            check(&all, body, "nothing");
        }
    }

    #[test]
    fn a_pattern_takes_in_what_is_of_interest() {
        let transitions = true;
        let keys = |interest: Interest| {
            interest.bindings().into_iter().map(|(_, pattern)| pattern).collect::<Vec<_>>()
        };
        assert_eq!(keys(Interest::default()), ["#.*"]);
        let failed = Interest { status: Some(ExecutionStatus::Failed), transitions, ..Interest::default() };
        assert_eq!(keys(failed), ["#.FAILED", "#.#"]);
        let machine = |name: String| Interest { machine: Some(name), transitions, ..Interest::default() };
        assert_eq!(keys(machine("m.n".to_owned())), ["m.n.*", "m.n.#"]);
        assert_eq!(keys(machine("m".repeat(254))), ["#", "#"]);
    }

    fn seen(bytes: usize) -> Seen {
        Seen::Status(String::new(), Bytes::from(vec![b'x'; bytes]))
    }

    #[tokio::test]
    async fn what_has_no_room_is_missed_and_told_in_its_place() {
        let (sender, mut receiver) = mpsc::channel(3);
        let mut room = Room::new(sender);
        for _ in 0..5 {
            room.offer(seen(1));
        }
        assert!(matches!(receiver.recv().await.unwrap().0, Seen::Status(..)));
        // Not before it was told what came between.
        room.offer(seen(1));
        room.tell_missed().await;
        assert!(matches!(receiver.recv().await.unwrap().0, Seen::Status(..)));
        room.offer(seen(2));
        let mut rest = Vec::new();
        for _ in 0..3 {
            rest.push(receiver.recv().await.unwrap().0);
        }
        assert_eq!(rest, [seen(1), Seen::Missed(Some(3)), seen(2)]);
    }

    #[tokio::test]
    async fn large_events_take_the_room_of_many() {
        let (sender, mut receiver) = mpsc::channel(10);
        let mut room = Room::new(sender);
        let half = WAITING_BYTES_MAX as usize / 2;
        for bytes in [half, half, 1] {
            room.offer(seen(bytes));
        }
        room.missed_unknown();
        room.missed_unknown();
        room.tell_missed().await;
        room.tell_missed().await;
        let mut told = Vec::new();
        while let Ok((seen, _)) = receiver.try_recv() {
            told.push(seen);
        }
        assert_eq!(told[2..], [Seen::Missed(Some(1)), Seen::Missed(None)]);
        room.offer(seen(half));
        assert_eq!(receiver.recv().await.unwrap().0, seen(half), "room that was left is there again");
    }
}
