//! The broker over AMQP 0-9-1: RabbitMQ 3.10 and later.
//!
//! ```text
//! publish ─▶ Publisher ─▶ 4 × Lane ─▶ Link (publishing) ─▶ broker
//! consume ─▶ Receiver ◀────────────── Link (consuming)  ◀─ broker
//! ```
//!
//! * A `link` keeps a connection and makes another when it is lost, with all that was declared over it.
//!   Consumers of a lost connection are cancelled; the messages they held come back to others.
//! * A `lane` publishes over one channel, without waiting for one write or one confirm; its `ledger`
//!   tells what was confirmed and what came back.
//! * A `receiver` has a channel of its own and acknowledges in as few frames as can be.
//! * Delays are queues whose messages expire: the `ladder`.
//!
//! A dead letter keeps its id, reply address and correlation id; its body is the JSON object
//! `{"reason", "queue", "body"}`, `body` being the text of the original. What the broker itself gave up after
//! too many deliveries is in the queue `poison`, as it was.

mod batch;
mod closing;
mod envelope;
mod exchanges;
mod feed;
mod greeting;
mod ladder;
mod lane;
mod ledger;
mod link;
mod publisher;
mod receiver;
mod topology;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use lapin::Channel;
use lapin::options::{BasicConsumeOptions, BasicQosOptions, QueueDeclareOptions, QueueDeleteOptions};
use lapin::protocol::AMQPSoftError;
use lapin::types::FieldTable;
use lapin::uri::AMQPUri;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::Instant;

use self::closing::Closing;
use self::envelope::Names;
use self::exchanges::Exchanges;
use self::feed::Feed;
use self::link::{Link, Role};
use self::publisher::Publisher;
use self::receiver::Receiver;
use self::topology::{Topology, soft_error, unavailable};
use crate::ports::broker::{
    Address, Broker, Consumer, Error, Exchange, Health, Publication, Published, Queue,
};

pub use self::greeting::Server;
pub use self::topology::QueueType;

/// What is logged of the driver: nothing. It complains about each connection that ends, which is told here, once.
pub const DRIVER_LOG: &str = "lapin=off";

/// How long a call waits for a connection that is away.
const CONNECTED_WITHIN: Duration = Duration::from_secs(5);

/// Where the broker is, and how it is used.
#[derive(Debug, Clone)]
pub struct AmqpConfig {
    /// `amqp://` or `amqps://` with user, host, port and virtual host.
    pub url: String,
    /// Before the name of every queue and exchange, like `warren.`.
    pub prefix: String,
    /// How queues keep what is in them.
    pub queue_type: QueueType,
    /// What is not confirmed by then is in doubt.
    pub confirm_within: Duration,
    /// A connection that is silent for twice as long is lost.
    pub heartbeat_seconds: u16,
    /// What operators see in the list of connections.
    pub connection_name: String,
}

impl Default for AmqpConfig {
    fn default() -> Self {
        AmqpConfig {
            url: "amqp://guest:guest@127.0.0.1:5672/%2f".to_owned(),
            prefix: "warren.".to_owned(),
            queue_type: QueueType::default(),
            confirm_within: Duration::from_secs(10),
            heartbeat_seconds: 10,
            connection_name: "warren".to_owned(),
        }
    }
}

/// A broker that is reached over AMQP.
#[derive(Debug)]
pub struct Amqp {
    names: Names,
    topology: Arc<Topology>,
    publishing: Arc<Link>,
    consuming: Arc<Link>,
    publisher: Arc<Publisher>,
    feed: Feed,
    exchanges: Exchanges,
    closing: Arc<Closing>,
    tasks: Mutex<JoinSet<()>>,
}

impl Amqp {
    /// Begins to connect, and keeps connected until it is closed or dropped. Needs a tokio runtime. Fails
    /// only if the URL cannot be one.
    pub fn open(config: AmqpConfig) -> Result<Amqp, Error> {
        let mut uri: AMQPUri = config.url.parse().map_err(|reason| {
            Error::Unavailable(format!("broker.url is not like amqp://user:password@host:5672/%2f: {reason}"))
        })?;
        uri.query.heartbeat = Some(config.heartbeat_seconds);
        let names = Names::new(config.prefix);
        let topology = Topology::new(names.clone(), config.queue_type);
        let link = |role| Link::new(role, uri.clone(), &config.connection_name, Arc::clone(&topology));
        let (publishing, consuming) = (link(Role::Publishing), link(Role::Consuming));
        let mut tasks = JoinSet::new();
        tasks.spawn(Arc::clone(&publishing).keep());
        tasks.spawn(Arc::clone(&consuming).keep());
        let publisher = Publisher::new(&names, &publishing, &topology, config.confirm_within, &mut tasks);
        let feed = Feed::new(&publishing, &mut tasks);
        let (exchanges, closing, tasks) = (Exchanges::default(), Arc::default(), Mutex::new(tasks));
        Ok(Amqp { names, topology, publishing, consuming, publisher, feed, exchanges, closing, tasks })
    }

