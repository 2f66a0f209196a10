//! Messages and queues.

use super::{ANSWER_SECONDS, BATCH};
use crate::metrics::metric::Counted::ByEach;
use crate::metrics::metric::Label::{Outcome, Queue, Reason, Type};
use crate::metrics::metric::{Metric, Unit};

metrics! {
    PUBLISHED = Metric::counter(
        "warren_messages_published_total",
        &[Queue, Outcome],
        "Messages by what became of them: the broker has them, no queue took them, or nobody knows; the last are \
         published again.",
    );

    PUBLISH = Metric::seconds(
        "warren_broker_publish_seconds",
        ANSWER_SECONDS,
        &[],
        "How long the broker took to confirm a batch of messages: slow disks, or a quorum that is far away.",
    );

    DELIVERED = Metric::counter(
        "warren_messages_delivered_total",
        &[Queue],
        "Messages that this process was given.",
    );

    REDELIVERED = Metric::counter(
        "warren_messages_redelivered_total",
        &[Queue],
        "Messages among them that somebody was given before and did not settle: a process died, or lost the broker.",
    );

    IN_FLIGHT = Metric::gauge(
        "warren_deliveries_in_flight",
        Unit::Count,
        &[Queue],
        "Messages that this process has and has not settled. Those of `calls` and `inner` wait for answers.",
    );

    DEAD_LETTERED = Metric::counter(
        "warren_messages_dead_lettered_total",
        &[Queue, Reason],
        "Messages that cannot be worked, now in the queue `dead`: what they say cannot be read (`unreadable`), nor \
         what the store holds of them (`corrupt`), their definition cannot be run (`definition`), they were delivered \
         too often (`delivered_too_often`), or something else (`other`). Each failed an execution.",
    );

    READY = Metric::gauge(
        "warren_queue_ready_messages",
        Unit::Count,
        &[Queue],
        "Messages that wait in the queues of a family, or are dead, asked for every 15 seconds.",
    )
    .counted(ByEach);

    LAG = Metric::gauge(
        "warren_queue_lag_seconds",
        Unit::Seconds,
        &[Queue],
        "How far engines are behind in Standard transitions: the age of the oldest one that may still wait.",
    )
    .counted(ByEach);

    BATCH_SIZE = Metric::sizes(
        "warren_batch_messages",
        BATCH,
        &[Type],
        "Messages that were worked together. Batches grow with the load; always 128 means that an engine is behind.",
    );

    BATCH_SECONDS = Metric::seconds(
        "warren_batch_seconds",
        ANSWER_SECONDS,
        &[Type],
        "How long batches took from their delivery until all that they caused was safe.",
    );
}
