//! The loop that every message goes round in: consume, work, publish, confirm, acknowledge.
//!
//! Batches form by themselves: what is ready is taken, nothing is waited for. Confirms are awaited by another
//! task, so that the next batch is worked meanwhile; what is confirmed is acknowledged by one frame, in order.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::stream::{FuturesUnordered, StreamExt as _, TryStreamExt as _};
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions,
    QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, Consumer, PublisherConfirm};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::rows::Rows;
use super::work::Work;
use crate::failure::{Failure, Result};
use crate::scratch::{Scratch, Servers};

/// A queue that nobody uses for so long goes away, should this program be killed.
const QUEUE_EXPIRES_MS: i32 = 600_000;
/// Batches of a lane that wait for confirms.
const BATCHES_OUT_MAX: usize = 64;
const PERSISTENT: u8 = 2;

/// How wide and how deep.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// Queues, each with a connection.
    pub queues: u16,
    /// Channels that consume from each.
    pub lanes: u16,
    /// Unacknowledged deliveries of a channel.
    pub prefetch: u16,
    /// Deliveries worked at once.
    pub batch: usize,
    /// Messages that go round in each queue.
    pub in_flight: u32,
}

impl Shape {
    /// In all queues.
    pub fn in_flight_total(self) -> u32 {
        u32::from(self.queues) * self.in_flight
    }
}

/// A loop that runs.
pub struct Hops {
    connections: Vec<Connection>,
    count: Arc<AtomicU64>,
    /// None of them ends unless something fails.
    pub tasks: JoinSet<Result<()>>,
}

impl Hops {
    /// Declares the queues, fills them and begins.
    pub async fn start(
        servers: &Servers,
        scratch: &Scratch,
        shape: Shape,
        bodies: &[Vec<u8>],
        work: Work,
    ) -> Result<Self> {
        let mut hops = Hops { connections: Vec::new(), count: Arc::default(), tasks: JoinSet::new() };
        let mut shares = bodies.chunks(shape.in_flight as usize);
        for queue in 0..shape.queues {
            let queue = format!("{}hop.{queue}", scratch.prefix);
            let connection = servers.connect().await?;
            let filler = connection.create_channel().await?;
            declare(&filler, &queue).await?;
            for body in shares.next().unwrap_or_default() {
                publish(&filler, &queue, body).await?;
            }
            for _ in 0..shape.lanes {
                let lane = hops.lane(&connection, scratch, &queue, shape, work.clone()).await?;
                hops.tasks.spawn(lane);
            }
            hops.connections.push(connection);
        }
        Ok(hops)
    }

    /// Hops so far.
    pub fn count(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.count)
    }

    /// Stops; what is in the queues goes with them.
    pub async fn close(mut self) {
        self.tasks.shutdown().await;
        for connection in self.connections {
            connection.close(200, "done".into()).await.ok();
        }
    }

    async fn lane(
        &mut self,
        connection: &Connection,
        scratch: &Scratch,
        queue: &str,
        shape: Shape,
        work: Work,
    ) -> Result<impl Future<Output = Result<()>> + Send + 'static> {
        let channel = connection.create_channel().await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        channel.basic_qos(shape.prefetch, BasicQosOptions::default()).await?;
        let (options, table) = (BasicConsumeOptions::default(), FieldTable::default());
        let consumer = channel.basic_consume(queue.into(), "".into(), options, table).await?;
        let rows = match work {
            Work::Commit { .. } => Some(Rows::connect(&scratch.store, None).await?),
            Work::Forward | Work::Change { .. } => None,
        };
        let (out, confirms) = mpsc::channel(BATCHES_OUT_MAX);
        self.tasks.spawn(acknowledge(channel.clone(), confirms, Arc::clone(&self.count)));
        let lane = Lane { channel, queue: queue.to_owned(), batch: shape.batch, work, rows, out };
        Ok(lane.run(consumer))
    }
}

/// A batch on its way.
struct Published {
    last_tag: u64,
    confirms: Vec<PublisherConfirm>,
}

struct Lane {
    channel: Channel,
    queue: String,
    batch: usize,
    work: Work,
    rows: Option<Rows>,
    out: mpsc::Sender<Published>,
}

impl Lane {
    async fn run(mut self, consumer: Consumer) -> Result<()> {
        let mut ready = consumer.ready_chunks(self.batch);
        while let Some(deliveries) = ready.next().await {
            let deliveries = deliveries.into_iter().collect::<Result<Vec<_>, _>>()?;
            let Some(last_tag) = deliveries.last().map(|delivery| delivery.delivery_tag) else { continue };
            let bodies = deliveries.into_iter().map(|delivery| delivery.data).collect();
            let next = self.work.run(bodies, self.rows.as_mut()).await?;
            // All at once: one by one, each write would be waited for.
            let published = next.iter().map(|body| publish(&self.channel, &self.queue, body));
            let confirms = published.collect::<FuturesUnordered<_>>().try_collect().await?;
            self.out.send(Published { last_tag, confirms }).await?;
        }
        Ok(())
    }
}

async fn acknowledge(
    channel: Channel,
    mut published: mpsc::Receiver<Published>,
    count: Arc<AtomicU64>,
) -> Result<()> {
    while let Some(batch) = published.recv().await {
        let hops = batch.confirms.len() as u64;
        for confirm in batch.confirms {
            if !confirm.await?.is_ack() {
                return Err(Failure::new("the broker refused a message"));
            }
        }
        channel.basic_ack(batch.last_tag, BasicAckOptions { multiple: true }).await?;
        count.fetch_add(hops, Ordering::Relaxed);
    }
    Ok(())
}

async fn declare(channel: &Channel, queue: &str) -> Result<()> {
    let mut table = FieldTable::default();
    table.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
    table.insert("x-expires".into(), AMQPValue::LongInt(QUEUE_EXPIRES_MS));
    channel.queue_declare(queue.into(), QueueDeclareOptions::durable(), table).await?;
    Ok(())
}

async fn publish(channel: &Channel, queue: &str, body: &[u8]) -> lapin::Result<PublisherConfirm> {
    let properties = BasicProperties::default().with_delivery_mode(PERSISTENT);
    channel.basic_publish("".into(), queue.into(), BasicPublishOptions::default(), body, properties).await
}
