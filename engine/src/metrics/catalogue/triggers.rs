//! Triggers.

use super::BATCH;
use crate::metrics::metric::Counted::OncePerWork;
use crate::metrics::metric::Label::Trigger;
use crate::metrics::metric::{Metric, Unit};

metrics! {
    RECEIVED = Metric::counter(
        "warren_trigger_events_received_total",
        &[Trigger],
        "Events that came to a trigger.",
    )
    .counted(OncePerWork);

    MATCHED = Metric::counter(
        "warren_trigger_events_matched_total",
        &[Trigger],
        "Events among them that its pattern wants.",
    )
    .counted(OncePerWork);

    STARTED = Metric::counter(
        "warren_trigger_executions_started_total",
        &[Trigger],
        "Executions that a trigger started.",
    )
    .counted(OncePerWork);

    RETRIED = Metric::counter(
        "warren_trigger_retries_total",
        &[Trigger],
        "Starts that were tried again, since they were throttled or something was away.",
    );

    DEAD_LETTERED = Metric::counter(
        "warren_trigger_events_dead_lettered_total",
        &[Trigger],
        "Events that no execution could be started for; they are kept with the reason.",
    )
    .counted(OncePerWork);

    PAUSED = Metric::gauge(
        "warren_trigger_paused",
        Unit::Flag,
        &[Trigger],
        "Whether a trigger is paused: its events wait.",
    );

    WAITING = Metric::gauge(
        "warren_trigger_waiting_events",
        Unit::Count,
        &[Trigger],
        "Events that wait in a trigger's queue, of the first two hundred triggers by name. The same from each process \
         with the role `engine`.",
    );

    BATCHES = Metric::sizes(
        "warren_trigger_batch_events",
        BATCH,
        &[Trigger],
        "Events that were given to one execution together.",
    )
    .counted(OncePerWork);

    LAG = Metric::gauge(
        "warren_trigger_lag_seconds",
        Unit::Seconds,
        &[Trigger],
        "Age of the event that was taken last, by its member `time`; of messages without one nothing is told.",
    );
}
