//! Recorded behaviour of the language: definition, input and answers of tasks give a history, event for
//! event. Each case says where its truth comes from. `BLESS=1 cargo test -p asl --test corpus` rewrites the
//! histories; review them like code.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use asl::branch::{Answer, Event, Source};
use asl::data::Failure;
use asl::data::context::ExecutionFacts;
use asl::data::timestamp::Timestamp;
use asl::definition::{WorkflowType, check};
use asl::limits::Limits;
use asl::rehearsal::{Rehearsal, ScheduledTask};
use serde::Deserialize;
use serde_json::{Value, json};

/// A case as its file holds it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    /// Where the truth was recorded, or which rule says it.
    source: String,
    definition: Value,
    #[serde(default)]
    input: Value,
    /// What becomes of tasks, by state, in the order they are scheduled. One that has no answer left waits
    /// for its timer.
    #[serde(default)]
    answers: BTreeMap<String, Vec<Vec<Told>>>,
    #[serde(default)]
    limits: Option<LimitsOfCase>,
    /// `"id < previous type details"`.
    history: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LimitsOfCase {
    history_events_max: Option<u64>,
    payload_bytes_max: Option<usize>,
}

/// What a task's branch is told.
#[derive(Deserialize, Clone)]
#[serde(rename_all = "snake_case")]
enum Told {
    Start(String),
    Submit(Value),
    Succeed(Value),
    Fail(Failure),
    SucceedByToken(Value),
    FailByToken(Failure),
    SucceedOnceSubmitted(Value),
    Heartbeat,
}

fn facts(input: Value) -> ExecutionFacts {
    ExecutionFacts {
        id: "arn:aws:states:us-east-1:123456789012:execution:machine:run".to_owned(),
        name: "run".to_owned(),
        role_arn: "arn:aws:iam::123456789012:role/role".to_owned(),
        started_at: Timestamp::from_milliseconds(1_700_000_000_000),
        input,
        redrive: None,
        state_machine_id: "arn:aws:states:us-east-1:123456789012:stateMachine:machine".to_owned(),
        state_machine_name: "machine".to_owned(),
    }
}

fn run(case: &Case, fused_states_max: u32) -> Vec<String> {
    let checked = check(&case.definition.to_string(), WorkflowType::Standard);
    let program =
        checked.program.unwrap_or_else(|| panic!("{:?} {:?}", checked.diagnostics, checked.unsupported));
    let mut limits = Limits { fused_states_max, ..Limits::default() };
    if let Some(given) = &case.limits {
        limits.history_events_max = given.history_events_max.unwrap_or(limits.history_events_max);
        limits.payload_bytes_max = given.payload_bytes_max.unwrap_or(limits.payload_bytes_max);
    }
    let facts = facts(case.input.clone());
    let started_at = facts.started_at;
    let input = case.input.to_string();
    let mut rehearsal = Rehearsal::start(&program, facts, input, limits, started_at, [7; 32]);
    let mut answers = case.answers.clone();
    while rehearsal.outcome().is_none() {
        if rehearsal.step() {
            continue;
        }
        if let Some(task) = rehearsal.next_task() {
            let told =
                answers.get_mut(&task.state).filter(|left| !left.is_empty()).map(|left| left.remove(0));
            for told in told.unwrap_or_default() {
                tell(&mut rehearsal, &task, told);
            }
            continue;
        }
        let timer = rehearsal.next_timer().expect("the execution waits for something that never comes");
        rehearsal.advance(timer);
    }
    let left: Vec<&String> =
        answers.iter().filter(|(_, left)| !left.is_empty()).map(|(state, _)| state).collect();
    assert!(left.is_empty(), "answers were not asked for: {left:?}");
    shown(&rehearsal.history(), started_at)
}

fn tell(rehearsal: &mut Rehearsal<'_>, scheduled: &ScheduledTask, told: Told) {
    let task = scheduled.request.task;
    let ended = |answer, source| Event::TaskEnded { task, answer, source };
    let event = match told {
        Told::Start(worker) => Event::ActivityStarted { task, worker_name: Some(worker) },
        Told::Submit(output) => Event::TaskSubmitted { task, output },
        Told::Succeed(output) => ended(Answer::Succeeded(output), Source::Call),
        Told::Fail(failure) => ended(Answer::Failed(failure), Source::Call),
        Told::SucceedByToken(output) => ended(Answer::Succeeded(output), Source::Token),
        Told::SucceedOnceSubmitted(output) => ended(Answer::Succeeded(output), Source::SubmittedCall),
        Told::FailByToken(failure) => ended(Answer::Failed(failure), Source::Token),
        Told::Heartbeat => Event::Heartbeat { task },
    };
    rehearsal.tell(&scheduled.path, event).expect("the task waits for this");
}

/// One line for each event: time since the start, ids, type, details.
fn shown(history: &[Value], started_at: Timestamp) -> Vec<String> {
    let line = |event: &Value| {
        let seconds = event["timestamp"].as_f64().unwrap() - started_at.seconds();
        let details = event.as_object().unwrap().iter().find(|(key, _)| key.ends_with("Details"));
        let details = details.map(|(_, details)| without_flags(details).to_string()).unwrap_or_default();
        let kind = event["type"].as_str().unwrap();
        format!("{seconds}s {} <- {} {kind} {details}", event["id"], event["previousEventId"])
            .trim_end()
            .to_owned()
    };
    history.iter().map(line).collect()
}

/// `inputDetails` and `outputDetails` stand beside every payload and say nothing more.
fn without_flags(details: &Value) -> Value {
    let members = details.as_object().unwrap().clone();
    members.into_iter().filter(|(_, value)| *value != json!({ "truncated": false })).collect()
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push(path);
        }
    }
}

/// All cases, with the files that hold them.
fn cases() -> Vec<(PathBuf, String, Case)> {
    let mut paths = Vec::new();
    files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus"), &mut paths);
    paths.sort();
    assert!(paths.len() >= 30, "the corpus is not there");
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).unwrap();
        let case: Case =
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        (path, text, case)
    };
    paths.into_iter().map(read).collect()
}

#[test]
fn every_case_gives_its_history() {
    let bless = std::env::var_os("BLESS").is_some();
    for (path, text, case) in cases() {
        assert!(!case.source.is_empty(), "{} says no source", path.display());
        let history = std::panic::catch_unwind(|| run(&case, 1))
            .unwrap_or_else(|_| panic!("{} did not run to its end", path.display()));
        if bless {
            let mut whole: Value = serde_json::from_str(&text).unwrap();
            whole["history"] = json!(history);
            std::fs::write(&path, serde_json::to_string_pretty(&whole).unwrap() + "\n").unwrap();
        } else {
            assert_eq!(case.history, history, "{}", path.display());
        }
    }
}

/// Where branches run side by side the order of their events may be another one; and a limit of the history
/// cuts whole transitions.
#[test]
fn states_that_are_fused_give_the_same_history() {
    let mut compared = 0;
    for (path, text, case) in cases() {
        let forks = text.contains("\"Parallel\"") || text.contains("\"Map\"");
        if !forks && case.limits.is_none() {
            assert_eq!(case.history, run(&case, 100), "{}", path.display());
            compared += 1;
        }
    }
    assert!(compared >= 20, "{compared} cases were compared");
}
