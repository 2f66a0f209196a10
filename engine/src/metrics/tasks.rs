//! Tasks, by the activity, function or service that they call.

use ::metrics::{Counter, Histogram};
use asl::program::Resource;

use super::catalogue::tasks as catalogue;
use super::executions::seconds;
use super::metric::Label;
use super::names::Names;
use super::on;
use super::registry::Registry;

/// Handles of all resources, by kind.
pub(super) struct Tasks {
    activities: Names<Handles>,
    functions: Names<Handles>,
    services: Names<Handles>,
}

impl Default for Tasks {
    fn default() -> Self {
        let names = || Names::new(Label::Resource);
        Tasks { activities: names(), functions: names(), services: names() }
    }
}

struct Handles {
    scheduled: Counter,
    started: Counter,
    succeeded: Counter,
    failed: Counter,
    timed_out: Counter,
    heartbeat_timed_out: Counter,
    schedule: Histogram,
    run: Histogram,
    duration: Histogram,
}

impl Handles {
    fn new(registry: &Registry, kind: &str, resource: &str) -> Self {
        let values = [kind, resource];
        let counter = |metric| registry.counter(metric, &values);
        let histogram = |metric| registry.histogram(metric, &values);
        Handles {
            scheduled: counter(&catalogue::SCHEDULED),
            started: counter(&catalogue::STARTED),
            succeeded: counter(&catalogue::SUCCEEDED),
            failed: counter(&catalogue::FAILED),
            timed_out: counter(&catalogue::TIMED_OUT),
            heartbeat_timed_out: counter(&catalogue::HEARTBEAT_TIMED_OUT),
            schedule: histogram(&catalogue::SCHEDULE),
            run: histogram(&catalogue::RUN),
            duration: histogram(&catalogue::DURATION),
        }
    }
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// With an output.
    Succeeded,
    /// With an error.
    Failed,
    /// It took too long.
    TimedOut,
    /// Its worker gave no sign of life.
    HeartbeatTimedOut,
}

/// How long an attempt took, in milliseconds; what is not known is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Took {
    /// From its start to its end.
    pub run: Option<i64>,
    /// From when it was scheduled to its end.
    pub all: Option<i64>,
}

/// The name behind the last `:KIND:` of an ARN; all of it where there is none.
fn after<'a>(arn: &'a str, kind: &str) -> &'a str {
    arn.rsplit_once(kind).map_or(arn, |(_, name)| name)
}

fn with(resource: &Resource, record: impl FnOnce(&Handles)) {
    let Some(on) = on() else { return };
    let (registry, tasks) = (&on.registry, &on.tasks);
    let handles = match resource {
        Resource::Activity { arn } => {
            let make = |name: &str| Handles::new(registry, "activity", name);
            tasks.activities.get(registry, after(arn, ":activity:"), make)
        }
        Resource::Function { arn } => {
            let make = |name: &str| Handles::new(registry, "function", name);
            tasks.functions.get(registry, after(arn, ":function:"), make)
        }
        Resource::Service(service) => {
            let make = |name: &str| Handles::new(registry, "service", after(name, ":::"));
            tasks.services.get(registry, &service.arn, make)
        }
    };
    record(&handles);
}

/// An attempt was sent out.
pub fn scheduled(resource: &Resource) {
    with(resource, |handles| handles.scheduled.increment(1));
}

/// An attempt began.
pub fn started(resource: &Resource) {
    with(resource, |handles| handles.started.increment(1));
}

/// An attempt was taken by who carries it out, so many milliseconds after it was scheduled.
pub fn taken(resource: &Resource, milliseconds: i64) {
    with(resource, |handles| handles.schedule.record(seconds(milliseconds)));
}

/// An attempt ended.
pub fn ended(resource: &Resource, how: Ended, took: Took) {
    with(resource, |handles| {
        let counter = match how {
            Ended::Succeeded => &handles.succeeded,
            Ended::Failed => &handles.failed,
            Ended::TimedOut => &handles.timed_out,
            Ended::HeartbeatTimedOut => &handles.heartbeat_timed_out,
        };
        counter.increment(1);
        for (histogram, milliseconds) in [(&handles.run, took.run), (&handles.duration, took.all)] {
            if let Some(milliseconds) = milliseconds {
                histogram.record(seconds(milliseconds));
            }
        }
    });
}
