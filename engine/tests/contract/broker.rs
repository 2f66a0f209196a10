//! What every broker promises. Each promise gets a broker of its own.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use engine::ports::broker::{
    Broker, Consumer, Delivery, DeliveryTag, Error, Health, Publication, Published, Queue, Settle,
};
use tokio::time::timeout;

/// Long enough for a broker to deliver what it is going to deliver.
const A_WHILE: Duration = Duration::from_millis(300);
/// Longer than any delivery takes.
const FOREVER: Duration = Duration::from_secs(20);

macro_rules! promises_to {
    ($attribute:meta, $broker:expr) => {
        $crate::contract::promises!(broker, $attribute, $broker,
            a_message_arrives_as_it_was_published
            messages_arrive_in_the_order_they_were_published
            a_publication_to_no_queue_is_returned_and_the_others_are_confirmed
            declaring_a_queue_again_keeps_what_is_in_it
            a_deleted_queue_returns_publications_and_cancels_its_consumers
            a_consumer_without_room_learns_that_its_queue_is_deleted
            deleting_no_queue_is_no_error
            a_queue_declared_after_its_deletion_is_empty_and_works
            consuming_from_no_queue_is_an_error
            next_takes_what_is_ready_and_never_waits_for_more
            next_waits_for_the_first_delivery
            a_call_that_is_dropped_loses_nothing
            at_most_prefetch_deliveries_are_unsettled
            acknowledged_deliveries_never_come_back
            a_requeued_delivery_comes_first_and_counts
            requeued_deliveries_keep_their_order
            a_dropped_consumer_returns_what_is_unsettled_in_order
            a_consumer_lives_while_it_is_referred_to
            a_stopped_consumer_leaves_messages_to_others
            a_consumer_that_is_stopped_while_it_waits_ends
            unknown_and_settled_tags_are_ignored
            a_dead_letter_is_filed_with_its_reason
            an_expired_publication_is_not_delivered
            a_working_broker_is_in_good_health
            a_delayed_publication_arrives_when_it_is_due_and_not_before
            delayed_publications_arrive_by_their_time
            a_delayed_publication_to_no_queue_is_returned
            ready_counts_what_waits_for_a_consumer
            every_message_reaches_one_of_many_consumers
            a_consumer_without_room_leaves_messages_to_others
        );
    };
}
pub(crate) use promises_to;

/// What only a broker can promise that hands nothing over before it is asked for.
macro_rules! exact_promises_to {
    ($attribute:meta, $broker:expr) => {
        $crate::contract::promises!(broker, $attribute, $broker, what_nobody_took_neither_moves_nor_counts);
    };
}
pub(crate) use exact_promises_to;

pub(super) fn publication(queue: &Queue, id: impl ToString) -> Publication {
    let body = Bytes::from(format!("{{\"id\":\"{}\"}}", id.to_string()));
    Publication::new(queue.clone(), id.to_string(), body)
}

fn delayed(queue: &Queue, id: impl ToString, milliseconds: u64) -> Publication {
    Publication { delay: Some(Duration::from_millis(milliseconds)), ..publication(queue, id) }
}

pub(super) async fn declared(broker: &Arc<dyn Broker>, name: &str) -> Queue {
    let queue = Queue::named(name);
    broker.declare(std::slice::from_ref(&queue)).await.unwrap();
    queue
}

/// A queue with messages `0..count`.
async fn filled(broker: &Arc<dyn Broker>, name: &str, count: usize) -> Queue {
    let queue = declared(broker, name).await;
    let batch = (0..count).map(|id| publication(&queue, id)).collect();
    assert_eq!(broker.publish(batch).await.unwrap(), vec![Published::Confirmed; count]);
    queue
}

async fn next(consumer: &Arc<dyn Consumer>, max: usize) -> Vec<Delivery> {
    timeout(FOREVER, consumer.next(max)).await.expect("a delivery").unwrap()
}

/// So many deliveries, however they come.
pub(super) async fn collect(consumer: &Arc<dyn Consumer>, count: usize) -> Vec<Delivery> {
    let mut collected = Vec::new();
    while collected.len() < count {
        collected.extend(next(consumer, count - collected.len()).await);
    }
    collected
}