    /// Waits until it is connected and everything is declared.
    pub async fn ready_within(&self, duration: Duration) -> Result<(), Error> {
        let deadline = Instant::now() + duration;
        self.publishing.session(deadline).await?;
        self.consuming.session(deadline).await?;
        Ok(())
    }

    /// Who was reached last, if anybody was.
    pub fn server(&self) -> Option<Server> {
        self.consuming.server().or_else(|| self.publishing.server())
    }

    /// Waits for what is being published, then says goodbye. Nothing can be done with it afterwards.
    pub async fn close(&self) {
        self.publisher.flush().await;
        self.tasks.lock().await.shutdown().await;
        self.publishing.close().await;
        self.consuming.close().await;
    }

    /// True if there is such a queue, whoever declared it.
    async fn exists(&self, queue: &Queue) -> Result<bool, Error> {
        if self.topology.has(queue) {
            return Ok(true);
        }
        let exists = match self.look_at(queue).await? {
            Ok(_) => true,
            // It belongs to the connection of another engine.
            Err(error) if soft_error(&error) == Some(AMQPSoftError::RESOURCELOCKED) => true,
            Err(error) if soft_error(&error) == Some(AMQPSoftError::NOTFOUND) => false,
            Err(error) => return Err(unavailable(error)),
        };
        // What is remembered is made again when the connection is lost: that of others is theirs to make.
        if exists && queue.is_ours() && !queue.is_exclusive() {
            self.topology.remember(queue);
        }
        Ok(exists)
    }

    /// Over a channel of its own, which the broker closes if there is no such queue.
    async fn look_at(&self, queue: &Queue) -> Result<lapin::Result<lapin::Queue>, Error> {
        let channel = self.channel().await?;
        let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let found = channel.queue_declare(self.names.of(queue).into(), passive, FieldTable::default()).await;
        if found.is_ok() {
            let _ = channel.close(200, "OK".into()).await;
        }
        Ok(found)
    }

    /// A channel of the consuming connection, for one thing.
    async fn channel(&self) -> Result<Channel, Error> {
        let session = self.consuming.session(Instant::now() + CONNECTED_WITHIN).await?;
        session.channel().await.map_err(unavailable)
    }

    /// Whether a publication must be looked at before it is sent, since the broker would not return it.
    fn is_uncertain(&self, publication: &Publication) -> bool {
        let is_delayed = publication.delay.is_some_and(|delay| !delay.is_zero());
        match &publication.to {
            // What waits in a rung would not be returned if nobody ever gets it.
            Address::Queue(_) => is_delayed,
            Address::Exchange(exchange, _) => !self.exchanges.is_trusted(exchange),
        }
    }

    /// Whether it goes somewhere.
    async fn goes(&self, publication: &Publication) -> Result<bool, Error> {
        match &publication.to {
            _ if !self.is_uncertain(publication) => Ok(true),
            Address::Queue(queue) => self.exists(queue).await,
            Address::Exchange(exchange, _) => {
                let channel = self.channel().await?;
                let exists = exchanges::exists(&channel, &self.names, exchange).await?;
                if exists {
                    self.exchanges.saw(exchange);
                    let _ = channel.close(200, "OK".into()).await;
                }
                Ok(exists)
            }
        }
    }
}

#[async_trait]
impl Broker for Amqp {
    async fn declare(&self, queues: &[Queue]) -> Result<(), Error> {
        if queues.iter().all(|queue| self.topology.has(queue)) {
            return Ok(());
        }
        let session = self.consuming.session(Instant::now() + CONNECTED_WITHIN).await?;
        let mut missing = Vec::with_capacity(queues.len());
        for queue in queues {
            // What others made they made as they want it.
            if queue.is_ours() || !self.exists(queue).await? {
                missing.push(queue.clone());
            }
        }
        self.topology.declare(&session, &missing).await
    }

    async fn declare_exchange(&self, exchange: &Exchange) -> Result<(), Error> {
        let is_there = exchanges::exists(&self.channel().await?, &self.names, exchange).await?;
        if !is_there {
            let channel = self.channel().await?;
            exchanges::declare(&channel, &self.names, exchange).await?;
            let _ = channel.close(200, "OK".into()).await;
        }
        Ok(())
    }

