//! The whole engine on its embedded adapters, under all the trouble that the ports allow.
//!
//! ```text
//!   callers ─▶ engines ─▶ ports ─▶ trouble, drawn from a seed ─▶ adapters
//! ```
//!
//! Random workflows run while messages come twice, late and out of order, answers of store and broker are
//! lost, consumers are cancelled, engines freeze, and die between any two calls. Afterwards every execution must
//! have ended as it does when nothing goes wrong. Time is simulated; a seed repeats its run.
//!
//! `WARREN_SEED=n` runs one seed, `WARREN_SEEDS=n` so many, beginning at `WARREN_FIRST_SEED` (1). A seed that
//! fails leaves a recording for `warren replay` (see `docs/guides/simulation.md`).

#![expect(clippy::unwrap_used, reason = "a failure here is the result of a test")]

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use engine::cli::replay::recording::{Recording, What};
use engine::ports::catalog::Machine;
use engine::ports::store::ExecutionStatus;
use engine::services::executions::StartRequest;
use serde_json::json;
use tokio::runtime::Builder;

use case::Case;
use check::End;
use fate::{Fate, Lottery, Rates};
use journal::Journal;
use store::Backing;
use workflow::{Kind, Workflow};
use world::{Plan, World};

#[path = "support/memory_store.rs"]
mod memory_store;

#[path = "simulation/broker.rs"]
mod broker;
#[path = "simulation/callbacks.rs"]
mod callbacks;
#[path = "simulation/case.rs"]
mod case;
#[path = "simulation/check.rs"]
mod check;
#[path = "simulation/clock.rs"]
mod clock;
#[path = "simulation/connector.rs"]
mod connector;
#[path = "simulation/fate.rs"]
mod fate;
#[path = "simulation/journal.rs"]
mod journal;
#[path = "simulation/listener.rs"]
mod listener;
#[path = "simulation/node.rs"]
mod node;
#[path = "simulation/notes.rs"]
mod notes;
#[path = "simulation/published.rs"]
mod published;
#[path = "simulation/recording.rs"]
mod recording;
#[path = "simulation/store.rs"]
mod store;
#[path = "simulation/workflow.rs"]
mod workflow;
#[path = "simulation/world.rs"]
mod world;

/// Trouble ends after this long, so that everything can.
const TROUBLE: Duration = Duration::from_secs(30);
/// Whatever has not ended by then never will.
const END_WITHIN: Duration = Duration::from_secs(400);
/// Seeds that are run unless `WARREN_SEEDS` says otherwise.
const SEEDS: u64 = 1_000;
/// Every so many seeds the store is SQLite.
const SQLITE_EVERY: u64 = 50;
/// Workflows of a run, at most.
const WORKFLOWS_MAX: u64 = 2;
/// Executions of each workflow, at most.
const EXECUTIONS_MAX: u64 = 2;

fn setting(name: &str, default: u64) -> u64 {
    let text = std::env::var(name).unwrap_or_default();
    if text.is_empty() { default } else { text.parse().unwrap() }
}

/// Runs something in simulated time.
fn simulate<T>(run: impl Future<Output = T>) -> T {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(run)
}

#[test]
fn executions_end_as_they_should_whatever_goes_wrong() {
    let (first, count) = match setting("WARREN_SEED", 0) {
        0 => (setting("WARREN_FIRST_SEED", 1), setting("WARREN_SEEDS", SEEDS)),
        seed => (seed, 1),
    };
    let next = AtomicU64::new(first);
    let work = || loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed >= first + count {
            return;
        }
        let wish = Wish::Kept;
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| run(seed, wish, Journal::closed()))) {
            next.store(first + count, Ordering::Relaxed);
            tell(seed, wish, &*panic);
            resume_unwind(panic);
        }
    };
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        (0..threads).for_each(|_| drop(scope.spawn(work)));
    });
}

/// Leaves a recording of a seed that failed. Answers where.
fn tell(seed: u64, wish: Wish, panic: &(dyn Any + Send)) -> PathBuf {
    let journal = Journal::open();
    let again = catch_unwind(AssertUnwindSafe(|| run(seed, wish, journal.clone())));
    let rule = recording::text(panic);
    let path = recording::write(seed, &rule, &workflows(&mut Lottery::new(seed), seed), &journal.take());
    eprintln!("seed {seed} fails: {rule}");
    if again.is_ok() {
        eprintln!("it did not when it was run again: what a run does must depend on its seed alone");
    }
    eprintln!("repeat it:      make simulate SEED={seed}");
    eprintln!("step through:   cargo run -p engine -- replay {}", path.display());
    path
}

#[test]
fn a_seed_repeats_its_run() {
    for seed in (1..=20).chain([SQLITE_EVERY]) {
        let run = || run(seed, Wish::Kept, Journal::closed());
        assert_eq!(run(), run(), "seed {seed}");
    }
}

#[test]
fn a_seed_that_fails_leaves_a_recording() {
    let mut commits = 0;
    for seed in 1_000_001..1_000_004 {
        let wish = Wish::Impossible;
        let panic = catch_unwind(AssertUnwindSafe(|| run(seed, wish, Journal::closed()))).unwrap_err();
        let path = tell(seed, wish, &*panic);
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let recording = Recording::parse(&text).unwrap();
        assert_eq!(recording.heading.seed, seed);
        assert!(recording.heading.rule.contains("impossible"), "{}", recording.heading.rule);
        commits += recording.steps.iter().filter(|step| matches!(step.what, What::Committed(_))).count();
    }
    assert!(commits > 0, "what was recorded is not what happened");
}

