//! The function of the task cases: an AMQP worker that answers at once.

use std::time::Duration;

use futures::StreamExt as _;
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions,
    QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, Consumer};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::failure::{Context as _, Failure, Result};
use crate::scratch::Servers;

/// The function's name.
pub const FUNCTION: &str = "bench";
const PREFETCH: u16 = 500;
const BATCH: usize = 100;
const PERSISTENT: u8 = 2;
const ANSWER: &[u8] = br#"{"done":true}"#;
/// How long the queue may take to be there.
const TRIES: u32 = 40;
const PAUSE: Duration = Duration::from_millis(25);

/// A worker that runs until it is dropped.
pub struct Worker {
    _connection: Connection,
    task: JoinHandle<()>,
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Worker {
    /// Takes requests from the function's queue behind this prefix.
    pub async fn start(servers: &Servers, prefix: &str) -> Result<Self> {
        let connection = servers.connect().await?;
        let queue = format!("{prefix}functions.{FUNCTION}");
        find(&connection, &queue).await.context("declare the queue of the function")?;
        let channel = connection.create_channel().await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        channel.basic_qos(PREFETCH, BasicQosOptions::default()).await?;
        let (options, table) = (BasicConsumeOptions::default(), FieldTable::default());
        let consumer = channel.basic_consume(queue.as_str().into(), "".into(), options, table).await?;
        let task = tokio::spawn(async move {
            if let Err(failure) = answer_all(channel, consumer).await {
                crate::report::progress::line(&format!("the worker stopped: {failure}"));
            }
        });
        Ok(Worker { _connection: connection, task })
    }
}

/// The queue is the engine's to declare, with arguments that only it knows; if it does not within a second, it
/// is declared as a plain quorum queue.
async fn find(connection: &Connection, queue: &str) -> Result<()> {
    let table = FieldTable::default;
    for _ in 0..TRIES {
        // A channel does not survive asking for a queue that is not there.
        let channel = connection.create_channel().await?;
        let passive = QueueDeclareOptions::durable().passive();
        if channel.queue_declare(queue.into(), passive, table()).await.is_ok() {
            return Ok(());
        }
        sleep(PAUSE).await;
    }
    let channel = connection.create_channel().await?;
    let mut table = table();
    table.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
    channel.queue_declare(queue.into(), QueueDeclareOptions::durable(), table).await?;
    Ok(())
}

/// Answer, confirm, acknowledge; batches form by themselves.
async fn answer_all(channel: Channel, consumer: Consumer) -> Result<()> {
    let mut ready = consumer.ready_chunks(BATCH);
    while let Some(requests) = ready.next().await {
        let requests = requests.into_iter().collect::<Result<Vec<_>, _>>()?;
        let Some(last) = requests.last() else { continue };
        let answers = requests.iter().map(|request| answer(&channel, request));
        futures::future::try_join_all(answers).await?;
        channel.basic_ack(last.delivery_tag, BasicAckOptions { multiple: true }).await?;
    }
    Ok(())
}

async fn answer(channel: &Channel, request: &Delivery) -> Result<()> {
    let (Some(reply_to), Some(id)) =
        (request.properties.reply_to().clone(), request.properties.correlation_id().clone())
    else {
        return Err(Failure::new("a request without reply_to or correlation_id"));
    };
    let properties = BasicProperties::default()
        .with_delivery_mode(PERSISTENT)
        .with_content_type("application/json".into())
        .with_correlation_id(id);
    let confirm = channel
        .basic_publish("".into(), reply_to, BasicPublishOptions::default(), ANSWER, properties)
        .await?;
    confirm.await?;
    Ok(())
}
