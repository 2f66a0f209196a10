//! `warren test`, and MockConfigFiles of Step Functions Local in `warren run`.

use serde_json::{Value, json};

use super::{ACTIVITY, FAIL, FUNCTION, PASS, Place, check};

/// A choice between a task that is tried again, and caught, and a Map of another task.
fn order() -> String {
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
    check(&with(&long), &["test"], 1, &["order.test.yaml: it has", "such a file may have 16777216"]);
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

/// A MockConfigFile of two machines.
fn config() -> Value {
    json!({
        "StateMachines": {
            "order": {"TestCases": {
                "HappyPath": {"Pay": "Paid", "Send": "Sent"},
                "BusyPath": {"Pay": "PaidAtLast", "Send": "Sent", "Removed": "Sent"},
                "Forgotten": {"Send": "Sent"},
            }},
            "other": {"TestCases": {"Only": {"T": "Sent"}}},
        },
        "MockedResponses": {
            "Paid": {"0": {"Return": {"receipt": 1}}},
            "PaidAtLast": {
                "0-1": {"Throw": {"Error": "Busy", "Cause": "come back later"}}, "2": {"Return": {"receipt": 2}},
            },
            "Sent": {"0": {"Return": "sent"}},
        },
    })
}

fn local(files: &[(&str, &str)]) -> Place {
    let (order, config) = (order(), config().to_string());
    Place::with(&[&[("order.asl.json", &*order), ("MockConfigFile.json", &config)], files].concat())
}

#[test]
fn a_mock_config_file_is_run_as_it_is() {
    let place = local(&[("other.json", &super::task(ACTIVITY))]);
    let input = r#"{"cents": 1, "items": [1, 2]}"#;
    let run = ["run", "order.asl.json", "--mock", "MockConfigFile.json", "--input", input];
    let ran = check(&place, &[&run[..], &["--case", "BusyPath"]].concat(), 0, &["Busy: come back later"]);
    assert_eq!(ran.last_line(), r#"["sent","sent"]"#);
    check(&place, &run, 2, &["choose one with --case: 'HappyPath', 'BusyPath', 'Forgotten'"]);
    let says = ["no test case 'HapyPath' (did you mean 'HappyPath'?)"];
    check(&place, &[&run[..], &["--case", "HapyPath"]].concat(), 2, &says);
    check(
        &place,
        &[&run[..], &["--case", "Forgotten"]].concat(),
        1,
        &["nothing answers the task of the state 'Pay'"],
    );
    let renamed =
        ["run", "other.json", "--mock", "MockConfigFile.json", "--case", "HappyPath", "--machine", "order"];
    check(&place, &renamed, 1, &["nothing answers the task of the state 'T'"]);
    let own = Place::with(&[("a.json", PASS), ("mocks.json", "{}")]);
    let ran = ["run", "a.json", "--mock", "mocks.json", "--case", "x"];
    check(&own, &ran, 2, &["it has no test cases"]);
}

#[test]
fn each_case_of_a_mock_config_file_is_tested() {
    let other = super::task(ACTIVITY);
    let place = local(&[("other.json", &other)]);
    let input = r#"{"cents": 1, "items": [1, 2]}"#;
    let says = [
        "MockConfigFile.json (order.asl.json)\n  ok    HappyPath",
        "ok    BusyPath  31536180.000 s",
        "FAIL  Forgotten",
        "nothing answers the task of the state 'Pay'",
        "MockConfigFile.json (other.json)\n  ok    Only",
        "3 passed, 1 failed",
    ];
    check(&place, &["test", "MockConfigFile.json", "--input", input], 1, &says);
    let one = ["test", "MockConfigFile.json", "--machine", "other"];
    check(&place, &one, 0, &["1 passed"]);
    let named = ["test", "MockConfigFile.json", "--definition", "other.json"];
    check(&place, &named, 0, &["1 passed"]);
    let alone = local(&[]);
    check(&alone, &one, 1, &["there is no definition other.asl.json or other.json beside it"]);
}

#[test]
fn expectations_can_be_added_to_a_mock_config_file() {
    let cases = r#"
mock_config: MockConfigFile.json
defaults: { input: { cents: 1, items: [1] } }
cases:
  - { name: happy, mock_case: HappyPath, expect: { output: [sent] } }
  - name: busy, and nothing is sent
    mock_case: BusyPath
    mocks: { Send: { "0": { Throw: { Error: Lost } } } }
    expect: { error: Lost, calls_contain: { Pay: [{}, {}, {}] } }
"#;
    let place = local(&[("order.test.yaml", cases)]);
    check(&place, &["test"], 0, &["2 passed"]);
    let place = local(&[("order.test.yaml", &cases.replace("HappyPath", "HapyPath"))]);
    check(&place, &["test"], 1, &["no test case 'HapyPath' (did you mean 'HappyPath'?)"]);
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
