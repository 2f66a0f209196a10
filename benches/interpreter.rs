//! Nanoseconds for one transition of each kind: `make bench`.
//!
//! An item of a bench is one transition (a Task round is two: scheduled, and ended), so the rate that is
//! printed is transitions per second of one core, without store and broker.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a bench fails by panicking")]

use asl::branch::{Answer, Branch, BranchPath, Event, Run, Source, Tick};
use asl::data::context::ExecutionFacts;
use asl::data::timestamp::Timestamp;
use asl::definition::{WorkflowType, check};
use asl::limits::Limits;
use asl::program::Program;
use asl::rehearsal::Rehearsal;
use divan::Bencher;
use divan::counter::ItemsCount;
use serde_json::{Value, json};

fn main() {
    divan::main();
}

fn compile(definition: &Value) -> Program {
    check(&definition.to_string(), WorkflowType::Standard).program.expect("a correct definition")
}

/// An order of some 700 bytes, as a small business event is.
fn order() -> Value {
    let item = |name: &str, price: f64| json!({ "productName": name, "category": "book", "price": price, "quantity": 1 });
    json!({
        "orderId": "12345678",
        "orderDate": "20190820101213",
        "detail": {
            "customer": { "name": "A. Reader", "address": "1 Long Street, 12345 Town" },
            "speed": "1-day",
            "payment": "card",
            "items": [item("Agile Software Development", 60.0), item("Domain-Driven Design", 32.0)],
        },
        "total": 92.0,
    })
}

fn facts() -> ExecutionFacts {
    ExecutionFacts {
        id: "arn:aws:states:us-east-1:000000000000:execution:machine:run".to_owned(),
        name: "run".to_owned(),
        role_arn: "arn:aws:iam::000000000000:role/role".to_owned(),
        started_at: Timestamp::from_milliseconds(1_700_000_000_000),
        input: Value::Null,
        redrive: None,
        state_machine_id: "arn:aws:states:us-east-1:000000000000:stateMachine:machine".to_owned(),
        state_machine_name: "machine".to_owned(),
    }
}

fn tick() -> Tick {
    Tick {
        now: Timestamp::from_milliseconds(1_700_000_000_000),
        seed: [7; 32],
        task_token: String::new(),
        activity_missing: false,
    }
}

/// One state entered and left, over and over.
fn enter(bencher: Bencher<'_, '_>, state: Value, answers: bool) {
    let end = json!({ "Type": "Succeed" });
    let program = compile(&json!({ "StartAt": "A", "States": { "A": state, "B": end } }));
    let (facts, limits, path, tick) = (facts(), Limits::default(), BranchPath::root(), tick());
    let run = Run { program: &program, execution: &facts, limits: &limits, path: &path, setting: None };
    let (branch, _) = Branch::start(&run, order(), String::new(), tick.now);
    let transitions: u32 = if answers { 2 } else { 1 };
    bencher.counter(ItemsCount::new(transitions)).with_inputs(|| branch.clone()).bench_local_values(
        |mut branch| {
            let first = branch.apply(&run, Event::Enter { after: None }, &tick).unwrap();
            if answers {
                let answer = Answer::Succeeded(json!({ "ok": true }));
                let event = Event::TaskEnded { task: 1, answer, source: Source::Call };
                divan::black_box(branch.apply(&run, event, &tick).unwrap());
            }
            divan::black_box((first, branch))
        },
    );
}

#[divan::bench]
fn pass(bencher: Bencher<'_, '_>) {
    enter(bencher, json!({ "Type": "Pass", "Result": 1, "ResultPath": "$.checked", "Next": "B" }), false);
}

#[divan::bench]
fn pass_with_template(bencher: Bencher<'_, '_>) {
    let template = json!({
        "id.$": "$.orderId",
        "first.$": "$.detail.items[0].productName",
        "text.$": "States.Format('{} for {}', $.orderId, $.detail.customer.name)",
    });
    enter(
        bencher,
        json!({ "Type": "Pass", "Parameters": template, "ResultPath": "$.summary", "Next": "B" }),
        false,
    );
}

#[divan::bench]
fn choice(bencher: Bencher<'_, '_>) {
    let rules = json!([
        { "Variable": "$.detail.speed", "StringEquals": "same-day", "Next": "B" },
        { "And": [
            { "Variable": "$.total", "NumericGreaterThan": 50 },
            { "Variable": "$.detail.payment", "StringMatches": "c*d" },
        ], "Next": "B" },
    ]);
    enter(bencher, json!({ "Type": "Choice", "Choices": rules, "Default": "B" }), false);
}

#[divan::bench]
fn task_round(bencher: Bencher<'_, '_>) {
    let task = json!({
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Parameters": { "FunctionName": "f", "Payload.$": "$.detail" },
        "ResultPath": "$.result",
        "Retry": [{ "ErrorEquals": ["States.ALL"] }],
        "Next": "B",
    });
    enter(bencher, task, true);
}

/// A whole Map of so many items: three transitions an item, its share of fork and join included.
#[divan::bench(args = [100, 1_000, 10_000])]
fn map_item(bencher: Bencher<'_, '_>, items: u32) {
    let program = compile(&json!({ "StartAt": "M", "States": { "M": {
        "Type": "Map", "End": true,
        "ItemProcessor": { "StartAt": "P", "States": { "P": { "Type": "Pass", "End": true } } },
    } } }));
    let input = Value::Array((0..items).map(Value::from).collect());
    let facts = ExecutionFacts { input: input.clone(), ..facts() };
    let text = input.to_string();
    let limits = Limits { history_events_max: 1_000_000, ..Limits::default() };
    bencher.counter(ItemsCount::new(items)).bench_local(|| {
        let now = facts.started_at;
        let mut run = Rehearsal::start(&program, facts.clone(), text.clone(), limits.clone(), now, [1; 32]);
        while run.step() {}
        assert!(run.outcome().is_some());
        divan::black_box(run.rows().len())
    });
}
