//! The state machines.

use serde_json::{Map, Value, json};

use crate::driver::worker::FUNCTION;

/// A state machine and its input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Workload {
    /// So many Pass states in a row.
    Chain(u32),
    /// So many function tasks in a row.
    Tasks(u32),
    /// A Map of so many items, a Pass each.
    Map(u32),
    /// A Wait of so many seconds.
    Sleep(u32),
    /// A Wait until the time in the input.
    WaitUntil,
}

impl Workload {
    /// The definition.
    pub fn definition(self) -> Value {
        match self {
            Workload::Chain(states) => row(states, &json!({ "Type": "Pass" })),
            Workload::Tasks(states) => {
                let resource = format!("arn:aws:lambda:us-east-1:000000000000:function:{FUNCTION}");
                let task = json!({ "Type": "Task", "Resource": resource, "ResultPath": "$.result" });
                row(states, &task)
            }
            Workload::Map(_) => {
                let processor = json!({ "StartAt": "P", "States": { "P": { "Type": "Pass", "End": true } } });
                row(1, &json!({ "Type": "Map", "ItemsPath": "$.items", "ItemProcessor": processor }))
            }
            Workload::Sleep(seconds) => row(1, &json!({ "Type": "Wait", "Seconds": seconds })),
            Workload::WaitUntil => row(1, &json!({ "Type": "Wait", "TimestampPath": "$.at" })),
        }
    }

    /// An input of about so many bytes; a Map's has its items besides.
    pub fn input(self, bytes: u32) -> Value {
        let bare = json!({ "order": "", "total": 92.5, "gift": false });
        let filling = (bytes as usize).saturating_sub(bare.to_string().len());
        let mut input = bare;
        input["order"] = Value::from("12345678".repeat(filling / 8 + 1)[..filling].to_owned());
        if let Workload::Map(items) = self {
            input["items"] = (0..items).collect();
        }
        input
    }

    /// What a figure counts, and how many of them an execution has.
    pub fn unit(self) -> (&'static str, u32) {
        match self {
            Workload::Chain(states) => ("states/s", states),
            Workload::Tasks(steps) => ("steps/s", steps),
            Workload::Map(_) => ("maps/s", 1),
            Workload::Sleep(_) | Workload::WaitUntil => ("executions/s", 1),
        }
    }

    /// States that one unit enters.
    pub fn states_per_unit(self) -> u32 {
        match self {
            Workload::Map(items) => items + 1,
            Workload::Chain(_) | Workload::Tasks(_) | Workload::Sleep(_) | Workload::WaitUntil => 1,
        }
    }

    /// By how much fewer clients keep an engine as busy: a dozen Maps have a thousand messages out.
    pub fn messages_at_once(self) -> u32 {
        match self {
            Workload::Map(_) => 24,
            Workload::Chain(_) | Workload::Tasks(_) | Workload::Sleep(_) | Workload::WaitUntil => 1,
        }
    }
}

/// The same state so many times, one after the other.
fn row(states: u32, state: &Value) -> Value {
    let mut all = Map::new();
    for number in 1..=states {
        let mut state = state.clone();
        if number < states {
            state["Next"] = Value::from(format!("Step{}", number + 1));
        } else {
            state["End"] = Value::Bool(true);
        }
        all.insert(format!("Step{number}"), state);
    }
    json!({ "StartAt": "Step1", "States": all })
}

#[cfg(test)]
mod tests {
    use super::*;
    use asl::definition::{WorkflowType, check};

    #[test]
    fn definitions_are_correct_and_inputs_as_long_as_asked() {
        use Workload::{Chain, Map, Sleep, Tasks, WaitUntil};
        for workload in [Chain(10), Tasks(5), Map(100), Sleep(3600), WaitUntil] {
            let definition = workload.definition().to_string();
            assert!(check(&definition, WorkflowType::Standard).program.is_some(), "{definition}");
        }
        assert_eq!(Chain(10).input(150).to_string().len(), 150);
        assert_eq!(Map(3).input(64)["items"], json!([0, 1, 2]));
    }
}
