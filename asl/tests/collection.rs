//! Definitions that others wrote. They are not part of this repository: `make collection DEFINITIONS=FOLDER` checks
//! those that lie in a folder, and runs them with empty answers.

use std::path::{Path, PathBuf};

use asl::branch::Answer;
use asl::data::context::ExecutionFacts;
use asl::data::timestamp::Timestamp;
use asl::definition::{WorkflowType, check};
use asl::limits::Limits;
use asl::program::Program;
use asl::rehearsal::Rehearsal;
use serde_json::{Value, json};

/// Moves after which a definition is taken for one that waits for something that an empty answer never says.
const MOVES_MAX: usize = 2_000;

/// All files of JSON in a folder and below.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.expect("an entry of the folder can be read").path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|extension| extension == "json") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The text with something plausible in the place of each `${Name}` that a deployment would fill in.
fn filled_in(text: &str) -> String {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, (name, behind))) =
        rest.split_once("${").and_then(|(before, behind)| Some((before, behind.split_once('}')?)))
    {
        filled.push_str(before);
        let key = before.strip_suffix('"').map(str::trim_end);
        filled.push_str(match key {
            _ if name.to_ascii_lowercase().contains("partition") => "aws",
            Some(key) if key.ends_with("\"Resource\":") => {
                "arn:aws:lambda:us-east-1:123456789012:function:filled-in"
            }
            None if before.ends_with(": ") => "1",
            _ => "filled-in",
        });
        rest = behind;
    }
    filled + rest
}

/// Whether it comes to an end when every task succeeds with an empty object.
fn ends(program: &Program) -> bool {
    let started_at = Timestamp::from_milliseconds(1_700_000_000_000);
    let facts = ExecutionFacts {
        id: "arn:aws:states:us-east-1:123456789012:execution:machine:run".to_owned(),
        name: "run".to_owned(),
        role_arn: "arn:aws:iam::123456789012:role/role".to_owned(),
        started_at,
        input: json!({}),
        redrive: None,
        state_machine_id: "arn:aws:states:us-east-1:123456789012:stateMachine:machine".to_owned(),
        state_machine_name: "machine".to_owned(),
    };
    let mut run = Rehearsal::start(program, facts, "{}".to_owned(), Limits::default(), started_at, [7; 32]);
    for _ in 0..MOVES_MAX {
        if run.outcome().is_some() {
            return true;
        }
        if run.step() {
            continue;
        }
        if let Some(task) = run.next_task() {
            run.answer(&task, Answer::Succeeded(json!({}))).expect("the branch waits for its task");
        } else {
            run.advance(run.next_timer().expect("what waits for no task waits for time"));
        }
    }
    false
}

#[test]
#[ignore = "the definitions are not part of this repository: `make collection DEFINITIONS=FOLDER`"]
fn definitions_of_others_are_accepted() {
    let folder = std::env::var_os("WARREN_DEFINITIONS").expect("it says where the definitions lie");
    let (mut all, mut refused, mut later, mut ended) = (0, 0, 0, 0);
    for path in files(Path::new(&folder)) {
        let text = filled_in(&std::fs::read_to_string(&path).expect("a definition is text"));
        let is_definition = serde_json::from_str::<Value>(&text)
            .map_or(text.contains("\"StartAt\""), |value| value.get("States").is_some());
        if !is_definition {
            continue;
        }
        all += 1;
        let checked = check(&text, WorkflowType::Standard);
        for error in checked.errors() {
            println!("{}: {error}", path.display());
        }
        refused += usize::from(checked.errors().next().is_some());
        later += usize::from(!checked.unsupported.is_empty());
        ended += usize::from(checked.program.is_some_and(|program| ends(&program)));
    }
    println!("{all} definitions: {refused} refused, {later} cannot run yet, {ended} came to an end");
    assert!(all > 0, "there is no definition in the folder");
    assert_eq!(refused, 0);
}

#[test]
fn what_a_deployment_fills_in_is_filled_in() {
    let text = "{\n\"Resource\": \"${A}\", \"Seconds\": ${B}, \"X\": \"s3://${C}/d\", \"Resource\": \"arn:${Partition}:x\"}";
    let filled = filled_in(text);
    assert_eq!(
        filled,
        "{\n\"Resource\": \"arn:aws:lambda:us-east-1:123456789012:function:filled-in\", \"Seconds\": 1, \"X\": \"s3://filled-in/d\", \"Resource\": \"arn:aws:x\"}"
    );
}
