//! What every intrinsic function answers, and that none of them can be made to misbehave.

use asl::data::intrinsic::{Function, Intrinsic, IntrinsicError, NESTING_LEVELS_MAX, missing_argument};
use asl::data::random::Random;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};

/// A path as written.
type Path = String;

fn parse(expression: &str) -> Result<Intrinsic<Path>, String> {
    Intrinsic::parse(expression, |path| Some(path.to_owned())).map_err(|error| error.to_string())
}

/// Evaluates with `$`, `$.name` and `$.name.name` as paths.
fn run(expression: &str, input: &Value) -> Result<Value, IntrinsicError> {
    let intrinsic = parse(expression).unwrap_or_else(|error| panic!("{expression}: {error}"));
    let mut resolve = |path: &Path| {
        let pointer = path.trim_start_matches('$').replace('.', "/");
        input.pointer(&pointer).cloned().ok_or_else(|| missing_argument(path, &input.to_string()))
    };
    intrinsic.evaluate(&mut resolve, &mut Random::from_seed([3; 32]))
}

enum Expected {
    Is(Value),
    /// Fails with the cause that names the expression and its outermost function, and no more.
    Invalid,
    /// Fails with this at the end of the cause.
    Fails(&'static str),
}
use Expected::{Fails, Invalid, Is};

fn check<const COUNT: usize>(cases: [(&str, Value, Expected); COUNT]) {
    for (expression, input, expected) in cases {
        let actual = run(expression, &input);
        let function = expression.split('(').next().unwrap_or_default();
        let cause = |end: &str| {
            Err(IntrinsicError {
                cause: format!("The function '{expression}' had the following error: {end}"),
            })
        };
        let expected = match expected {
            Is(value) => Ok(value),
            Invalid => cause(&format!("Invalid arguments in {function}")),
            Fails(end) => cause(end),
        };
        assert_eq!(actual, expected, "{expression} on {input}");
    }
}

fn accepted(expressions: &[&str]) {
    for expression in expressions {
        let parsed = parse(expression);
        assert!(parsed.is_ok(), "{expression}: {parsed:?}");
    }
}

fn refused(expressions: &[(&str, &str)]) {
    for (expression, reason) in expressions {
        assert_eq!(parse(expression).expect_err(expression), *reason, "{expression}");
    }
}

#[test]
fn calls_are_recognized_by_their_prefix() {
    assert!(Intrinsic::<Path>::looks_like("States.Anything"));
    for text in ["$.States.Format", " States.UUID()", "states.UUID()", "States", ""] {
        assert!(!Intrinsic::<Path>::looks_like(text), "{text}");
    }
}

#[test]
fn well_formed_calls_are_accepted() {
    accepted(&[
        "States.UUID()",
        "States.UUID( )",
        "States.UUID('whatever', $.is, 9)",
        "States.Array( 1 ,\t-2.5e3,\ntrue , null )",
        "States.Array('it\\'s', '\\{\\}', '\\\\')",
        "States.Array('bare { and }', 'comma, (paren)', \"'\")".replace("\"'\"", "'\"'").as_str(),
        "States.Array('first line\nsecond line')",
        "States.MathRandom(1, 10)",
        "States.MathRandom(1, 10, $$.Execution.Input.seed)",
        "States.Format('{}', $name.first[0])",
        "States.Format($.template)",
        "States.UUID() ",
    ]);
}

#[test]
fn malformed_calls_are_refused_with_their_place() {
    refused(&[
        ("", "'' is not an intrinsic function at offset 0"),
        ("States.format('{}', 1)", "'States.format' is not an intrinsic function at offset 0"),
        ("States.ArraySort($.a)", "'States.ArraySort' is not an intrinsic function at offset 0"),
        ("States.UUID", "expected '(' at offset 11"),
        ("States.UUID)", "expected '(' at offset 11"),
        ("States.UUID(", "expected an argument at offset 12"),
        ("States.UUID(,)", "expected an argument at offset 12"),
        ("States.UUID() more", "text after the call at offset 14"),
        ("States.UUID()[0]", "text after the call at offset 13"),
        ("States.Array(1", "expected ',' or ')' at offset 14"),
        ("States.Array(1 2)", "expected ',' or ')' at offset 15"),
        ("States.Array(1,)", "expected an argument at offset 15"),
        ("States.Array([1,2])", "expected an argument at offset 13"),
        ("States.Array(\"text\")", "expected an argument at offset 13"),
        ("States.Array(True)", "expected an argument at offset 13"),
        ("States.Array(1.)", "'1.' is not a number at offset 13"),
        ("States.Array(.5)", "expected an argument at offset 13"),
        ("States.Array(01)", "'01' is not a number at offset 13"),
        ("States.Array(1e999)", "'1e999' is not a number at offset 13"),
        ("States.Array('open", "the string has no end at offset 13"),
        ("States.Array('open\\')", "the string has no end at offset 13"),
        ("States.Array('say \\\"hi\\\"')", "a backslash must stand before ' { } or \\ at offset 18"),
        ("States.Array('a\\n')", "a backslash must stand before ' { } or \\ at offset 15"),
        ("States.Array(States.No())", "'States.No' is not an intrinsic function at offset 13"),
    ]);
}

#[test]
fn a_text_the_caller_does_not_take_for_a_path_is_refused() {
    let error = Intrinsic::<()>::parse("States.Array(1, $.a b , 2)", |_| None).unwrap_err();
    assert_eq!((error.message.as_str(), error.offset), ("'$.a b' is not a valid path", 16));
}

#[test]
fn a_wrong_number_of_arguments_is_accepted_and_fails_when_run() {
    for (name, counts) in [
        ("Format", 1..=9),
        ("StringToJson", 1..=1),
        ("JsonToString", 1..=1),
        ("Array", 0..=9),
        ("ArrayPartition", 2..=2),
        ("ArrayContains", 2..=2),
        ("ArrayRange", 3..=3),
        ("ArrayGetItem", 2..=2),
        ("ArrayLength", 1..=1),
        ("ArrayUnique", 1..=1),
        ("Base64Encode", 1..=1),
        ("Base64Decode", 1..=1),
        ("Hash", 2..=2),
        ("JsonMerge", 3..=3),
        ("MathRandom", 2..=3),
        ("MathAdd", 2..=2),
        ("StringSplit", 2..=2),
        ("UUID", 0..=9),
    ] {
        for count in 0..=9 {
            let expression = format!("States.{name}({})", vec!["$"; count].join(","));
            assert!(parse(&expression).is_ok(), "{expression}");
            if !counts.contains(&count) {
                assert!(run(&expression, &Value::Null).is_err(), "{expression}");
            }
        }
    }
}

#[test]
fn calls_nest_ten_levels_deep_and_no_deeper() {
    let nested = |levels: usize| format!("{}1{}", "States.Array(".repeat(levels), ")".repeat(levels));
    assert!(run(&nested(NESTING_LEVELS_MAX), &Value::Null).is_ok());
    refused(&[(&nested(NESTING_LEVELS_MAX + 1), "more than 10 nested calls at offset 130")]);
    assert!(parse(&nested(100_000)).is_err());
}

#[test]
fn paths_keep_their_own_commas_and_parentheses() {
    let expression = "States.Array($['a,b)'], $.list[?(@.x == 'a\\',)' && (@.y > 1))].z, $.a.length() , \
                      States.Format('$.no', $$.Execution.Id), $name[\"]\"])";
    let intrinsic = parse(expression).unwrap();
    let paths: Vec<&Path> = intrinsic.paths().collect();
    let expected = [
        "$['a,b)']",
        "$.list[?(@.x == 'a\\',)' && (@.y > 1))].z",
        "$.a.length()",
        "$$.Execution.Id",
        "$name[\"]\"]",
    ];
    assert_eq!(paths, expected);
    assert_eq!((intrinsic.text(), intrinsic.function()), (expression, Function::Array));
}

#[test]
fn a_path_without_a_value_fails_with_the_whole_expression() {
    check([
        (
            "States.Base64Encode($.gone)",
            json!({"b": 1}),
            Fails("The JsonPath argument for the field '$.gone' could not be found in the input '{\"b\":1}'"),
        ),
        (
            "States.Array( States.UUID($.gone),1 )",
            json!({}),
            Fails("The JsonPath argument for the field '$.gone' could not be found in the input '{}'"),
        ),
        ("States.Array(States.MathAdd('x', 1))", json!({}), Fails("Invalid arguments in States.MathAdd")),
    ]);
}

#[test]
fn format() {
    const COUNT: &str =
        "Invalid arguments in States.Format: number of arguments do not match the occurrences of {}.";
    check([
        ("States.Format('Dear {}, {} left', $.who, 3)", json!({"who": "Ada"}), Is(json!("Dear Ada, 3 left"))),
        ("States.Format('plain')", json!({}), Is(json!("plain"))),
        ("States.Format('')", json!({}), Is(json!(""))),
        ("States.Format(' {}{} ', '', ' ')", json!({}), Is(json!("   "))),
        ("States.Format('{}|{}|{}', null, true, -0.25)", json!({}), Is(json!("null|true|-0.25"))),
        ("States.Format('{}', '{}')", json!({}), Is(json!("{}"))),
        ("States.Format($.t, 'x')", json!({"t": "<{}>"}), Is(json!("<x>"))),
        ("States.Format('It\\'s \"{}\"', 1)", json!({}), Is(json!("It's \"1\""))),
        ("States.Format('\\{{}\\} \\\\', 7)", json!({}), Is(json!("{7} \\"))),
        ("States.Format('\\\\{}', 7)", json!({}), Is(json!("\\7"))),
        ("States.Format($.t)", json!({"t": "C:\\dir \\{\\}"}), Is(json!("C:\\dir {}"))),
        (
            "States.Format('{} {}', $, $.b)",
            json!({"a": "x", "b": [1, null, "two", {"c": true}]}),
            Is(json!("{a=x, b=[1, null, two, {c=true}]} [1, null, two, {c=true}]")),
        ),
        ("States.Format('{} {}', 1)", json!({}), Fails(COUNT)),
        ("States.Format('{}', 1, 2)", json!({}), Fails(COUNT)),
        ("States.Format('open {', 1)", json!({}), Invalid),
        ("States.Format('}')", json!({}), Invalid),
        ("States.Format('{{}}', 1)", json!({}), Invalid),
        ("States.Format('{0}', 1)", json!({}), Invalid),
        ("States.Format(5)", json!({}), Invalid),
        ("States.Format($.t)", json!({"t": ["{}"]}), Invalid),
    ]);
}

#[test]
fn string_to_json() {
    let deep = |levels: usize| json!({"t": format!("{}{}", "[".repeat(levels), "]".repeat(levels))});
    check([
        ("States.StringToJson($.t)", json!({"t": "{\"k\": [1, \"v\"]}"}), Is(json!({"k": [1, "v"]}))),
        ("States.StringToJson(' \\{\"k\":\"it\\'s\"\\} ')", json!({}), Is(json!({"k": "it's"}))),
        ("States.StringToJson('{\"k\":2.5}')", json!({}), Is(json!({"k": 2.5}))),
        ("States.StringToJson('')", json!({}), Is(Value::Null)),
        ("States.StringToJson(' \n\t ')", json!({}), Is(Value::Null)),
        ("States.StringToJson('null')", json!({}), Is(Value::Null)),
        ("States.StringToJson('-0')", json!({}), Is(json!(0))),
        ("States.StringToJson('[-0]')", json!({}), Is(json!([0]))),
        ("States.StringToJson('false')", json!({}), Is(json!(false))),
        ("States.StringToJson('\"word\"')", json!({}), Is(json!("word"))),
        ("States.StringToJson('word')", json!({}), Invalid),
        ("States.StringToJson('{\"k\":')", json!({}), Invalid),
        ("States.StringToJson('{k: 1}')", json!({}), Invalid),
        ("States.StringToJson('1 2')", json!({}), Invalid),
        ("States.StringToJson(1)", json!({}), Invalid),
        ("States.StringToJson(null)", json!({}), Invalid),
        ("States.StringToJson($)", json!({}), Invalid),
        ("States.StringToJson($.t)", deep(129), Invalid),
        ("States.StringToJson($.t)", deep(200_000), Invalid),
    ]);
    assert!(run("States.StringToJson($.t)", &deep(127)).is_ok());
}

#[test]
fn json_to_string() {
    check([
        (
            "States.JsonToString($)",
            json!({"z": 1, "a": [true, null]}),
            Is(json!("{\"z\":1,\"a\":[true,null]}")),
        ),
        ("States.JsonToString($.t)", json!({"t": "a \"quote\""}), Is(json!("\"a \\\"quote\\\"\""))),
        ("States.JsonToString('text')", json!({}), Is(json!("\"text\""))),
        ("States.JsonToString(null)", json!({}), Is(json!("null"))),
        ("States.JsonToString(-0)", json!({}), Is(json!("0"))),
        ("States.JsonToString($.n)", json!({"n": 9007199254740991_i64}), Is(json!("9007199254740991"))),
        ("States.JsonToString(States.StringToJson('[ 1 ]'))", json!({}), Is(json!("[1]"))),
    ]);
}

#[test]
fn array() {
    check([
        ("States.Array()", json!({}), Is(json!([]))),
        (
            "States.Array($.a, 'b', -1.5, false, null)",
            json!({"a": {}}),
            Is(json!([{}, "b", -1.5, false, null])),
        ),
        ("States.Array($.a, $.a)", json!({"a": [1]}), Is(json!([[1], [1]]))),
        ("States.Array('\\{\\}', '\\\\', 'é\\'')", json!({}), Is(json!(["{}", "\\", "é'"]))),
        ("States.Array(States.Array(), States.Array(1))", json!({}), Is(json!([[], [1]]))),
    ]);
}

#[test]
fn array_partition() {
    let five = || json!({"a": [1, 2, 3, 4, 5]});
    check([
        ("States.ArrayPartition($.a, 2)", five(), Is(json!([[1, 2], [3, 4], [5]]))),
        ("States.ArrayPartition($.a, 5)", five(), Is(json!([[1, 2, 3, 4, 5]]))),
        ("States.ArrayPartition($.a, 9e18)", five(), Is(json!([[1, 2, 3, 4, 5]]))),
        ("States.ArrayPartition($.a, 2.6)", five(), Is(json!([[1, 2], [3, 4], [5]]))),
        ("States.ArrayPartition($.a, 1)", json!({"a": []}), Is(json!([]))),
        ("States.ArrayPartition($.a, 1)", json!({"a": [[1], {}]}), Is(json!([[[1]], [{}]]))),
        ("States.ArrayPartition($.a, 0)", five(), Invalid),
        ("States.ArrayPartition($.a, 0.6)", five(), Invalid),
        ("States.ArrayPartition($.a, -1)", five(), Invalid),
        ("States.ArrayPartition($.a, '2')", five(), Invalid),
        ("States.ArrayPartition($.a, null)", five(), Invalid),
        ("States.ArrayPartition('abc', 2)", five(), Invalid),
        ("States.ArrayPartition($, 2)", five(), Invalid),
        ("States.ArrayPartition($, 2)", json!(["a".repeat(262_144)]), Invalid),
    ]);
}

#[test]
fn array_contains() {
    check([
        ("States.ArrayContains($, 2)", json!([1, 2]), Is(json!(true))),
        ("States.ArrayContains($, 3)", json!([1, 2]), Is(json!(false))),
        ("States.ArrayContains($, 2)", json!([]), Is(json!(false))),
        ("States.ArrayContains($, 1.0)", json!([1]), Is(json!(true))),
        ("States.ArrayContains($, null)", json!([0, null]), Is(json!(true))),
        ("States.ArrayContains($, null)", json!([0, "", false]), Is(json!(false))),
        ("States.ArrayContains($, false)", json!([0, 1]), Is(json!(false))),
        ("States.ArrayContains($, true)", json!(["true"]), Is(json!(true))),
        ("States.ArrayContains($, 17)", json!(["17"]), Is(json!(true))),
        ("States.ArrayContains($.a, $.v)", json!({"a": [[1, [2]]], "v": [1, [2]]}), Is(json!(true))),
        ("States.ArrayContains($.a, $.v)", json!({"a": [{"x": 1}], "v": {"x": 1}}), Is(json!(true))),
        (
            "States.ArrayContains($.a, $.v)",
            json!({"a": [{"x": 1}], "v": {"x": 1, "y": null}}),
            Is(json!(false)),
        ),
        (
            "States.ArrayContains($.a, $.v)",
            json!({"a": [{"x": 1, "y": 2}], "v": {"y": 2, "x": 1}}),
            Is(json!(false)),
        ),
        ("States.ArrayContains('abc', 'a')", json!({}), Invalid),
        ("States.ArrayContains($, 'a')", json!({"a": 1}), Invalid),
    ]);
}

#[test]
fn array_range() {
    check([
        ("States.ArrayRange(1, 9, 4)", json!({}), Is(json!([1, 5, 9]))),
        ("States.ArrayRange(1, 8, 4)", json!({}), Is(json!([1, 5]))),
        ("States.ArrayRange(-3, 3, 3)", json!({}), Is(json!([-3, 0, 3]))),
        ("States.ArrayRange(4, 0, -2)", json!({}), Is(json!([4, 2, 0]))),
        ("States.ArrayRange(4, 1, -2)", json!({}), Is(json!([4, 2]))),
        ("States.ArrayRange(7, 7, 1)", json!({}), Is(json!([7]))),
        ("States.ArrayRange(7, 7, -9)", json!({}), Is(json!([7]))),
        ("States.ArrayRange(4, 0, 1)", json!({}), Is(json!([]))),
        ("States.ArrayRange(0, 4, -1)", json!({}), Is(json!([]))),
        ("States.ArrayRange(1.9, 5.9, 2.9)", json!({}), Is(json!([1, 3, 5]))),
        ("States.ArrayRange(1.6, 1.4, 1)", json!({}), Is(json!([1]))),
        ("States.ArrayRange(5.4, -0.6, -2.4)", json!({}), Is(json!([5, 3, 1]))),
        ("States.ArrayRange(-1e300, 1e300, 1e19)", json!({}), Is(json!([i64::MIN, -1, i64::MAX - 1]))),
        ("States.ArrayRange(0, 1000, 1)", json!({}), Invalid),
        ("States.ArrayRange(1000, 0, -1)", json!({}), Invalid),
        ("States.ArrayRange(-1e300, 1e300, 1)", json!({}), Invalid),
        ("States.ArrayRange(1, 9, 0)", json!({}), Invalid),
        ("States.ArrayRange(1, 9, 0.49)", json!({}), Invalid),
        ("States.ArrayRange('1', 9, 1)", json!({}), Invalid),
        ("States.ArrayRange(1, null, 1)", json!({}), Invalid),
        ("States.ArrayRange(1, 9, true)", json!({}), Invalid),
    ]);
    for expression in ["States.ArrayRange(0, 999, 1)", "States.ArrayRange(999, 0, -1)"] {
        assert_eq!(run(expression, &json!({})).unwrap().as_array().unwrap().len(), 1000);
    }
}

#[test]
fn array_get_item() {
    let letters = || json!(["a", null, {"b": 1}]);
    check([
        ("States.ArrayGetItem($, 0)", letters(), Is(json!("a"))),
        ("States.ArrayGetItem($, 1)", letters(), Is(Value::Null)),
        ("States.ArrayGetItem($, 2)", letters(), Is(json!({"b": 1}))),
        ("States.ArrayGetItem($, 1.9)", letters(), Is(Value::Null)),
        ("States.ArrayGetItem($, 4)", json!([]), Is(Value::Null)),
        ("States.ArrayGetItem($, 3)", letters(), Invalid),
        ("States.ArrayGetItem($, -1)", letters(), Invalid),
        ("States.ArrayGetItem($, 1e300)", letters(), Invalid),
        ("States.ArrayGetItem($, '0')", letters(), Invalid),
        ("States.ArrayGetItem('abc', 0)", letters(), Invalid),
        ("States.ArrayGetItem(States.StringSplit('x-y', '-'), 1)", json!({}), Is(json!("y"))),
    ]);
}

#[test]
fn array_length() {
    check([
        ("States.ArrayLength($)", json!([]), Is(json!(0))),
        ("States.ArrayLength($)", json!([[1, 2], [3]]), Is(json!(2))),
        ("States.ArrayLength('abc')", json!({}), Invalid),
        ("States.ArrayLength($)", json!({"a": 1}), Invalid),
    ]);
}

#[test]
fn array_unique_answers_in_the_order_of_a_hash_set() {
    check([
        ("States.ArrayUnique($)", json!([]), Is(json!([]))),
        ("States.ArrayUnique($)", json!([3, 1, 1, 2, 3]), Is(json!([1, 2, 3]))),
        ("States.ArrayUnique($)", json!(["b", "a", "b"]), Is(json!(["a", "b"]))),
        ("States.ArrayUnique($)", json!([true, false, true]), Is(json!([false, true]))),
        ("States.ArrayUnique($)", json!([1, null, null]), Is(json!([null, 1]))),
        ("States.ArrayUnique($)", json!([[1, 2], [2, 1], [1, 2]]), Is(json!([[2, 1], [1, 2]]))),
        ("States.ArrayUnique($)", json!([1, "1", 1.0, "01"]), Is(json!([1, "1", "01"]))),
        (
            "States.ArrayUnique($)",
            json!([{"a": 1, "b": [2]}, {"b": [2.0], "a": 1}]),
            Is(json!([{"a": 1, "b": [2]}])),
        ),
        (
            // The order of OpenJDK 17.
            "States.ArrayUnique($)",
            json!([
                {}, [], [null], "", 0, false, "hello", "warren", -1, -17, 3_000_000_000_i64,
                -3_000_000_000_i64, 1.5, -2.25, {"a": 1}, "é🚀", true, null, 123_456_789
            ]),
            Is(json!([
                {}, "", 0, -1, {"a": 1}, null, [], -2.25, "warren", 123_456_789, -3_000_000_000_i64,
                true, -17, 3_000_000_000_i64, "é🚀", false, 1.5, "hello", [null]
            ])),
        ),
        ("States.ArrayUnique('aa')", json!({}), Invalid),
        ("States.ArrayUnique($)", json!({"a": 1}), Invalid),
    ]);
}

#[test]
fn base64() {
    let long = |count: usize| json!({"t": "A".repeat(count)});
    check([
        ("States.Base64Encode('')", json!({}), Is(json!(""))),
        ("States.Base64Encode('warren')", json!({}), Is(json!("d2FycmVu"))),
        ("States.Base64Encode('a')", json!({}), Is(json!("YQ=="))),
        ("States.Base64Encode('✓')", json!({}), Is(json!("4pyT"))),
        ("States.Base64Encode(1)", json!({}), Invalid),
        ("States.Base64Encode($)", json!(["a"]), Invalid),
        ("States.Base64Encode($.t)", long(10_001), Invalid),
        ("States.Base64Decode('')", json!({}), Is(json!(""))),
        ("States.Base64Decode('d2FycmVu')", json!({}), Is(json!("warren"))),
        ("States.Base64Decode('4pyT')", json!({}), Is(json!("✓"))),
        ("States.Base64Decode('AA==')", json!({}), Is(json!("\0"))),
        ("States.Base64Decode(' d2Fy\ncmVu ')", json!({}), Is(json!("warren"))),
        ("States.Base64Decode('YWI')", json!({}), Is(json!("ab"))),
        ("States.Base64Decode('YWJ')", json!({}), Is(json!("ab"))),
        ("States.Base64Decode('YW==Yg')", json!({}), Is(json!("a"))),
        ("States.Base64Decode('!!YWJjZ!!')", json!({}), Is(json!("abc"))),
        ("States.Base64Decode('_w==')", json!({}), Is(json!("\u{fffd}"))),
        ("States.Base64Decode(123)", json!({}), Invalid),
        ("States.Base64Decode($)", json!({}), Invalid),
        ("States.Base64Decode($.t)", long(10_001), Invalid),
    ]);
    assert!(run("States.Base64Encode($.t)", &long(10_000)).is_ok());
    assert!(run("States.Base64Decode($.t)", &long(10_000)).is_ok());
    assert!(run("States.Base64Encode($)", &json!("🚀".repeat(5_001))).is_err(), "counted as UTF-16");
}

#[test]
fn hash() {
    check([
        ("States.Hash('abc', 'MD5')", json!({}), Is(json!("900150983cd24fb0d6963f7d28e17f72"))),
        ("States.Hash('abc', 'SHA-1')", json!({}), Is(json!("a9993e364706816aba3e25717850c26c9cd0d89d"))),
        (
            "States.Hash($.d, $.a)",
            json!({"d": "abc", "a": "SHA-256"}),
            Is(json!("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")),
        ),
        (
            "States.Hash('abc', 'SHA-384')",
            json!({}),
            Is(json!(
                "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded163\
                 1a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7"
            )),
        ),
        (
            "States.Hash('abc', 'SHA-512')",
            json!({}),
            Is(json!(
                "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
                 2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"
            )),
        ),
        ("States.Hash('', 'MD5')", json!({}), Is(json!("d41d8cd98f00b204e9800998ecf8427e"))),
        ("States.Hash(123, 'MD5')", json!({}), Is(json!("202cb962ac59075b964b07152d234b70"))),
        ("States.Hash($, 'MD5')", json!({}), Is(json!("99914b932bd37a50b983c5e7c90ae93b"))),
        ("States.Hash('abc', 'sha-256')", json!({}), Invalid),
        ("States.Hash('abc', 'SHA256')", json!({}), Invalid),
        ("States.Hash('abc', '')", json!({}), Invalid),
        ("States.Hash('abc', 256)", json!({}), Invalid),
        ("States.Hash($, 'MD5')", json!("a".repeat(10_001)), Invalid),
    ]);
    assert!(run("States.Hash($, 'MD5')", &json!("a".repeat(10_000))).is_ok());
}

#[test]
fn json_merge() {
    let both = || json!({"a": {"x": 1, "y": {"p": 1}}, "b": {"y": {"q": 2}, "z": null}});
    let merged = || json!({"x": 1, "y": {"q": 2}, "z": null});
    check([
        ("States.JsonMerge($.a, $.b, false)", both(), Is(merged())),
        ("States.JsonMerge($.a, $.b, 'false')", both(), Is(merged())),
        ("States.JsonMerge($.a, $.b, null)", both(), Is(merged())),
        ("States.JsonMerge($.a, States.StringToJson('{}'), false)", both(), Is(both()["a"].clone())),
        ("States.JsonMerge($.a, $.b, true)", both(), Invalid),
        ("States.JsonMerge($.a, 'text', false)", both(), Invalid),
        ("States.JsonMerge(null, $.b, false)", both(), Invalid),
        ("States.JsonMerge(States.Array(), $.b, false)", both(), Invalid),
    ]);
    let text = run("States.JsonToString(States.JsonMerge($.a, $.b, false))", &both()).unwrap();
    assert_eq!(text, json!("{\"x\":1,\"y\":{\"q\":2},\"z\":null}"), "the order of keys is kept");
}

#[test]
fn math_add() {
    check([
        ("States.MathAdd(40, 2)", json!({}), Is(json!(42))),
        ("States.MathAdd($.n, -1)", json!({"n": 0}), Is(json!(-1))),
        ("States.MathAdd(1.6, 2.7)", json!({}), Is(json!(5))),
        ("States.MathAdd(2.5, -2.5)", json!({}), Is(json!(1))),
        ("States.MathAdd(-0.5, -0.51)", json!({}), Is(json!(-1))),
        ("States.MathAdd(0.49999999999999994, 1e0)", json!({}), Is(json!(1))),
        ("States.MathAdd(2147483646, 1)", json!({}), Is(json!(2147483647))),
        ("States.MathAdd(-2147483647, -1)", json!({}), Is(json!(-2147483648))),
        ("States.MathAdd(2147483647.4, 0)", json!({}), Is(json!(2147483647))),
        ("States.MathAdd(2147483647, 1)", json!({}), Invalid),
        ("States.MathAdd(-2147483648, -1)", json!({}), Invalid),
        ("States.MathAdd(2147483648, -1)", json!({}), Invalid),
        ("States.MathAdd(1e300, 0)", json!({}), Invalid),
        ("States.MathAdd('1', 1)", json!({}), Invalid),
        ("States.MathAdd(1, true)", json!({}), Invalid),
        ("States.MathAdd(null, 1)", json!({}), Invalid),
        ("States.MathAdd($, 1)", json!([1]), Invalid),
    ]);
}

#[test]
fn math_random() {
    check([
        ("States.MathRandom(-5, 5, 42)", json!({}), Is(json!(-5))),
        ("States.MathRandom(0, 100, 42.9)", json!({}), Is(json!(30))),
        ("States.MathRandom(3.2, 4.9)", json!({}), Is(json!(3))),
        ("States.MathRandom(2147483646, 2147483647, -1)", json!({}), Is(json!(2147483646))),
        ("States.MathRandom(1, 1)", json!({}), Invalid),
        ("States.MathRandom(1.4, 1.6)", json!({}), Invalid),
        ("States.MathRandom(9, 1)", json!({}), Invalid),
        ("States.MathRandom('1', 9)", json!({}), Invalid),
        ("States.MathRandom(1, null)", json!({}), Invalid),
        ("States.MathRandom(1, 9, 'seed')", json!({}), Invalid),
        ("States.MathRandom(1, 9, null)", json!({}), Invalid),
        ("States.MathRandom(0, 3000000000)", json!({}), Invalid),
    ]);
    let intrinsic = parse("States.MathRandom(1, 4)").unwrap();
    let mut random = Random::from_seed([9; 32]);
    let mut seen: Vec<i64> = (0..100)
        .map(|_| intrinsic.evaluate(&mut |_| Err(String::new()), &mut random).unwrap().as_i64().unwrap())
        .collect();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen, [1, 2, 3]);
}

