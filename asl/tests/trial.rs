//! One state by itself.

use asl::branch::{Answer, Progress, Setting, Tick, Trial, Verdict};
use asl::data::context::ExecutionFacts;
use asl::data::steps::Step;
use asl::data::timestamp::Timestamp;
use asl::data::{Failure, Variables};
use asl::definition::{STATE_ALONE, check_state_alone};
use asl::limits::Limits;
use asl::program::{Program, StateId};
use serde_json::{Value, json};

/// What a trial comes to.
struct Tried {
    progress: Progress,
    steps: Vec<(Step, Value)>,
    variables: Vec<String>,
}

impl Tried {
    fn step(&self, step: Step) -> Option<&Value> {
        self.steps.iter().find(|(known, _)| *known == step).map(|(_, value)| value)
    }

    fn verdict(&self) -> &Verdict {
        match &self.progress {
            Progress::Over(verdict) => verdict,
            other => panic!("it is not over: {other:?}"),
        }
    }
}

fn compiled(state: &Value) -> (Program, StateId) {
    let program = check_state_alone(&state.to_string()).program.expect("the state is right");
    let at = program.states.iter().position(|state| &*state.name == STATE_ALONE).expect("the state is there");
    (program, StateId(u32::try_from(at).expect("few states")))
}

fn tried(state: Value, input: Value, retries: u32, answer: Option<Answer>) -> Tried {
    let (program, id) = compiled(&state);
    let now = Timestamp::from_milliseconds(1_700_000_000_000);
    let facts = ExecutionFacts {
        id: "arn:aws:states:us-east-1:000000000000:express:m:e".to_owned(),
        name: "e".to_owned(),
        role_arn: String::new(),
        started_at: now,
        input: Value::Null,
        redrive: None,
        state_machine_id: String::new(),
        state_machine_name: String::new(),
    };
    let setting = Setting { context: json!({"Given": 1}), items: Some(json!(["x", "y"])) };
    let tick = Tick { now, seed: [7; 32], task_token: "token".to_owned(), activity_missing: false };
    let mut trial = Trial::new(&program, id, &facts, &setting, &Limits::default(), tick, retries);
    let variables: Variables = [("known".to_owned(), json!(5))].into_iter().collect();
    let mut progress = trial.begin(input, variables);
    if let Some(answer) = answer {
        progress = trial.answer(answer).expect("something was asked for");
    }
    let variables = trial.variables().iter().map(|(name, value)| format!("{name}={value}")).collect();
    Tried { progress, steps: trial.steps().to_vec(), variables }
}

fn failed(error: &str) -> Option<Answer> {
    Some(Answer::Failed(Failure::new(error, "why")))
}

fn task(more: Value) -> Value {
    let mut state = json!({"Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage", "End": true});
    if let (Value::Object(state), Value::Object(more)) = (&mut state, more) {
        state.extend(more);
    }
    state
}

#[test]
fn each_step_of_the_data_is_seen() {
    let state = json!({
        "Type": "Pass", "InputPath": "$.a", "Parameters": {"b.$": "$.b", "given.$": "$$.Given"},
        "ResultPath": "$.r", "OutputPath": "$.r", "Next": "Elsewhere",
    });
    let tried = tried(state, json!({"a": {"b": 2}}), 0, None);
    assert_eq!(tried.step(Step::AfterInputPath), Some(&json!({"b": 2})));
    let made = json!({"b": 2, "given": 1});
    assert_eq!(tried.step(Step::AfterParameters), Some(&made));
    assert_eq!(tried.step(Step::AfterResultSelector), Some(&made));
    assert_eq!(tried.step(Step::AfterResultPath), Some(&json!({"a": {"b": 2}, "r": made})));
    assert_eq!(tried.verdict(), &Verdict::Succeeded { output: made.clone(), next: Some("Elsewhere".into()) });
}

#[test]
fn a_task_is_made_and_waits_for_its_answer() {
    let state = task(json!({
        "QueryLanguage": "JSONata", "Arguments": {"n": "{% $known + 1 %}"},
        "Assign": {"new": "{% $states.result.id %}"}, "Output": "{% $states.result %}",
    }));
    let asked = tried(state.clone(), json!({}), 0, None);
    assert!(matches!(&asked.progress, Progress::Task(request) if request.parameters == json!({"n": 6})));
    let ended = tried(state, json!({}), 0, Some(Answer::Succeeded(json!({"id": "m"}))));
    assert_eq!(ended.step(Step::AfterArguments), Some(&json!({"n": 6})));
    assert_eq!(ended.step(Step::Result), Some(&json!({"id": "m"})));
    assert_eq!(ended.variables, ["known=5", "new=\"m\""]);
    assert_eq!(ended.verdict(), &Verdict::Succeeded { output: json!({"id": "m"}), next: None });
}

