//! What the AMQP adapter does beside the contract: it comes back, and settles in few frames. Through a proxy
//! that can be cut; `WARREN_TEST_AMQP_URL` tells where the broker behind it is.

#![expect(clippy::unwrap_used, reason = "a failure here is the result of a test")]

#[path = "support/amqp.rs"]
mod support;

#[path = "support/proxy.rs"]
#[expect(dead_code, reason = "each test uses a part of it")]
mod proxy;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use engine::adapters::amqp::{Amqp, AmqpConfig, QueueType};
use engine::ports::broker::{
    Address, Broker, Consumer, Delivery, Error, Exchange, Health, Publication, Published, Queue, Settle,
};
use proxy::Proxy;
use support::Prefix;
use tokio::time::timeout;

const FOREVER: Duration = Duration::from_secs(30);
/// The size of the frame, then class and method of `basic.ack`.
const ACKNOWLEDGEMENT: [u8; 8] = [0, 0, 0, 13, 0, 60, 0, 80];

async fn ready(config: AmqpConfig) -> Arc<Amqp> {
    let amqp = Amqp::open(config).unwrap();
    amqp.ready_within(FOREVER * 2).await.unwrap();
    Arc::new(amqp)
}

fn publication(queue: &Queue, id: impl ToString) -> Publication {
    Publication::new(queue.clone(), id.to_string(), Bytes::from_static(b"{}"))
}

async fn next_id(consumer: &Arc<dyn Consumer>) -> String {
    let [delivery] = timeout(FOREVER, consumer.next(1)).await.unwrap().unwrap().try_into().unwrap();
    consumer.settle(vec![(delivery.tag, Settle::Acknowledge)]).await.unwrap();
    delivery.id
}

