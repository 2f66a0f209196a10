//! JSONata as a workflow sees it: what an expression gives, how it fails, and that no expression costs too much.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use asl::data::context::ExecutionFacts;
use asl::data::expression::{Expression, Limits, Query, Uses};
use asl::data::random::Random;
use asl::data::timestamp::Timestamp;
use asl::data::variables::Variables;
use asl::data::{Context, Problem, Scope, Work};
use serde_json::{Value, json};

fn facts() -> ExecutionFacts {
    ExecutionFacts {
        id: "arn:aws:states:us-east-1:123456789012:execution:machine:run".to_owned(),
        name: "run".to_owned(),
        role_arn: "arn:aws:iam::123456789012:role/role".to_owned(),
        started_at: Timestamp::from_milliseconds(1_700_000_000_000),
        input: json!({"whole": true}),
        redrive: None,
        state_machine_id: "arn:aws:states:us-east-1:123456789012:stateMachine:machine".to_owned(),
        state_machine_name: "machine".to_owned(),
    }
}

fn input() -> Value {
    json!({
        "name": "Ann",
        "items": [{"id": 1, "price": 2, "tags": ["a", "b"]}, {"id": 2, "price": 3.5, "tags": ["b"]}],
        "nested": {"deep": {"value": 7}},
        "list": [1, 2, 2, 3],
        "big": 9_007_199_254_740_993_i64,
        "none": null,
    })
}

/// What an expression of the field `Output` gives.
fn evaluate(text: &str) -> Result<Value, Problem> {
    let expression = Expression::marked(&format!("{{% {text} %}}"), "Output", Uses::Result).unwrap();
    let expression = expression.unwrap_or_else(|error| panic!("{text}: {error:?}"));
    let facts = facts();
    let mut context = Context::new(&facts, "S", facts.started_at);
    context.variables = Variables::from_iter([
        ("x".to_owned(), json!(42)),
        ("object".to_owned(), json!({"a": {"b": [1]}})),
        // As a function of the language is.
        ("max".to_owned(), json!(5)),
    ]);
    let input = input();
    let result = json!({"answer": [1, 2]});
    let scope = Scope::after(&input, &context, Work::Result(&result));
    expression.evaluate(scope, &mut Random::from_seed([7; 32]))
}

fn cause(text: &str) -> String {
    evaluate(text).map_or_else(
        |problem| problem.failure.cause.unwrap_or_default(),
        |value| format!("no failure: {value}"),
    )
}

#[test]
fn expressions_see_the_input_the_result_the_context_and_variables() {
    let cases = [
        ("$states.input.name", json!("Ann")),
        ("$states.result.answer[1]", json!(2)),
        ("$states.result", json!({"answer": [1, 2]})),
        ("$states.context.State.Name", json!("S")),
        ("$states.context.Execution.Input.whole", json!(true)),
        ("$count($keys($states))", json!(3)),
        ("$x + 1", json!(43)),
        ("$max + 1", json!(6)),
        ("$object.a.b", json!([1])),
        ("$sum($states.input.items.price)", json!(5.5)),
        ("$states.input.items[price > 2].id", json!(2)),
        ("$states.input.items.(id & ':' & $join(tags, '+'))", json!(["1:a+b", "2:b"])),
        ("$map($states.input.list, function($v, $i) { $v * $i })", json!([0, 2, 4, 9])),
        ("($y := $x * 2; {'double': $y, 'lost': $nothing})", json!({"double": 84})),
        ("$states.input.none", json!(null)),
        ("$states.input.items{$string(id): price}", json!({"1": 2, "2": 3.5})),
        ("$now()", json!("2023-11-14T22:13:20.000Z")),
        ("$millis()", json!(1_700_000_000_000_i64)),
        ("1e15 * 10", json!(10_000_000_000_000_000_i64)),
        ("5 / 2", json!(2.5)),
        ("-0", json!(0)),
    ];
    for (text, expected) in cases {
        assert_eq!(evaluate(text).map_err(|problem| problem.failure), Ok(expected), "{text}");
    }
}