#[test]
fn string_split() {
    check([
        ("States.StringSplit('a,b,c', ',')", json!({}), Is(json!(["a", "b", "c"]))),
        ("States.StringSplit('1.2+3,4', ',.+')", json!({}), Is(json!(["1", "2", "3", "4"]))),
        ("States.StringSplit(',a,,b,', ',')", json!({}), Is(json!(["a", "b"]))),
        ("States.StringSplit(',', ',')", json!({}), Is(json!([]))),
        ("States.StringSplit('', ',')", json!({}), Is(json!([]))),
        ("States.StringSplit('abc', '')", json!({}), Is(json!(["abc"]))),
        ("States.StringSplit('a.b|c', '|')", json!({}), Is(json!(["a.b", "c"]))),
        ("States.StringSplit('one\ntwo', '\n')", json!({}), Is(json!(["one", "two"]))),
        ("States.StringSplit(1, ',')", json!({}), Invalid),
        ("States.StringSplit(null, ',')", json!({}), Invalid),
        ("States.StringSplit('a', 1)", json!({}), Invalid),
        ("States.StringSplit('a', $)", json!([","]), Invalid),
    ]);
}

#[test]
fn uuid() {
    let uuid = run("States.UUID('ignored')", &json!({})).unwrap();
    let uuid = uuid.as_str().unwrap();
    let dashes: Vec<usize> = uuid.match_indices('-').map(|(index, _)| index).collect();
    assert_eq!((uuid.len(), dashes), (36, vec![8, 13, 18, 23]));
    assert_eq!(&uuid[14..15], "4");
    assert!(matches!(&uuid[19..20], "8" | "9" | "a" | "b"));
    let two = run("States.Array(States.UUID(), States.UUID())", &json!({})).unwrap();
    assert_ne!(two[0], two[1]);
}

