//! What holds for every definition and every order of events.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;

use asl::branch::{Answer, StaleEvent};
use asl::data::Failure;
use asl::data::context::ExecutionFacts;
use asl::data::timestamp::Timestamp;
use asl::definition::{WorkflowType, check};
use asl::limits::Limits;
use asl::program::Program;
use asl::rehearsal::{Rehearsal, ScheduledTask};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// A state without its name and its successor.
#[derive(Debug, Clone)]
enum Shape {
    Pass(Option<&'static str>),
    Task { retries: u32, catches: bool, timeout: Option<u32> },
    Wait(u32),
    Choice,
    Fail,
    Parallel(Vec<Vec<Shape>>, bool),
    Map(Vec<Shape>, u32, bool),
}

fn shape() -> impl Strategy<Value = Shape> {
    let leaf = prop_oneof![
        4 => prop_oneof![Just(None), Just(Some("$.r")), Just(Some("$.a.b"))].prop_map(Shape::Pass),
        3 => (0..3u32, any::<bool>(), proptest::option::of(1..9u32))
            .prop_map(|(retries, catches, timeout)| Shape::Task { retries, catches, timeout }),
        1 => (0..4u32).prop_map(Shape::Wait),
        1 => Just(Shape::Choice),
        1 => Just(Shape::Fail),
    ];
    leaf.prop_recursive(3, 24, 3, |inner| {
        let machine = vec(inner, 1..4);
        prop_oneof![
            (vec(machine.clone(), 1..4), any::<bool>())
                .prop_map(|(branches, retry)| Shape::Parallel(branches, retry)),
            (machine, 0..4u32, any::<bool>()).prop_map(|(machine, concurrency, retry)| Shape::Map(
                machine,
                concurrency,
                retry
            )),
        ]
    })
}

/// Names states in the order they are written.
#[derive(Default)]
struct Writer {
    states: u32,
}

impl Writer {
    fn machine(&mut self, shapes: &[Shape]) -> Value {
        let names: Vec<String> = shapes
            .iter()
            .map(|_| {
                self.states += 1;
                format!("S{}", self.states)
            })
            .collect();
        let last = format!("{}-end", names[0]);
        let mut states = Map::new();
        for (place, shape) in shapes.iter().enumerate() {
            let next = names.get(place + 1).unwrap_or(&last);
            states.insert(names[place].clone(), self.state(shape, next));
        }
        // Reachable from the first state whatever ends early before it.
        states.insert(last.clone(), json!({ "Type": "Succeed" }));
        let doors: Vec<Value> = names
            .iter()
            .skip(1)
            .chain([&last])
            .map(|name| json!({ "Variable": "$.never", "IsPresent": true, "Next": name }))
            .collect();
        let door = format!("{}-door", names[0]);
        let choice = json!({ "Type": "Choice", "Choices": doors, "Default": names[0] });
        states.insert(door.clone(), choice);
        json!({ "StartAt": door, "States": states })
    }

