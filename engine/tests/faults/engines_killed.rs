//! Engines are killed, as a machine dies.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::load::{Chains, chain, nested};
use super::oracle;
use super::world::{World, sized};
use crate::support::api::STARTS_AT_A_TIME;
use crate::support::engine::Engine;
use crate::support::histories;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn standard_executions_outlive_every_engine() {
    let mut world = World::start("f1", 3).await;
    let chains = Chains::begin(&world, sized(2_000), 5).await;
    world.kill_engines(sized(20), Duration::from_millis(1_500)).await;
    chains.finish(&world).await;
    world.close().await;
}

/// At least once each: what was done twice is bounded by what was in flight at the kills.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn express_executions_outlive_every_engine() {
    let (count, kills) = (sized(5_000), sized(10));
    let mut world = World::start("f3", 3).await;
    let machine = world.api.create("f3", "EXPRESS", &chain(1)).await;
    let (api, target) = (world.api.clone(), machine.clone());
    let starting = tokio::spawn(async move { api.start_all(&target, count, |n| json!({ "n": n })).await });
    let mut in_flight = 0;
    for _ in 0..kills {
        tokio::time::sleep(world.lottery.pause(100, 1_000)).await;
        in_flight += kill_one_counting(&mut world);
    }
    starting.await.expect("all are started");
    let mut done: BTreeMap<String, u64> = BTreeMap::new();
    oracle::until(&world, "E1: an Express execution was lost", async || {
        done.clear();
        for effect in world.recorder.all().await {
            *done.entry(effect.input).or_default() += 1;
        }
        (done.len() as u64, count)
    })
    .await;
    let again = done.values().sum::<u64>() - count;
    eprintln!("f3: {count} executions done, {again} tasks done again of {in_flight} in flight at the kills");
    assert!(again <= in_flight, "E2: {again} were done again, {in_flight} were in flight");
    world.close().await;
}

/// Kills an engine while all stand still, and answers what was in flight: deliveries that were not acknowledged,
/// and starts without an answer.
fn kill_one_counting(world: &mut World) -> u64 {
    world.engines.iter().for_each(Engine::freeze);
    let unacknowledged = world.control(&["list_channels", "--quiet", "messages_unacknowledged"]);
    world.kill_one();
    world.engines.iter().for_each(Engine::thaw);
    let deliveries: u64 = unacknowledged.lines().filter_map(|line| line.trim().parse::<u64>().ok()).sum();
    deliveries + STARTS_AT_A_TIME
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nested_forks_join_once_and_in_order() {
    let (items, executions) = (200, sized(2));
    let mut world = World::start("f15", 3).await;
    let machine = world.api.create("f15", "STANDARD", &nested()).await;
    let input = json!({ "items": (0..items).collect::<Vec<u64>>() });
    let started = world.api.start_all(&machine, executions, |_| input.clone()).await;
    world.kill_engines(sized(8), Duration::from_millis(1_500)).await;
    let all_well = [("SUCCEEDED".to_owned(), executions)].into();
    assert_eq!(world.api.all_ended(&machine).await, all_well);
    let half = |item: u64| json!([{ "item": item, "half": "left" }, { "item": item, "half": "right" }]);
    let expected: Value = (0..items).map(half).collect();
    let expected_counts = [
        ("MapStateStarted", 1 + items),
        ("MapIterationStarted", 3 * items),
        ("MapIterationSucceeded", 3 * items),
        ("MapStateSucceeded", 1 + items),
        ("LambdaFunctionSucceeded", 2 * items),
    ];
    for history in world.api.histories(started.into_iter().map(|(arn, _)| arn)).await {
        histories::check_counts(&history, &expected_counts);
        assert_eq!(histories::output(&history), expected, "S5: each result once and in order");
    }
    oracle::tasks_done(&world, "half", executions * 2 * items).await;
    oracle::nothing_left(&world).await;
    world.close().await;
}
