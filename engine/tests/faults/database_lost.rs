//! The database restarts, or ends connections.

use std::time::{Duration, Instant};

use sqlx::PgPool;

use super::load::Chains;
use super::mixture::Mixture;
use super::oracle;
use super::world::{World, sized};
use crate::support::lottery::Lottery;
use crate::support::recorder::patiently;

/// From the moment the database takes connections again.
const RESUMES_WITHIN: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_when_the_database_restarts() {
    let mut world = World::start("f8", 2).await;
    let chains = Chains::begin(&world, sized(500), 3).await;
    for _ in 0..sized(2) {
        tokio::time::sleep(world.lottery.pause(1_000, 3_000)).await;
        let database = &mut world.servers().postgres;
        database.quit();
        tokio::task::block_in_place(|| database.restart());
        oracle::goes_on(&world, chains.all_tasks(), RESUMES_WITHIN).await;
    }
    chains.finish(&world).await;
    world.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_when_the_database_ends_connections() {
    let mut world = World::start("f9", 2).await;
    let mut mixture = Mixture::prepare(world.api.clone(), &mut world.worker).await;
    let chains = Chains::begin(&world, sized(600), 3).await;
    let ended = mixture.during(end_connections(&world.admin, &mut world.lottery)).await;
    eprintln!("f9: {ended} connections ended");
    assert!(ended > 20, "only {ended} connections were there to be ended");
    mixture.finish(&world).await;
    chains.finish(&world).await;
    world.close().await;
}

/// Ends some five connections of the test's engines a second, and answers how many.
async fn end_connections(admin: &PgPool, lottery: &mut Lottery) -> u64 {
    let storm = Instant::now();
    let mut ended = 0;
    while storm.elapsed() < Duration::from_secs(sized(20)) {
        let one = "SELECT count(pg_terminate_backend(pid)) FROM (SELECT pid FROM pg_stat_activity \
                   WHERE datname LIKE 'f9\\_%' ORDER BY random() LIMIT 1) AS one";
        let count: i64 = patiently(|| sqlx::query_scalar(one).fetch_one(admin)).await;
        ended += count.unsigned_abs();
        tokio::time::sleep(lottery.pause(100, 300)).await;
    }
    ended
}