pub(super) async fn assert_nothing_arrives(consumer: &Arc<dyn Consumer>) {
    let arrived = timeout(A_WHILE, consumer.next(1)).await;
    assert!(arrived.is_err(), "{arrived:?} arrived");
}

pub(super) fn ids(deliveries: &[Delivery]) -> Vec<&str> {
    deliveries.iter().map(|delivery| delivery.id.as_str()).collect()
}

pub(super) fn all(deliveries: &[Delivery], how: &Settle) -> Vec<(DeliveryTag, Settle)> {
    deliveries.iter().map(|delivery| (delivery.tag, how.clone())).collect()
}

pub async fn a_message_arrives_as_it_was_published(broker: Arc<dyn Broker>) {
    let queue = declared(&broker, "orders").await;
    let published = Publication {
        reply_to: Some(Queue::named("answers")),
        correlation_id: Some("c-1".to_owned()),
        headers: [("error".to_owned(), "Sour.Milk".to_owned()), ("warren-é".to_owned(), "日本".to_owned())]
            .into(),
        ..publication(&queue, "m-1")
    };
    broker.publish(vec![published.clone()]).await.unwrap();
    let consumer = broker.consume(&queue, 10).await.unwrap();
    let [delivery] = next(&consumer, 10).await.try_into().unwrap();
    assert_eq!(delivery.id, published.id);
    assert_eq!(delivery.body, published.body);
    assert_eq!(delivery.reply_to, published.reply_to);
    assert_eq!(delivery.correlation_id, published.correlation_id);
    assert_eq!(delivery.headers, published.headers);
    assert_eq!(delivery.redeliveries, 0);
}

pub async fn an_expired_publication_is_not_delivered(broker: Arc<dyn Broker>) {
    let queue = declared(&broker, "orders").await;
    let brief = Publication { expires: Some(Duration::from_millis(50)), ..publication(&queue, "brief") };
    let long = Publication { expires: Some(Duration::from_secs(60)), ..publication(&queue, "long") };
    broker.publish(vec![brief, long]).await.unwrap();
    tokio::time::sleep(A_WHILE).await;
    let consumer = broker.consume(&queue, 10).await.unwrap();
    assert_eq!(ids(&next(&consumer, 10).await), ["long"]);
    assert_nothing_arrives(&consumer).await;
}

pub async fn a_working_broker_is_in_good_health(broker: Arc<dyn Broker>) {
    declared(&broker, "orders").await;
    assert_eq!(broker.health(), Health::Good);
}

pub async fn messages_arrive_in_the_order_they_were_published(broker: Arc<dyn Broker>) {
    let queue = filled(&broker, "orders", 100).await;
    let consumer = broker.consume(&queue, 100).await.unwrap();
    let arrived = collect(&consumer, 100).await;
    assert_eq!(ids(&arrived), (0..100).map(|id| id.to_string()).collect::<Vec<_>>());
}

pub async fn a_publication_to_no_queue_is_returned_and_the_others_are_confirmed(broker: Arc<dyn Broker>) {
    let queue = declared(&broker, "orders").await;
    let nowhere = Queue::named("nowhere");
    let batch = vec![publication(&queue, 1), publication(&nowhere, 2), publication(&queue, 3)];
    let published = broker.publish(batch).await.unwrap();
    assert_eq!(published, [Published::Confirmed, Published::Returned, Published::Confirmed]);
    let consumer = broker.consume(&queue, 10).await.unwrap();
    assert_eq!(ids(&collect(&consumer, 2).await), ["1", "3"]);
}

pub async fn declaring_a_queue_again_keeps_what_is_in_it(broker: Arc<dyn Broker>) {
    let queue = filled(&broker, "orders", 2).await;
    broker.declare(&[queue.clone(), queue.clone()]).await.unwrap();
    assert_eq!(broker.ready(&queue).await.unwrap(), 2);
}

pub async fn a_deleted_queue_returns_publications_and_cancels_its_consumers(broker: Arc<dyn Broker>) {
    let queue = declared(&broker, "orders").await;
    let consumer = broker.consume(&queue, 10).await.unwrap();
    let waiting = tokio::spawn({
        let consumer = Arc::clone(&consumer);
        async move { consumer.next(1).await }
    });
    tokio::task::yield_now().await;
    broker.delete(&queue).await.unwrap();
    let cancelled = timeout(FOREVER, waiting).await.unwrap().unwrap();
    assert!(matches!(cancelled, Err(Error::Cancelled)), "{cancelled:?}");
    assert!(matches!(consumer.next(1).await, Err(Error::Cancelled)));
    assert_eq!(broker.publish(vec![publication(&queue, 1)]).await.unwrap(), [Published::Returned]);
    assert_eq!(broker.ready(&queue).await.unwrap(), 0);
}

