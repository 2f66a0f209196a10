//! A broker for tests: where it is, a prefix for each test, and nothing of it left behind.

use engine::adapters::amqp::AmqpConfig;
use lapin::options::{ExchangeDeleteOptions, QueueDeleteOptions};
use lapin::{Connection, ConnectionProperties};

/// Queues and exchanges that exist under every prefix.
const BASE: [&str; 2] = ["dead", "poison"];
const EXCHANGES: [&str; 3] = ["events", "triggers", "transitions"];
const RUNGS: [u64; 11] = [250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 64_000, 128_000, 240_000];

/// Where the tests find a broker.
pub fn url() -> String {
    let default = "amqp://guest:guest@127.0.0.1:5672/%2f";
    std::env::var("WARREN_TEST_AMQP_URL").unwrap_or_else(|_| default.to_owned())
}

/// Names of one test. Dropped, it deletes them from the broker, also when the test failed.
pub struct Prefix {
    prefix: String,
    queues: &'static [&'static str],
}

impl Prefix {
    /// With these queues beside those that always exist.
    pub fn new(queues: &'static [&'static str]) -> Self {
        Prefix { prefix: format!("test.{}.", uuid::Uuid::new_v4().simple()), queues }
    }

    pub fn config(&self) -> AmqpConfig {
        AmqpConfig { url: url(), prefix: self.prefix.clone(), ..AmqpConfig::default() }
    }

    async fn sweep(prefix: &str, queues: &[&str]) -> lapin::Result<()> {
        let connection = Connection::connect(&url(), ConnectionProperties::default()).await?;
        let channel = connection.create_channel().await?;
        let rungs: Vec<String> = RUNGS.iter().map(|rung| format!("{prefix}delay.{rung}")).collect();
        for queue in BASE.iter().chain(queues) {
            channel.queue_delete(format!("{prefix}{queue}").into(), QueueDeleteOptions::default()).await?;
        }
        for rung in &rungs {
            channel.queue_delete(rung.as_str().into(), QueueDeleteOptions::default()).await?;
            channel.exchange_delete(rung.as_str().into(), ExchangeDeleteOptions::default()).await?;
        }
        for exchange in EXCHANGES {
            let name = format!("{prefix}{exchange}");
            channel.exchange_delete(name.into(), ExchangeDeleteOptions::default()).await?;
        }
        connection.close(200, "OK".into()).await
    }
}

impl Drop for Prefix {
    fn drop(&mut self) {
        let (prefix, queues) = (self.prefix.clone(), self.queues);
        let swept = std::thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            runtime.block_on(Prefix::sweep(&prefix, queues))
        });
        if let Ok(Err(error)) = swept.join() {
            eprintln!("failed to delete the queues of a test: {error}");
        }
    }
}
