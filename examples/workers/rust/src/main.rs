//! A worker for the function `charge`. docs/guides/workers.md says what it must keep to, README.md how to run it.

use std::env;
use std::time::Duration;

use futures::StreamExt;
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions,
    BasicRejectOptions, ConfirmSelectOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{BasicProperties, Channel, Confirmation, Connection, ConnectionProperties};
use serde::Deserialize;
use serde_json::{Number, Value, json};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

const CONCURRENCY: u16 = 8;
const RECONNECT: Duration = Duration::from_secs(1);
const CONNECT_WITHIN: Duration = Duration::from_secs(10);

type Error = Box<dyn std::error::Error + Send + Sync>;

#[derive(Deserialize)]
struct Order {
    amount: Option<Number>,
    #[serde(default)]
    seconds: u64,
}

/// Fails the task: Retry and Catch of the state machine match the error by its name.
struct Failure {
    error: &'static str,
    message: String,
}

impl Failure {
    fn new(error: &'static str, message: impl ToString) -> Self {
        Failure { error, message: message.to_string() }
    }
}

/// The function itself. `key` is the same when the request comes again, so that nobody pays twice.
async fn charge(order: Order, key: &str, reply: &Reply) -> Result<Value, Failure> {
    let Some(amount) = order.amount else {
        return Err(Failure::new("InvalidOrder", "the order has no amount"));
    };
    if amount.as_f64().is_none_or(|amount| amount > 1000.0) {
        return Err(Failure::new("CardDeclined", "the amount is over the limit of the card"));
    }
    for _ in 0..order.seconds {
        sleep(Duration::from_secs(1)).await;
        // From the work itself and not from a timer: work that hangs must fall silent.
        reply.heartbeat().await?;
    }
    Ok(json!({"charged": amount, "payment": key}))
}

/// Where the answer to one request goes.
struct Reply {
    channel: Channel,
    queue: ShortString,
    correlation_id: ShortString,
}

impl Reply {
    async fn heartbeat(&self) -> Result<(), Failure> {
        let beat = self.publish(Some(("warren-heartbeat", "true")), b"").await;
        beat.map_err(|error| Failure::new("ConnectionLost", error))
    }

    /// Returns when the broker has it.
    async fn publish(&self, header: Option<(&str, &str)>, body: &[u8]) -> Result<(), Error> {
        let mut headers = FieldTable::default();
        if let Some((name, value)) = header {
            headers.insert(name.into(), AMQPValue::LongString(value.into()));
        }
        let properties = BasicProperties::default()
            .with_content_type("application/json".into())
            .with_delivery_mode(2)
            .with_correlation_id(self.correlation_id.clone())
            .with_headers(headers);
        let (exchange, options) = ("".into(), BasicPublishOptions::default());
        let sent =
            self.channel.basic_publish(exchange, self.queue.clone(), options, body, properties).await?;
        match sent.await? {
            Confirmation::Ack(_) => Ok(()),
            other => Err(format!("the broker did not take the answer: {other:?}").into()),
        }
    }
}

async fn work(channel: Channel, request: Delivery) -> Result<(), Error> {
    let properties = &request.properties;
    let (Some(queue), Some(key)) = (properties.reply_to().clone(), properties.correlation_id().clone())
    else {
        // No request: nobody waits for an answer.
        request.reject(BasicRejectOptions { requeue: false }).await?;
        return Ok(());
    };
    let reply = Reply { channel, queue, correlation_id: key.clone() };
    let done = match serde_json::from_slice(&request.data) {
        Ok(order) => charge(order, key.as_str(), &reply).await,
        Err(error) => Err(Failure::new("InvalidOrder", error)),
    };
    match done {
        Ok(output) => reply.publish(None, output.to_string().as_bytes()).await?,
        Err(Failure { error, message }) => {
            let cause = json!({"errorMessage": message, "errorType": error}).to_string();
            reply.publish(Some(("warren-error", error)), cause.as_bytes()).await?;
        }
    }
    request.ack(BasicAckOptions::default()).await?;
    Ok(())
}

async fn declare(channel: &Channel, queue: &str, prefix: &str) -> Result<(), Error> {
    let text = |value: &str| AMQPValue::LongString(value.into());
    // All workers of a queue must declare it alike.
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), text("quorum"));
    arguments.insert("x-delivery-limit".into(), AMQPValue::LongInt(50));
    arguments.insert("x-dead-letter-exchange".into(), text(""));
    arguments.insert("x-dead-letter-routing-key".into(), text(&format!("{prefix}poison")));
    arguments.insert("x-dead-letter-strategy".into(), text("at-least-once"));
    arguments.insert("x-overflow".into(), text("reject-publish"));
    channel.queue_declare(queue.into(), QueueDeclareOptions::durable(), arguments).await?;
    Ok(())
}

/// One connection. What fails on it is returned; the broker delivers again what was not acknowledged.
async fn run(url: &str, prefix: &str, stop: &CancellationToken) -> Result<(), Error> {
    let connecting = Connection::connect(url, ConnectionProperties::default());
    let connection = timeout(CONNECT_WITHIN, connecting).await??;
    let channel = connection.create_channel().await?;
    let queue = format!("{prefix}functions.charge");
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    channel.basic_qos(CONCURRENCY, BasicQosOptions::default()).await?;
    declare(&channel, &queue, prefix).await?;
    let (options, arguments) = (BasicConsumeOptions::default(), FieldTable::default());
    let mut requests = channel.basic_consume(queue.as_str().into(), "".into(), options, arguments).await?;
    eprintln!("taking the requests of {queue}");
    // What it holds is dropped with it: a lost connection has nobody to answer to.
    let mut in_progress = JoinSet::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            request = requests.next() => {
                let request = request.ok_or_else(|| format!("the queue {queue} was deleted"))??;
                in_progress.spawn(work(channel.clone(), request));
            }
            Some(done) = in_progress.join_next() => done??,
        }
    }
    // No further request, and what was begun is finished.
    channel.basic_cancel(requests.tag(), BasicCancelOptions::default()).await?;
    while let Some(done) = in_progress.join_next().await {
        done??;
    }
    connection.close(200, "done".into()).await?;
    Ok(())
}

/// Cancelled by SIGINT and SIGTERM.
fn stop_signal() -> Result<CancellationToken, Error> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let stop = CancellationToken::new();
    let cancelled = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        cancelled.cancel();
    });
    Ok(stop)
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let url = env::var("WARREN_AMQP_URL").unwrap_or("amqp://guest:guest@127.0.0.1:5672/%2F".to_owned());
    let prefix = env::var("WARREN_PREFIX").unwrap_or("warren.".to_owned());
    let stop = stop_signal()?;
    while !stop.is_cancelled() {
        if let Err(error) = run(&url, &prefix, &stop).await {
            eprintln!("connecting again in {} s: {error}", RECONNECT.as_secs());
            let _ = timeout(RECONNECT, stop.cancelled()).await;
        }
    }
    Ok(())
}
