//! What a metric is: its name, its kind, and what an operator must know to read it.

/// One metric of the catalogue.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Metric {
    /// Its name: `warren_`, what, and the unit.
    pub name: &'static str,
    /// What its numbers do.
    pub kind: Kind,
    /// What its numbers are.
    pub unit: Unit,
    /// In the order in which values are given.
    pub labels: &'static [Label],
    /// What it tells an operator: a sentence.
    pub help: &'static str,
    /// Who counts, and what becomes of it in a crash.
    pub counted: Counted,
    /// What CloudWatch calls it, where Step Functions has it.
    pub cloudwatch: Option<&'static str>,
}

/// What the numbers of a metric do.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// They only grow, from 0 at each start of the process.
    Counter,
    /// They go up and down.
    Gauge,
    /// Values in buckets with these upper bounds, their sum and their number.
    Histogram(&'static [f64]),
}

/// What the numbers of a metric are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// So many of what the name says.
    Count,
    /// Seconds.
    Seconds,
    /// Bytes.
    Bytes,
    /// 1 or 0: yes or no.
    Flag,
}

/// Who counts, and what becomes of it when a process dies. No kind counts one thing twice, but what is done twice
/// is counted as often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counted {
    /// The process whose commit stands. One that dies between the commit and the next scrape leaves it out.
    Once,
    /// Standard: as [`Once`](Counted::Once). Express: the process that works the message, each time that it is
    /// worked; after a crash that is again.
    OncePerWork,
    /// Each process for itself. What happened since the last scrape is lost with it.
    ByProcess,
    /// Every process with the role `engine` says the same of the whole deployment: take the maximum.
    ByEach,
}

/// What a metric is told apart by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Label {
    /// A state machine's name; at most [`NAMES_MAX`] of them.
    Machine,
    /// `standard` or `express`.
    Type,
    /// A type of state: `Pass`, `Task`, …
    State,
    /// `activity`, `function` or `service`.
    Kind,
    /// An activity's or function's name, or a service integration's: `lambda:invoke`; at most [`NAMES_MAX`] of each
    /// kind.
    Resource,
    /// What queues are for: `standard`, `functions`, …
    Queue,
    /// What became of a publication: `confirmed`, `returned`, `in_doubt`.
    Outcome,
    /// What was asked of the store.
    Operation,
    /// What became of a commit: `done`, `stale`, `history_full`.
    Verdict,
    /// Why, one of few.
    Reason,
    /// What a message was made again for: `redelivery`, `due`, `sweep`, `recover`.
    Cause,
    /// Where a timer was kept: `memory` or `row`.
    From,
    /// An action of the API.
    Action,
    /// `OK`, or the code of the error.
    Code,
    /// A trigger's name; at most [`NAMES_MAX`] of them.
    Trigger,
    /// What is away or missing.
    What,
    /// The release.
    Version,
    /// What the process does, with commas between.
    Roles,
}

/// Values that a label may have which users choose; what comes later is counted under [`OTHER`].
pub const NAMES_MAX: usize = 500;
/// The value of labels for names beyond [`NAMES_MAX`], and for those that are not known.
pub const OTHER: &str = "other";

impl Label {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Label::Machine => "machine",
            Label::Type => "type",
            Label::State => "state",
            Label::Kind => "kind",
            Label::Resource => "resource",
            Label::Queue => "queue",
            Label::Outcome => "outcome",
            Label::Operation => "operation",
            Label::Verdict => "verdict",
            Label::Reason => "reason",
            Label::Cause => "cause",
            Label::From => "from",
            Label::Action => "action",
            Label::Code => "code",
            Label::Trigger => "trigger",
            Label::What => "what",
            Label::Version => "version",
            Label::Roles => "roles",
        }
    }
}

impl Metric {
    /// Counts up, for each process by itself.
    pub const fn counter(name: &'static str, labels: &'static [Label], help: &'static str) -> Self {
        let (kind, unit, counted) = (Kind::Counter, Unit::Count, Counted::ByProcess);
        Metric { name, kind, unit, labels, help, counted, cloudwatch: None }
    }

    /// A number as it stands, for each process by itself.
    pub const fn gauge(name: &'static str, unit: Unit, labels: &'static [Label], help: &'static str) -> Self {
        Metric { kind: Kind::Gauge, unit, ..Metric::counter(name, labels, help) }
    }

    /// Times, in these buckets.
    pub const fn seconds(
        name: &'static str,
        buckets: &'static [f64],
        labels: &'static [Label],
        help: &'static str,
    ) -> Self {
        Metric { kind: Kind::Histogram(buckets), unit: Unit::Seconds, ..Metric::counter(name, labels, help) }
    }

    /// Numbers of things, in these buckets.
    pub const fn sizes(
        name: &'static str,
        buckets: &'static [f64],
        labels: &'static [Label],
        help: &'static str,
    ) -> Self {
        Metric { kind: Kind::Histogram(buckets), ..Metric::counter(name, labels, help) }
    }

    /// In another unit than a count.
    pub const fn in_unit(self, unit: Unit) -> Self {
        Metric { unit, ..self }
    }

    /// Counted so.
    pub const fn counted(self, counted: Counted) -> Self {
        Metric { counted, ..self }
    }

    /// Known to CloudWatch by this name.
    pub const fn cloudwatch(self, name: &'static str) -> Self {
        Metric { cloudwatch: Some(name), ..self }
    }
}
