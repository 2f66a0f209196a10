//! Somebody who listens to status events, and what must hold of what was heard.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use engine::ids::ExecutionId;
use engine::ports::broker::{Address, Exchange, Publication};
use engine::ports::catalog::{Execution, ExecutionFilter, StartedBy, WorkflowType};
use engine::ports::store::ExecutionStatus;
use serde_json::Value;

use super::store::Database;

pub struct Listener {
    database: Database,
    notes: Mutex<Notes>,
}

#[derive(Default)]
struct Notes {
    /// By execution and number of the change.
    heard: BTreeMap<(ExecutionId, u32), Value>,
    wrong: Vec<String>,
}

impl Listener {
    pub fn new(database: Database) -> Self {
        Listener { database, notes: Mutex::default() }
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The broker has a publication. A status event must tell what stands, and say the same each time.
    pub fn hear(&self, publication: &Publication) {
        let Address::Exchange(exchange, key) = &publication.to else { return };
        if *exchange != Exchange::events() {
            return;
        }
        let event: Value = serde_json::from_slice(&publication.body).unwrap();
        let (id, number) = publication.id.split_once('/').unwrap();
        let (id, number): (ExecutionId, u32) = (id.parse().unwrap(), number.parse().unwrap());
        let execution = self.database.ask(move |db| async move { db.execution_by_id(id).await }).unwrap();
        let untrue = untrue(&event, key, number, execution.as_ref());
        let mut notes = self.notes();
        let before = notes.heard.insert((id, number), event.clone());
        let other = before.filter(|before| *before != event).map(|before| format!("it was {before}"));
        notes.wrong.extend(untrue.or(other).map(|why| format!("{event}: {why}")));
    }

    pub fn wrong(&self) -> Vec<String> {
        self.notes().wrong.clone()
    }

    /// Changes of Standard executions, all of which are over, that nobody has heard of. What a broker has lost
    /// with all that was in it need not be announced, if a delivery answered for that.
    pub fn missed(&self, blacked_out: bool) -> Vec<(String, u32)> {
        let mut missed = Vec::new();
        for execution in self.executions() {
            let by_itself = [ExecutionStatus::Succeeded, ExecutionStatus::Failed].contains(&execution.status);
            // To RUNNING and to an end, and so again for each redrive.
            let redrives = execution.redrive.map_or(0, |redrive| redrive.count);
            for number in 1..=2 * (redrives + 1) {
                let excused = blacked_out && number % 2 == 0 && (by_itself || number <= 2 * redrives);
                if !excused && !self.notes().heard.contains_key(&(execution.id, number)) {
                    missed.push((format!("{} {:?}", execution.id, execution.status), number));
                }
            }
        }
        missed
    }

    fn executions(&self) -> Vec<Execution> {
        let machines = self.database.ask(|db| async move { db.machines(100, None).await }).unwrap().items;
        let mut all = Vec::new();
        for machine in machines.into_iter().filter(|found| found.workflow_type == WorkflowType::Standard) {
            let filter = ExecutionFilter { machine: machine.id, started_by: StartedBy::Any, status: None };
            let page = self.database.ask(move |db| async move { db.executions(&filter, 1_000, None).await });
            all.extend(page.unwrap().items);
        }
        all
    }
}

/// Why what an event tells is not so.
fn untrue(event: &Value, key: &str, number: u32, execution: Option<&Execution>) -> Option<String> {
    let Some(execution) = execution else { return Some("there is no such execution".to_owned()) };
    let detail = &event["detail"];
    let status = detail["status"].as_str().unwrap();
    let redrives = execution.redrive.map_or(0, |redrive| redrive.count);
    let redriven = u64::from((number - 1) / 2);
    let counts = detail["redriveCount"].as_u64() == Some(redriven)
        && detail["redriveDate"].is_null() == (redriven == 0)
        && number <= 2 * (redrives + 1);
    let stands = counts
        && match number {
            begun if begun % 2 == 1 => status == "RUNNING" && detail["stopDate"].is_null(),
            last if last == 2 * (redrives + 1) => {
                let stopped_at = execution.stopped_at.map(|at| at.milliseconds());
                status == execution.status.as_str()
                    && status != "RUNNING"
                    && detail["stopDate"].as_i64() == stopped_at
            }
            _ => ["FAILED", "ABORTED"].contains(&status) && !detail["stopDate"].is_null(),
        };
    let named = detail["name"] == execution.name.as_str()
        && key == format!("{}.{status}", detail["stateMachineArn"].as_str().unwrap());
    (!stands || !named).then(|| format!("change {number}, {key}, is not that of {execution:?}"))
}
