//! A consumer of one queue, with a channel of its own.
//!
//! ```text
//! deliveries ─▶ Inbox ─┬▶ next ─▶ settle ─▶ acknowledge, requeue
//!                      │              └─ dead letter ─▶ publish ─▶ confirm ─▶ acknowledge
//!                      └▶ not due yet ─▶ publish to the next rung ─▶ confirm ─▶ acknowledge
//! ```
//!
//! INVARIANT: a tag leaves the unsettled in the same moment as its frame is queued, under the lock. An
//! acknowledgement of all tags up to one therefore never takes in a tag that another call means otherwise.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex as StdMutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::{FutureExt, join_all};
use futures::stream::StreamExt;
use lapin::Channel;
use lapin::options::{BasicAckOptions, BasicCancelOptions, BasicNackOptions};
use lapin::types::ShortString;
use serde_json::json;
use tokio::sync::Mutex;
use tokio::task::coop::consume_budget;
use tokio::time::{Instant, Sleep, sleep, sleep_until, timeout};

use super::closing::{Closing, Goodbye};
use super::envelope::{Arrived, Names};
use super::ladder;
use super::publisher::Publisher;
use crate::ports::broker::{Consumer, Delivery, DeliveryTag, Error, Publication, Published, Queue, Settle};

/// How long a channel is given to end in order.
const CLOSED_WITHIN: Duration = Duration::from_secs(10);
const SEND_ON_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Receives from a queue; what it has not settled goes back when it is dropped.
#[derive(Debug)]
pub(super) struct Receiver {
    inbox: Mutex<Inbox>,
    desk: Arc<Desk>,
    goodbye: Option<Goodbye>,
}

/// What has arrived and was not given to anybody yet.
#[derive(Debug)]
struct Inbox {
    stream: Option<lapin::Consumer>,
    ready: VecDeque<u64>,
    /// Those whose rest of a delay is below the smallest rung.
    waiting: BTreeSet<(Instant, u64)>,
    alarm: Option<Pin<Box<Sleep>>>,
}

/// Where deliveries are settled.
#[derive(Debug)]
struct Desk {
    channel: Channel,
    consumer_tag: ShortString,
    is_stopped: AtomicBool,
    queue: Queue,
    names: Names,
    publisher: Arc<Publisher>,
    unsettled: StdMutex<BTreeMap<u64, Held>>,
}

#[derive(Debug)]
struct Held {
    arrived: Arrived,
    /// Being published elsewhere before it is acknowledged.
    is_leaving: bool,
}

impl Receiver {
    pub(super) fn new(
        channel: Channel,
        stream: lapin::Consumer,
        queue: &Queue,
        names: &Names,
        publisher: &Arc<Publisher>,
        closing: &Arc<Closing>,
    ) -> Self {
        let consumer_tag = stream.tag();
        let inbox =
            Inbox { stream: Some(stream), ready: VecDeque::new(), waiting: BTreeSet::new(), alarm: None };
        let desk = Desk {
            channel,
            consumer_tag,
            is_stopped: AtomicBool::new(false),
            queue: queue.clone(),
            names: names.clone(),
            publisher: Arc::clone(publisher),
            unsettled: StdMutex::default(),
        };
        Receiver { inbox: Mutex::new(inbox), desk: Arc::new(desk), goodbye: Some(closing.of(queue)) }
    }
}

impl Inbox {
    /// Takes in what the channel has, as far as it is asked for.
    fn poll(&mut self, desk: &Arc<Desk>, max: usize, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        while self.ready.len() < max.max(1) {
            let Some(stream) = &mut self.stream else {
                if desk.is_stopped.load(Ordering::Relaxed) {
                    break;
                }
                return Poll::Ready(Err(Error::Cancelled));
            };
            match stream.poll_next_unpin(context) {
                Poll::Ready(Some(Ok(delivery))) => self.accept(desk, delivery),
                Poll::Ready(Some(Err(_)) | None) => self.stream = None,
                Poll::Pending => break,
            }
        }
        if !desk.channel.status().connected() {
            return Poll::Ready(Err(Error::Cancelled));
        }
        self.poll_waiting(context);
        let is_over = self.stream.is_none() && self.waiting.is_empty();
        if self.ready.is_empty() && !is_over { Poll::Pending } else { Poll::Ready(Ok(())) }
    }