#[test]
fn the_functions_that_aws_adds_are_there() {
    let cases = [
        ("$partition([1, 2, 3, 4, 5], 2)", json!([[1, 2], [3, 4], [5]])),
        ("$range(0, 10, 5)", json!([0, 5, 10])),
        ("$hash('a', 'SHA-1')", json!("86f7e437faa5a7fce15d1ddcb9eaeaea377667b8")),
        ("$parse('{\"a\": [1, null]}')", json!({"a": [1, null]})),
        ("$random(42)", json!(0.727_563_680_032_868_1)),
        ("$random() < 1 and $random() >= 0", json!(true)),
        ("$random() = $random()", json!(false)),
        ("$length($uuid())", json!(36)),
        ("$uuid() = $uuid()", json!(false)),
        ("$distinct($states.input.list)", json!([1, 2, 3])),
        ("$distinct($states.input.items.('same'))", json!("same")),
        ("$states.input.list ~> $distinct() ~> $count()", json!(3)),
        ("$count($distinct([1..20000]))", json!(20_000)),
        ("$map([[1, 1], [2, 3]], $distinct)", json!([[1], [2, 3]])),
        ("[1..$x][-1]", json!(42)),
        ("[0..2, $x..43, 'end']", json!([0, 1, 2, 42, 43, "end"])),
        ("$count([5..1])", json!(0)),
        ("$sum($map([1..3], function($n) { $sum([0..$n]) }))", json!(10)),
        ("$contains('hello$world', /^hello\\$/)", json!(true)),
        ("$split('a1b22c', /[0-9]+/)", json!(["a", "b", "c"])),
    ];
    for (text, expected) in cases {
        assert_eq!(evaluate(text).map_err(|problem| problem.failure), Ok(expected), "{text}");
    }
    let repeated = (evaluate("$uuid() & $random()"), evaluate("$uuid() & $random()"));
    assert_eq!(repeated.0, repeated.1);
}

#[test]
fn failures_are_told_in_the_words_of_aws() {
    let begin = |text: &str| format!("The JSONata expression '{text}' specified for the field 'Output' ");
    let cases = [
        ("$nothing", "returned nothing (undefined)."),
        ("$states.input.no.such.field", "returned nothing (undefined)."),
        ("function($x) { $x }", "returned an unsupported result type."),
        ("$f := function($x){$x}", "returned an unsupported result type."),
        ("$randomSeeded(1)", "threw an error during evaluation. T1006: Attempted to invoke a non-function"),
        ("$eval('1+1')", "threw an error during evaluation. T1006: Attempted to invoke a non-function"),
        (
            "1 + 'a'",
            "threw an error during evaluation. T2002: The right side of the \"+\" operator must evaluate to a number",
        ),
        ("$number('x')", "threw an error during evaluation. D3030: Unable to cast value to a number: \"x\""),
        (
            "37 ~> 38",
            "threw an error during evaluation. T2006: The right side of the function application operator ~> must be a function",
        ),
        ("$error('mine')", "threw an error during evaluation. D3137: mine"),
        (
            "[1.5..3]",
            "threw an error during evaluation. T2003: The left side of the range operator (..) must evaluate to an integer",
        ),
        (
            "[$x..'b']",
            "threw an error during evaluation. T2004: The right side of the range operator (..) must evaluate to an integer",
        ),
        ("($f := function() { 1 + $f() }; $f())", "threw an error during evaluation. Stack overflow error"),
        (
            "($f := function() { $f() }; $f())",
            "threw an error during evaluation. Expression evaluation timeout",
        ),
        ("[1..10000000]", "threw an error during evaluation. Expression evaluation memory limit exceeded"),
    ];
    for (text, what) in cases {
        assert_eq!(cause(text), begin(text) + what);
        let problem = evaluate(text).unwrap_err();
        assert_eq!(problem.failure.error.as_deref(), Some("States.QueryEvaluationError"));
        assert_eq!(problem.location.as_deref(), Some("Output"));
    }
}

#[test]
fn a_cause_is_no_longer_than_aws_lets_it_be() {
    let cause = cause("($s := $pad('', 60000, 'x'); -$s)");
    assert_eq!(cause.chars().count(), 32_768);
}

