//! `warren test`.

use serde_json::{Value, json};

use super::{ACTIVITY, FAIL, FUNCTION, PASS, Place, check};

/// A choice between a task that is tried again, and caught, and a Map of another task.
pub(super) fn order() -> String {
    let task = json!({"Type": "Task", "Resource": FUNCTION});
    let mut pay = task.clone();
    pay["Next"] = "Ship".into();
    pay["Retry"] =
        json!([{"ErrorEquals": ["Busy"], "IntervalSeconds": 60, "MaxAttempts": 2, "BackoffRate": 2}]);
    pay["Catch"] = json!([{"ErrorEquals": ["States.ALL"], "ResultPath": "$.problem", "Next": "Refused"}]);
    pay["ResultPath"] = "$.paid".into();
    let mut send = task;
    send["End"] = true.into();
    json!({"StartAt": "Priced", "States": {
        "Priced": {
            "Type": "Choice", "Default": "Ship",
            "Choices": [{"Variable": "$.cents", "NumericGreaterThan": 0, "Next": "Pay"}],
        },
        "Pay": pay,
        "Ship": {
            "Type": "Map", "ItemsPath": "$.items", "Next": "Done",
            "ItemProcessor": {"StartAt": "Send", "States": {"Send": send}},
        },
        "Done": {"Type": "Wait", "Seconds": 31_536_000, "End": true},
        "Refused": {"Type": "Fail", "Error": "Refused", "Cause": "no money"},
    }})
    .to_string()
}

const CASES: &str = r#"
defaults:
  input: { cents: 5, items: [lamp, desk] }
  mocks:
    Pay: { "0": { Return: { receipt: 1 } } }
    Send: { "0": { Return: sent } }
cases:
  - name: a paid order
    expect:
      output: [sent, sent]
      path: [Priced, Pay, Ship, Done]
      visits: { Send: 2, Refused: 0 }
      calls: { Send: [lamp, desk] }
      calls_contain: { Pay: [{ cents: 5 }] }
      duration_seconds: 31536000
  - name: a busy bank
    mocks: { Pay: { "0-1": { Throw: { Error: Busy } }, "2": { Return: {} } } }
    expect: { calls_contain: { Pay: [{}, {}, {}] }, duration_seconds: 31536180 }
  - name: a gift
    input: { cents: 0, items: [] }
    expect: { path_contains: [Priced, Ship], calls: { Pay: [] } }
  - name: a refusal
    mocks: { Pay: { "0": { Throw: { Error: Declined } } } }
    expect: { error: Refused, cause_contains: money }
"#;

fn with(cases: &str) -> Place {
    Place::with(&[("order.asl.json", &order()), ("order.test.yaml", cases), ("pass.json", PASS)])
}

/// One case with its defaults.
fn case(text: &str) -> String {
    let (defaults, _) = CASES.split_once("cases:").unwrap();
    format!("{defaults}cases:\n  - name: the case\n{text}")
}

#[test]
fn cases_pass_in_no_time_and_cover_everything() {
    let says = [
        "order.test.yaml (order.asl.json)\n  ok    a paid order  31536000.000 s\n  ok    a busy bank  31536180.000 s",
        "order.asl.json: 100 % covered, 6 of 6 states, 7 of 7 ways out of them",
        "4 passed\n",
    ];
    let ran = check(&with(CASES), &["test"], 0, &says);
    assert!(!ran.stdout.contains('\u{1b}') && ran.stderr.is_empty(), "{}", ran.stderr);
}

#[test]
fn what_was_otherwise_is_shown_beside_what_was_expected() {
    let expected = [
        (
            "expect: { output: [sent, lost] }",
            "output $[1]\n          expected  \"lost\"\n          was       \"sent\"",
        ),
        (
            "expect: { path: [Priced, Ship] }",
            "path\n          expected  Priced → Ship\n          was       Priced → Pay → Ship → Done",
        ),
        ("expect: { error: E }", "status\n          expected  \"FAILED\"\n          was       \"SUCCEEDED\""),
        ("expect: { visits: { Send: 3 } }", "visits of 'Send'\n          expected  3\n          was       2"),
        (
            "expect: { calls: { Send: [lamp] } }",
            "number of calls of 'Send'\n          expected  1\n          was       2",
        ),
        (
            "expect: { duration_seconds_max: 9 }",
            "duration_seconds_max\n          expected  9.0\n          was       31536000.0",
        ),
        ("mocks: { Pay: { \"0\": { Throw: { Error: E } } } }", "it failed with Refused: no money"),
    ];
    for (text, says) in expected {
        check(&with(&case(&format!("    {text}\n"))), &["test"], 1, &["FAIL  the case", says, "1 failed"]);
    }
}