async fn becomes(amqp: &Amqp, is_so: impl Fn(Health) -> bool) {
    let so = async {
        while !is_so(amqp.health()) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(FOREVER, so).await.unwrap();
}

/// Publishes all the time, so that something is on its way when the connection is cut. Ends when something
/// was confirmed after something was not, or after long enough without.
fn publish_until_it_failed(amqp: &Arc<Amqp>, queue: &Queue) -> impl Future<Output = ()> + use<> {
    let (amqp, queue) = (Arc::clone(amqp), queue.clone());
    async move {
        let (mut has_failed, begin) = (false, tokio::time::Instant::now());
        for number in 0.. {
            match amqp.publish(vec![publication(&queue, number); 50]).await {
                Ok(all) if all.contains(&Published::InDoubt) => has_failed = true,
                Ok(_) if has_failed || begin.elapsed() > FOREVER / 3 => return,
                Ok(_) => {}
                Err(error) => has_failed = matches!(error, Error::Unavailable(_)),
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_connection_comes_back_with_everything_that_was_declared() {
    let prefix = Prefix::new(&["orders"]);
    let (proxy, url) = Proxy::before(&support::url()).await;
    let amqp = ready(AmqpConfig { url, ..prefix.config() }).await;
    let (orders, reply) = (Queue::named("orders"), Queue::reply("here"));
    amqp.declare(&[orders.clone(), reply.clone()]).await.unwrap();
    let lost = amqp.consume(&orders, 10).await.unwrap();
    amqp.publish(vec![publication(&orders, "held")]).await.unwrap();
    assert_eq!(timeout(FOREVER, lost.next(1)).await.unwrap().unwrap().len(), 1);

    let publishers: Vec<_> = (0..8).map(|_| tokio::spawn(publish_until_it_failed(&amqp, &orders))).collect();
    tokio::time::sleep(Duration::from_millis(100)).await;
    proxy.refuse(true);
    proxy.cut();
    let cancelled = async {
        loop {
            if let Err(error) = lost.next(10).await {
                return error;
            }
        }
    };
    assert!(matches!(timeout(FOREVER, cancelled).await.unwrap(), Error::Cancelled));
    becomes(&amqp, |health| matches!(health, Health::Away(_))).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    proxy.refuse(false);

    for publisher in publishers {
        timeout(FOREVER, publisher).await.unwrap().unwrap();
    }
    becomes(&amqp, |health| health == Health::Good).await;
    let cancelled = lost.next(1).await;
    assert!(matches!(cancelled, Err(Error::Cancelled)), "{cancelled:?}");
    let found = amqp.consume(&orders, 10).await.unwrap();
    let mut arrived = Vec::new();
    while !arrived.iter().any(|arrived: &Delivery| arrived.id == "held" && arrived.redeliveries > 0) {
        arrived.extend(timeout(FOREVER, found.next(10)).await.unwrap().unwrap());
    }
    let answers = amqp.consume(&reply, 10).await.unwrap();
    assert_eq!(amqp.publish(vec![publication(&reply, "answer")]).await.unwrap(), [Published::Confirmed]);
    assert_eq!(next_id(&answers).await, "answer");
    amqp.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_settled_together_is_acknowledged_in_one_frame() {
    let prefix = Prefix::new(&["orders"]);
    let (proxy, url) = Proxy::counting(&support::url(), Some(&ACKNOWLEDGEMENT)).await;
    let amqp = ready(AmqpConfig { url, ..prefix.config() }).await;
    let orders = Queue::named("orders");
    amqp.declare(std::slice::from_ref(&orders)).await.unwrap();
    let batch = (0..100).map(|id| publication(&orders, id)).collect();
    amqp.publish(batch).await.unwrap();
    let consumer = amqp.consume(&orders, 100).await.unwrap();
    let mut held = Vec::new();
    while held.len() < 100 {
        held.extend(timeout(FOREVER, consumer.next(100)).await.unwrap().unwrap());
    }
    // The first 40 are the oldest; of the rest each second one is done.
    let done = held.iter().enumerate().filter(|(index, _)| *index < 40 || index % 2 == 0);
    let done: Vec<_> = done.map(|(_, held)| (held.tag, Settle::Acknowledge)).collect();
    let before = proxy.counted();
    consumer.settle(done).await.unwrap();
    drop(consumer);
    let again = amqp.consume(&orders, 100).await.unwrap();
    let mut left = Vec::new();
    while left.len() < 30 {
        left.extend(timeout(FOREVER, again.next(100)).await.unwrap().unwrap());
    }
    assert!(left.iter().all(|left| left.id.parse::<usize>().unwrap() % 2 == 1), "{left:?}");
    // Index 40 follows on the oldest.
    assert_eq!(proxy.counted() - before, 1 + 29);
    amqp.close().await;
}

/// Returns and confirms arrive in pieces and in any order; which message came back must be told exactly.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_returned_among_many_is_told_exactly() {
    let prefix = Prefix::new(&["orders"]);
    let amqp = ready(prefix.config()).await;
    let orders = Queue::named("orders");
    amqp.declare(std::slice::from_ref(&orders)).await.unwrap();
    let publishers = (0..8).map(|publisher| {
        let (amqp, orders) = (Arc::clone(&amqp), orders.clone());
        tokio::spawn(async move {
            for round in 0..20 {
                let is_lost = |number: usize| (number + publisher).is_multiple_of(3);
                let queue = |number| match is_lost(number) {
                    true => Queue::named(format!("nowhere.{}", number % 13)),
                    false => orders.clone(),
                };
                let batch = (0..40).map(|number| publication(&queue(number), format!("{round}.{number}")));
                let published = amqp.publish(batch.collect()).await.unwrap();
                for (number, published) in published.into_iter().enumerate() {
                    let expected = if is_lost(number) { Published::Returned } else { Published::Confirmed };
                    assert_eq!(published, expected, "{publisher}: {round}.{number}");
                }
            }
        })
    });
    for publisher in publishers.collect::<Vec<_>>() {
        timeout(FOREVER * 2, publisher).await.unwrap().unwrap();
    }
    amqp.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_with_other_arguments_is_named_with_what_to_do() {
    let prefix = Prefix::new(&["orders"]);
    let orders = Queue::named("orders");
    let amqp = ready(prefix.config()).await;
    amqp.declare(std::slice::from_ref(&orders)).await.unwrap();
    let classic = Amqp::open(AmqpConfig { queue_type: QueueType::Classic, ..prefix.config() }).unwrap();
    let refused = classic.ready_within(Duration::from_secs(3)).await.unwrap_err().to_string();
    assert!(refused.contains("dead' exists with other arguments; delete it"), "{refused}");
    classic.close().await;
    amqp.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_triggers_queue_that_another_process_removed_is_made_again() {
    let prefix = Prefix::new(&["triggers.orders"]);
    let (one, other) = (ready(prefix.config()).await, ready(prefix.config()).await);
    let (queue, bus) = (Queue::trigger("orders"), Exchange::triggers());
    for amqp in [&one, &other] {
        amqp.declare(std::slice::from_ref(&queue)).await.unwrap();
        amqp.bind(&queue, &bus, "#").await.unwrap();
    }
    one.delete(&queue).await.unwrap();
    // What was made again is bound and can be consumed, also by who had declared it before.
    other.declare(std::slice::from_ref(&queue)).await.unwrap();
    other.bind(&queue, &bus, "#").await.unwrap();
    let consumer = other.consume(&queue, 1).await.unwrap();
    let event = Publication::new(Address::Exchange(bus, "key".to_owned()), "e".to_owned(), "{}".into());
    one.publish(vec![event]).await.unwrap();
    assert_eq!(next_id(&consumer).await, "e");
    drop(consumer);
    other.delete(&queue).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_classic_broker_delivers_too() {
    let prefix = Prefix::new(&["orders"]);
    let amqp = ready(AmqpConfig { queue_type: QueueType::Classic, ..prefix.config() }).await;
    let orders = Queue::named("orders");
    amqp.declare(std::slice::from_ref(&orders)).await.unwrap();
    let delayed = Publication { delay: Some(Duration::from_millis(600)), ..publication(&orders, "later") };
    amqp.publish(vec![delayed, publication(&orders, "now")]).await.unwrap();
    let consumer = amqp.consume(&orders, 10).await.unwrap();
    assert_eq!(next_id(&consumer).await, "now");
    assert_eq!(next_id(&consumer).await, "later");
    amqp.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_names_itself_and_says_whom_it_refuses() {
    let prefix = Prefix::new(&[]);
    let amqp = ready(prefix.config()).await;
    let server = amqp.server().unwrap();
    assert!(server.product == "RabbitMQ" && server.version >= (3, 10, 0), "{server:?}");
    amqp.close().await;
    let url = support::url().replace("guest:guest", "guest:guessed");
    let stranger = Amqp::open(AmqpConfig { url, ..prefix.config() }).unwrap();
    let refused = stranger.ready_within(Duration::from_secs(5)).await.unwrap_err().to_string();
    assert!(refused.contains("refuses user 'guest'"), "{refused}");
    stranger.close().await;
}

#[tokio::test]
async fn a_url_that_is_none_is_an_error_at_once() {
    for url in ["", "localhost", "http://localhost", "amqp://:x:y"] {
        assert!(Amqp::open(AmqpConfig { url: url.to_owned(), ..AmqpConfig::default() }).is_err(), "{url}");
    }
}
