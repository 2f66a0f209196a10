//! An engine stands still so long that others take over, and then goes on with what it remembers.

use std::time::Duration;

use super::load::Chains;
use super::oracle;
use super::world::{World, sized};
use crate::support::engine::Engine;
use crate::support::proxy::Proxy;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_engine_commits_nothing_that_others_did() {
    let (count, tasks) = (sized(600), 5);
    let mut world = World::start("f12", 2).await;
    // The broker gives up on a connection only after missed heartbeats: here the network says so at once. The
    // connections to the database stay, so that the engine can try to commit what it holds.
    let (proxy, broker_url) = Proxy::before(&world.setting.broker_url).await;
    let setting = crate::support::engine::Setting { broker_url, ..world.setting.clone() };
    let mut zombie = Engine::start(setting, &world.log("zombie"));
    zombie.ready().await;
    let chains = Chains::begin(&world, count, tasks).await;
    for _ in 0..sized(3) {
        tokio::time::sleep(world.lottery.pause(300, 1_500)).await;
        zombie.freeze();
        proxy.cut();
        let before = world.recorder.times().await.len() as u64;
        // The others are known to have gone on when more was done, or nothing is left to do.
        let target = (before + 100).min(count * tasks);
        oracle::until(&world, "nobody took over", async || {
            (target.min(world.recorder.times().await.len() as u64), target)
        })
        .await;
        zombie.thaw();
        zombie.ready().await;
    }
    chains.finish(&world).await;
    assert!(zombie.runs(), "the engine that was frozen has ended:\n{}", zombie.tail());
    drop(zombie);
    world.close().await;
}

/// A network that is slow and stands still now and then is no reason to do anything twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_network_only_takes_longer() {
    let mut world = World::start("slow", 1).await;
    let (proxy, store_url) = Proxy::before(&world.setting.store_url).await;
    let setting = crate::support::engine::Setting { store_url, ..world.setting.clone() };
    let mut far = Engine::start(setting, &world.log("far"));
    far.ready().await;
    let chains = Chains::begin(&world, sized(100), 3).await;
    proxy.delay(Duration::from_millis(5));
    for _ in 0..3 {
        proxy.stall(true);
        tokio::time::sleep(world.lottery.pause(200, 1_500)).await;
        proxy.stall(false);
        proxy.refuse(true);
        proxy.cut();
        tokio::time::sleep(world.lottery.pause(200, 1_500)).await;
        proxy.refuse(false);
    }
    chains.finish(&world).await;
    assert!(far.runs(), "the engine behind the bad network has ended:\n{}", far.tail());
    drop(far);
    world.close().await;
}