    fn accept(&mut self, desk: &Arc<Desk>, delivery: lapin::message::Delivery) {
        let tag = delivery.delivery_tag;
        let arrived = Arrived {
            properties: delivery.properties,
            body: Bytes::from(delivery.data),
            redelivered: delivery.redelivered,
            routing_key: delivery.routing_key,
        };
        let left = arrived.left();
        let rung = left.and_then(ladder::rung_within);
        desk.lock().insert(tag, Held { arrived, is_leaving: rung.is_some() });
        match left {
            None => self.ready.push_back(tag),
            Some(left) if rung.is_some() => {
                tokio::spawn(Arc::clone(desk).send_on(tag, left));
            }
            Some(left) => drop(self.waiting.insert((Instant::now() + left, tag))),
        }
    }

    /// Moves what is due to the ready, and has the context woken for the next.
    fn poll_waiting(&mut self, context: &mut Context<'_>) {
        while let Some((due, tag)) = self.waiting.first().copied() {
            if due <= Instant::now() {
                self.waiting.pop_first();
                self.ready.push_back(tag);
                continue;
            }
            let alarm = self.alarm.get_or_insert_with(|| Box::pin(sleep_until(due)));
            if alarm.deadline() != due {
                alarm.as_mut().reset(due);
            }
            if alarm.as_mut().poll(context).is_pending() {
                return;
            }
        }
    }
}

impl Desk {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Held>> {
        self.unsettled.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self, tags: impl Iterator<Item = u64>) -> Vec<Delivery> {
        let unsettled = self.lock();
        tags.filter_map(|tag| Some(self.names.open(tag, &unsettled.get(&tag)?.arrived))).collect()
    }

    /// Queues the frames of all that can be settled at once; gives back what must be published first.
    fn settle(&self, settled: Vec<(DeliveryTag, Settle)>) -> Result<Vec<(u64, Arrived, String)>, Error> {
        let (mut done, mut back, mut dead) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
        let mut unsettled = self.lock();
        for (DeliveryTag(tag), how) in settled {
            let Some(held) = unsettled.get_mut(&tag).filter(|held| !held.is_leaving) else { continue };
            match how {
                Settle::Acknowledge if !back.contains(&tag) => drop(done.insert(tag)),
                Settle::Requeue if !done.contains(&tag) => drop(back.insert(tag)),
                Settle::DeadLetter(reason) if !done.contains(&tag) && !back.contains(&tag) => {
                    held.is_leaving = true;
                    dead.push((tag, held.arrived.clone(), reason));
                }
                Settle::Acknowledge | Settle::Requeue | Settle::DeadLetter(_) => {}
            }
        }
        self.acknowledge(&mut unsettled, done)?;
        for tag in back {
            unsettled.remove(&tag);
            let requeue = BasicNackOptions { requeue: true, ..BasicNackOptions::default() };
            queued(self.channel.basic_nack(tag, requeue))?;
        }
        Ok(dead)
    }

    /// One frame for all that nothing older is left before, one each for the others.
    fn acknowledge(&self, unsettled: &mut BTreeMap<u64, Held>, done: BTreeSet<u64>) -> Result<(), Error> {
        let oldest = unsettled.keys().zip(&done).take_while(|(tag, done)| tag == done);
        let (count, last) = oldest.fold((0, 0), |(count, _), (tag, _)| (count + 1, *tag));
        done.iter().for_each(|tag| drop(unsettled.remove(tag)));
        if count > 0 {
            queued(self.channel.basic_ack(last, BasicAckOptions { multiple: count > 1 }))?;
        }
        for tag in done.into_iter().skip(count) {
            queued(self.channel.basic_ack(tag, BasicAckOptions { multiple: false }))?;
        }
        Ok(())
    }

    /// What was published elsewhere is done here; what was not stays as it was.
    fn left(&self, tag: u64, is_published: bool) -> Result<(), Error> {
        let mut unsettled = self.lock();
        if is_published {
            return self.acknowledge(&mut unsettled, BTreeSet::from([tag]));
        }
        if let Some(held) = unsettled.get_mut(&tag) {
            held.is_leaving = false;
        }
        Ok(())
    }

