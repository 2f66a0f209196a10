//! The broker, as far as it can be seen over AMQP.

use std::time::{Duration, Instant};

use bytes::Bytes;
use uuid::Uuid;

use super::Finding;
use crate::cli::outside::Outside;
use crate::config::{Config, QueueType};
use crate::ports::broker::{self, Broker, Family, Publication, Published, Queue, Settle};

/// The broker must answer within this time.
const REACH_WITHIN: Duration = Duration::from_secs(5);
/// Round trips that are measured.
const ROUNDS: usize = 20;
/// A message must come back within this time.
const BACK_WITHIN: Duration = Duration::from_secs(10);
/// A median round trip above this is slow: a transition makes several.
const SLOW: Duration = Duration::from_millis(50);
/// The oldest release whose queues keep what they are given (quorum queues that dead-letter at least once).
const VERSION_MIN: (u32, u32) = (3, 10);

/// Looks at the broker.
pub async fn examine(config: &Config, outside: &Outside) -> Vec<Finding> {
    let address = &config.broker.url;
    if let Err(error) = outside.reach_broker(REACH_WITHIN).await {
        let mend = "start it, or set broker.url (WARREN__BROKER__URL)";
        return vec![Finding::failure("broker", format!("{address}: {error}"), mend)];
    }
    let broker = outside.broker();
    let mut findings = vec![version(outside), queue_type(config)];
    findings.push(queues(broker.as_ref()).await);
    findings.push(round_trip(broker.as_ref()).await);
    findings.push(dead_letters(broker.as_ref()).await);
    findings
}

fn version(outside: &Outside) -> Finding {
    let Some((product, (major, minor, patch))) = outside.server() else {
        return Finding::warning("broker", "it did not name itself", "use RabbitMQ 3.10 or later");
    };
    let named = format!("{product} {major}.{minor}.{patch}");
    if (major, minor) < VERSION_MIN {
        return Finding::failure("broker", named, "upgrade it to RabbitMQ 3.10 or later");
    }
    Finding::well("broker", named)
}

fn queue_type(config: &Config) -> Finding {
    match config.broker.queue_type {
        QueueType::Quorum => Finding::well("queue type", "quorum"),
        QueueType::Classic => Finding::warning(
            "queue type",
            "classic queues are on one node, and lost with its disk",
            "set broker.queue_type = \"quorum\" for a new deployment",
        ),
    }
}

/// Declares the first queue of each family: refused if it exists with another type or delivery limit.
async fn queues(broker: &dyn Broker) -> Finding {
    let first: Vec<Queue> = Family::ALL.into_iter().map(|family| Queue::of(family, 0)).collect();
    match broker.declare(&first).await {
        Ok(()) => Finding::well("queues", "type, delivery limit and dead letters are as configured"),
        Err(error) => Finding::failure(
            "queues",
            error.to_string(),
            "empty and delete the queue it names, or set broker.queue_type or broker.prefix to what fits it",
        ),
    }
}

async fn round_trip(broker: &dyn Broker) -> Finding {
    const CHECK: &str = "publish and consume";
    let queue = Queue::named(format!("doctor-{}", Uuid::new_v4().simple()));
    let measured = measure(broker, &queue).await;
    // What is left over is one empty queue, and its name tells whose.
    let deleted = broker.delete(&queue).await;
    match measured.and_then(|median| deleted.map(|()| median).map_err(|error| error.to_string())) {
        Ok(median) => {
            let text =
                format!("confirmed and back in {:.1} ms (median of {ROUNDS})", median.as_secs_f64() * 1e3);
            if median > SLOW {
                let mend = "bring broker and engines closer together, or give the broker a faster disk";
                return Finding::warning(CHECK, text, mend);
            }
            Finding::well(CHECK, text)
        }
        Err(reason) => Finding::failure(
            CHECK,
            reason,
            "look for an alarm (memory, disk) in the broker's log, and for the rights of its user",
        ),
    }
}

/// The median time from publishing a message to having it back.
async fn measure(broker: &dyn Broker, queue: &Queue) -> Result<Duration, String> {
    let failed = |error: broker::Error| error.to_string();
    broker.declare(std::slice::from_ref(queue)).await.map_err(failed)?;
    let consumer = broker.consume(queue, 1).await.map_err(failed)?;
    let mut times = Vec::with_capacity(ROUNDS);
    for round in 0..ROUNDS {
        let began = Instant::now();
        let message = Publication::new(queue.clone(), format!("doctor/{round}"), Bytes::from_static(b"{}"));
        let published = broker.publish(vec![message]).await.map_err(failed)?;
        if published != [Published::Confirmed] {
            return Err(format!("a message was not confirmed: {published:?}"));
        }
        let came = tokio::time::timeout(BACK_WITHIN, consumer.next(1)).await;
        let came = came.map_err(|_| "a message did not come back".to_owned())?.map_err(failed)?;
        times.push(began.elapsed());
        let settled = came.iter().map(|delivery| (delivery.tag, Settle::Acknowledge)).collect();
        consumer.settle(settled).await.map_err(failed)?;
    }
    times.sort();
    times.get(ROUNDS / 2).copied().ok_or_else(|| "nothing was measured".to_owned())
}

async fn dead_letters(broker: &dyn Broker) -> Finding {
    const CHECK: &str = "dead letters";
    let mut waiting = Vec::new();
    for queue in [Queue::dead(), Queue::named("poison")] {
        match broker.ready(&queue).await {
            Ok(0) => {}
            Ok(count) => waiting.push(format!("{count} in {queue}")),
            Err(error) => return Finding::warning(CHECK, error.to_string(), "run the doctor again"),
        }
    }
    if waiting.is_empty() {
        return Finding::well(CHECK, "none");
    }
    let mend = "each holds its reason; look at them in the broker's management, then purge the queue";
    Finding::warning(CHECK, waiting.join(", "), mend)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::in_process::InProcess;
    use crate::cli::doctor::Verdict;

    #[tokio::test]
    async fn a_broker_that_carries_messages_is_well_and_left_clean() {
        let broker = InProcess::new();
        for finding in [queues(&broker).await, round_trip(&broker).await, dead_letters(&broker).await] {
            assert_eq!(finding.verdict, Verdict::Well, "{finding:?}");
        }
    }
}