pub async fn a_consumer_without_room_learns_that_its_queue_is_deleted(broker: Arc<dyn Broker>) {
    let queue = filled(&broker, "orders", 2).await;
    let consumer = broker.consume(&queue, 1).await.unwrap();
    let held = next(&consumer, 1).await;
    let waiting = tokio::spawn({
        let consumer = Arc::clone(&consumer);
        async move { consumer.next(1).await }
    });
    tokio::task::yield_now().await;
    broker.delete(&queue).await.unwrap();
    let cancelled = timeout(FOREVER, waiting).await.unwrap().unwrap();
    assert!(matches!(cancelled, Err(Error::Cancelled)), "{cancelled:?}");
    drop((held, consumer));
}

pub async fn deleting_no_queue_is_no_error(broker: Arc<dyn Broker>) {
    broker.delete(&Queue::named("nowhere")).await.unwrap();
}

pub async fn a_queue_declared_after_its_deletion_is_empty_and_works(broker: Arc<dyn Broker>) {
    let queue = filled(&broker, "orders", 3).await;
    broker.delete(&queue).await.unwrap();
    broker.declare(std::slice::from_ref(&queue)).await.unwrap();
    broker.publish(vec![publication(&queue, "new")]).await.unwrap();
    let consumer = broker.consume(&queue, 10).await.unwrap();
    assert_eq!(ids(&next(&consumer, 10).await), ["new"]);
}

pub async fn consuming_from_no_queue_is_an_error(broker: Arc<dyn Broker>) {
    assert!(broker.consume(&Queue::named("nowhere"), 10).await.is_err());
}

pub async fn next_takes_what_is_ready_and_never_waits_for_more(broker: Arc<dyn Broker>) {
    let queue = filled(&broker, "orders", 3).await;
    let consumer = broker.consume(&queue, 100).await.unwrap();
    let first = next(&consumer, 2).await;
    assert!((1..=2).contains(&first.len()));
    let rest = collect(&consumer, 3 - first.len()).await;
    assert_eq!(first.len() + rest.len(), 3);
}

pub async fn next_waits_for_the_first_delivery(broker: Arc<dyn Broker>) {
    let queue = declared(&broker, "orders").await;
    let consumer = broker.consume(&queue, 10).await.unwrap();
    let waiting = tokio::spawn(async move { next(&consumer, 10).await });
    tokio::task::yield_now().await;
    broker.publish(vec![publication(&queue, 1)]).await.unwrap();
    assert_eq!(ids(&waiting.await.unwrap()), ["1"]);
}

pub async fn a_call_that_is_dropped_loses_nothing(broker: Arc<dyn Broker>) {
    let queue = declared(&broker, "orders").await;
    let consumer = broker.consume(&queue, 100).await.unwrap();
    for id in 0..20 {
        let dropped = timeout(Duration::from_millis(id % 3), consumer.next(10)).await;
        assert!(dropped.is_err());
        let mut call = consumer.next(10);
        let _ = futures::poll!(&mut call);
        broker.publish(vec![publication(&queue, id)]).await.unwrap();
        drop(call);
        let delivery = next(&consumer, 10).await;
        assert_eq!(ids(&delivery), [id.to_string()]);
        consumer.settle(all(&delivery, &Settle::Acknowledge)).await.unwrap();
    }
}

pub async fn at_most_prefetch_deliveries_are_unsettled(broker: Arc<dyn Broker>) {
    let queue = filled(&broker, "orders", 5).await;
    let consumer = broker.consume(&queue, 3).await.unwrap();
    let held = collect(&consumer, 3).await;
    assert_nothing_arrives(&consumer).await;
    let waiting = tokio::spawn({
        let consumer = Arc::clone(&consumer);
        async move { next(&consumer, 10).await }
    });
    tokio::task::yield_now().await;
    consumer.settle(vec![(held[0].tag, Settle::Acknowledge)]).await.unwrap();
    assert_eq!(ids(&waiting.await.unwrap()), ["3"]);
    assert_nothing_arrives(&consumer).await;
}

