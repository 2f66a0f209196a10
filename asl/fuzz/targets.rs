//! What is fuzzed: entrances of the language that take text from anybody. None may panic, hang, or take
//! memory out of proportion. Shared by the fuzzers and by the test that replays their corpus.

use asl::branch::Answer;
use asl::data::context::ExecutionFacts;
use asl::data::path::{Path, ReferencePath};
use asl::data::timestamp::Timestamp;
use asl::definition::{WorkflowType, check};
use asl::limits::Limits;
use asl::rehearsal::Rehearsal;
use serde_json::{Value, json};

/// Transitions of one fuzzed execution: a definition may loop for ever.
const STEPS_MAX: usize = 500;

/// Any text as a definition.
pub fn definition(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    for workflow in [WorkflowType::Standard, WorkflowType::Express] {
        let checked = check(text, workflow);
        assert!(
            checked.program.is_some() || !checked.diagnostics.is_empty() || !checked.unsupported.is_empty(),
            "refused without a reason"
        );
    }
}

/// A path in the first line, a document in the rest.
pub fn jsonpath(data: &[u8]) {
    let Some((path, document)) = std::str::from_utf8(data).ok().and_then(|text| text.split_once('\n')) else {
        return;
    };
    let Ok(mut document) = asl::data::json::parse(document) else { return };
    if let Ok(path) = Path::parse(path) {
        let _ = path.evaluate(&document);
    }
    if let Ok(path) = ReferencePath::parse(path)
        && path.write(&mut document, json!(1)).is_ok()
    {
        assert_eq!(path.evaluate(&document).as_deref(), Ok(&json!(1)));
    }
}

/// An input in the first line, a definition in the rest: runs it, every task answered with its input.
pub fn execution(data: &[u8]) {
    let Some((input, definition)) = std::str::from_utf8(data).ok().and_then(|text| text.split_once('\n'))
    else {
        return;
    };
    let Ok(input) = asl::data::json::parse(input) else { return };
    let Some(program) = check(definition, WorkflowType::Standard).program else { return };
    let facts = ExecutionFacts {
        id: "arn:aws:states:us-east-1:000000000000:execution:m:e".to_owned(),
        name: "e".to_owned(),
        role_arn: String::new(),
        started_at: Timestamp::from_milliseconds(0),
        input: input.clone(),
        redrive: None,
        state_machine_id: "arn:aws:states:us-east-1:000000000000:stateMachine:m".to_owned(),
        state_machine_name: "m".to_owned(),
    };
    let limits = Limits { history_events_max: 300, payload_bytes_max: 10_000, ..Limits::default() };
    let mut run = Rehearsal::start(&program, facts, input.to_string(), limits, Timestamp::default(), [1; 32]);
    for _ in 0..STEPS_MAX {
        if run.outcome().is_some() {
            break;
        }
        if run.step() {
            continue;
        }
        if let Some(task) = run.next_task() {
            let answer = Answer::Succeeded(task.request.parameters.clone());
            let _ = run.answer(&task, answer);
        } else if let Some(at) = run.next_timer() {
            run.advance(at);
        } else {
            panic!("the execution waits for something that never comes");
        }
    }
    assert!(run.history().len() as u64 <= 300);
    let _: Vec<Value> = run.history();
}
