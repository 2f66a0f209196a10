//! A queue that is kept filled.

use std::time::Duration;

use futures::stream::{FuturesUnordered, TryStreamExt as _};
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection};
use tokio::task::JoinHandle;
use tokio::time::sleep;
use uuid::Uuid;

use crate::failure::{Context as _, Failure, Result};
use crate::scratch::Servers;

/// As many wait at least; as many are published at once.
const WAITING_MIN: u32 = 2_000;
const CHUNK: usize = 500;
const PAUSE: Duration = Duration::from_millis(5);
const PERSISTENT: u8 = 2;

/// Publishes until it is stopped, or dropped.
pub struct Feed {
    connection: Connection,
    queue: String,
    task: JoinHandle<()>,
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Feed {
    /// Declares a quorum queue and keeps it filled with these bodies in turns, each under an id of its own.
    pub async fn start(servers: &Servers, queue: &str, bodies: Vec<Vec<u8>>) -> Result<Self> {
        let connection = servers.connect().await?;
        let channel = connection.create_channel().await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        let mut table = FieldTable::default();
        table.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
        channel
            .queue_declare(queue.into(), QueueDeclareOptions::durable(), table)
            .await
            .context("declare")?;
        let name = queue.to_owned();
        let task = tokio::spawn(async move {
            if let Err(failure) = fill(&channel, &name, &bodies).await {
                crate::report::progress::line(&format!("    nothing is published any more: {failure}"));
            }
        });
        Ok(Feed { connection, queue: queue.to_owned(), task })
    }

    /// Stops, and deletes the queue.
    pub async fn stop(self) -> Result<()> {
        self.task.abort();
        let channel = self.connection.create_channel().await?;
        channel.queue_delete(self.queue.as_str().into(), QueueDeleteOptions::default()).await?;
        Ok(())
    }
}

async fn fill(channel: &Channel, queue: &str, bodies: &[Vec<u8>]) -> Result<()> {
    let mut bodies = bodies.iter().cycle();
    loop {
        let passive = QueueDeclareOptions::durable().passive();
        let waiting =
            channel.queue_declare(queue.into(), passive, FieldTable::default()).await?.message_count();
        if waiting >= WAITING_MIN {
            sleep(PAUSE).await;
            continue;
        }
        let sent = bodies.by_ref().take(CHUNK).map(|body| publish(channel, queue, body));
        sent.collect::<FuturesUnordered<_>>().try_collect::<()>().await?;
    }
}

async fn publish(channel: &Channel, queue: &str, body: &[u8]) -> Result<()> {
    let id = Uuid::now_v7().to_string();
    let properties = BasicProperties::default().with_delivery_mode(PERSISTENT).with_message_id(id.into());
    let confirm =
        channel.basic_publish("".into(), queue.into(), BasicPublishOptions::default(), body, properties);
    if confirm.await?.await?.is_ack() { Ok(()) } else { Err(Failure::new("the broker refused a message")) }
}