pub async fn acknowledged_deliveries_never_come_back(broker: Arc<dyn Broker>) {
    let queue = filled(&broker, "orders", 5).await;
    let consumer = broker.consume(&queue, 10).await.unwrap();
    let held = collect(&consumer, 5).await;
    consumer.settle(all(&held, &Settle::Acknowledge)).await.unwrap();
    drop(consumer);
    let other = broker.consume(&queue, 10).await.unwrap();
    assert_nothing_arrives(&other).await;
}

pub async fn a_requeued_delivery_comes_first_and_counts(broker: Arc<dyn Broker>) {
    let queue = filled(&broker, "orders", 3).await;
    let consumer = broker.consume(&queue, 1).await.unwrap();
    for redeliveries in 0..3 {
        let [delivery] = next(&consumer, 1).await.try_into().unwrap();
        assert_eq!((delivery.id.as_str(), delivery.redeliveries), ("0", redeliveries));
        consumer.settle(vec![(delivery.tag, Settle::Requeue)]).await.unwrap();
    }
}

pub async fn requeued_deliveries_keep_their_order(broker: Arc<dyn Broker>) {
    let queue = filled(&broker, "orders", 5).await;
    let consumer = broker.consume(&queue, 3).await.unwrap();
    let held = collect(&consumer, 3).await;
    let backwards: Vec<_> = held.iter().rev().map(|held| (held.tag, Settle::Requeue)).collect();
    consumer.settle(backwards).await.unwrap();
    drop(consumer);
    let consumer = broker.consume(&queue, 5).await.unwrap();
    let again = collect(&consumer, 5).await;
    assert_eq!(ids(&again), ["0", "1", "2", "3", "4"]);
    assert!(again[..3].iter().all(|again| again.redeliveries >= 1), "{again:?}");
}

pub async fn what_nobody_took_neither_moves_nor_counts(broker: Arc<dyn Broker>) {
    let queue = filled(&broker, "orders", 5).await;
    let consumer = broker.consume(&queue, 5).await.unwrap();
    let held = collect(&consumer, 3).await;
    consumer.settle(all(&held[..2], &Settle::Requeue)).await.unwrap();
    drop(consumer);
    let consumer = broker.consume(&queue, 5).await.unwrap();
    let again = collect(&consumer, 5).await;
    assert_eq!(ids(&again[3..]), ["3", "4"]);
    assert_eq!(again.iter().map(|again| again.redeliveries).collect::<Vec<_>>(), [1, 1, 1, 0, 0]);
}

pub async fn a_dropped_consumer_returns_what_is_unsettled_in_order(broker: Arc<dyn Broker>) {
    let queue = filled(&broker, "orders", 5).await;
    let consumer = broker.consume(&queue, 4).await.unwrap();
    let held = collect(&consumer, 4).await;
    consumer.settle(vec![(held[1].tag, Settle::Acknowledge)]).await.unwrap();
    drop(consumer);
    let other = broker.consume(&queue, 10).await.unwrap();
    let again = collect(&other, 4).await;
    // The last one nobody took: it may have been on its way to the consumer that is gone, or not.
    let (last, held): (Vec<_>, Vec<_>) = again.into_iter().partition(|again| again.id == "4");
    assert_eq!((ids(&held), last.len()), (vec!["0", "2", "3"], 1));
    assert!(held.iter().all(|held| held.redeliveries >= 1), "{held:?}");
}