#[test]
fn a_budget_of_bytes_stops_what_multiplies() {
    const TOO_LARGE: &str = "The arguments and results exceed 2097152 bytes";
    let payload = json!({"t": "a".repeat(250_000), "q": "\"".repeat(100_000)});
    let repeated = format!("States.Array({})", vec!["$.t"; 10_000].join(","));
    let escaped = format!("{}$.q{}", "States.JsonToString(".repeat(10), ")".repeat(10));
    let ranges = format!("States.Array({})", vec!["States.ArrayRange(0,999,1)"; 10_000].join(","));
    check([
        (repeated.as_str(), payload.clone(), Fails(TOO_LARGE)),
        (escaped.as_str(), payload.clone(), Fails(TOO_LARGE)),
        (ranges.as_str(), payload.clone(), Fails(TOO_LARGE)),
    ]);
    let chain = format!("{}$.t{}", "States.Array(".repeat(6), ")".repeat(6));
    assert!(run(&chain, &payload).is_ok());
}

#[test]
fn large_arrays_take_linear_time() {
    let objects: Vec<Value> = (0..20_000).map(|index| json!({"n": index % 10_000})).collect();
    let unique = run("States.ArrayLength(States.ArrayUnique($))", &Value::from(objects)).unwrap();
    assert_eq!(unique, json!(10_000));
}

