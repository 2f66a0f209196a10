//! What every broker promises of exchanges, and of queues that belong to others.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use engine::ports::broker::{Address, Broker, Exchange, Publication, Published, Queue, Settle};

use super::broker::{all, assert_nothing_arrives, collect, declared, ids, publication};

macro_rules! promises_to {
    ($attribute:meta, $broker:expr) => {
        $crate::contract::promises!(exchanges, $attribute, $broker,
            an_exchange_hands_messages_to_all_queues_bound_for_their_key
            what_was_unbound_gets_nothing
            a_joined_exchange_gets_all_of_the_other
            a_publication_to_no_exchange_is_returned_and_the_others_are_confirmed
            what_is_emitted_arrives
            the_queue_of_somebody_else_keeps_its_name
        );
    };
}
pub(crate) use promises_to;

fn announcement(exchange: &Exchange, key: &str, id: &str) -> Publication {
    Publication::new(Address::Exchange(exchange.clone(), key.to_owned()), id.to_owned(), Bytes::new())
}

pub async fn an_exchange_hands_messages_to_all_queues_bound_for_their_key(broker: Arc<dyn Broker>) {
    let (all, some) = (declared(&broker, "all").await, declared(&broker, "some").await);
    let exchange = Exchange::triggers();
    broker.bind(&all, &exchange, "#").await.unwrap();
    // Twice is once, and a queue that is bound in two ways gets a message once.
    for pattern in ["order.*", "order.*", "order.#"] {
        broker.bind(&some, &exchange, pattern).await.unwrap();
    }
    let keys = ["order.placed", "order.placed.late", "stock.low"];
    let batch = keys.map(|key| announcement(&exchange, key, key)).into();
    assert_eq!(broker.publish(batch).await.unwrap(), [Published::Confirmed; 3]);
    let consumer = broker.consume(&all, 10).await.unwrap();
    // In the order of publication for each key.
    let came = collect(&consumer, 3).await;
    assert_eq!(BTreeSet::from_iter(ids(&came)), BTreeSet::from(keys));
    assert!(came.iter().all(|delivery| delivery.routing_key == delivery.id));
    let consumer = broker.consume(&some, 10).await.unwrap();
    assert_eq!(
        BTreeSet::from_iter(ids(&collect(&consumer, 2).await)),
        BTreeSet::from_iter(keys[..2].to_vec())
    );
    assert_nothing_arrives(&consumer).await;
}

pub async fn what_was_unbound_gets_nothing(broker: Arc<dyn Broker>) {
    let queue = declared(&broker, "orders").await;
    let exchange = Exchange::triggers();
    broker.unbind(&queue, &exchange, "order.*").await.unwrap();
    broker.bind(&queue, &exchange, "order.*").await.unwrap();
    broker.unbind(&queue, &exchange, "order.*").await.unwrap();
    let batch = vec![announcement(&exchange, "order.placed", "1")];
    assert_eq!(broker.publish(batch).await.unwrap(), [Published::Confirmed]);
    assert_nothing_arrives(&broker.consume(&queue, 10).await.unwrap()).await;
}

pub async fn a_joined_exchange_gets_all_of_the_other(broker: Arc<dyn Broker>) {
    let queue = declared(&broker, "orders").await;
    broker.join(&Exchange::events(), &Exchange::triggers()).await.unwrap();
    broker.bind(&queue, &Exchange::triggers(), "machine.*").await.unwrap();
    let batch = vec![announcement(&Exchange::events(), "machine.RUNNING", "1")];
    assert_eq!(broker.publish(batch).await.unwrap(), [Published::Confirmed]);
    let consumer = broker.consume(&queue, 10).await.unwrap();
    assert_eq!(ids(&collect(&consumer, 1).await), ["1"]);
    assert_nothing_arrives(&consumer).await;
}

pub async fn a_publication_to_no_exchange_is_returned_and_the_others_are_confirmed(broker: Arc<dyn Broker>) {
    let queue = declared(&broker, "orders").await;
    let nowhere = Exchange::theirs(format!("nowhere-{}", uuid::Uuid::new_v4()));
    let batch = vec![publication(&queue, 1), announcement(&nowhere, "key", "2"), publication(&queue, 3)];
    let outcomes = broker.publish(batch).await.unwrap();
    assert_eq!(outcomes, [Published::Confirmed, Published::Returned, Published::Confirmed]);
}

pub async fn what_is_emitted_arrives(broker: Arc<dyn Broker>) {
    let queue = Queue::onlooker("1");
    broker.declare(std::slice::from_ref(&queue)).await.unwrap();
    broker.bind(&queue, &Exchange::transitions(), "#").await.unwrap();
    broker.emit(announcement(&Exchange::transitions(), "machine.name", "1"));
    let consumer = broker.consume(&queue, 10).await.unwrap();
    assert_eq!(ids(&collect(&consumer, 1).await), ["1"]);
}

pub async fn the_queue_of_somebody_else_keeps_its_name(broker: Arc<dyn Broker>) {
    let name = format!("theirs-{}", uuid::Uuid::new_v4());
    let queue = Queue::theirs(name.as_str());
    assert_eq!(broker.publish(vec![publication(&queue, 1)]).await.unwrap(), [Published::Returned]);
    broker.declare(std::slice::from_ref(&queue)).await.unwrap();
    assert_eq!(broker.publish(vec![publication(&queue, 2)]).await.unwrap(), [Published::Confirmed]);
    let consumer = broker.consume(&queue, 10).await.unwrap();
    let came = collect(&consumer, 1).await;
    assert_eq!((ids(&came), came[0].routing_key.as_str()), (vec!["2"], name.as_str()));
    consumer.settle(all(&came, &Settle::Acknowledge)).await.unwrap();
    drop(consumer);
    broker.delete(&queue).await.unwrap();
}