#[test]
fn the_steps_of_a_case_that_fails_can_be_told() {
    let text = format!("{CASES}  - name: wrong\n    expect: {{ output: 1 }}\n");
    let ran = check(
        &with(&text),
        &["test", "--steps"],
        1,
        &["31536000.000 s  ExecutionSucceeded\n\norder.asl.json"],
    );
    assert_eq!(ran.stdout.matches("ExecutionStarted").count(), 1, "{}", ran.stdout);
    check(&with(&text), &["test"], 1, &["was       sent → sent\n\norder.asl.json"]);
}

#[test]
fn a_file_that_is_too_long_is_refused() {
    let long = format!("# {}\n{CASES}", "x".repeat(16_777_216));
    check(&with(&long), &["test"], 1, &["order.test.yaml: it has more than 16777216 bytes"]);
}

#[cfg(unix)]
#[test]
fn a_file_without_an_end_is_refused() {
    check(&Place::with(&[]), &["test", "/dev/zero"], 1, &["/dev/zero: it has more than 16777216 bytes"]);
}

#[test]
fn what_stands_in_a_file_does_not_steer_the_terminal() {
    let cases = r#"cases: [{ name: "a\e[31mred" }, { name: "b\e[0m", skip: "not\e[1m now" }]"#;
    let place = Place::with(&[("a.asl.json", PASS), ("a.test.yaml", cases)]);
    let ran = check(&place, &["test"], 0, &["a\\u{1b}[31mred", "not\\u{1b}[1m now"]);
    assert!(!ran.stdout.contains('\u{1b}'), "{}", ran.stdout);
}

