//! What must be true when all has ended, asked of the database and of what workers recorded.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::world::World;
use crate::support::recorder::patiently;

/// The end of an execution may be announced a little after it.
const SETTLED_WITHIN: Duration = Duration::from_secs(60);
/// Pause between two looks at what does not announce itself.
const LOOK: Duration = Duration::from_millis(200);

/// S3, S6: no branch, due time or open task is left of executions that have all ended. S2: the transitions of
/// each branch are numbered without a gap (twice the same number the key forbids); one that a redrive goes on with
/// under a new name begins with 1.
pub async fn nothing_left(world: &World) {
    let began = Instant::now();
    loop {
        let rows: i64 = count(world, "SELECT count(*) FROM branches").await;
        if rows == 0 {
            break;
        }
        assert!(
            began.elapsed() < SETTLED_WITHIN,
            "S3: {rows} branches are left of executions that have ended"
        );
        tokio::time::sleep(LOOK).await;
    }
    let gaps = "SELECT count(*) FROM (SELECT 1 FROM history GROUP BY execution, branch \
                HAVING max(seq) - min(seq) + 1 <> count(*) OR min(seq) > 1) AS gaps";
    assert_eq!(count(world, gaps).await, 0, "S2: a branch has a gap in its transitions");
    all_announced(world).await;
}

/// S10: that each execution began and ended was announced, and nothing of executions that are not there.
async fn all_announced(world: &World) {
    let changes =
        "SELECT x.id::text || '/' || n FROM executions x, generate_series(1, 2 * (x.redrives + 1)) n";
    let mut expected = BTreeSet::new();
    until(world, "S10: a status change was not announced", async || {
        let changes: Vec<String> = patiently(|| sqlx::query_scalar(changes).fetch_all(&world.database)).await;
        expected = BTreeSet::from_iter(changes);
        let heard = world.listener.heard().await;
        assert!(heard.is_subset(&expected), "S10: {:?}", heard.difference(&expected).next());
        (heard.len() as u64, expected.len() as u64)
    })
    .await;
}

/// S4: each of so many tasks, those with `field` in their input, reached a worker at least once, under one name.
pub async fn tasks_done(world: &World, field: &str, expected: u64) {
    let mut times = BTreeMap::<String, u64>::new();
    for effect in world.recorder.all().await.into_iter().filter(|effect| effect.input.contains(field)) {
        *times.entry(effect.key).or_default() += 1;
    }
    assert_eq!(times.len() as u64, expected, "S4: a task was not done, or was scheduled twice");
    let again = times.values().sum::<u64>() - expected;
    eprintln!("{}: {expected} tasks done, {again} of them again under the same name", world.name);
}

/// Waits until one more task is done than when this was called, or all. Fails if that takes longer than it may.
pub async fn goes_on(world: &World, all: u64, within: Duration) {
    let (began, done) = (Instant::now(), async || world.recorder.times().await.len() as u64);
    let target = (done().await + 1).min(all);
    until(world, "it does not go on", async || (target.min(done().await), target)).await;
    eprintln!("{}: work goes on {:?} after the server is back", world.name, began.elapsed());
    assert!(began.elapsed() < within, "it took {:?} to go on", began.elapsed());
}

async fn count(world: &World, query: &'static str) -> i64 {
    patiently(|| sqlx::query_scalar(query).fetch_one(&world.database)).await
}

/// Waits until as much is there as is wanted; fails when it stops growing, or is more.
pub async fn until(world: &World, broken: &str, mut look: impl AsyncFnMut() -> (u64, u64)) {
    let (mut before, mut moved) = (0, Instant::now());
    loop {
        let (found, wanted) = look().await;
        assert!(found <= wanted, "{}: {found} of {wanted}", world.name);
        if found == wanted {
            return;
        }
        if found != before {
            (before, moved) = (found, Instant::now());
        }
        assert!(moved.elapsed() < SETTLED_WITHIN, "{broken}: {found} of {wanted}");
        tokio::time::sleep(LOOK).await;
    }
}
