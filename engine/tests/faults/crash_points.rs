//! The process dies at each named point of its own code. Only in a build with the feature `crash-points`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use engine::crash::{POINTS, VARIABLE};

use super::mixture::Mixture;
use super::oracle;
use super::world::{World, sized};
use crate::support::api::Api;
use crate::support::engine::Engine;

/// A point that was not passed by then is not passed by this load.
const DIES_WITHIN: Duration = Duration::from_secs(60);
/// Pause between two rounds of executions.
const PAUSE: Duration = Duration::from_millis(200);
/// Passed only by timers whose engine has died: the other engine has to.
const AFTER_ANOTHER_DEATH: &str = "due-claimed";
/// Between two deaths of the other engine.
const ANOTHER_DEATH_EVERY: Duration = Duration::from_secs(3);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_point_of_death_loses_anything() {
    let mut world = World::start("f2", 1).await;
    let mut victim = Engine::start(world.setting.clone(), &world.log("victim"));
    let endpoints = world.engines.iter().map(Engine::endpoint).chain([victim.endpoint()]);
    let api = Arc::new(Api::new(endpoints));
    let mut mixture = Mixture::prepare(api, &mut world.worker).await;
    let only = std::env::var("WARREN_FAULTS_POINT").ok();
    for point in POINTS.iter().filter(|point| only.as_deref().is_none_or(|only| only == **point)) {
        for number in 0..sized(2) {
            // The first time, and some later one.
            let pass = if number == 0 { 1 } else { 2 + world.lottery.below(4) };
            victim.restart_with(vec![(VARIABLE.to_owned(), format!("{point}:{pass}"))]);
            let took = until_it_dies(&mut victim, &mut world, &mut mixture, point).await;
            eprintln!("f2: {point}:{pass} after {took:?}");
        }
    }
    victim.restart_with(Vec::new());
    mixture.finish(&world).await;
    oracle::nothing_left(&world).await;
    drop(victim);
    world.close().await;
}

async fn until_it_dies(
    victim: &mut Engine,
    world: &mut World,
    mixture: &mut Mixture,
    point: &str,
) -> Duration {
    let began = Instant::now();
    let mut other_died = began;
    while victim.runs() {
        assert!(began.elapsed() < DIES_WITHIN, "{point} is not passed:\n{}", victim.tail());
        mixture.round().await;
        if point == AFTER_ANOTHER_DEATH && other_died.elapsed() > ANOTHER_DEATH_EVERY {
            other_died = Instant::now();
            world.engines[0].restart();
        }
        tokio::time::sleep(PAUSE).await;
    }
    began.elapsed()
}