#[test]
fn a_full_history_ends_the_execution_wherever_it_is_met() {
    let fails = json!({ "StartAt": "F", "States": { "F": { "Type": "Fail", "Error": "E" } } });
    let waits = |name: &str| json!({ "StartAt": name, "States": { name: { "Type": "Wait", "Seconds": 60, "End": true } } });
    let both = json!({ "Type": "Parallel", "Branches": [waits("V"), waits("W"), fails], "End": true });
    let definition = json!({ "StartAt": "Both", "States": { "Both": both } });
    let workflow = Workflow { definition, input: json!({}), exact: true };
    for history_events_max in 4..20 {
        simulate(async {
            let plan = Plan { history_events_max, ..Plan::of(Fate::new(1, Rates::default())) };
            let world = World::new(plan).await;
            let machine = world.machine("full", Kind::Standard, &workflow);
            world.engine().start_execution(request(&machine, &workflow, Some("one"))).await.unwrap();
            let end = tokio::time::timeout(END_WITHIN, ended(&world, &machine, "one")).await;
            let end = end.unwrap_or_else(|_| panic!("with room for {history_events_max} it does not end"));
            assert_eq!(end.status, ExecutionStatus::Failed);
            check::nothing_is_left(&world);
            check::all_is_announced(&world).await;
        });
    }
}

/// What a run must keep to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    /// The rules.
    Kept,
    /// What cannot be, to see a run fail.
    Impossible,
}

/// The workflows of a seed.
fn workflows(lottery: &mut Lottery, seed: u64) -> Vec<(String, Kind, Workflow)> {
    let mut workflows = Vec::new();
    for number in 0..=lottery.below(WORKFLOWS_MAX) {
        let kind = if lottery.one_in(4) { Kind::Express } else { Kind::Standard };
        let name = format!("{seed}-{number}");
        let workflow = workflow::draw(lottery, kind, &name);
        workflows.push((name, kind, workflow));
    }
    workflows
}

/// One seed. Answers a digest of what went wrong.
fn run(seed: u64, wish: Wish, journal: Arc<Journal>) -> u64 {
    let mut lottery = Lottery::new(seed);
    let workflows = workflows(&mut lottery, seed);
    let rates = Rates::draw(&mut lottery);
    let expected: Vec<End> =
        workflows.iter().map(|(name, kind, workflow)| alone(name, *kind, workflow)).collect();
    let backing = if seed.is_multiple_of(SQLITE_EVERY) { Backing::Sqlite } else { Backing::Memory };
    simulate(async {
        let plan = Plan { backing, journal, ..Plan::of(Fate::new(seed, rates)) };
        let world = World::new(plan).await;
        world.employ();
        let fate = world.fate.clone();
        let relents = tokio::spawn(async move {
            tokio::time::sleep(TROUBLE).await;
            fate.relent();
        });
        let mut cases = Vec::new();
        for ((name, kind, workflow), expected) in workflows.into_iter().zip(expected) {
            let machine = world.machine(&name, kind, &workflow);
            for number in 0..=lottery.below(EXECUTIONS_MAX) {
                let case = Case {
                    synchronous: lottery.one_in(2),
                    world: world.clone(),
                    machine: machine.clone(),
                    workflow: workflow.clone(),
                    expected: expected.clone(),
                    number,
                };
                cases.push(tokio::spawn(case.run(kind)));
            }
        }
        for case in cases {
            match tokio::time::timeout(END_WITHIN, case).await {
                Ok(Ok(())) => {}
                Ok(Err(panic)) => resume_unwind(panic.into_panic()),
                Err(_) => panic!("an execution has not ended; {}", check::what_is_left(&world)),
            }
        }
        check::nothing_is_left(&world);
        check::all_is_announced(&world).await;
        relents.abort();
        assert_eq!(wish, Wish::Kept, "this run was asked for the impossible");
        world.fate.trace()
    })
}

/// How a workflow ends when nothing goes wrong.
fn alone(name: &str, kind: Kind, workflow: &Workflow) -> End {
    simulate(async {
        // As few transitions as may be: the same end must come of more of them.
        let plan = Plan { fused_states_max: Some(20), ..Plan::of(Fate::new(1, Rates::default())) };
        let world = World::new(plan).await;
        world.employ();
        // The outcome of an Express workflow is that of the same Standard one.
        let machine = world.machine(name, Kind::Standard, workflow);
        let started = world.engine().start_execution(request(&machine, workflow, Some("alone"))).await;
        started.unwrap_or_else(|error| panic!("{kind:?} {error}: {}", workflow.definition));
        let end = ended(&world, &machine, "alone").await;
        assert_eq!(world.ledger.repeated(), Vec::<String>::new(), "each attempt runs once");
        check::nothing_is_left(&world);
        check::all_is_announced(&world).await;
        end
    })
}

fn request(machine: &Machine, workflow: &Workflow, name: Option<&str>) -> StartRequest {
    StartRequest {
        machine: machine.clone(),
        qualifier: None,
        name: name.map(str::to_owned),
        input: workflow.input.clone(),
        input_text: workflow.input.to_string(),
    }
}

async fn ended(world: &World, machine: &Machine, name: &str) -> End {
    loop {
        let (machine, name) = (machine.name.clone(), name.to_owned());
        let found = world.database.ask(|db| async move { db.execution(&machine, &name).await }).unwrap();
        if let Some(execution) = found.filter(|found| found.status != ExecutionStatus::Running) {
            return check::end(world, &execution);
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}
