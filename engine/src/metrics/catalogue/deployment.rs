//! Broker, store, timers, and what had to be made good.

use super::{ANSWER_SECONDS, BATCH, LATE_SECONDS};
use crate::metrics::metric::Counted::{Once, OncePerWork};
use crate::metrics::metric::Label::{Cause, From, Operation, Reason, Verdict, What};
use crate::metrics::metric::{Metric, Unit};

metrics! {
    READY = Metric::gauge(
        "warren_ready",
        Unit::Flag,
        &[],
        "Whether this process can do its work, as /readyz says.",
    );

    MISSING = Metric::gauge(
        "warren_missing",
        Unit::Flag,
        &[What],
        "What keeps this process from being ready, as /readyz says.",
    );

    BROKER_UP = Metric::gauge(
        "warren_broker_up",
        Unit::Flag,
        &[],
        "Whether this process reaches the broker. While it does not, everything waits, and starts are throttled.",
    );

    BROKER_BLOCKED = Metric::gauge(
        "warren_broker_blocked",
        Unit::Flag,
        &[],
        "Whether the broker takes no messages: an alarm of memory or disk.",
    );

    STORE_UP = Metric::gauge(
        "warren_store_up",
        Unit::Flag,
        &[],
        "Whether this process reaches the database. While it does not, Standard executions wait and Express ones go on.",
    );

    OUTAGES = Metric::counter(
        "warren_outages_total",
        &[What],
        "How often work was held because the broker or the store was away.",
    );

    HOLDING = Metric::gauge(
        "warren_holding_work",
        Unit::Flag,
        &[What],
        "Whether work is held because the broker or the store is away.",
    );

    STORE = Metric::seconds(
        "warren_store_seconds",
        ANSWER_SECONDS,
        &[Operation],
        "How long the store took, by what was asked of it. `commit` is what every Standard transition waits for.",
    );

    STORE_ERRORS = Metric::counter(
        "warren_store_errors_total",
        &[Operation, Reason],
        "What the store could not do: `unavailable` passes, `corrupt` does not.",
    );

    COMMITS = Metric::counter(
        "warren_commits_total",
        &[Verdict],
        "Transitions that were given to the store: `done`, `history_full`, or `stale`, which is a message that came \
         twice and changed nothing. Many stale ones mean many redeliveries.",
    )
    .counted(Once);

    COMMIT_SIZE = Metric::sizes(
        "warren_commit_transitions",
        BATCH,
        &[],
        "Transitions that were committed together.",
    );

    TIMER_LATENESS = Metric::seconds(
        "warren_timer_lateness_seconds",
        LATE_SECONDS,
        &[],
        "How late waits, back-offs and time-outs took effect. None does early.",
    )
    .counted(OncePerWork);

    TIMERS = Metric::counter(
        "warren_timers_fired_total",
        &[From],
        "Timers that were fired, from the memory of the engine that set them or, after a crash and for those far \
         off, from their rows. One that was fired twice has one effect.",
    );

    REPUBLISHED = Metric::counter(
        "warren_messages_made_again_total",
        &[Cause],
        "Messages that were made again from rows: after a `redelivery`, since a commit of a caller was `due`, because \
         a `sweep` found them lost, or to `recover`.",
    );

    SWEEPS = Metric::counter(
        "warren_sweeps_total",
        &[],
        "Walks over all rows, every ten minutes, in search of messages that the broker has lost.",
    );

    SWEEP_FOUND = Metric::counter(
        "warren_sweep_found_total",
        &[],
        "Rows whose message the broker had lost. Anything but 0 means that a queue was deleted or lost its disk.",
    );

    OVERFLOWN = Metric::counter(
        "warren_metrics_overflown_total",
        &[What],
        "What was recorded under `other` because a label had 500 values already.",
    );
}
