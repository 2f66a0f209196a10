//! Events in, while engines and triggers are killed: each message starts one Standard execution; in a batch
//! pipeline none is lost, and what cannot be worked is a dead letter with its reason.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use futures::future::join_all;
use lapin::options::{
    BasicAckOptions, BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions,
};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel};
use serde_json::{Value, json};

use super::oracle;
use super::world::{World, sized};
use crate::support::worker::connect;

/// One message in so many cannot be read.
const BROKEN_EVERY: u64 = 50;

fn pass() -> Value {
    json!({ "StartAt": "Pass", "States": { "Pass": { "Type": "Pass", "End": true } } })
}

/// Engines that have this trigger from a file.
async fn world(name: &'static str, directory: &Path, trigger: impl FnOnce(&str) -> Value) -> World {
    World::start_with(name, 3, async |mut setting| {
        let trigger = trigger(&setting.prefix).to_string();
        std::fs::write(directory.join("trigger.json"), trigger).unwrap();
        let directory = directory.to_string_lossy().into_owned();
        setting.variables.push(("WARREN__TRIGGERS__DIRECTORY".to_owned(), directory));
        setting
    })
    .await
}

async fn channel(world: &mut World) -> Channel {
    let url = world.servers().rabbitmq.url.clone();
    let channel = connect(&url).await.unwrap().create_channel().await.unwrap();
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    channel
}

/// Waits until the trigger's own queue, or another, is there.
async fn there(world: &mut World, part: &str) {
    while !world.queues().iter().any(|queue| queue.contains(part)) {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Publishes in small pieces, over a while, each with its number as its id.
async fn publish(channel: &Channel, exchange: String, key: String, count: u64, body: impl Fn(u64) -> String) {
    for first in (0..count).step_by(50) {
        let piece = (first..count.min(first + 50)).map(|number| {
            let properties = BasicProperties::default()
                .with_delivery_mode(2)
                .with_message_id(format!("message-{number}").into());
            let (exchange, key, body) = (exchange.clone(), key.clone(), body(number));
            async move {
                let options = BasicPublishOptions::default();
                let sent = channel
                    .basic_publish(exchange.into(), key.into(), options, body.as_bytes(), properties)
                    .await;
                assert!(sent.unwrap().await.unwrap().is_ack());
            }
        });
        join_all(piece).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn executions(world: &World, machine: &str) -> Vec<Value> {
    world.api.list(machine, Some("SUCCEEDED")).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_message_starts_one_execution() {
    let count = sized(1_000);
    let directory = tempfile::tempdir().unwrap();
    let trigger = |_: &str| {
        json!({
            "name": "f28", "machine": "f28", "from": { "exchange": "warren.triggers", "binding": "shop.#" },
            "pattern": { "source": ["shop"] }, "input": { "path": "$.detail" },
        })
    };
    let mut world = world("f28", directory.path(), trigger).await;
    let machine = world.api.create("f28", "STANDARD", &pass()).await;
    there(&mut world, "triggers.f28").await;
    let (channel, exchange) = (channel(&mut world).await, format!("{}triggers", world.setting.prefix));
    let publishing = tokio::spawn(async move {
        let body = |n: u64| json!({ "source": "shop", "detail": { "n": n } }).to_string();
        publish(&channel, exchange, "shop.order".to_owned(), count, body).await;
    });
    world.kill_engines(sized(10), Duration::from_millis(800)).await;
    publishing.await.unwrap();
    oracle::until(&world, "a message is lost", async || {
        (executions(&world, &machine).await.len() as u64, count)
    })
    .await;
    let names: BTreeSet<String> = executions(&world, &machine)
        .await
        .iter()
        .map(|each| each["name"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(names, (0..count).map(|number| format!("message-{number}")).collect());
    oracle::nothing_left(&world).await;
    world.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_message_of_a_batch_is_lost() {
    let count = sized(1_000);
    let directory = tempfile::tempdir().unwrap();
    let trigger = |prefix: &str| {
        json!({
            "name": "f29", "machine": "f29", "from": { "queue": format!("{prefix}jobs") },
            "batch": { "messages": 40, "seconds": 1 }, "dead_letters": format!("{prefix}jobs.dead"),
        })
    };
    let mut world = world("f29", directory.path(), trigger).await;
    let machine = world.api.create("f29", "STANDARD", &pass()).await;
    let (channel, jobs) = (channel(&mut world).await, format!("{}jobs", world.setting.prefix));
    let durable = QueueDeclareOptions::durable();
    channel.queue_declare(jobs.as_str().into(), durable, FieldTable::default()).await.unwrap();
    let (publisher, key) = (channel.clone(), jobs.clone());
    let publishing = tokio::spawn(async move {
        let body = |n: u64| if is_broken(n) { format!("broken {n}") } else { json!({ "n": n }).to_string() };
        publish(&publisher, String::new(), key, count, body).await;
    });
    world.kill_engines(sized(10), Duration::from_millis(800)).await;
    publishing.await.unwrap();
    let expected: BTreeSet<u64> = (0..count).filter(|number| !is_broken(*number)).collect();
    oracle::until(&world, "a message is lost", async || {
        (worked(&world, &machine).await.len() as u64, expected.len() as u64)
    })
    .await;
    assert_eq!(worked(&world, &machine).await, expected);
    let broken: BTreeSet<String> =
        (0..count).filter(|number| is_broken(*number)).map(|n| format!("broken {n}")).collect();
    assert_eq!(dead_letters(&channel, &format!("{jobs}.dead")).await, broken);
    oracle::nothing_left(&world).await;
    world.close().await;
}

fn is_broken(number: u64) -> bool {
    number.is_multiple_of(BROKEN_EVERY)
}

/// The numbers that executions got, each at least once.
async fn worked(world: &World, machine: &str) -> BTreeSet<u64> {
    let arns = executions(world, machine).await;
    let arns = arns.iter().map(|each| each["executionArn"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    let mut numbers = BTreeSet::new();
    for arn in arns {
        let described = world.api.call("DescribeExecution", json!({ "executionArn": arn })).await.unwrap();
        let batch: Vec<Value> = serde_json::from_str(described["input"].as_str().unwrap()).unwrap();
        numbers.extend(batch.iter().map(|each| each["n"].as_u64().unwrap()));
    }
    numbers
}

/// The bodies of dead letters, each of which says why it is one. A copy may be there twice.
async fn dead_letters(channel: &Channel, queue: &str) -> BTreeSet<String> {
    let mut bodies = BTreeSet::new();
    while let Some(letter) = channel.basic_get(queue.into(), BasicGetOptions::default()).await.unwrap() {
        let headers = letter.properties.headers().clone().unwrap();
        let reason = headers.inner().get("warren-reason").unwrap().as_long_string().unwrap().to_string();
        assert!(reason.contains("not JSON"), "{reason}");
        bodies.insert(String::from_utf8(letter.data.clone()).unwrap());
        letter.ack(BasicAckOptions::default()).await.unwrap();
    }
    bodies
}
