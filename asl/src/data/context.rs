//! The context object, `$$`.

use std::cell::OnceCell;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::data::budget::Budget;
use crate::data::timestamp::Timestamp;
use crate::data::variables::Variables;

/// What the context object says of the execution as a whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExecutionFacts {
    /// The execution's ARN.
    pub id: String,
    /// The execution's name.
    pub name: String,
    /// The role given when the machine was created.
    pub role_arn: String,
    /// When it started.
    pub started_at: Timestamp,
    /// Its input; null where the program cannot read it.
    pub input: Value,
    /// The last time that it was redriven.
    pub redrive: Option<Redrive>,
    /// The machine's ARN.
    pub state_machine_id: String,
    /// The machine's name.
    pub state_machine_name: String,
}

/// An execution that had failed was set going again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redrive {
    /// How often so far, from 1.
    pub count: u32,
    /// When.
    pub at: Timestamp,
}

/// The item of the iteration that a branch runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MapItem {
    /// Its place, from 0.
    pub index: u32,
    /// Its name, where an object is iterated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The item itself.
    pub value: Value,
}

/// What the expressions of a state see beside its data: the context object, which is made when first read, the
/// variables, the time.
pub struct Context<'a> {
    /// Of the execution.
    pub execution: &'a ExecutionFacts,
    /// The state's name.
    pub state_name: &'a str,
    /// When the state was entered.
    pub entered_at: Timestamp,
    /// Retries of this visit so far; only Task, Parallel and Map states have one.
    pub retry_count: Option<u32>,
    /// The task token, while a `.waitForTaskToken` or `.sync` task is made.
    pub task_token: Option<String>,
    /// The innermost iteration.
    pub item: Option<Arc<MapItem>>,
    /// The variables as they were when the state was entered.
    pub variables: Variables,
    /// When the expressions are evaluated.
    pub now: Timestamp,
    /// What they may cost together.
    pub budget: Budget,
    made: OnceCell<Value>,
}

impl<'a> Context<'a> {
    /// Of a state just entered.
    pub fn new(execution: &'a ExecutionFacts, state_name: &'a str, entered_at: Timestamp) -> Self {
        Context {
            execution,
            state_name,
            entered_at,
            retry_count: None,
            task_token: None,
            item: None,
            variables: Variables::default(),
            now: entered_at,
            budget: Budget::default(),
            made: OnceCell::new(),
        }
    }

    /// With the object as it is given.
    pub fn given(execution: &'a ExecutionFacts, state_name: &'a str, object: Value) -> Self {
        Context { made: OnceCell::from(object), ..Context::new(execution, state_name, execution.started_at) }
    }

    /// The object, keys in AWS's order.
    pub fn value(&self) -> &Value {
        self.made.get_or_init(|| self.make())
    }

    /// Shows another item. What was made of the object before is kept, so that going through many items
    /// does not make the whole of it for each.
    pub fn set_item(&mut self, item: Arc<MapItem>) {
        if let Some(made) = self.made.get_mut() {
            made["Map"] = shown_item(&item);
        }
        self.item = Some(item);
    }

    fn make(&self) -> Value {
        let execution = self.execution;
        let mut state = Map::new();
        state.insert("Name".into(), self.state_name.into());
        state.insert("EnteredTime".into(), self.entered_at.to_string().into());
        if let Some(count) = self.retry_count {
            state.insert("RetryCount".into(), count.into());
        }
        let mut context = json!({
            "Execution": {
                "Id": execution.id,
                "Input": execution.input,
                "StartTime": execution.started_at.to_string(),
                "Name": execution.name,
                "RoleArn": execution.role_arn,
                "RedriveCount": execution.redrive.map_or(0, |redrive| redrive.count),
            },
            "StateMachine": { "Id": execution.state_machine_id, "Name": execution.state_machine_name },
            "State": state,
        });
        if let Some(redrive) = execution.redrive {
            context["Execution"]["RedriveTime"] = redrive.at.to_string().into();
        }
        if let Some(token) = &self.task_token {
            context["Task"] = json!({ "Token": token });
        }
        if let Some(item) = &self.item {
            context["Map"] = shown_item(item);
        }
        context
    }
}

fn shown_item(item: &MapItem) -> Value {
    let mut shown = Map::new();
    shown.insert("Index".into(), item.index.into());
    if let Some(key) = &item.key {
        shown.insert("Key".into(), key.clone().into());
    }
    shown.insert("Value".into(), item.value.clone());
    json!({ "Item": shown })
}