#[test]
fn a_failure_is_retried_caught_or_the_end() {
    let state = task(json!({
        "Retry": [
            {"ErrorEquals": ["Other"]},
            {"ErrorEquals": ["Busy"], "IntervalSeconds": 3, "BackoffRate": 2, "MaxAttempts": 2},
        ],
        "Catch": [{"ErrorEquals": ["Lost"], "ResultPath": "$.e", "Next": "Found"}],
    }));
    let verdict =
        |retries, error| match tried(state.clone(), json!({"i": 1}), retries, failed(error)).progress {
            Progress::Over(verdict) => verdict,
            other => panic!("{other:?}"),
        };
    let failure = |error: &str| Failure::new(error, "why");
    assert_eq!(verdict(1, "Busy"), Verdict::Retriable { failure: failure("Busy"), retrier: 1, seconds: 6 });
    assert_eq!(verdict(2, "Busy"), Verdict::Failed { failure: failure("Busy"), retrier: Some(1) });
    assert_eq!(verdict(0, "Strange"), Verdict::Failed { failure: failure("Strange"), retrier: None });
    assert_eq!(
        verdict(0, "Lost"),
        Verdict::Caught {
            failure: failure("Lost"),
            retrier: None,
            catcher: 0,
            output: json!({"i": 1, "e": {"Error": "Lost", "Cause": "why"}}),
            next: Some("Found".into()),
        }
    );
}

#[test]
fn what_is_wrong_with_the_data_is_told_without_a_place() {
    let map = json!({"Type": "Map", "ItemsPath": "$.n", "End": true, "ItemProcessor": {
        "StartAt": "I", "States": {"I": {"Type": "Succeed"}}}});
    let tried = tried(map, json!({"n": 1}), 0, None);
    let cause = "Reference path \"$.n\" must point to array.";
    assert_eq!(tried.verdict(), &Verdict::Failed { failure: Failure::runtime(cause), retrier: None });
    assert_eq!((tried.step(Step::AfterItemsPath), tried.step(Step::MaxConcurrency)), (None, None));
}

#[test]
fn all_iterations_are_played_at_once() {
    let map = |mode: Value| {
        json!({
            "Type": "Map", "MaxConcurrency": 3, "ToleratedFailureCount": 1, "End": true,
            "ItemSelector": {"it.$": "$$.Map.Item.Value"}, "ResultPath": "$.all",
            "ItemProcessor": {"ProcessorConfig": mode, "StartAt": "I", "States": {"I": {"Type": "Succeed"}}},
        })
    };
    let inline = tried(map(json!({"Mode": "INLINE"})), json!([]), 0, None);
    assert_eq!(inline.progress, Progress::Fork { children: 0 }, "also none are played");
    let mut state = map(json!({"Mode": "DISTRIBUTED", "ExecutionType": "EXPRESS"}));
    state["ItemReader"] = json!({
        "Resource": "arn:aws:states:::s3:getObject", "ReaderConfig": {"InputType": "JSON"},
        "Parameters": {"Bucket": "b", "Key": "k"},
    });
    let read = tried(state, json!({"k": 1}), 0, Some(Answer::Succeeded(json!([8, 9]))));
    assert_eq!(read.step(Step::AfterItemSelector), Some(&json!([{"it": "x"}, {"it": "y"}])));
    assert_eq!(read.step(Step::MaxConcurrency), Some(&json!(3)));
    assert_eq!(read.step(Step::ToleratedFailureCount), Some(&json!(1)));
    assert_eq!(read.verdict(), &Verdict::Succeeded { output: json!({"k": 1, "all": [8, 9]}), next: None });
}

#[test]
fn a_wait_says_how_long_it_is() {
    let waits = tried(json!({"Type": "Wait", "Seconds": 90, "End": true}), json!(1), 0, None);
    assert_eq!(waits.progress, Progress::Wait { seconds: 90.0 });
}

/// A definition of a few kilobytes must not hold an engine, and nothing may come of what was cut short.
#[test]
fn what_the_expressions_of_a_state_take_together_is_bounded() {
    let numbers: Vec<u32> = (0..20_000).collect();
    let contains: Value =
        (0..400).map(|place| (format!("f{place}.$"), json!("States.ArrayContains($.v, 70000)"))).collect();
    let states = [
        json!({"Type": "Pass", "Parameters": contains, "End": true}),
        json!({
            "Type": "Map", "ItemsPath": "$.v", "ItemSelector": {"a.$": "States.ArrayLength($.v)"}, "End": true,
            "ItemProcessor": {"StartAt": "I", "States": {"I": {"Type": "Succeed"}}},
        }),
    ];
    for state in states {
        let tried = tried(state, json!({"v": numbers}), 0, None);
        let cause = "The expressions of the state take too many steps together.";
        assert_eq!(tried.verdict(), &Verdict::Failed { failure: Failure::runtime(cause), retrier: None });
    }
}
