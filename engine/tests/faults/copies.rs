//! Transitions arrive three times and in another order.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::StreamExt;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions,
};
use lapin::types::FieldTable;
use lapin::{Channel, message::Delivery};

use super::load::Chains;
use super::world::{World, sized};
use crate::support::lottery::Lottery;
use crate::support::worker::connect;

/// Messages that are shuffled with each other.
const SHUFFLED: u16 = 64;
/// How often each arrives.
const COPIES: usize = 3;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn copies_in_any_order_change_nothing() {
    let mut world = World::start("f13", 1).await;
    let copied = Arc::new(AtomicU64::new(0));
    let broker = world.setting.broker_url.clone();
    let connection = connect(&broker).await.unwrap();
    let families = ["standard.", "results."].map(|family| format!("{}{family}", world.setting.prefix));
    let queues =
        world.queues().into_iter().filter(|queue| families.iter().any(|family| queue.starts_with(family)));
    let mut copiers = Vec::new();
    for queue in queues {
        let channel = connection.create_channel().await.unwrap();
        copiers.push(tokio::spawn(copy(channel, queue, world.lottery.clone(), copied.clone())));
    }
    assert!(!copiers.is_empty(), "there are queues of transitions");
    let chains = Chains::begin(&world, sized(1_200), 2).await;
    chains.finish(&world).await;
    for copier in &copiers {
        assert!(!copier.is_finished(), "a consumer that copies has ended");
        copier.abort();
    }
    let copied = copied.load(Ordering::Relaxed);
    eprintln!("f13: {copied} messages arrived {COPIES} times");
    assert!(copied >= sized(2_000), "only {copied} were copied");
    world.close().await;
}

/// Competes with the engines for messages; what it gets the first time goes back in copies, what it gets again
/// goes back as it is.
async fn copy(channel: Channel, queue: String, mut lottery: Lottery, copied: Arc<AtomicU64>) {
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    channel.basic_qos(SHUFFLED, BasicQosOptions::default()).await.unwrap();
    let options = BasicConsumeOptions::default();
    let consumer = channel
        .basic_consume(queue.as_str().into(), "".into(), options, FieldTable::default())
        .await
        .unwrap();
    let mut batches = consumer.ready_chunks(usize::from(SHUFFLED));
    let mut known = HashSet::new();
    while let Some(batch) = batches.next().await {
        let batch: Vec<Delivery> = batch.into_iter().map(Result::unwrap).collect();
        let mut going: Vec<&Delivery> = Vec::new();
        for delivery in &batch {
            // A worker's answer has none of its own.
            let properties = &delivery.properties;
            let id = properties.message_id().as_ref().or(properties.correlation_id().as_ref());
            let id = id.expect("a message names what it is about").to_string();
            let fresh = known.insert((id, delivery.data.clone()));
            copied.fetch_add(u64::from(fresh), Ordering::Relaxed);
            going.extend(std::iter::repeat_n(delivery, if fresh { COPIES } else { 1 }));
        }
        lottery.shuffle(&mut going);
        let mut confirms = Vec::new();
        for delivery in going {
            let (to, properties) = (queue.as_str().into(), delivery.properties.clone());
            let options = BasicPublishOptions::default();
            confirms.push(
                channel.basic_publish("".into(), to, options, &delivery.data, properties).await.unwrap(),
            );
        }
        for confirm in confirms {
            confirm.await.unwrap();
        }
        for delivery in &batch {
            delivery.ack(BasicAckOptions::default()).await.unwrap();
        }
    }
}
