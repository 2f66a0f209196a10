//! Messages that nobody can read end among the dead, with the reason, and hold up nobody.

use std::time::Duration;

use futures::StreamExt;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, message::Delivery};
use serde_json::Value;

use super::load::Chains;
use super::world::{World, sized};
use crate::support::worker::connect;

/// A message that cannot be read is filed within this time after the one before.
const FILED_WITHIN: Duration = Duration::from_secs(60);

/// Not JSON, not of ours, and of a version that does not exist.
const BODIES: [&str; 4] =
    ["{", "\u{0}\u{1}", "{\"type\":\"nonsense.1\"}", "{\"type\":\"transition.99\",\"value\":{}}"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_read_is_filed_with_its_reason() {
    let count = sized(500);
    let mut world = World::start("f19", 2).await;
    let chains = Chains::begin(&world, sized(200), 3).await;
    let prefix = world.setting.prefix.clone();
    let families =
        ["standard.", "results.", "express.", "calls.", "inner."].map(|family| format!("{prefix}{family}"));
    let queues: Vec<String> = world
        .queues()
        .into_iter()
        .filter(|queue| families.iter().any(|family| queue.starts_with(family)))
        .collect();
    let connection = connect(&world.setting.broker_url).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    for number in 0..count {
        let queue = &queues[world.lottery.index(queues.len())];
        let body = BODIES[world.lottery.index(BODIES.len())];
        let properties = BasicProperties::default()
            .with_delivery_mode(2)
            .with_message_id(format!("poison-{number}").into());
        let publish = channel.basic_publish(
            "".into(),
            queue.as_str().into(),
            BasicPublishOptions::default(),
            body.as_bytes(),
            properties,
        );
        publish.await.unwrap().await.unwrap();
    }
    let dead = dead(&channel, &format!("{prefix}dead"), usize::try_from(count).unwrap()).await;
    for delivery in &dead {
        assert!(reason(delivery).is_some(), "it says no reason: {}", String::from_utf8_lossy(&delivery.data));
    }
    chains.finish(&world).await;
    world.close().await;
}

/// So many messages from the queue of the dead.
async fn dead(channel: &Channel, queue: &str, count: usize) -> Vec<Delivery> {
    let options = BasicConsumeOptions::default();
    let mut consumer =
        channel.basic_consume(queue.into(), "".into(), options, FieldTable::default()).await.unwrap();
    let mut found = Vec::new();
    while found.len() < count {
        let next = tokio::time::timeout(FILED_WITHIN, consumer.next()).await;
        let Ok(Some(delivery)) = next else { panic!("{} of {count} messages are filed", found.len()) };
        let delivery = delivery.unwrap();
        delivery.ack(BasicAckOptions::default()).await.unwrap();
        found.push(delivery);
    }
    found
}

/// Why it is there.
fn reason(delivery: &Delivery) -> Option<String> {
    let letter: Value = serde_json::from_slice(&delivery.data).ok()?;
    letter["reason"].as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}