#[test]
fn a_document_is_written_though_no_case_is_meant() {
    let place = with(CASES);
    let ran = place.run(&["test", "--filter", "nothing like it", "--json", "--junit", "junit.xml"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("no case has 'nothing like it' in its name"), "{}", ran.stderr);
    assert_eq!((&ran.json()["result"], &ran.json()["passed"]), (&json!("FAIL"), &json!(0)));
    assert!(
        place
            .read("junit.xml")
            .contains("tests=\"0\" failures=\"0\" errors=\"0\" skipped=\"0\" time=\"0.000\"")
    );
}

#[test]
fn mocks_that_are_missing_or_of_no_use_fail_the_case() {
    let expected = [
        (
            "mocks: { Pay: { \"0\": { Throw: { Error: Busy } } } }",
            "the mock of the state 'Pay' ends before attempt 1: add \"1\"",
        ),
        (
            "mocks: { Pay: { \"0\": { Return: 1 }, \"1\": { Return: 1 } } }",
            "the mock of 'Pay' for attempt \"1\" was not used",
        ),
        (
            "mocks: { Send: [{ When: lamp, \"0\": { Return: 1 } }] }",
            "no mock of the state 'Send' has a \"When\" that is part of what the task is called with, \"desk\"",
        ),
    ];
    for (text, says) in expected {
        check(&with(&case(&format!("    {text}\n"))), &["test"], 1, &["FAIL  the case", says]);
    }
    let none = "cases: [{ name: the case, input: { cents: 1, items: [] } }]";
    let says = [
        "nothing answers the task of the state 'Pay'",
        "add its result to the mocks of the case",
        "{\"Pay\":{\"0\":",
    ];
    check(&with(none), &["test"], 1, &says);
}

#[test]
fn an_item_can_have_an_answer_of_its_own() {
    let text = "    mocks:\n      Send: [{ When: lamp, \"0\": { Return: 1 } }, { \"0\": { Return: 2 } }]\n    expect: { output: [1, 2] }\n";
    check(&with(&case(text)), &["test"], 0, &["1 passed"]);
}

#[test]
fn attempts_go_on_where_branches_and_iterations_are_run_again() {
    let inner = json!({"StartAt": "T", "States": {"T": {"Type": "Task", "Resource": FUNCTION, "End": true}}});
    let retry = json!([{"ErrorEquals": ["Busy"]}]);
    let parallel = json!({"StartAt": "P", "States": {
        "P": {"Type": "Parallel", "Branches": [inner], "Retry": retry, "End": true},
    }});
    let map = json!({"StartAt": "M", "States": {
        "M": {"Type": "Map", "ItemProcessor": inner, "Retry": retry, "End": true},
    }});
    let visits = json!({"StartAt": "M", "States": {
        "M": {"Type": "Map", "ItemProcessor": inner, "Next": "Again"},
        "Again": {
            "Type": "Choice", "Default": "Done", "Choices": [{"Variable": "$[0]", "StringEquals": "busy", "Next": "M"}],
        },
        "Done": {"Type": "Succeed"},
    }});
    let thrown = json!({"T": {"0": {"Throw": {"Error": "Busy"}}, "1": {"Return": "ok"}}});
    let returned = json!({"T": {"0": {"Return": "busy"}, "1": {"Return": "ok"}}});
    for (definition, mocks, output) in [
        (parallel, &thrown, json!(["ok"])),
        (map, &thrown, json!(["ok", "ok"])),
        (visits, &returned, json!(["ok", "ok"])),
    ] {
        let cases = json!({"cases": [{"name": "x", "input": ["busy", 2], "mocks": mocks, "expect": {"output": output}}]});
        let files = [
            ("a.asl.json", definition.to_string()),
            ("a.test.json", cases.to_string()),
            ("mocks.json", mocks.to_string()),
        ];
        let place = Place::with(&files.each_ref().map(|(name, text)| (*name, &**text)));
        check(&place, &["test"], 0, &["1 passed"]);
        let ran = check(
            &place,
            &["run", "a.asl.json", "--mock", "mocks.json", "--input", r#"["busy", 2]"#],
            0,
            &[],
        );
        assert_eq!(ran.last_line(), output.to_string());
    }
}

#[test]
fn a_file_that_cannot_be_read_fails_and_the_others_are_played() {
    let files = [
        ("a.test.yaml", "cases: [{ name: x, expect: { outptu: 1 } }]"),
        ("b.test.json", "{"),
        ("c.test.yaml", "definition: bad.asl.json\ncases: [{ name: x }]"),
        ("d.test.yaml", "cases: [{ name: x }]"),
        ("e.test.yaml", "definition: pass.asl.json\ncases: [{ name: x, expect: { path: [B] } }]"),
        ("f.test.yaml", "definition: pass.asl.json\ncases: [{ name: x, mocks: { A: {} } }]"),
        ("g.test.yaml", "definition: pass.asl.json\ncases: [{ name: x, expect: { calls: { A: [] } } }]"),
        ("pass.asl.json", PASS),
        ("a.asl.json", PASS),
        ("bad.asl.json", super::BAD),
        ("pass.test.yaml", "cases: [{ name: it passes, expect: { output: {} } }]"),
    ];
    let says = [
        "a.test.yaml\n  /cases/0/expect/outptu: is not a field here",
        "did you mean output?",
        "b.test.json: ",
        "Missing 'Next' target: B",
        "there is no definition d.asl.json or d.json beside it",
        "'B', a state that the definition does not have",
        "only Task states have mocks, 'A' is a Pass state",
        "expects calls of 'A', which is a Pass state",
        "ok    it passes",
        "1 passed, 7 files that cannot be played",
    ];
    check(&Place::with(&files), &["test"], 1, &says);
}

#[test]
fn nothing_to_test_is_a_failure() {
    let place = with(CASES);
    check(&place, &["test", "--filter", "nothing"], 1, &["no case has 'nothing' in its name"]);
    check(&Place::with(&[]), &["test"], 1, &["no test file is below .: write one beside a definition"]);
    check(&place, &["test", "absent"], 2, &["failed to read absent"]);
    check(&place, &["test", "--coverage-min", "101"], 2, &["--coverage-min"]);
}

#[test]
fn what_is_not_covered_is_listed_and_can_fail_the_command() {
    let place = with(CASES);
    let says = [
        "order.asl.json: 76 % covered, 5 of 6 states, 5 of 7 ways out of them",
        "not taken    Priced: Default → Ship",
        "not taken    Pay: Catch[0] States.ALL → Refused",
        "not entered  Refused",
        "1 passed\n",
    ];
    check(&place, &["test", "--filter", "paid"], 0, &says);
    check(&place, &["test", "--filter", "paid", "--coverage-min", "76"], 0, &[]);
    let says = ["less than 77 % of a definition is covered"];
    check(&place, &["test", "--filter", "paid", "--coverage-min", "77"], 1, &says);
}

#[test]
fn two_files_cover_a_definition_together() {
    let files = [
        ("a.asl.json", FAIL),
        ("one.test.yaml", "definition: a.asl.json\ncases: [{ name: one, expect: { error: E } }]"),
        ("two.test.yaml", "definition: ./a.asl.json\ncases: [{ name: two, expect: { error: E } }]"),
    ];
    let ran = check(&Place::with(&files), &["test"], 0, &["2 passed", "1 of 1 states"]);
    assert_eq!(ran.stdout.matches("covered").count(), 1, "{}", ran.stdout);
}

#[test]
fn results_are_printed_as_json() {
    let text =
        format!("{CASES}  - name: wrong\n    expect: {{ output: 1 }}\n  - name: later\n    skip: not yet\n");
    let printed = check(&with(&text), &["test", "--json"], 1, &[]).json();
    let sums = json!([printed["result"], printed["passed"], printed["failed"], printed["skipped"]]);
    assert_eq!(sums, json!(["FAIL", 4, 1, 1]));
    let file = &printed["files"][0];
    assert_eq!((&file["file"], &file["definition"]), (&json!("order.test.yaml"), &json!("order.asl.json")));
    let cases = file["cases"].as_array().unwrap();
    let results: Vec<&Value> = cases.iter().map(|case| &case["result"]).collect();
    assert_eq!(results, ["PASSED", "PASSED", "PASSED", "PASSED", "FAILED", "SKIPPED"]);
    let problem = json!({
        "message": "output: expected 1, was sent → sent", "check": "output", "place": "$",
        "expected": 1, "actual": ["sent", "sent"],
    });
    assert_eq!(cases[4]["problems"], json!([problem]));
    assert_eq!((&cases[3]["status"], &cases[3]["error"]), (&json!("FAILED"), &json!("Refused")));
    assert_eq!(printed["coverage"][0]["percent"], 100.0);
    assert_eq!(printed["coverage"][0]["missing"], json!([]));
}

#[test]
fn a_ci_tool_reads_junit() {
    let text = format!(
        "{CASES}  - name: \"<wrong> & so\"\n    expect: {{ output: 1 }}\n  - name: later\n    skip: not yet\n"
    );
    let place =
        Place::with(&[("order.asl.json", &order()), ("order.test.yaml", &text), ("x.test.yaml", "cases: 1")]);
    check(&place, &["test", "--junit", "results.xml"], 1, &["4 passed, 1 failed, 1 skipped, 1 file"]);
    let xml = place.read("results.xml");
    let says = [
        "<testsuites name=\"warren test\" tests=\"7\" failures=\"1\" errors=\"1\" skipped=\"1\" time=",
        "<testsuite name=\"order.test.yaml\" tests=\"6\" failures=\"1\" errors=\"0\" skipped=\"1\"",
        "<testcase name=\"&lt;wrong&gt; &amp; so\" classname=\"order.test.yaml\"",
        "<failure message=\"output: expected 1, was sent → sent\">",
        "<skipped message=\"not yet\"/>",
        "<error message=\"/cases: is not a list of cases",
    ];
    for text in says {
        assert!(xml.contains(text), "{text} is not in {xml}");
    }
    check(&place, &["test", "--junit", "absent/results.xml"], 1, &["failed to write absent/results.xml"]);
}

#[test]
fn a_case_is_the_same_each_time() {
    let definition = json!({"StartAt": "A", "States": {"A": {
        "Type": "Pass", "End": true,
        "Parameters": {
            "id.$": "States.UUID()", "name.$": "$$.Execution.Name", "start.$": "$$.Execution.StartTime",
            "machine.$": "$$.StateMachine.Name",
        },
    }}});
    let cases = "cases: [{ name: x, start_time: 2030-01-31T08:00:00Z, expect: { output: 1 } }]";
    let place = Place::with(&[("a.asl.json", &definition.to_string()), ("a.test.yaml", cases)]);
    let output =
        || check(&place, &["test", "--json"], 1, &[]).json()["files"][0]["cases"][0]["output"].clone();
    let first = output();
    assert_eq!(first, output());
    assert_eq!((&first["start"], &first["machine"]), (&json!("2030-01-31T08:00:00Z"), &json!("a")));
}

#[test]
fn variables_and_time_limits_are_seen() {
    let definition = json!({"QueryLanguage": "JSONata", "TimeoutSeconds": 60, "StartAt": "A", "States": {
        "A": {"Type": "Pass", "Assign": {"total": "{% 40 + 2 %}"}, "Next": "W"},
        "W": {"Type": "Wait", "Seconds": "{% $states.input.seconds %}", "End": true},
    }});
    let cases = r#"
cases:
  - { name: soon, input: { seconds: 1 }, expect: { variables: { total: 42 }, duration_seconds: 1 } }
  - { name: late, input: { seconds: 99 }, expect: { status: TIMED_OUT, path: [A, W], duration_seconds: 60 } }
"#;
    let place = Place::with(&[("a.asl.json", &definition.to_string()), ("a.test.yaml", cases)]);
    check(&place, &["test"], 0, &["2 passed"]);
    let wait =
        json!({"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 400, "End": true}}}).to_string();
    let cases = "type: EXPRESS\ncases: [{ name: x, expect: { status: TIMED_OUT, duration_seconds: 300 } }]";
    check(&Place::with(&[("a.asl.json", &wait), ("a.test.yaml", cases)]), &["test"], 0, &["1 passed"]);
}

#[test]
fn a_task_can_take_its_time() {
    let task = json!({"Type": "Task", "Resource": ACTIVITY, "TimeoutSeconds": 60, "HeartbeatSeconds": 20, "End": true});
    let definition = json!({"StartAt": "P", "States": {"P": {"Type": "Parallel", "End": true, "Branches": [
        {"StartAt": "A", "States": {"A": task}}, {"StartAt": "B", "States": {"B": task}},
    ]}}});
    let cases = r#"
defaults: { mocks: { A: { "0": { Return: 1, AfterSeconds: 5 } } } }
cases:
  - { name: side by side, mocks: { B: { "0": { Return: 2, AfterSeconds: 19 } } }, expect: { output: [1, 2], duration_seconds: 19 } }
  - { name: no heartbeat, mocks: { B: { "0": { Return: 2, AfterSeconds: 21 } } }, expect: { error: States.Timeout, duration_seconds: 20 } }
  - { name: the first to fail, mocks: { B: { "0": { Throw: { Error: E }, AfterSeconds: 2 } } }, expect: { error: E, duration_seconds: 2 } }
"#;
    let place = Place::with(&[("a.asl.json", &definition.to_string()), ("a.test.yaml", cases)]);
    check(&place, &["test"], 0, &["3 passed"]);
}

#[test]
fn a_bomb_of_aliases_is_refused() {
    let mut bomb = "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n".to_owned();
    for level in 1..9 {
        let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
        bomb.push_str(&format!("a{level}: &a{level} [{aliases}]\n"));
    }
    check(&Place::with(&[("a.test.yaml", &bomb)]), &["test"], 1, &["1 file that cannot be played"]);
}

#[test]
fn the_examples_pass_their_tests() {
    let project = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let examples = project.join("examples");
    let ran =
        check(&Place::with(&[]), &["test", examples.to_str().unwrap(), "--coverage-min", "100"], 0, &[]);
    assert!(ran.stdout.contains("order-processing.test.yaml"), "{}", ran.stdout);
}

#[test]
fn what_is_waited_for_has_been_submitted_before_it_fails() {
    let mocks =
        json!({"T": {"0": {"Throw": {"Error": "Failure error", "Cause": "Failure cause"}}}}).to_string();
    let machine = super::task("arn:aws:states:::sqs:sendMessage.waitForTaskToken");
    let place = Place::with(&[("m.json", &machine), ("mocks.json", &mocks)]);
    let history = check(&place, &["run", "m.json", "--mock", "mocks.json", "--json"], 1, &[]).json();
    let types: Vec<&Value> = history.as_array().unwrap().iter().map(|event| &event["type"]).collect();
    let expected = [
        "ExecutionStarted",
        "TaskStateEntered",
        "TaskScheduled",
        "TaskStarted",
        "TaskSubmitted",
        "TaskFailed",
        "ExecutionFailed",
    ];
    assert_eq!(types, expected);
}