pub async fn a_stopped_consumer_leaves_messages_to_others(broker: Arc<dyn Broker>) {
    let queue = filled(&broker, "orders", 6).await;
    let consumer = broker.consume(&queue, 3).await.unwrap();
    let first = collect(&consumer, 1).await;
    consumer.stop().await.unwrap();
    consumer.settle(all(&first, &Settle::Acknowledge)).await.unwrap();
    let mut own = Vec::new();
    while let deliveries = next(&consumer, 10).await
        && !deliveries.is_empty()
    {
        own.extend(deliveries);
    }
    let other = broker.consume(&queue, 10).await.unwrap();
    let others = collect(&other, 5 - own.len()).await;
    consumer.settle(all(&own, &Settle::Acknowledge)).await.unwrap();
    other.settle(all(&others, &Settle::Acknowledge)).await.unwrap();
    let came: Vec<&Delivery> = first.iter().chain(&own).chain(&others).collect();
    assert_eq!(
        came.iter().map(|delivery| delivery.id.as_str()).collect::<Vec<_>>(),
        ["0", "1", "2", "3", "4", "5"]
    );
    assert!(came.iter().all(|delivery| delivery.redeliveries == 0), "{came:?}");
    assert_nothing_arrives(&other).await;
}

pub async fn a_consumer_that_is_stopped_while_it_waits_ends(broker: Arc<dyn Broker>) {
    let queue = declared(&broker, "orders").await;
    let consumer = broker.consume(&queue, 3).await.unwrap();
    let mut waits = std::pin::pin!(consumer.next(10));
    assert!(futures::poll!(waits.as_mut()).is_pending());
    consumer.stop().await.unwrap();
    assert!(timeout(FOREVER, waits).await.unwrap().unwrap().is_empty());
    assert!(next(&consumer, 10).await.is_empty());
}

pub async fn a_consumer_lives_while_it_is_referred_to(broker: Arc<dyn Broker>) {
    let queue = filled(&broker, "orders", 1).await;
    let consumer = broker.consume(&queue, 10).await.unwrap();
    let also = Arc::clone(&consumer);
    let held = next(&consumer, 1).await;
    drop(consumer);
    let other = broker.consume(&queue, 10).await.unwrap();
    assert_nothing_arrives(&other).await;
    also.settle(all(&held, &Settle::Acknowledge)).await.unwrap();
}

pub async fn unknown_and_settled_tags_are_ignored(broker: Arc<dyn Broker>) {
    let queue = filled(&broker, "orders", 2).await;
    let consumer = broker.consume(&queue, 10).await.unwrap();
    let held = collect(&consumer, 2).await;
    consumer.settle(vec![(held[0].tag, Settle::Acknowledge)]).await.unwrap();
    let again = [(held[0].tag, Settle::Requeue), (DeliveryTag(9_999), Settle::Acknowledge)];
    consumer.settle(again.to_vec()).await.unwrap();
    assert_nothing_arrives(&consumer).await;
    consumer.settle(vec![(held[1].tag, Settle::Requeue)]).await.unwrap();
    assert_eq!(ids(&next(&consumer, 10).await), ["1"]);
}

pub async fn a_dead_letter_is_filed_with_its_reason(broker: Arc<dyn Broker>) {
    let queue = filled(&broker, "orders", 1).await;
    let consumer = broker.consume(&queue, 10).await.unwrap();
    let [delivery] = next(&consumer, 1).await.try_into().unwrap();
    let reason = "no machine \"that\" is";
    consumer.settle(vec![(delivery.tag, Settle::DeadLetter(reason.to_owned()))]).await.unwrap();
    assert_nothing_arrives(&consumer).await;
    let dead = broker.consume(&Queue::dead(), 10).await.unwrap();
    let [letter] = next(&dead, 1).await.try_into().unwrap();
    assert_eq!(letter.id, delivery.id);
    let filed: serde_json::Value = serde_json::from_slice(&letter.body).unwrap();
    let body = String::from_utf8(delivery.body.to_vec()).unwrap();
    assert_eq!(filed, serde_json::json!({ "reason": reason, "queue": "orders", "body": body }));
}

pub async fn a_delayed_publication_arrives_when_it_is_due_and_not_before(broker: Arc<dyn Broker>) {
    let queue = declared(&broker, "orders").await;
    let consumer = broker.consume(&queue, 10).await.unwrap();
    let published = tokio::time::Instant::now();
    let batch = vec![delayed(&queue, "later", 1_000), publication(&queue, "now")];
    assert_eq!(broker.publish(batch).await.unwrap(), [Published::Confirmed; 2]);
    assert_eq!(ids(&next(&consumer, 10).await), ["now"]);
    assert_eq!(ids(&next(&consumer, 10).await), ["later"]);
    assert!(published.elapsed() >= Duration::from_secs(1));
}

