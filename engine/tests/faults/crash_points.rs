//! F2: the process dies at each named point of its own code. Only in a build with the feature `crash-points`.

#![cfg(feature = "crash-points")]

use std::time::{Duration, Instant};

use engine::crash::{POINTS, VARIABLE};

use super::load::Chains;
use super::world::{World, sized};
use crate::support::engine::Engine;

/// A point that was not passed by then is not passed by this load.
const DIES_WITHIN: Duration = Duration::from_secs(60);
/// Pause between two looks at the process.
const LOOK: Duration = Duration::from_millis(20);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_point_of_death_loses_anything() {
    for point in POINTS {
        for pass in 0..sized(2) {
            let mut world = World::start("f2", 1).await;
            let mut setting = world.setting.clone();
            // The first time, and some later one.
            let pass = if pass == 0 { 1 } else { 2 + world.lottery.below(20) };
            setting.variables = vec![(VARIABLE.to_owned(), format!("{point}:{pass}"))];
            let mut victim = Engine::start(setting, &world.log("victim"));
            let chains = Chains::begin(&world, 60, 3).await;
            let began = Instant::now();
            while victim.runs() {
                assert!(began.elapsed() < DIES_WITHIN, "{point} is not passed {pass} times");
                tokio::time::sleep(LOOK).await;
            }
            victim = Engine::start(world.setting.clone(), &world.log("victim"));
            chains.finish(&world).await;
            drop(victim);
            world.close().await;
        }
    }
}
