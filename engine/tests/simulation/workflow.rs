//! Small random workflows whose outcome does not depend on time: in no fork can two children fail in
//! different ways, and no answer has a time limit that a slow engine could miss.

use serde_json::{Map, Value, json};

use super::fate::Lottery;

/// A workflow, and what may be expected of it.
#[derive(Debug, Clone)]
pub struct Workflow {
    pub definition: Value,
    pub input: Value,
    /// Not even the kinds of events in the history depend on time.
    pub exact: bool,
}

/// What may be in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Standard,
    Express,
}

struct Maker<'a> {
    lottery: &'a mut Lottery,
    kind: Kind,
    states: u64,
    exact: bool,
}

/// Forks within forks.
const DEPTH_MAX: u32 = 2;
/// Items of a Map. All below 5, so that no Choice tells them apart and all fail alike if one does.
const ITEMS_MAX: u64 = 5;

pub fn draw(lottery: &mut Lottery, kind: Kind, name: &str) -> Workflow {
    let n = lottery.below(10);
    let mut maker = Maker { lottery, kind, states: 0, exact: true };
    let may_fail = maker.lottery.one_in(3);
    let mut definition = maker.machine(0, may_fail);
    maker.mark(&mut definition, name);
    let exact = maker.exact;
    let mut input = json!({ "n": n });
    for items in 0..=ITEMS_MAX {
        input[format!("items{items}")] = (0..items).collect();
    }
    Workflow { definition, input, exact }
}

