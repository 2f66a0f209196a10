//! The faults are those that they are taken for: what the other tests stand on.

use std::time::{Duration, Instant};

use serde_json::json;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool};

use super::world::hold;
use crate::support::lottery::Lottery;
use crate::support::proxy::{Proxy, Way};
use crate::support::recorder::{Recorder, create_database};
use crate::support::worker::{Worker, connect};

/// Of a server that does not answer.
const CUT_WITHIN: Duration = Duration::from_secs(10);

async fn database(server: &str) -> PgConnectOptions {
    let name = format!("harness_{}", uuid::Uuid::new_v4().simple());
    let options: PgConnectOptions = server.parse().unwrap();
    create_database(&PgPool::connect_with(options.clone()).await.unwrap(), &name).await;
    options.database(&name)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_come_back_with_what_they_confirmed() {
    let mut servers = hold().await;
    let servers = servers.as_mut().unwrap();
    let recorder =
        Recorder::create(&servers.postgres.url, &format!("r_{}", uuid::Uuid::new_v4().simple())).await;
    recorder.add(&[("f".to_owned(), "key".to_owned(), "1".to_owned())]).await;
    servers.postgres.kill();
    tokio::task::block_in_place(|| servers.postgres.restart());
    assert_eq!(recorder.times().await, [("key".to_owned(), 1)].into());

    let connection = connect(&servers.rabbitmq.url).await.unwrap();
    let prefix = format!("harness.{}.", uuid::Uuid::new_v4().simple());
    let url = servers.rabbitmq.url.clone();
    drop(Worker::start(&url, &prefix, "work", &recorder).await);
    tokio::task::block_in_place(|| servers.rabbitmq.control(&["close_all_connections", "storm"]));
    let closed = Instant::now();
    while connection.status().connected() {
        assert!(closed.elapsed() < CUT_WITHIN, "the connection is still there");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    servers.rabbitmq.kill();
    tokio::task::block_in_place(|| servers.rabbitmq.restart());
    let listed =
        tokio::task::block_in_place(|| servers.rabbitmq.control(&["list_queues", "--quiet", "name"]));
    assert!(listed.contains(&format!("{prefix}functions.work")), "{listed}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_loses_the_answer_and_not_what_was_done() {
    let servers = hold().await;
    let options = database(&servers.as_ref().unwrap().postgres.url).await;
    let admin = PgPool::connect_lazy_with(options.clone());
    sqlx::query("CREATE TABLE done (n bigint PRIMARY KEY)").execute(&admin).await.unwrap();
    let url = format!("postgres://{}:{}/x", options.get_host(), options.get_port());
    let (proxy, _) = Proxy::before(&url).await;
    let through = options.host("127.0.0.1").port(proxy.address.port());
    let mut lottery = Lottery::from_environment();
    let (mut lost, mut never) = (0, 0);
    for n in 0..40_i64 {
        let mut connection = PgConnection::connect_with(&through).await.unwrap();
        let way = if n % 2 == 0 { Way::Replies } else { Way::Requests };
        proxy.cut_after(way, lottery.below(30));
        let insert = AssertSqlSafe(format!("INSERT INTO done VALUES ({n})"));
        let told = sqlx::raw_sql(insert).execute(&mut connection).await.is_ok();
        assert!(proxy.was_cut(CUT_WITHIN).await || told, "neither cut nor told");
        let done = is_done(&admin, n, way == Way::Replies).await;
        assert!(done || !told, "told, and not done");
        lost += u64::from(done && !told);
        never += u64::from(!done);
    }
    eprintln!("{lost} answers were lost, {never} requests never arrived");
    assert!(lost > 5 && never > 5);
}

/// Whether the row is there; one that is expected may take a moment.
async fn is_done(admin: &PgPool, n: i64, expected: bool) -> bool {
    let began = Instant::now();
    loop {
        let select = "SELECT count(*) FROM done WHERE n = $1";
        let rows: i64 = sqlx::query_scalar(select).bind(n).fetch_one(admin).await.unwrap();
        if rows > 0 || !expected || began.elapsed() > CUT_WITHIN {
            return rows > 0;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_does_records_and_answers() {
    use futures::StreamExt;
    use lapin::options::{BasicConsumeOptions, BasicPublishOptions, QueueDeclareOptions};
    use lapin::types::FieldTable;

    let servers = hold().await;
    let servers = servers.as_ref().unwrap();
    let recorder =
        Recorder::create(&servers.postgres.url, &format!("r_{}", uuid::Uuid::new_v4().simple())).await;
    let prefix = format!("harness.{}.", uuid::Uuid::new_v4().simple());
    let mut worker = Worker::start(&servers.rabbitmq.url, &prefix, "work", &recorder).await;
    let connection = connect(&servers.rabbitmq.url).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    let exclusive = QueueDeclareOptions { exclusive: true, ..QueueDeclareOptions::default() };
    let answers = channel.queue_declare("".into(), exclusive, FieldTable::default()).await.unwrap();
    let request = lapin::BasicProperties::default()
        .with_reply_to(answers.name().clone())
        .with_correlation_id("execution/r/1".into());
    let to = format!("{prefix}functions.work");
    let options = BasicPublishOptions::default();
    channel.basic_publish("".into(), to.as_str().into(), options, b"{\"n\":1}", request).await.unwrap();
    let options = BasicConsumeOptions::default();
    let mut answers = channel
        .basic_consume(answers.name().clone(), "".into(), options, FieldTable::default())
        .await
        .unwrap();
    let answer = answers.next().await.unwrap().unwrap();
    assert_eq!(answer.data, b"{\"n\":1}");
    assert_eq!(answer.properties.correlation_id().as_ref().unwrap().as_str(), "execution/r/1");
    assert_eq!(recorder.times().await, [("execution/r/1".to_owned(), 1)].into());
    assert_eq!(worker.calls.recv().await, Some(json!({ "n": 1 })));
}