/// Whoever writes these wants an engine to hang or to fall over. Each is stopped by a count, not by a clock. What
/// each takes is printed; in an optimised build it is less than a quarter of a second.
#[test]
#[expect(clippy::disallowed_types, reason = "what each takes is shown, and decides nothing")]
fn hostile_expressions_are_stopped() {
    let nested = |open: &str, close: &str| format!("{}1{}", open.repeat(3_000), close.repeat(3_000));
    let hostile = [
        "($f := function($n) { $f($n + 1) }; $f(0))".to_owned(),
        "($f := function($n) { 1 + $f($n + 1) }; $f(0))".to_owned(),
        "[1..10000000]".to_owned(),
        "[1..1e6][0]".to_owned(),
        "($n := 10000000; [1..$n])".to_owned(),
        "$map([1..10000000], function($v) { $v })".to_owned(),
        "$map([1..100000], function($v) { [1..100000] })".to_owned(),
        "$map($range(1, 90000, 1), function($v) { [$range(1, 90000, 1)] })".to_owned(),
        "($s := 'x'; $f := function($t) { $f($t & $t) }; $f($s))".to_owned(),
        "$reduce([1..40], function($s, $i) { $s & $s }, 'xxxx')".to_owned(),
        "$pad('x', 1000000000)".to_owned(),
        "$map([1..100000], function($i) { $pad('x', 1000000) })".to_owned(),
        "($s := $pad('x', 1000000); $map([1..1000], function($i) { $s & 'y' }))".to_owned(),
        "$contains('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!', /^(a+)+$/)".to_owned(),
        "$match('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!', /^(a|aa)+$/)".to_owned(),
        "($a := [1..2000]; $a.($x := $; $a.($x * $)))".to_owned(),
        "($f := function($n) { [$f($n)] }; $f(0))".to_owned(),
        "$map([1..100000], function($i) { $append($range(1, 90000, 1), $i) })".to_owned(),
        "($a := [1..90000]; $map($a, function($i) { $reverse($a) }))".to_owned(),
        "($a := [1..90000]; $map($a, function($i) { [$a] }))".to_owned(),
        "($a := [1..20000]; $map($map($a, $string), function($s) { $pad($s, 10000) }))".to_owned(),
        "($s := $pad('x', 1000000); $map([1..90000].$s, $uppercase))".to_owned(),
        "($a := [1..90000].{'x': $}; $map($a, function() { $a.* }))".to_owned(),
        "$sort([1..100000], function($l, $r) { $r > $l })".to_owned(),
        "($reduce([1..100000], function($f, $i) { function() { $f } }); 1)".to_owned(),
        "$replace($pad('', 1000000, 'a'), 'a', $pad('', 1000000, 'b'))".to_owned(),
        "$replace($pad('', 1000000, 'a'), /a/, $pad('', 1000000, 'b'))".to_owned(),
        "($s := $string([1..90000]); $count($map([1..5000], function($i) { $parse($s) })))".to_owned(),
        "($a := [1..100000]; $count($filter($a, function($v) { 0 in $a })))".to_owned(),
    ];
    for text in hostile {
        let query = Query::compile(&text, Limits::DEFAULT).unwrap();
        let began = std::time::Instant::now();
        let found = query.evaluate(None, Vec::new(), Timestamp::default(), &mut Random::from_seed([0; 32]));
        println!("{:4} ms  {text}", began.elapsed().as_millis());
        let error = found.err().unwrap_or_else(|| panic!("{text} is not stopped"));
        assert!(error.is_limit() || error.code.starts_with('D'), "{text}: {error}");
    }
    for text in [nested("(", ")"), nested("[", "]"), nested("-", ""), nested("1+(", ")")] {
        assert!(Query::compile(&text, Limits::DEFAULT).is_err());
    }
    let long = "$sum($map([1..60000], function($v) { $v * 2 }))";
    let query = Query::compile(long, Limits::DEFAULT).unwrap();
    let found = query.evaluate(None, Vec::new(), Timestamp::default(), &mut Random::from_seed([0; 32]));
    assert_eq!(found, Ok(Some(json!(3_600_060_000_u64))));
    // This one is not stopped: it is quick.
    let query = Query::compile("$count($distinct([1..100000]))", Limits::DEFAULT).unwrap();
    let found = query.evaluate(None, Vec::new(), Timestamp::default(), &mut Random::from_seed([0; 32]));
    assert_eq!(found, Ok(Some(json!(100_000))));
}

#[test]
fn the_end_of_an_evaluation_is_always_the_same() {
    let text = "$map([1..2000], function($v) { $random() < 0.5 ? $string($v) : $uuid() })";
    let query = Query::compile(text, Limits::DEFAULT).unwrap();
    let run = |seed: u8| {
        let mut random = Random::from_seed([seed; 32]);
        let found = query.evaluate(None, Vec::new(), Timestamp::default(), &mut random).unwrap();
        (found, random.next_u64())
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
    let steps = |steps_max| {
        let query = Query::compile(text, Limits { steps_max, ..Limits::DEFAULT }).unwrap();
        query.evaluate(None, Vec::new(), Timestamp::default(), &mut Random::from_seed([1; 32])).is_ok()
    };
    let least = (1..40_000).step_by(100).find(|most| steps(*most)).unwrap();
    for _ in 0..3 {
        assert!(steps(least) && !steps(least - 100));
    }
}
