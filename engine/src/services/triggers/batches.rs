//! Many messages, one execution: up to so many, or what comes in so many seconds.
//!
//! A batch is acknowledged as a whole, once its execution is durable. One that was not comes again, and may
//! then form anew: each message is in an execution at least once.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use serde_json::Value;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::caps::Caps;
use super::compiled::{Compiled, Read};
use super::letters::tries;
use super::starting::{Order, Outcome, Tries};
use super::{HELD_MAX, Stops};
use crate::events::execution_name::ExecutionName;
use crate::events::rule::Batch;
use crate::ports::broker::{self, Consumer, Delivery, Settle};
use crate::services::Core;

/// Batches that are being started at a time.
const TURNS_MAX: usize = 4;

/// Messages that wait for more.
#[derive(Default)]
struct Gathered {
    deliveries: Vec<Delivery>,
    inputs: Vec<Value>,
    names: Vec<Option<String>>,
    /// What the inputs take as JSON, with the commas between them.
    bytes: usize,
    /// When they are waited for no longer.
    until: Option<Instant>,
}

impl Gathered {
    fn add(&mut self, delivery: Delivery, order: Order, bytes: usize, wait: Duration) {
        self.until.get_or_insert_with(|| Instant::now() + wait);
        self.bytes += bytes + 1;
        self.deliveries.push(delivery);
        self.inputs.push(order.input);
        self.names.push(order.name);
    }

    /// The execution that takes them all: the same messages have the same name.
    fn into_order(self) -> (Vec<Delivery>, Order) {
        let names: Option<Vec<String>> = self.names.into_iter().collect();
        let of_all =
            |names: Vec<String>| ExecutionName::of_batch(names.iter().map(String::as_str)).into_string();
        let name = names.map(of_all);
        let events = self.inputs.len();
        (self.deliveries, Order { name, input: Value::Array(self.inputs), events })
    }
}

/// Gathers messages of one trigger.
pub(super) struct Batches {
    core: Arc<Core>,
    trigger: Arc<Compiled>,
    batch: Batch,
    consumer: Arc<dyn Consumer>,
    caps: Arc<Caps>,
}

impl Batches {
    /// Unsettled deliveries at a time: those of all batches under way, and the next.
    pub(super) fn prefetch(batch: &Batch) -> usize {
        (batch.messages.get() as usize).saturating_mul(TURNS_MAX + 1)
    }

    /// Works the queue until told to stop; then what was gathered is started, unless it is cut off.
    pub(super) async fn run(
        core: Arc<Core>,
        trigger: Arc<Compiled>,
        batch: Batch,
        consumer: Arc<dyn Consumer>,
        caps: Arc<Caps>,
        stops: Stops,
    ) -> Result<(), broker::Error> {
        let gone = core.cut_off.clone();
        let batches = Batches { core, trigger, batch, consumer, caps };
        tokio::select! {
            biased;
            () = gone.cancelled() => Ok(()),
            ended = batches.serve(&stops.stop) => ended,
            () = stops.gives_back() => Ok(()),
            () = batches.caps.watch(&batches.core) => Ok(()),
        }
    }

    async fn serve(&self, stop: &CancellationToken) -> Result<(), broker::Error> {
        let (mut gathered, mut turns) = (Gathered::default(), FuturesUnordered::new());
        let mut receives = true;
        loop {
            let room = (self.batch.messages.get() as usize).saturating_sub(gathered.inputs.len());
            let until = gathered.until;
            tokio::select! {
                biased;
                () = stop.cancelled(), if receives => {
                    self.consumer.stop().await?;
                    receives = false;
                }
                Some(turn) = turns.next() => turn?,
                () = sleep_until(until.unwrap_or_else(Instant::now)), if until.is_some() && turns.len() < TURNS_MAX => {
                    turns.push(self.start(std::mem::take(&mut gathered)));
                }
                deliveries = self.consumer.next(room), if room > 0 && turns.len() < TURNS_MAX => {
                    let deliveries = deliveries?;
                    if deliveries.is_empty() {
                        break;
                    }
                    for full in self.gather(&mut gathered, deliveries).await? {
                        turns.push(self.start(full));
                    }
                }
            }
        }
        turns.push(self.start(gathered));
        while let Some(turn) = turns.next().await {
            turn?;
        }
        Ok(())
    }

    /// Takes deliveries in; answers the batches that are full.
    async fn gather(
        &self,
        gathered: &mut Gathered,
        deliveries: Vec<Delivery>,
    ) -> Result<Vec<Gathered>, broker::Error> {
        let (mut full, mut settled) = (Vec::new(), Vec::new());
        for delivery in deliveries {
            let order = match self.trigger.take(&delivery, self.core.clock.now()) {
                Read::Order(order) => order,
                Read::Ignored => {
                    settled.push((delivery.tag, Settle::Acknowledge));
                    continue;
                }
                Read::Dead(reason) => {
                    self.core.file(&self.trigger, &delivery, &reason).await;
                    settled.push((delivery.tag, Settle::Acknowledge));
                    continue;
                }
            };
            let bytes = order.input.to_string().len();
            // The brackets around them.
            let bytes_max = self.core.limits.payload_bytes_max.saturating_sub(2);
            if bytes > bytes_max {
                let reason = format!("its input has {bytes} bytes, which is over the limit of {bytes_max}");
                self.core.file(&self.trigger, &delivery, &reason).await;
                settled.push((delivery.tag, Settle::Acknowledge));
                continue;
            }
            if gathered.bytes + bytes > bytes_max {
                full.push(std::mem::take(gathered));
            }
            gathered.add(delivery, order, bytes, Duration::from_secs(u64::from(self.batch.seconds)));
        }
        if gathered.inputs.len() >= self.batch.messages.get() as usize {
            full.push(std::mem::take(gathered));
        }
        self.consumer.settle(settled).await?;
        Ok(full)
    }

    async fn start(&self, gathered: Gathered) -> Result<(), broker::Error> {
        if gathered.inputs.is_empty() {
            return Ok(());
        }
        let (deliveries, order) = gathered.into_order();
        // As often as the one that was tried most; it is tried when the last of them may be.
        let before = deliveries.iter().map(tries).fold(Tries::default(), Tries::with);
        let until = Some(Instant::now() + HELD_MAX);
        let (core, trigger) = (&self.core, &self.trigger);
        match core.start_for_sure(trigger, &self.caps, &order, before, until).await {
            Outcome::Started => {}
            Outcome::Wrong(reason) => {
                for delivery in &deliveries {
                    core.file(trigger, delivery, &reason).await;
                }
            }
            Outcome::Late(tries) => {
                for delivery in &deliveries {
                    core.put_back(trigger, delivery, tries).await;
                }
            }
        }
        let settled = deliveries.iter().map(|delivery| (delivery.tag, Settle::Acknowledge)).collect();
        self.consumer.settle(settled).await
    }
}
