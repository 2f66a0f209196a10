//! The command line, as its users see it: what is printed, where, and the exit code.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

#[path = "cli/mock_config_files.rs"]
mod mock_config_files;
#[path = "cli/testing.rs"]
mod testing;

/// What a command answered.
struct Ran {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

/// A directory with files, and the binary in it.
struct Place(TempDir);

impl Place {
    fn with(files: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(directory.path().join(name), text).unwrap();
        }
        Place(directory)
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.0.path().join(name)).unwrap()
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        self.run_with(arguments, &[], "")
    }

    fn run_with(&self, arguments: &[&str], environment: &[(&str, &str)], input: &str) -> Ran {
        let mut child = Command::new(env!("CARGO_BIN_EXE_warren"))
            .args(arguments)
            .envs(environment.iter().copied())
            .current_dir(self.0.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A command that does not read its input may be gone already.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let output = child.wait_with_output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Ran { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

impl Ran {
    fn last_line(&self) -> &str {
        self.stdout.lines().last().unwrap_or_default()
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap()
    }
}

/// Runs a command and checks its exit code and what it prints on either stream.
fn check(place: &Place, arguments: &[&str], code: i32, says: &[&str]) -> Ran {
    let ran = place.run(arguments);
    let printed = format!("{}{}", ran.stdout, ran.stderr);
    assert_eq!(ran.code, Some(code), "{arguments:?}: {printed}");
    for text in says {
        assert!(printed.contains(text), "{arguments:?} does not say {text:?}: {printed}");
    }
    ran
}

const PASS: &str = r#"{"StartAt": "A", "States": {"A": {"Type": "Pass", "End": true}}}"#;
const FAIL: &str = r#"{"StartAt": "A", "States": {"A": {"Type": "Fail", "Error": "E", "Cause": "c"}}}"#;
const WAIT: &str = r#"{"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 3600, "End": true}}}"#;
const BAD: &str =
    "{\n  \"StartAt\": \"A\",\n  \"States\": {\n    \"A\": {\"Type\": \"Pass\", \"Next\": \"B\"}\n  }\n}\n";
const FUNCTION: &str = "arn:aws:lambda:us-east-1:000000000000:function:f";
const ACTIVITY: &str = "arn:aws:states:us-east-1:000000000000:activity:a";

/// One Task that is tried three times.
fn task(resource: &str) -> String {
    json!({"StartAt": "T", "States": {"T": {
        "Type": "Task", "Resource": resource, "Parameters": {}, "End": true,
        "Retry": [{"ErrorEquals": ["Busy"], "IntervalSeconds": 600, "MaxAttempts": 2}],
    }}})
    .to_string()
}

#[test]
fn wrong_usage_is_2() {
    let place = Place::with(&[]);
    check(&place, &[], 2, &["Usage:"]);
    check(&place, &["nonsense"], 2, &["nonsense"]);
    check(&place, &["run", "absent.json"], 2, &["failed to read absent.json"]);
    check(&place, &["validate"], 2, &["<FILE>"]);
    let worker = ["worker", "--activity", "a", "--exec", "cat", "--endpoint", "nowhere"];
    check(&place, &worker, 2, &["is not a URL"]);
    check(&place, &["demo", "--endpoint", "nowhere"], 2, &["is not a URL"]);
    check(&place, &["demo", "--endpoint", "http://127.0.0.1:9"], 1, &["failed to reach"]);
}

#[test]
fn the_version_and_completions_are_printed() {
    let place = Place::with(&[]);
    check(&place, &["--version"], 0, &[concat!("warren ", env!("CARGO_PKG_VERSION"))]);
    for shell in ["bash", "zsh", "fish"] {
        check(&place, &["completions", shell], 0, &["validate", "completions", "replay", "coverage-min"]);
    }
}

#[test]
fn a_problem_is_drawn_under_its_line() {
    let place = Place::with(&[("bad.json", BAD), ("good.json", PASS)]);
    let says = ["good.json: valid", "bad.json: 2 errors", "Missing 'Next' target: B"];
    let ran = check(&place, &["validate", "bad.json", "good.json"], 1, &says);
    let drawn = [
        "   ╭─[bad.json:4:35]",
        " 3 │   \"States\": {",
        " 4 │     \"A\": {\"Type\": \"Pass\", \"Next\": \"B\"}",
        "   ·                                   ─┬─",
    ];
    assert!(ran.stdout.contains(&drawn.join("\n")), "{}", ran.stdout);
    assert!(!ran.stdout.contains('\u{1b}'), "colours are for terminals");
}

#[test]
fn a_long_line_is_shown_in_part() {
    let comment = format!("\"Comment\": \"{}\", \"StartAt\"", "x".repeat(5000));
    let long = BAD.replace('\n', " ").replace("\"StartAt\"", &comment);
    let ran = check(&Place::with(&[("bad.json", &long)]), &["validate", "bad.json"], 1, &["[bad.json:1:5"]);
    assert!(ran.stdout.lines().all(|line| line.chars().count() < 200), "{}", ran.stdout);
}

#[test]
fn broken_json_is_drawn_where_it_breaks() {
    let place = Place::with(&[("broken.json", "{\n  \"StartAt\": tru\n}")]);
    let says = ["INVALID_JSON_DESCRIPTION", "[broken.json:2:16]"];
    let ran = check(&place, &["validate", "broken.json"], 1, &says);
    assert_eq!(ran.stdout.matches("StartAt").count(), 1, "{}", ran.stdout);
}

#[test]
fn diagnostics_are_printed_as_json_with_their_place() {
    let place = Place::with(&[("bad.json", BAD)]);
    let printed = check(&place, &["validate", "bad.json", "--json"], 1, &[]).json();
    let expected = json!({
        "severity": "ERROR", "code": "MISSING_TRANSITION_TARGET", "message": "Missing 'Next' target: B",
        "location": "/States/A/Next", "line": 4, "column": 35, "file": "bad.json",
    });
    assert_eq!((&printed["result"], &printed["diagnostics"][0]), (&json!("FAIL"), &expected));

    let ran = place.run_with(&["validate", "-", "--json"], &[], PASS);
    assert_eq!(ran.json(), json!({"result": "OK", "diagnostics": []}));
}

#[test]
fn the_type_decides_what_is_right() {
    let place = Place::with(&[("m.json", &task("arn:aws:states:::sqs:sendMessage.waitForTaskToken"))]);
    check(&place, &["validate", "m.json"], 0, &["valid"]);
    check(&place, &["validate", "m.json", "--type", "EXPRESS"], 1, &["1 error"]);
}

#[test]
fn what_cannot_run_yet_is_valid_with_a_warning() {
    let distributed = r#"{"StartAt": "A", "States": {"A": {"Type": "Map", "End": true, "ItemProcessor": {
        "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
        "StartAt": "I", "States": {"I": {"Type": "Succeed"}}}}}}"#;
    let place = Place::with(&[("m.json", distributed)]);
    check(&place, &["validate", "m.json"], 0, &["valid, but Warren cannot run", "m.json: valid, 1 warning"]);
    check(&place, &["run", "m.json"], 1, &["valid, but Warren cannot run"]);
}