    async fn bind(&self, queue: &Queue, exchange: &Exchange, pattern: &str) -> Result<(), Error> {
        let channel = self.channel().await?;
        match exchanges::bind(&channel, &self.names, queue, exchange, pattern).await {
            // Somebody else removed it.
            Err(_) if self.topology.has(queue) => {
                self.topology.forget(queue);
                self.declare(std::slice::from_ref(queue)).await?;
                let channel = self.channel().await?;
                exchanges::bind(&channel, &self.names, queue, exchange, pattern).await?;
                let _ = channel.close(200, "OK".into()).await;
            }
            bound => {
                bound?;
                let _ = channel.close(200, "OK".into()).await;
            }
        }
        Ok(())
    }

    async fn unbind(&self, queue: &Queue, exchange: &Exchange, pattern: &str) -> Result<(), Error> {
        let channel = self.channel().await?;
        exchanges::unbind(&channel, &self.names, queue, exchange, pattern).await?;
        let _ = channel.close(200, "OK".into()).await;
        Ok(())
    }

    async fn join(&self, from: &Exchange, to: &Exchange) -> Result<(), Error> {
        let channel = self.channel().await?;
        exchanges::join(&channel, &self.names, from, to).await?;
        let _ = channel.close(200, "OK".into()).await;
        Ok(())
    }

    fn emit(&self, publication: Publication) {
        self.feed.send(self.names.seal(publication));
    }

    async fn delete(&self, queue: &Queue) -> Result<(), Error> {
        // The driver takes a consumer's goodbye and that of the broker for a broken protocol where they cross.
        self.closing.done(queue).await;
        let channel = self.channel().await?;
        self.topology.forget(queue);
        let deleted = channel.queue_delete(self.names.of(queue).into(), QueueDeleteOptions::default()).await;
        match deleted {
            Ok(_) => {
                let _ = channel.close(200, "OK".into()).await;
                Ok(())
            }
            Err(error) if soft_error(&error) == Some(AMQPSoftError::NOTFOUND) => Ok(()),
            Err(error) => Err(unavailable(error)),
        }
    }

    async fn publish(&self, batch: Vec<Publication>) -> Result<Vec<Published>, Error> {
        if !batch.iter().any(|publication| self.is_uncertain(publication)) {
            return self.publisher.publish(batch).await;
        }
        let mut goes = Vec::with_capacity(batch.len());
        for publication in &batch {
            goes.push(self.goes(publication).await?);
        }
        let going = batch.into_iter().zip(&goes).filter_map(|(one, goes)| goes.then_some(one)).collect();
        let mut published = self.publisher.publish(going).await?.into_iter();
        let answer = |goes: &bool| match goes {
            true => published.next().unwrap_or(Published::InDoubt),
            false => Published::Returned,
        };
        Ok(goes.iter().map(answer).collect())
    }

    async fn consume(&self, queue: &Queue, prefetch: usize) -> Result<Arc<dyn Consumer>, Error> {
        self.closing.done(queue).await;
        let channel = self.channel().await?;
        // More than AMQP can say is as good as no limit, which is 0 there.
        let prefetch = u16::try_from(prefetch.max(1)).unwrap_or(0);
        channel.basic_qos(prefetch, BasicQosOptions::default()).await.map_err(unavailable)?;
        let (name, options) = (self.names.of(queue), BasicConsumeOptions::default());
        let consuming = channel.basic_consume(name.into(), "".into(), options, FieldTable::default()).await;
        let stream = consuming.map_err(|error| match soft_error(&error) {
            Some(AMQPSoftError::NOTFOUND) => {
                self.topology.forget(queue);
                Error::Unavailable(format!("there is no queue '{}'", self.names.of(queue)))
            }
            _ => unavailable(error),
        })?;
        let receiver = Receiver::new(channel, stream, queue, &self.names, &self.publisher, &self.closing);
        Ok(Arc::new(receiver))
    }

    async fn ready(&self, queue: &Queue) -> Result<u64, Error> {
        self.closing.done(queue).await;
        match self.look_at(queue).await? {
            Ok(found) => Ok(u64::from(found.message_count())),
            Err(error) if soft_error(&error) == Some(AMQPSoftError::NOTFOUND) => Ok(0),
            Err(error) => Err(unavailable(error)),
        }
    }

    fn health(&self) -> Health {
        match (self.publishing.away().or_else(|| self.consuming.away()), self.publishing.blocked()) {
            (Some(reason), _) => Health::Away(reason),
            (None, Some(reason)) => Health::Blocked(reason),
            (None, None) => Health::Good,
        }
    }
}
