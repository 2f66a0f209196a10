//! Every metric there is. `docs/metrics.md` is written from this: `BLESS=1 cargo test -p engine --test metrics`.

use super::metric::Metric;

/// Declares metrics, and a list `ALL` of them in this order.
macro_rules! metrics {
    ($($name:ident = $metric:expr;)*) => {
        $(
            #[doc = concat!("See the help of [`", stringify!($name), "`].")]
            pub static $name: Metric = $metric;
        )*

        /// All of this part.
        pub static ALL: &[&Metric] = &[$(&$name),*];
    };
}

pub mod deployment;
pub mod executions;
pub mod messages;
pub mod process;
pub mod requests;
pub mod tasks;
pub mod triggers;

/// A part of the catalogue.
pub struct Part {
    /// What it is about.
    pub title: &'static str,
    /// What to know before its metrics.
    pub about: &'static str,
    /// Its metrics.
    pub metrics: &'static [&'static Metric],
}

/// The parts, in the order in which they are told.
pub static PARTS: [Part; 7] = [
    Part {
        title: "Executions",
        about: "What users see: how many executions start, how they end, how long they take. `machine` is the \
                state machine's name.",
        metrics: executions::ALL,
    },
    Part {
        title: "Tasks",
        about: "What executions call. `kind` and `resource` name it: an activity or a function by its name, a \
                service integration as `lambda:invoke`. As in histories, a call of a function or a service counts \
                as started when it is sent.",
        metrics: tasks::ALL,
    },
    Part {
        title: "API",
        about: "Requests to the Step Functions API, as they were answered.",
        metrics: requests::ALL,
    },
    Part {
        title: "Messages",
        about: "What goes through the broker, by what the queue is for: the families `standard`, `results`, \
                `express`, `calls` and `inner`; `functions`, `activities` and `tasks` (of connectors); `reply`; \
                `poison` and `dead`; `triggers`, `onlookers`; `exchange` for what is published to all who ask for it; \
                `other` for queues of others.",
        metrics: messages::ALL,
    },
    Part {
        title: "Deployment",
        about: "Broker and store as this process finds them, the commits that carry Standard executions, timers, \
                and what had to be made good.",
        metrics: deployment::ALL,
    },
    Part {
        title: "Triggers",
        about: "Events of the broker that start executions, by the trigger's name.",
        metrics: triggers::ALL,
    },
    Part {
        title: "Process",
        about: "The process itself, under the names that Prometheus has for this, where `/proc` tells it (Linux).",
        metrics: process::ALL,
    },
];

/// All metrics.
pub fn all() -> impl Iterator<Item = &'static Metric> {
    PARTS.iter().flat_map(|part| part.metrics).copied()
}

/// From half a millisecond to ten seconds: what a server answers.
const ANSWER_SECONDS: &[f64] =
    &[0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];
/// From five milliseconds to a week: what executions and tasks take.
const WORK_SECONDS: &[f64] =
    &[0.005, 0.025, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 1_800.0, 7_200.0, 86_400.0, 604_800.0];
/// From ten milliseconds to five minutes: how late something is.
const LATE_SECONDS: &[f64] = &[0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0];
/// Members of a batch.
const BATCH: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0];