#[test]
fn yaml_is_refused_by_name() {
    let place = Place::with(&[("m.yaml", "StartAt: A\n")]);
    check(&place, &["validate", "m.yaml"], 2, &["YAML are not supported"]);
    check(&place, &["run", "m.yaml"], 2, &["YAML are not supported"]);
}

#[test]
fn a_run_ends_with_its_output() {
    let place = Place::with(&[("pass.json", PASS), ("fail.json", FAIL), ("input.json", r#"{"b": [1.0]}"#)]);
    let says = ["PassStateEntered  A", "SUCCEEDED"];
    let ran = check(&place, &["run", "pass.json", "--input", "@input.json"], 0, &says);
    assert_eq!(ran.last_line(), r#"{"b":[1.0]}"#);
    let ran = place.run_with(&["run", "pass.json", "--input", "-"], &[], "[2]");
    assert_eq!(ran.last_line(), "[2]");
    check(&place, &["run", "fail.json"], 1, &["FAILED", "E: c"]);
    check(&place, &["run", "pass.json", "--input", "{"], 2, &["--input is not JSON"]);
}

#[test]
fn the_history_is_that_of_get_execution_history() {
    let place = Place::with(&[("pass.json", PASS)]);
    let history = check(&place, &["run", "pass.json", "--input", "{\"a\":1}", "--json"], 0, &[]).json();
    let types: Vec<_> =
        history.as_array().unwrap().iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["ExecutionStarted", "PassStateEntered", "PassStateExited", "ExecutionSucceeded"]);
    assert_eq!(history[3]["previousEventId"], 3);
    assert_eq!(history[0]["executionStartedEventDetails"]["input"], "{\"a\":1}");
}

#[test]
fn with_mocks_attempts_follow_each_other_and_time_jumps() {
    let mocks = json!({"T": {
        "0-1": {"Throw": {"Error": "Busy", "Cause": "come back later"}}, "2": {"Return": {"ok": true}},
    }});
    for resource in [FUNCTION, ACTIVITY, "arn:aws:states:::sqs:sendMessage.waitForTaskToken"] {
        let place = Place::with(&[("m.json", &task(resource)), ("mocks.json", &mocks.to_string())]);
        // 600 s, then twice that.
        let says = ["Busy: come back later", "SUCCEEDED after 1800.000 s"];
        let ran = check(&place, &["run", "m.json", "--mock", "mocks.json"], 0, &says);
        assert_eq!(ran.last_line(), r#"{"ok":true}"#);
    }
}

#[test]
fn each_iteration_has_attempts_of_its_own() {
    let inner: Value = serde_json::from_str(&task(FUNCTION)).unwrap();
    let map = json!({"StartAt": "M", "States": {"M": {"Type": "Map", "ItemProcessor": inner, "End": true}}});
    let mocks = json!({"T": {"0": {"Throw": {"Error": "Busy"}}, "1": {"Return": 7}}});
    let place = Place::with(&[("m.json", &map.to_string()), ("mocks.json", &mocks.to_string())]);
    let arguments = ["run", "m.json", "--mock", "mocks.json", "--input", "[1, 2]"];
    assert_eq!(check(&place, &arguments, 0, &["after 600.000 s"]).last_line(), "[7,7]");
}

#[test]
fn a_task_without_an_answer_names_the_fix() {
    let mocks = json!({"T": {"0": {"Throw": {"Error": "Busy"}}}}).to_string();
    let (function, activity) = (task(FUNCTION), task(ACTIVITY));
    let place = Place::with(&[("f.json", &function), ("a.json", &activity), ("mocks.json", &mocks)]);
    check(&place, &["run", "a.json"], 1, &["'T'", "--mock", r#"{"T":{"0":{"Return":{}}}}"#]);
    check(&place, &["run", "f.json"], 1, &["--mock", "[functions.f]"]);
    check(&place, &["run", "f.json", "--mock", "mocks.json"], 1, &["ends before attempt 1"]);
}

#[test]
fn bad_mocks_are_wrong_usage() {
    let cases = [
        (json!({"X": {}}), "the definition has no state 'X'"),
        (json!({"T": {"0": {"Retrun": 1}}}), "needs \"Return\" or \"Throw\""),
        (json!({"MockedResponses": {}, "StateMachines": {}}), "it has no state machine 'm'; it has none"),
    ];
    for (mocks, says) in cases {
        let place = Place::with(&[("m.json", &task(FUNCTION)), ("mocks.json", &mocks.to_string())]);
        check(&place, &["run", "m.json", "--mock", "mocks.json"], 2, &["mocks.json: ", says]);
    }
    let place = Place::with(&[("m.json", PASS), ("mocks.json", r#"{"A": {}}"#)]);
    check(&place, &["run", "m.json", "--mock", "mocks.json"], 2, &["'A' is a Pass state"]);
}

#[test]
fn functions_are_called_as_configured() {
    let file = "[functions.f]\ncommand = \"cat\"";
    let place = Place::with(&[("m.json", &task(FUNCTION)), ("warren.toml", file), ("other.toml", "")]);
    let ran = check(&place, &["run", "m.json"], 0, &["LambdaFunctionSucceeded"]);
    assert_eq!(ran.last_line(), "{}");
    check(&place, &["run", "m.json", "--config", "other.toml"], 1, &["[functions.f]"]);
}

#[test]
fn what_takes_too_long_is_3() {
    let limited = WAIT.replacen('{', "{\"TimeoutSeconds\": 5, ", 1);
    let place = Place::with(&[("wait.json", WAIT), ("limited.json", &limited), ("none.json", "{}")]);
    let run = |file: &'static str| ["run", file, "--mock", "none.json"].to_vec();
    check(&place, &run("wait.json"), 0, &["SUCCEEDED after 3600.000 s"]);
    check(&place, &[run("wait.json"), vec!["--timeout", "9"]].concat(), 3, &["still runs after 9 s"]);
    check(&place, &run("limited.json"), 3, &["TIMED_OUT after 5.000 s"]);
    let history = check(&place, &[run("limited.json"), vec!["--json"]].concat(), 3, &[]).json();
    assert_eq!(history.as_array().unwrap().last().unwrap()["type"], "ExecutionTimedOut");
}

#[test]
fn a_bad_configuration_is_wrong_usage() {
    let place = Place::with(&[("m.json", PASS), ("warren.toml", "[limits]\nhistory_max = 1")]);
    check(&place, &["run", "m.json"], 2, &["unknown key `limits.history_max` in warren.toml"]);
    check(&place, &["dev", "--config", "absent.toml"], 2, &["failed to read absent.toml"]);
    let place = Place::with(&[("m.json", PASS)]);
    let ran = place.run_with(&["run", "m.json"], &[("WARREN__SERVER__PROT", "1")], "");
    assert_eq!(ran.code, Some(2));
    assert!(
        ran.stderr.contains("unknown key `server.prot` in the environment variable WARREN__SERVER__PROT")
    );
}

/// A key, and a connection whose password was sealed under it.
const KEY: [(&str, &str); 1] = [("WARREN__SECRETS__KEY", "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=")];

fn connection(password: &str) -> String {
    format!("[connections.shop.basic]\nusername = 'u'\npassword = '{password}'\n")
}

#[test]
fn a_secret_is_sealed_from_standard_input_and_opened_at_a_start() {
    let place = Place::with(&[]);
    let seal = |input: &str| place.run_with(&["connection", "seal"], &KEY, input);
    let (first, second) = (seal("correct horse\n"), seal("correct horse"));
    assert_eq!((first.code, second.code), (Some(0), Some(0)), "{}{}", first.stderr, second.stderr);
    assert!(first.last_line().starts_with("warren-sealed.1:") && first.stdout.lines().count() == 1);
    assert_ne!(first.stdout, second.stdout);

    let place = Place::with(&[("warren.toml", &connection(first.last_line()))]);
    for command in [["dev", "--port", "0"], ["serve", "--port", "0"]] {
        check(&place, &command, 2, &["`connections.shop.basic.password`", "`secrets.key`"]);
        let other = [("WARREN__SECRETS__KEY", &*"08".repeat(32))];
        let ran = place.run_with(&command, &other, "");
        assert_eq!(ran.code, Some(2));
        assert!(
            ran.stderr.contains("it was sealed under another key, or was changed since"),
            "{}",
            ran.stderr
        );
    }
    let ran = place.run_with(&["config", "explain"], &KEY, "");
    assert!(!ran.stdout.contains("warren-sealed") && !ran.stdout.contains(KEY[0].1), "{}", ran.stdout);
    assert!(ran.stdout.contains("connections.shop.basic.username"), "{}", ran.stdout);
}

#[test]
fn a_key_can_be_in_a_file_of_its_own() {
    let place = Place::with(&[("key", &format!("{}\n", "07".repeat(32)))]);
    let variables = [("WARREN__SECRETS__KEY_FILE", "key")];
    assert_eq!(place.run_with(&["connection", "seal"], &variables, "x").code, Some(0));
    let missing = place.run_with(&["connection", "seal"], &[("WARREN__SECRETS__KEY_FILE", "absent")], "x");
    assert_eq!(missing.code, Some(2));
    assert!(missing.stderr.contains("failed to read the key of secrets in absent"), "{}", missing.stderr);
}

#[test]
fn what_cannot_be_sealed_is_told() {
    let place = Place::with(&[]);
    check(&place, &["connection", "seal"], 2, &["there is no key to seal with", "openssl rand -base64 32"]);
    let empty = place.run_with(&["connection", "seal"], &KEY, "\n");
    assert_eq!((empty.code, empty.stdout.as_str()), (Some(2), ""));
    let long = place.run_with(&["connection", "seal"], &KEY, &"x".repeat(65_537));
    assert!(long.code == Some(2) && long.stderr.contains("more than 65536 bytes"), "{}", long.stderr);
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let place = Place::with(&[("pass.json", PASS)]);
    let line =
        format!("{} run pass.json --json | true; exit ${{PIPESTATUS[0]}}", env!("CARGO_BIN_EXE_warren"));
    let output = Command::new("bash").args(["-c", &line]).current_dir(place.0.path()).output().unwrap();
    assert_eq!((output.status.code(), String::from_utf8(output.stderr).unwrap()), (Some(0), String::new()));
}

#[test]
fn the_example_runs_with_its_mocks() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/order-processing");
    let file = |name: &str| example.join(name).display().to_string();
    let (definition, input) = (file("order-processing.asl.json"), format!("@{}", file("input.json")));
    let arguments = ["run", &definition, "--input", &input, "--mock", &file("mocks.json")];
    check(&Place::with(&[]), &arguments, 0, &["StockServiceBusy", "SUCCEEDED after 1.000 s"]);
}

/// A run of one execution that two engines had in hand.
const RECORDING: &str = include_str!("recordings/stale.jsonl");

#[test]
fn a_recording_is_stepped_through() {
    let place = Place::with(&[("seed-7.jsonl", RECORDING)]);
    let ran = check(&place, &["replay", "seed-7.jsonl"], 0, &["seed 7, 11 steps", "violated: it ends twice"]);
    let says = [
        "delivery  standard.0 e1/r/0",
        "commit    e1/r/1 dispatched: done [ExecutionStarted, TaskStateEntered Pay, TaskScheduled]",
        "r                1 dispatched Pay",
        "fault     frozen for 900 ms",
        "commit    e1/r/1 dispatched: stale",
        "publish   tasks.fake e1/r/1 after 40 ms: there, in doubt",
        "commit    e1/r/2 SUCCEEDED: done",
        "then: it ends twice",
    ];
    let mut rest = ran.stdout.as_str();
    for line in says {
        let at = rest.find(line).unwrap_or_else(|| panic!("{line:?} does not come next: {rest}"));
        rest = &rest[at + line.len()..];
    }
}

#[test]
fn a_recording_is_shown_for_one_execution_or_as_it_is() {
    let place = Place::with(&[("seed-7.jsonl", RECORDING)]);
    let ran = check(&place, &["replay", "seed-7.jsonl", "--execution", "e2"], 0, &["e2/r/0", "crash"]);
    assert!(!ran.stdout.contains("e1/"), "{}", ran.stdout);
    check(&place, &["replay", "seed-7.jsonl", "--execution", "e3"], 2, &["no execution that begins with e3"]);
    let ran = check(&place, &["replay", "seed-7.jsonl", "--json"], 0, &[]);
    let steps: Vec<Value> = ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let recorded = RECORDING.lines().skip(1).map(|line| serde_json::from_str(line).unwrap());
    assert_eq!(steps, recorded.collect::<Vec<Value>>());
}

#[test]
fn what_is_no_recording_is_told() {
    let newer = RECORDING.replace("{\"warren_recording\": 1", "{\"warren_recording\": 9");
    let broken = format!("{RECORDING}{{\"at\": 1, \"step\": \"danced\"}}\n");
    let files = [("pass.json", PASS), ("newer.jsonl", newer.as_str()), ("broken.jsonl", broken.as_str())];
    let place = Place::with(&files);
    check(&place, &["replay", "pass.json"], 2, &["failed to read pass.json", "warren_recording"]);
    check(&place, &["replay", "newer.jsonl"], 2, &["version 9", "reads version 1"]);
    check(&place, &["replay", "broken.jsonl"], 2, &["line 13 is no step", "danced"]);
    check(&place, &["replay", "absent.jsonl"], 2, &["failed to read absent.jsonl"]);
}