    fn state(&mut self, shape: &Shape, next: &str) -> Value {
        let retry = json!([{ "ErrorEquals": ["States.ALL"], "MaxAttempts": 1 }]);
        match shape {
            Shape::Pass(None) => json!({ "Type": "Pass", "Result": { "x": 1 }, "Next": next }),
            Shape::Pass(Some(path)) => {
                json!({ "Type": "Pass", "Parameters": { "x.$": "$" }, "ResultPath": path, "Next": next })
            }
            Shape::Task { retries, catches, timeout } => {
                let mut task = json!({
                    "Type": "Task",
                    "Resource": "arn:aws:states:::lambda:invoke",
                    "Parameters": { "FunctionName": "f" },
                    "Retry": [{ "ErrorEquals": ["States.TaskFailed"], "MaxAttempts": retries }],
                    "Next": next,
                });
                if *catches {
                    task["Catch"] =
                        json!([{ "ErrorEquals": ["States.ALL"], "ResultPath": "$.e", "Next": next }]);
                }
                if let Some(timeout) = timeout {
                    task["TimeoutSeconds"] = json!(timeout);
                }
                task
            }
            Shape::Wait(seconds) => json!({ "Type": "Wait", "Seconds": seconds, "Next": next }),
            Shape::Choice => json!({
                "Type": "Choice",
                "Choices": [{ "Variable": "$.x", "IsPresent": true, "Next": next }],
                "Default": next,
            }),
            Shape::Fail => json!({ "Type": "Fail", "Error": "Custom", "Cause": "as written" }),
            Shape::Parallel(branches, retried) => {
                let branches: Vec<Value> = branches.iter().map(|branch| self.machine(branch)).collect();
                let retry = if *retried { retry } else { json!([]) };
                json!({ "Type": "Parallel", "Branches": branches, "Retry": retry, "ResultPath": "$.r", "Next": next })
            }
            Shape::Map(machine, concurrency, retried) => {
                let retry = if *retried { retry } else { json!([]) };
                json!({
                    "Type": "Map",
                    "ItemsPath": "$$.Execution.Input.items",
                    "ItemSelector": { "v.$": "$$.Map.Item.Value", "items": [1] },
                    "ItemProcessor": self.machine(machine),
                    "MaxConcurrency": concurrency,
                    "Retry": retry,
                    "ResultPath": "$.r",
                    "Next": next,
                })
            }
        }
    }
}

fn program(shapes: &[Shape]) -> Program {
    let definition = Writer::default().machine(shapes);
    let checked = check(&definition.to_string(), WorkflowType::Standard);
    assert_eq!(checked.diagnostics, [], "{definition}");
    checked.program.expect("everything in it can run")
}

struct Ended {
    history: Vec<Value>,
    /// Answers given a second time that were taken.
    taken_twice: usize,
}

/// Runs to the end, each decision taken from `choices` in turn.
fn run(program: &Program, choices: &[u8]) -> Ended {
    let input = json!({ "items": [1, "b", null], "x": 1 });
    let started_at = Timestamp::from_milliseconds(0);
    let facts = ExecutionFacts {
        id: "arn:aws:states:us-east-1:000000000000:execution:m:e".to_owned(),
        name: "e".to_owned(),
        role_arn: "arn:aws:iam::000000000000:role/r".to_owned(),
        started_at,
        input: input.clone(),
        redrive: None,
        state_machine_id: "arn:aws:states:us-east-1:000000000000:stateMachine:m".to_owned(),
        state_machine_name: "m".to_owned(),
    };
    let limits = Limits { history_events_max: 2_000, ..Limits::default() };
    let mut execution = Rehearsal::start(program, facts, input.to_string(), limits, started_at, [3; 32]);
    let mut choices = choices.iter().cycle().copied();
    let mut open: Vec<ScheduledTask> = Vec::new();
    let mut taken_twice = 0;
    while execution.outcome().is_none() {
        while let Some(task) = execution.next_task() {
            open.push(task);
        }
        let choice = choices.next().unwrap();
        if choice % 3 > 0 && execution.ready() > 0 {
            execution.step_in_order(usize::from(choice / 3));
        } else if choice % 2 > 0 && !open.is_empty() {
            let task = open.swap_remove(usize::from(choice) % open.len());
            let answer = || match choice % 5 {
                0 => Answer::Failed(Failure::new("Custom", "asked for")),
                _ => Answer::Succeeded(json!({ "x": choice })),
            };
            // Stale where a time-out or a sibling's failure came first.
            let first = execution.answer(&task, answer());
            taken_twice += usize::from(first.is_ok() && execution.answer(&task, answer()) != Err(StaleEvent));
        } else if let Some(at) = execution.next_timer() {
            execution.advance(at);
        }
    }
    assert!(!execution.step() && execution.ready() == 0, "something is left after the end");
    Ended { history: execution.history(), taken_twice }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn every_order_of_events_gives_a_sound_history(shapes in vec(shape(), 1..6), choices in vec(any::<u8>(), 16..64)) {
        let program = program(&shapes);
        // Every kind of decision comes up in each cycle, so each run ends.
        let choices: Vec<u8> = choices.into_iter().chain([1, 2, 3, 4, 5, 6, 9]).collect();
        let ended = run(&program, &choices);
        prop_assert_eq!(ended.taken_twice, 0, "an answer was taken twice");
        let history = &ended.history;
        for (id, event) in (1..).zip(history) {
            prop_assert_eq!(event["id"].as_u64(), Some(id), "ids are consecutive");
            prop_assert!(event["previousEventId"].as_u64().unwrap() < id, "an event follows a later one");
        }
        let ends: Vec<usize> = (0..history.len())
            .filter(|place| {
                let kind = history[*place]["type"].as_str().unwrap();
                matches!(kind, "ExecutionSucceeded" | "ExecutionFailed")
            })
            .collect();
        prop_assert_eq!(ends, [history.len() - 1], "the end is the last event, once");
        prop_assert!(entered_states_are_left_or_aborted(history));
    }

    #[test]
    fn the_same_events_give_the_same_history(shapes in vec(shape(), 1..5), choices in vec(any::<u8>(), 16..32)) {
        let program = program(&shapes);
        let choices: Vec<u8> = choices.into_iter().chain([1, 2, 3, 4, 5, 6, 9]).collect();
        prop_assert_eq!(run(&program, &choices).history, run(&program, &choices).history);
    }
}

/// In an execution that succeeded, no state is left open but through a failure.
fn entered_states_are_left_or_aborted(history: &[Value]) -> bool {
    let kinds: Vec<&str> = history.iter().map(|event| event["type"].as_str().unwrap()).collect();
    let fails = |kind: &&str| kind.ends_with("Failed") || kind.ends_with("TimedOut");
    if kinds.last() != Some(&"ExecutionSucceeded") || kinds.iter().any(fails) {
        return true;
    }
    let count = |suffix: &str| kinds.iter().filter(|kind| kind.ends_with(suffix)).count();
    count("StateEntered") == count("StateExited")
        && count("MapIterationStarted") == count("MapIterationSucceeded")
}

#[test]
fn a_definition_never_takes_two_states_for_one() {
    let shapes = [Shape::Map(vec![Shape::Parallel(vec![vec![Shape::Choice]], true)], 2, false)];
    let program = program(&shapes);
    let names: BTreeSet<&str> = program.states.iter().map(|state| &*state.name).collect();
    assert_eq!(names.len(), program.states.len());
}

#[test]
fn a_value_that_grows_deeper_with_each_turn_ends_at_the_limit() {
    let program = check(
        &json!({ "StartAt": "A", "States": {
            "A": { "Type": "Pass", "Parameters": { "a.$": "$" }, "Next": "C" },
            "C": {
                "Type": "Choice",
                "Choices": [{ "Variable": "$.never", "IsPresent": true, "Next": "B" }],
                "Default": "A",
            },
            "B": { "Type": "Succeed" },
        } })
        .to_string(),
        WorkflowType::Standard,
    );
    let ended = run(&program.program.expect("it can run"), &[1]);
    let last = ended.history.last().unwrap();
    assert_eq!(last["executionFailedEventDetails"]["error"], "States.DataLimitExceeded", "{last}");
}