#[test]
fn names_lead_back_to_their_functions() {
    for function in Function::ALL {
        assert_eq!(Function::from_name(function.name()), Some(function));
        assert_eq!(function.to_string(), function.name());
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-20_i64..20).prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        // Eighths are read back as they are written, whatever the JSON parser's precision.
        any::<i32>().prop_map(|eighths| Value::from(f64::from(eighths) / 8.0)),
        prop_oneof![Just(1e300), Just(-1e300), Just(-0.0), Just(0.5), Just(2e9)].prop_map(Value::from),
        prop_oneof!["[a-c{}\\\\',=]{0,8}", ".{0,8}"].prop_map(Value::from),
        prop_oneof!["MD5", "SHA-512"].prop_map(Value::from),
    ];
    scalar.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Value::from),
            vec(("[a-c]{0,2}", inner), 0..5).prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// A call of any function with a number of arguments it takes.
fn any_call() -> impl Strategy<Value = (Function, Vec<Value>)> {
    (any::<prop::sample::Index>(), vec(any_json(), 0..5)).prop_filter_map("arity", |(index, arguments)| {
        let function = *index.get(&Function::ALL);
        let paths: Vec<String> = (0..arguments.len()).map(|index| format!("$.{index}")).collect();
        parse(&format!("{function}({})", paths.join(","))).ok().map(|_| (function, arguments))
    })
}

