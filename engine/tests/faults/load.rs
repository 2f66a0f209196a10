//! What executions do while something breaks, and what they must have done.

use serde_json::{Value, json};

use super::oracle;
use super::world::{FUNCTION, World};
use crate::support::histories;

/// Tasks one after the other.
pub fn chain(tasks: u64) -> Value {
    let state = |number: u64| {
        let mut state = json!({
            "Type": "Task",
            "Resource": FUNCTION,
            "Parameters": { "step": number, "n.$": "$.n" },
        });
        if number + 1 == tasks {
            state["End"] = true.into();
        } else {
            state["Next"] = format!("Step {}", number + 1).into();
        }
        (format!("Step {number}"), state)
    };
    let states: serde_json::Map<String, Value> = (0..tasks).map(state).collect();
    json!({ "StartAt": "Step 0", "States": states })
}

/// A Map over `items`, each of which is a Map over two, each of which is a task.
pub fn nested() -> Value {
    let task = json!({
        "StartAt": "Work",
        "States": { "Work": { "Type": "Task", "Resource": FUNCTION, "End": true } },
    });
    let inner = json!({
        "StartAt": "Both",
        "States": {
            "Both": {
                "Type": "Map",
                "ItemsPath": "$.both",
                "ItemSelector": { "item.$": "$.item", "half.$": "$$.Map.Item.Value" },
                "ItemProcessor": task,
                "End": true,
            },
        },
    });
    json!({
        "StartAt": "Each",
        "States": {
            "Each": {
                "Type": "Map",
                "ItemsPath": "$.items",
                "ItemSelector": { "item.$": "$$.Map.Item.Value", "both": ["left", "right"] },
                "ItemProcessor": inner,
                "End": true,
            },
        },
    })
}

/// So many executions of so many tasks, Standard, begun in the background.
pub struct Chains {
    machine: String,
    count: u64,
    tasks: u64,
    starting: tokio::task::JoinHandle<Vec<(String, f64)>>,
}

impl Chains {
    /// Begins to start them.
    pub async fn begin(world: &World, count: u64, tasks: u64) -> Self {
        let machine = world.api.create(world.name, "STANDARD", &chain(tasks)).await;
        let (api, target) = (world.api.clone(), machine.clone());
        let starting =
            tokio::spawn(async move { api.start_all(&target, count, |n| json!({ "n": n })).await });
        Chains { machine, count, tasks, starting }
    }

    /// Tasks of all of them.
    pub fn all_tasks(&self) -> u64 {
        self.count * self.tasks
    }

    /// Waits until they have ended, and checks that each did everything once.
    pub async fn finish(self, world: &World) {
        let Chains { machine, count, tasks, starting } = self;
        let started = starting.await.expect("all are started");
        let ended = world.api.all_ended(&machine).await;
        let all_well = [("SUCCEEDED".to_owned(), count)].into();
        if ended != all_well {
            tell_ends(world, &machine).await;
        }
        assert_eq!(ended, all_well, "S8: started is the sum of what became of it, and no more");
        let arns = started.into_iter().map(|(arn, _)| arn);
        for (n, history) in (0..).zip(world.api.histories(arns).await) {
            let (each, once): (u64, u64) = (tasks, 1);
            let expected = [
                ("ExecutionStarted", once),
                ("ExecutionSucceeded", once),
                ("TaskStateEntered", each),
                ("LambdaFunctionScheduled", each),
                ("LambdaFunctionSucceeded", each),
                ("TaskStateExited", each),
            ];
            histories::check_counts(&history, &expected);
            assert_eq!(histories::output(&history), json!({ "step": tasks - 1, "n": n }), "run-{n}");
        }
        oracle::tasks_done(world, "step", count * tasks).await;
        oracle::nothing_left(world).await;
    }
}

/// Shows how the first executions that did not end well came to their end.
async fn tell_ends(world: &World, machine: &str) {
    for execution in world.api.list(machine, Some("FAILED")).await.iter().take(3) {
        let history = world.api.history(execution["executionArn"].as_str().unwrap()).await;
        for event in &history[history.len().saturating_sub(3)..] {
            eprintln!("{}: {event}", execution["name"]);
        }
    }
}
