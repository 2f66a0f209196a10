//! Executions: how many, how they end, how long they take.

use std::sync::OnceLock;

use ::metrics::{Counter, Gauge, Histogram};
use asl::data::timestamp::Timestamp;
use asl::definition::WorkflowType;

use super::catalogue::executions as catalogue;
use super::metric::{Label, OTHER};
use super::names::Names;
use super::on;
use super::registry::Registry;

/// How an execution ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// With an output.
    Succeeded,
    /// With an error.
    Failed,
    /// Its time was over.
    TimedOut,
    /// It was stopped.
    Aborted,
}

/// Handles of all machines, and those of the whole deployment.
pub(super) struct Executions {
    machines: Names<Machine>,
    start_delay: [Histogram; 2],
    open: OnceLock<Open>,
}

/// Handles of the machines of one name: one of each type may have had it.
#[derive(Default)]
struct Machine {
    types: [OnceLock<Handles>; 2],
}

struct Handles {
    started: Counter,
    succeeded: Counter,
    failed: Counter,
    timed_out: Counter,
    aborted: Counter,
    throttled: Counter,
    redriven: Counter,
    duration: Histogram,
}

/// Made when first told: a process that never asks must not say 0.
struct Open {
    count: Gauge,
    oldest: Gauge,
}

impl Executions {
    pub(super) fn new(registry: &Registry) -> Self {
        Executions {
            machines: Names::new(Label::Machine),
            start_delay: TYPES
                .map(|workflow| registry.histogram(&catalogue::START_DELAY, &[type_name(workflow)])),
            open: OnceLock::new(),
        }
    }
}

impl Handles {
    fn new(registry: &Registry, machine: &str, workflow: WorkflowType) -> Self {
        let values = [machine, type_name(workflow)];
        let counter = |metric| registry.counter(metric, &values);
        Handles {
            started: counter(&catalogue::STARTED),
            succeeded: counter(&catalogue::SUCCEEDED),
            failed: counter(&catalogue::FAILED),
            timed_out: counter(&catalogue::TIMED_OUT),
            aborted: counter(&catalogue::ABORTED),
            throttled: counter(&catalogue::THROTTLED),
            redriven: counter(&catalogue::REDRIVEN),
            duration: registry.histogram(&catalogue::DURATION, &values),
        }
    }
}

/// The types, in the order of their handles.
pub(super) const TYPES: [WorkflowType; 2] = [WorkflowType::Standard, WorkflowType::Express];

/// The value of the label `type`.
pub(super) fn type_name(workflow: WorkflowType) -> &'static str {
    match workflow {
        WorkflowType::Standard => "standard",
        WorkflowType::Express => "express",
    }
}

/// The place in [`TYPES`].
pub(super) fn place(workflow: WorkflowType) -> usize {
    match workflow {
        WorkflowType::Standard => 0,
        WorkflowType::Express => 1,
    }
}

fn with(machine: &str, workflow: WorkflowType, record: impl FnOnce(&Handles)) {
    let Some(on) = on() else { return };
    let registry = &on.registry;
    let handles = on.executions.machines.get(registry, machine, |_| Machine::default());
    record(handles.types[place(workflow)].get_or_init(|| Handles::new(registry, machine, workflow)));
}

/// One was started.
pub fn started(machine: &str, workflow: WorkflowType) {
    with(machine, workflow, |handles| handles.started.increment(1));
}

/// A start was refused for now.
pub fn throttled(machine: &str, workflow: WorkflowType) {
    with(machine, workflow, |handles| handles.throttled.increment(1));
}

/// One that had failed goes on.
pub fn redriven(machine: &str, workflow: WorkflowType) {
    with(machine, workflow, |handles| handles.redriven.increment(1));
}

/// One ended, so many milliseconds after its start.
pub fn ended(machine: &str, workflow: WorkflowType, how: Ended, milliseconds: i64) {
    with(machine, workflow, |handles| {
        let counter = match how {
            Ended::Succeeded => &handles.succeeded,
            Ended::Failed => &handles.failed,
            Ended::TimedOut => &handles.timed_out,
            Ended::Aborted => &handles.aborted,
        };
        counter.increment(1);
        handles.duration.record(seconds(milliseconds));
    });
}

/// One made its first transition, so many milliseconds after it was started.
pub fn begun(workflow: WorkflowType, milliseconds: i64) {
    if let Some(on) = on() {
        on.executions.start_delay[place(workflow)].record(seconds(milliseconds));
    }
}

/// So many Standard executions run, the oldest since then.
pub fn open(count: u64, oldest: Option<Timestamp>, now: Timestamp) {
    let Some(on) = on() else { return };
    let open = on.executions.open.get_or_init(|| Open {
        count: on.registry.gauge(&catalogue::OPEN, &[]),
        oldest: on.registry.gauge(&catalogue::OLDEST_OPEN, &[]),
    });
    let age = oldest.map_or(0, |oldest| now.milliseconds().saturating_sub(oldest.milliseconds()));
    open.count.set(count as f64);
    open.oldest.set(seconds(age));
}

/// The machine of an execution whose machine is not known.
pub const UNKNOWN: &str = OTHER;

/// Two clocks may differ by a little: what would be less than nothing is nothing.
pub(super) fn seconds(milliseconds: i64) -> f64 {
    milliseconds.max(0) as f64 / 1_000.0
}
