//! The broker dies and comes back, or throws everybody out.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::load::{Chains, chain};
use super::mixture::Mixture;
use super::oracle;
use super::world::{World, sized};

/// From the moment the broker serves again.
const RESUMES_WITHIN: Duration = Duration::from_secs(15);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_when_the_broker_is_killed() {
    let mut world = World::start("f4", 2).await;
    let chains = Chains::begin(&world, sized(500), 3).await;
    for _ in 0..sized(1) {
        tokio::time::sleep(world.lottery.pause(1_000, 3_000)).await;
        kill_broker(&mut world);
        oracle::goes_on(&world, chains.all_tasks(), RESUMES_WITHIN).await;
    }
    chains.finish(&world).await;
    world.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_when_the_broker_closes_every_connection() {
    let mut world = World::start("f7", 2).await;
    let mut mixture = Mixture::prepare(world.api.clone(), &mut world.worker).await;
    let chains = Chains::begin(&world, sized(600), 3).await;
    let storm = Instant::now();
    while storm.elapsed() < Duration::from_secs(sized(10)) {
        mixture.round().await;
        world.control(&["close_all_connections", "storm"]);
    }
    mixture.finish(&world).await;
    chains.finish(&world).await;
    world.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waits_of_express_outlive_the_broker() {
    let count = sized(2_000);
    let mut world = World::start("f14", 2).await;
    let machine = world.api.create("f14", "EXPRESS", &wait_then_work()).await;
    let seconds = |n: u64| 15 + n % 10;
    let started = world.api.start_all(&machine, count, |n| json!({ "n": n, "seconds": seconds(n) })).await;
    kill_broker(&mut world);
    let mut first = vec![None; usize::try_from(count).unwrap()];
    oracle::until(&world, "a wait was lost", async || {
        for effect in world.recorder.all().await {
            let input: Value = serde_json::from_str(&effect.input).unwrap();
            let place = &mut first[usize::try_from(input["n"].as_u64().unwrap()).unwrap()];
            *place = Some(place.map_or(effect.at, |at: f64| at.min(effect.at)));
        }
        (first.iter().flatten().count() as u64, count)
    })
    .await;
    for (n, (at, (arn, started_at))) in (0..).zip(first.into_iter().zip(started)) {
        let due = started_at + seconds(n) as f64;
        // The API tells milliseconds.
        assert!(at.unwrap() >= due - 0.002, "S9: {arn} went on {:.3} s early", due - at.unwrap());
    }
    world.close().await;
}

fn wait_then_work() -> Value {
    let mut definition = chain(1);
    definition["StartAt"] = "Wait".into();
    definition["States"]["Wait"] = json!({ "Type": "Wait", "SecondsPath": "$.seconds", "Next": "Step 0" });
    definition
}

/// SIGKILL, and back again.
fn kill_broker(world: &mut World) {
    let broker = &mut world.servers().rabbitmq;
    broker.kill();
    tokio::task::block_in_place(|| broker.restart());
}

/// A broker without memory or disk takes no messages; it says so to publishers and to nobody else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_while_the_broker_takes_no_messages() {
    let mut world = World::start("f6", 2).await;
    let chains = Chains::begin(&world, sized(400), 3).await;
    for (alarm, calm) in [
        (
            ["set_vm_memory_high_watermark", "absolute", "1"],
            ["set_vm_memory_high_watermark", "0.4"].as_slice(),
        ),
        (["set_disk_free_limit", "mem_relative", "1000"], ["set_disk_free_limit", "50MB"].as_slice()),
    ] {
        world.control(&alarm);
        tokio::time::sleep(Duration::from_secs(sized(4))).await;
        world.control(calm);
    }
    chains.finish(&world).await;
    world.close().await;
}
