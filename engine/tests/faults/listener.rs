//! Somebody who listens to status events, on a queue that keeps them.

use std::collections::BTreeSet;

use lapin::options::{BasicGetOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use tokio::sync::Mutex;

use crate::support::worker::connect;

pub struct Listener {
    broker: String,
    queue: String,
    heard: Mutex<BTreeSet<String>>,
}

impl Listener {
    /// Listens from now on; the exchange is there.
    pub async fn start(broker: &str, prefix: &str) -> Self {
        let queue = format!("{prefix}heard");
        let channel = connect(broker).await.unwrap().create_channel().await.unwrap();
        let (durable, table) = (QueueDeclareOptions::durable(), FieldTable::default());
        channel.queue_declare(queue.as_str().into(), durable, table).await.unwrap();
        let exchange = format!("{prefix}events");
        let options = QueueBindOptions::default();
        let bound = channel.queue_bind(
            queue.as_str().into(),
            exchange.into(),
            "#".into(),
            options,
            FieldTable::default(),
        );
        bound.await.unwrap();
        Listener { broker: broker.to_owned(), queue, heard: Mutex::default() }
    }

    /// The ids of all that was heard so far: `execution/number`.
    pub async fn heard(&self) -> BTreeSet<String> {
        let mut heard = self.heard.lock().await;
        let connection = connect(&self.broker).await.unwrap();
        let channel = connection.create_channel().await.unwrap();
        let at_once = BasicGetOptions { no_ack: true };
        while let Some(message) = channel.basic_get(self.queue.as_str().into(), at_once).await.unwrap() {
            heard.extend(message.delivery.properties.message_id().as_ref().map(|id| id.as_str().to_owned()));
        }
        heard.clone()
    }
}
