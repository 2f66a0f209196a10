//! A worker for functions, as a user writes one with any AMQP client: takes a request from
//! `<prefix>functions.<name>`, does it, answers to `reply_to` with the `correlation_id`, acknowledges.

use std::time::Duration;

use futures::StreamExt;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions,
    QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, message::Delivery};
use serde_json::Value;
use tokio::sync::mpsc;

use super::recorder::Recorder;

/// Requests taken and recorded together.
const BATCH_MAX: usize = 100;
const PREFETCH: u16 = 200;
/// Pause before a broker that is away is tried again.
const PAUSE: Duration = Duration::from_millis(200);
/// A broker that has not answered by then is away.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// What a request was made with, told before it is answered.
pub type Calls = mpsc::UnboundedReceiver<Value>;

/// Serves until dropped: records each request, and answers with what it was asked with.
pub struct Worker {
    serving: tokio::task::JoinHandle<()>,
    /// Tells each request.
    pub calls: Calls,
}

impl Worker {
    /// Serves a function once its queue exists.
    pub async fn start(broker: &str, prefix: &str, function: &str, recorder: &Recorder) -> Self {
        let (tell, calls) = mpsc::unbounded_channel();
        let serving = Serving {
            broker: broker.to_owned(),
            prefix: prefix.to_owned(),
            queue: format!("{prefix}functions.{function}"),
            function: function.to_owned(),
            recorder: recorder.clone(),
            tell,
        };
        // A request that is sent before there is a queue has nobody who does it.
        serving.consume().await.expect("the broker is there");
        Worker { serving: tokio::spawn(serving.run()), calls }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

struct Serving {
    broker: String,
    prefix: String,
    queue: String,
    function: String,
    recorder: Recorder,
    tell: mpsc::UnboundedSender<Value>,
}

impl Serving {
    async fn run(self) {
        loop {
            // What was not acknowledged comes back.
            if let Ok((connection, channel, consumer)) = self.consume().await {
                let _ = self.serve(&channel, consumer).await;
                drop(connection);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn consume(&self) -> Result<(Connection, Channel, lapin::Consumer), lapin::Error> {
        let connection = connect(&self.broker).await?;
        let channel = connection.create_channel().await?;
        declare(&channel, &self.prefix, &self.queue).await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        channel.basic_qos(PREFETCH, BasicQosOptions::default()).await?;
        let options = BasicConsumeOptions::default();
        let consumer = channel
            .basic_consume(self.queue.as_str().into(), "".into(), options, FieldTable::default())
            .await?;
        Ok((connection, channel, consumer))
    }

    async fn serve(&self, channel: &Channel, consumer: lapin::Consumer) -> Result<(), lapin::Error> {
        let mut batches = consumer.ready_chunks(BATCH_MAX);
        while let Some(batch) = batches.next().await {
            let batch = batch.into_iter().collect::<Result<Vec<Delivery>, _>>()?;
            let effects: Vec<_> = batch.iter().map(|delivery| self.effect(delivery)).collect();
            self.recorder.add(&effects).await;
            let mut confirms = Vec::new();
            for delivery in &batch {
                // The test may not listen.
                let _ = self.tell.send(serde_json::from_slice(&delivery.data).unwrap_or_default());
                confirms.push(answer(channel, delivery).await?);
            }
            for confirm in confirms {
                confirm.await?;
            }
            for delivery in &batch {
                delivery.ack(BasicAckOptions::default()).await?;
            }
        }
        Ok(())
    }

    fn effect(&self, delivery: &Delivery) -> (String, String, String) {
        let key =
            delivery.properties.correlation_id().as_ref().expect("a request names its task").to_string();
        (self.function.clone(), key, String::from_utf8_lossy(&delivery.data).into_owned())
    }
}

async fn answer(
    channel: &Channel,
    delivery: &Delivery,
) -> Result<impl Future<Output = Result<lapin::Confirmation, lapin::Error>>, lapin::Error> {
    let properties = &delivery.properties;
    let reply_to = properties.reply_to().clone().expect("a request says where its answer goes");
    let correlation = properties.correlation_id().clone().expect("a request names its task");
    let answer = BasicProperties::default().with_correlation_id(correlation).with_delivery_mode(2);
    channel.basic_publish("".into(), reply_to, BasicPublishOptions::default(), &delivery.data, answer).await
}

/// Connects; gives up on a broker that takes the connection and says nothing.
pub async fn connect(broker: &str) -> Result<Connection, lapin::Error> {
    let connecting = Connection::connect(broker, ConnectionProperties::default());
    match tokio::time::timeout(ANSWER_WITHIN, connecting).await {
        Ok(connected) => connected,
        Err(elapsed) => Err(std::io::Error::from(elapsed).into()),
    }
}

/// The queue of a function, as the guide for workers has it. A worker declares it, never an engine.
async fn declare(channel: &Channel, prefix: &str, queue: &str) -> Result<(), lapin::Error> {
    let mut arguments = FieldTable::default();
    let poison = format!("{prefix}poison");
    for (name, value) in [
        ("x-queue-type", "quorum"),
        ("x-dead-letter-exchange", ""),
        ("x-dead-letter-routing-key", &poison),
        ("x-dead-letter-strategy", "at-least-once"),
        ("x-overflow", "reject-publish"),
    ] {
        arguments.insert(name.into(), AMQPValue::LongString(value.into()));
    }
    arguments.insert("x-delivery-limit".into(), AMQPValue::LongLongInt(50));
    channel.queue_declare(queue.into(), QueueDeclareOptions::durable(), arguments).await?;
    Ok(())
}