impl Maker<'_> {
    /// A chain of states; some choose to skip one.
    fn machine(&mut self, depth: u32, may_fail: bool) -> Value {
        let length = 1 + self.lottery.below(if depth == 0 { 5 } else { 3 });
        let names: Vec<String> = (0..=length).map(|_| self.name()).collect();
        let mut states = Map::new();
        for (place, name) in names.iter().enumerate() {
            let next = names.get(place + 1);
            let mut state = match next {
                Some(next) => self.state(depth, may_fail, next, names.last().unwrap()),
                None if may_fail && self.lottery.one_in(2) => {
                    self.exact &= depth == 0;
                    json!({ "Type": "Fail", "Error": "Sim.End", "Cause": "as drawn" })
                }
                None => json!({ "Type": "Pass", "End": true }),
            };
            let ends = ["Choice", "Fail"].contains(&state["Type"].as_str().unwrap()) || next.is_none();
            if let (false, Some(next)) = (ends, next) {
                state["Next"] = json!(next);
            }
            states.insert(name.clone(), state);
        }
        json!({ "StartAt": names[0], "States": states })
    }

    fn name(&mut self) -> String {
        self.states += 1;
        format!("S{}", self.states)
    }

    /// The last thing that the workflow does tells that it was there.
    fn mark(&mut self, definition: &mut Value, name: &str) {
        let states = definition["States"].as_object_mut().unwrap();
        let last = states.iter().find(|(_, state)| state["Type"] == "Pass" && state["End"] == true);
        let Some(last) = last.map(|(name, _)| name.clone()) else { return };
        let mark = json!({
            "Type": "Task",
            "Resource": "arn:aws:states:::aws-sdk:sim:mark",
            "Parameters": { "mark": name },
            "ResultPath": "$.marked",
            "End": true,
        });
        states.insert(last, mark);
    }

    fn state(&mut self, depth: u32, may_fail: bool, next: &str, last: &str) -> Value {
        let result = format!("$.v{}", self.states);
        match self.lottery.below(if depth < DEPTH_MAX { 14 } else { 10 }) {
            0 | 1 => json!({
                "Type": "Pass",
                "Parameters": { "sum.$": "States.MathAdd($.n, 1)" },
                "ResultPath": result,
            }),
            2 => json!({
                "Type": "Choice",
                "Choices": [{ "Variable": "$.n", "NumericGreaterThan": 4, "Next": last }],
                "Default": next,
            }),
            3 | 4 => json!({ "Type": "Wait", "Seconds": self.lottery.below(3) }),
            5..=9 => self.task(depth, may_fail, &result, next),
            10 | 11 => self.parallel(depth, may_fail, &result, next),
            _ => self.map(depth, may_fail, &result, next),
        }
    }

    fn task(&mut self, depth: u32, may_fail: bool, result: &str, next: &str) -> Value {
        let standard = self.kind == Kind::Standard;
        let resource = match self.lottery.below(if standard { 7 } else { 3 }) {
            0..=2 => "arn:aws:states:::aws-sdk:sim:call",
            3 => "arn:aws:states:::batch:submitJob.sync",
            4 | 5 => "arn:aws:states:::aws-sdk:sim:call.waitForTaskToken",
            _ => "arn:aws:states:us-east-1:000000000000:activity:work",
        };
        let mut state = json!({
            "Type": "Task",
            "Resource": resource,
            "Parameters": { "do": "answer", "n.$": "$.n", "attempt.$": "$$.State.RetryCount" },
            "ResultPath": result,
        });
        let retry = |attempts: u64, every: u64| json!([{ "ErrorEquals": ["States.ALL"], "IntervalSeconds": every, "MaxAttempts": attempts, "BackoffRate": 1.0 }]);
        if resource.ends_with(":work") {
            // A worker that took the task may be gone.
            self.exact = false;
            state["TimeoutSeconds"] = json!(20);
            state["Retry"] = retry(90, 1);
            return state;
        }
        if resource.ends_with("Token") {
            state["Parameters"]["token.$"] = json!("$$.Task.Token");
            return state;
        }
        let times = 1 + self.lottery.below(2);
        let does = match self.lottery.below(4) {
            0 => "fail",
            1 => "hang",
            _ => return state,
        };
        state["Parameters"]["do"] = json!(does);
        state["Parameters"]["times"] = json!(times);
        state["Retry"] = retry(times, 1);
        if does == "hang" {
            // Every attempt: one that answers must have all the time that it needs.
            state["Parameters"]["times"] = json!(u32::MAX);
            state["TimeoutSeconds"] = json!(1 + self.lottery.below(2));
        } else if self.lottery.one_in(2) {
            return state;
        }
        // One attempt too few.
        state["Retry"] = retry(times - 1, 1);
        if may_fail && self.lottery.one_in(2) {
            self.exact &= depth == 0;
        } else {
            let path = format!("{result}c");
            state["Catch"] = json!([{ "ErrorEquals": ["States.ALL"], "Next": next, "ResultPath": path }]);
        }
        state
    }

    fn parallel(&mut self, depth: u32, may_fail: bool, result: &str, next: &str) -> Value {
        let mut state = json!({ "Type": "Parallel", "ResultPath": result });
        let fails = self.caught(&mut state, may_fail, result, next);
        let count = 1 + self.lottery.below(3);
        let failing = self.lottery.below(count);
        let branches: Vec<Value> =
            (0..count).map(|index| self.machine(depth + 1, fails && index == failing)).collect();
        state["Branches"] = json!(branches);
        state
    }

    fn map(&mut self, depth: u32, may_fail: bool, result: &str, next: &str) -> Value {
        let mut state = json!({ "Type": "Map", "ResultPath": result });
        let fails = self.caught(&mut state, may_fail, result, next);
        let items = self.lottery.below(ITEMS_MAX + 1);
        state["ItemsPath"] = json!(format!("$$.Execution.Input.items{items}"));
        state["ItemSelector"] = json!({ "n.$": "$$.Map.Item.Value", "i.$": "$$.Map.Item.Index" });
        state["MaxConcurrency"] = json!(self.lottery.below(4));
        let mut processor = self.machine(depth + 1, fails);
        processor["ProcessorConfig"] = json!({ "Mode": "INLINE" });
        state["ItemProcessor"] = processor;
        state
    }

    /// Whether a child may fail, and what becomes of it then.
    fn caught(&mut self, state: &mut Value, may_fail: bool, result: &str, next: &str) -> bool {
        if self.lottery.one_in(3) {
            state["Retry"] =
                json!([{ "ErrorEquals": ["States.ALL"], "IntervalSeconds": 1, "MaxAttempts": 1 }]);
        }
        if self.lottery.one_in(2) {
            return may_fail;
        }
        let path = format!("{result}c");
        state["Catch"] = json!([{ "ErrorEquals": ["States.ALL"], "Next": next, "ResultPath": path }]);
        true
    }
}