pub async fn delayed_publications_arrive_by_their_time(broker: Arc<dyn Broker>) {
    let queue = declared(&broker, "orders").await;
    let consumer = broker.consume(&queue, 10).await.unwrap();
    let batch = vec![delayed(&queue, 3, 1_500), delayed(&queue, 1, 500), delayed(&queue, 2, 1_000)];
    broker.publish(batch).await.unwrap();
    tokio::task::yield_now().await;
    broker.publish(vec![delayed(&queue, 0, 100), delayed(&queue, 4, 2_000)]).await.unwrap();
    assert_eq!(ids(&collect(&consumer, 5).await), ["0", "1", "2", "3", "4"]);
    broker.publish(vec![delayed(&queue, 5, 100)]).await.unwrap();
    assert_eq!(ids(&collect(&consumer, 1).await), ["5"]);
}

pub async fn a_delayed_publication_to_no_queue_is_returned(broker: Arc<dyn Broker>) {
    let batch = vec![delayed(&Queue::named("nowhere"), 1, 100)];
    assert_eq!(broker.publish(batch).await.unwrap(), [Published::Returned]);
}

pub async fn ready_counts_what_waits_for_a_consumer(broker: Arc<dyn Broker>) {
    assert_eq!(broker.ready(&Queue::named("nowhere")).await.unwrap(), 0);
    let queue = filled(&broker, "orders", 5).await;
    broker.publish(vec![delayed(&queue, "later", 60_000)]).await.unwrap();
    assert_becomes_ready(&broker, &queue, 5).await;
    let consumer = broker.consume(&queue, 2).await.unwrap();
    let held = collect(&consumer, 2).await;
    assert_becomes_ready(&broker, &queue, 3).await;
    consumer.settle(all(&held, &Settle::Requeue)).await.unwrap();
    drop(consumer);
    assert_becomes_ready(&broker, &queue, 5).await;
}

/// A broker may count a little later than it delivers.
async fn assert_becomes_ready(broker: &Arc<dyn Broker>, queue: &Queue, count: u64) {
    let counted = async {
        while broker.ready(queue).await.unwrap() != count {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(FOREVER, counted).await.expect("the count");
}

pub async fn every_message_reaches_one_of_many_consumers(broker: Arc<dyn Broker>) {
    const MESSAGES: usize = 1_000;
    let queue = declared(&broker, "orders").await;
    let (sender, mut received) = tokio::sync::mpsc::unbounded_channel();
    for prefetch in 1..=8 {
        let consumer = broker.consume(&queue, prefetch).await.unwrap();
        let sender = sender.clone();
        tokio::spawn(async move {
            while let Ok(deliveries) = consumer.next(3).await {
                consumer.settle(all(&deliveries, &Settle::Acknowledge)).await.unwrap();
                deliveries.into_iter().for_each(|delivery| sender.send(delivery.id).unwrap());
            }
        });
    }
    for chunk in 0..MESSAGES / 10 {
        let batch = (0..10).map(|id| publication(&queue, chunk * 10 + id)).collect();
        broker.publish(batch).await.unwrap();
        tokio::task::yield_now().await;
    }
    let mut seen = BTreeSet::new();
    while seen.len() < MESSAGES {
        let id = timeout(FOREVER, received.recv()).await.expect("a delivery").unwrap();
        assert!(seen.insert(id), "delivered once");
    }
    broker.delete(&queue).await.unwrap();
}

pub async fn a_consumer_without_room_leaves_messages_to_others(broker: Arc<dyn Broker>) {
    let queue = declared(&broker, "orders").await;
    let full = broker.consume(&queue, 1).await.unwrap();
    broker.publish(vec![publication(&queue, 0)]).await.unwrap();
    let held = next(&full, 1).await;
    let blocked = tokio::spawn({
        let full = Arc::clone(&full);
        async move { full.next(1).await }
    });
    let free = broker.consume(&queue, 10).await.unwrap();
    for id in 1..10 {
        let waiting = tokio::spawn({
            let free = Arc::clone(&free);
            async move { next(&free, 1).await }
        });
        tokio::task::yield_now().await;
        broker.publish(vec![publication(&queue, id)]).await.unwrap();
        assert_eq!(ids(&waiting.await.unwrap()), [id.to_string()]);
    }
    blocked.abort();
    drop(held);
}