fn call(function: Function, arguments: &[Value]) -> Result<Value, IntrinsicError> {
    let paths: Vec<String> = (0..arguments.len()).map(|index| format!("$.{index}")).collect();
    run(&format!("{function}({})", paths.join(",")), &Value::from(arguments))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_parses_or_is_refused_inside_itself(text in ".*") {
        for text in [text.clone(), format!("States.Format({text}"), format!("States.Array('{text}', $[{text})")] {
            if let Err(error) = Intrinsic::<Path>::parse(&text, |path| Some(path.to_owned())) {
                prop_assert!(text.is_char_boundary(error.offset));
            }
        }
    }

    #[test]
    fn text_made_of_tokens_parses_or_is_refused(tokens in vec(prop_oneof![
        "States\\.(Array|Format|UUID|MathAdd)\\(", "[(),'{}\\\\$\\[\\] ]", "-?[0-9.eE+]{1,5}", "true|null", "\\$\\.a",
    ], 0..30)) {
        let text = tokens.concat();
        if let Ok(intrinsic) = parse(&text) {
            prop_assert_eq!(intrinsic.text(), text);
        }
    }

    #[test]
    fn any_arguments_give_a_value_or_a_cause((function, arguments) in any_call()) {
        let first = call(function, &arguments);
        prop_assert_eq!(&first, &call(function, &arguments));
        if let Err(error) = first {
            let expected = format!("had the following error: Invalid arguments in {function}");
            prop_assert!(error.cause.contains(&expected));
        }
    }

    #[test]
    fn literals_mean_what_they_quote(texts in vec(".*", 0..4)) {
        let quoted: Vec<String> = texts
            .iter()
            .map(|text| format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'").replace('{', "\\{")))
            .collect();
        let value = run(&format!("States.Array({})", quoted.join(" , ")), &Value::Null);
        prop_assert_eq!(value, Ok(Value::from(texts)));
    }

    #[test]
    fn an_escaped_template_is_its_text(text in ".*") {
        let escaped: String = text.chars().flat_map(|character| {
            matches!(character, '\\' | '\'' | '{' | '}').then_some('\\').into_iter().chain([character])
        }).collect();
        prop_assert_eq!(run(&format!("States.Format('{escaped}')"), &Value::Null), Ok(Value::from(text)));
    }

    #[test]
    fn decoding_base64_undoes_encoding(text in ".{0,200}") {
        let expression = "States.Base64Decode(States.Base64Encode($))";
        prop_assert_eq!(run(expression, &json!(text)), Ok(json!(text)));
    }

    #[test]
    fn parsing_undoes_writing_json(value in any_json()) {
        let text = run("States.JsonToString($)", &value).unwrap();
        let again = run("States.JsonToString(States.StringToJson($))", &text).unwrap();
        prop_assert_eq!(again.as_str().unwrap().replace("-0.0", "0"), text.as_str().unwrap().replace("-0.0", "0"));
    }

    #[test]
    fn partitions_flatten_to_the_array(elements in vec(any_json(), 0..20), size in 1_usize..8) {
        let value = call(Function::ArrayPartition, &[Value::from(elements.clone()), json!(size)]).unwrap();
        let chunks = value.as_array().unwrap();
        prop_assert_eq!(chunks.len(), elements.len().div_ceil(size));
        let flat: Vec<Value> = chunks.iter().flat_map(|chunk| chunk.as_array().unwrap().clone()).collect();
        prop_assert_eq!(flat, elements);
    }

    #[test]
    fn pieces_are_never_empty_and_hold_no_delimiter(text in "[a-d]{0,20}", delimiters in "[ab]{0,3}") {
        let value = call(Function::StringSplit, &[json!(text), json!(delimiters)]).unwrap();
        for piece in value.as_array().unwrap() {
            let piece = piece.as_str().unwrap();
            prop_assert!(!piece.is_empty() && !piece.contains(|character| delimiters.contains(character)));
        }
    }

    #[test]
    fn unique_elements_are_of_the_array_and_unique_again(elements in vec(any_json(), 0..20)) {
        let once = call(Function::ArrayUnique, &[Value::from(elements.clone())]).unwrap();
        prop_assert!(once.as_array().unwrap().iter().all(|element| elements.contains(element)));
        let twice = call(Function::ArrayUnique, std::slice::from_ref(&once)).unwrap();
        prop_assert_eq!(once.as_array().unwrap().len(), twice.as_array().unwrap().len());
    }

    #[test]
    fn a_seed_decides_the_random_number(start in any::<i32>(), end in any::<i32>(), seed in any::<i64>()) {
        let arguments = [json!(start), json!(end), json!(seed)];
        let value = call(Function::MathRandom, &arguments);
        prop_assert_eq!(value.is_ok(), start < end);
        if let Ok(value) = value {
            prop_assert!((i64::from(start)..i64::from(end)).contains(&value.as_i64().unwrap()));
        }
    }
}
