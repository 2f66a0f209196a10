//! MockConfigFiles of Step Functions Local, in `warren run` and `warren test`.

use serde_json::{Value, json};

use super::testing::order;
use super::{ACTIVITY, PASS, Place, check};

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
    let only = ["run", "other.json", "--mock", "MockConfigFile.json"];
    assert_eq!(check(&place, &only, 0, &[]).last_line(), r#""sent""#);
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
    let unknown = ["test", "MockConfigFile.json", "--machine", "othr"];
    check(&place, &unknown, 1, &["it has no state machine 'othr' (did you mean 'other'?)"]);
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