    async fn bury(&self, tag: u64, arrived: Arrived, reason: String) -> Result<(), Error> {
        let Delivery { id, body, reply_to, correlation_id, headers, .. } = self.names.open(tag, &arrived);
        let text = String::from_utf8_lossy(&body);
        let letter = json!({ "reason": reason, "queue": self.queue.as_str(), "body": text });
        let letter = Publication {
            reply_to,
            correlation_id,
            headers,
            ..Publication::new(Queue::dead(), id, Bytes::from(letter.to_string()))
        };
        let published = self.publisher.publish(vec![letter]).await;
        let is_filed = matches!(published.as_deref(), Ok([Published::Confirmed]));
        self.left(tag, is_filed)?;
        published?;
        if is_filed { Ok(()) } else { Err(Error::Unavailable("a dead letter was not confirmed".to_owned())) }
    }

    /// To the next rung of its delay; again until it is there, or the channel is gone and it with it.
    async fn send_on(self: Arc<Self>, tag: u64, left: Duration) {
        let Some(arrived) = self.lock().get(&tag).map(|held| held.arrived.clone()) else { return };
        let Delivery { id, body, reply_to, correlation_id, headers, .. } = self.names.open(tag, &arrived);
        let delay = Some(left);
        let next = Publication {
            reply_to,
            correlation_id,
            delay,
            headers,
            ..Publication::new(self.queue.clone(), id, body)
        };
        while self.channel.status().connected() {
            let published = self.publisher.publish(vec![next.clone()]).await;
            if matches!(published.as_deref(), Ok([Published::Confirmed])) {
                // A failure means that the channel is gone: it is delivered again, and sent on again.
                let _ = self.left(tag, true);
                return;
            }
            sleep(SEND_ON_AGAIN_AFTER).await;
        }
    }

    /// Gives back what is unsettled, in order, before anybody else consumes.
    async fn close(&self) -> lapin::Result<()> {
        if !self.is_stopped.load(Ordering::Relaxed) {
            self.channel.basic_cancel(self.consumer_tag.clone(), BasicCancelOptions::default()).await?;
        }
        self.lock().clear();
        self.channel.basic_nack(0, BasicNackOptions { multiple: true, requeue: true }).await?;
        self.channel.close(200, "OK".into()).await
    }
}

/// Puts a frame in the queue of the connection and does not wait until it is written: the queue keeps its
/// order, and a connection that fails gives everything back anyway.
fn queued(frame: impl Future<Output = lapin::Result<()>>) -> Result<(), Error> {
    match frame.now_or_never() {
        Some(Err(_)) => Err(Error::Cancelled),
        Some(Ok(())) | None => Ok(()),
    }
}

#[async_trait]
impl Consumer for Receiver {
    async fn next(&self, max: usize) -> Result<Vec<Delivery>, Error> {
        // A queue that is never empty must not keep this task from yielding.
        consume_budget().await;
        let mut inbox = self.inbox.lock().await;
        std::future::poll_fn(|context| inbox.poll(&self.desk, max, context)).await?;
        let count = inbox.ready.len().min(max.max(1));
        Ok(self.desk.open(inbox.ready.drain(..count)))
    }

    async fn stop(&self) -> Result<(), Error> {
        self.desk.is_stopped.store(true, Ordering::Relaxed);
        let tag = self.desk.consumer_tag.clone();
        let stopped = self.desk.channel.basic_cancel(tag, BasicCancelOptions::default());
        match timeout(CLOSED_WITHIN, stopped).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Error::Cancelled),
        }
    }

    async fn settle(&self, settled: Vec<(DeliveryTag, Settle)>) -> Result<(), Error> {
        let dead = self.desk.settle(settled)?;
        let buried = dead.into_iter().map(|(tag, arrived, reason)| self.desk.bury(tag, arrived, reason));
        join_all(buried).await.into_iter().collect()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let (desk, mut goodbye) = (Arc::clone(&self.desk), self.goodbye.take());
        let stream = self.inbox.get_mut().stream.take();
        // Outside a runtime the driver closes the channel when its last handle is dropped.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        goodbye.iter_mut().for_each(Goodbye::begin);
        runtime.spawn(async move {
            if desk.channel.status().connected() {
                let _ = timeout(CLOSED_WITHIN, desk.close()).await;
            }
            drop((stream, goodbye));
        });
    }
}
