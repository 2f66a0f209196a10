//! A deployment of its own on the real servers: a database and a prefix, gone when it is dropped; and
//! processes of `warren serve` on it.
//!
//! The servers are those of `WARREN_TEST_DATABASE_URL` and `WARREN_TEST_AMQP_URL`, else the local ones.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use engine::cli::client::Client;
use lapin::options::{ExchangeDeleteOptions, QueueDeleteOptions};
use lapin::{Connection, ConnectionProperties};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Executor};
use uuid::Uuid;

/// What takes longer has failed; the machine may be busy.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// Queues that a deployment of one queue in each family has, but those of delays.
const QUEUES: [&str; 17] = [
    "standard.0",
    "results.0",
    "express.0",
    "calls.0",
    "inner.0",
    "tasks.lambda",
    "tasks.states",
    "tasks.sqs",
    "tasks.sns",
    "tasks.events",
    "tasks.http",
    "tasks.sfn",
    "events",
    "triggers",
    "transitions",
    "dead",
    "poison",
];
const DELAYS: [u64; 11] = [250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 64_000, 128_000, 240_000];

pub struct Deployment {
    pub database: String,
    pub prefix: String,
}

fn variable(name: &str, default: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| default.to_owned())
}

fn database_server() -> String {
    variable("WARREN_TEST_DATABASE_URL", "postgres://postgres@127.0.0.1:5432/postgres")
}

fn broker() -> String {
    variable("WARREN_TEST_AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/%2f")
}

fn database_url(name: &str) -> String {
    let server = database_server();
    let (base, parameters) = server.split_once('?').unwrap_or((&server, ""));
    let (base, _) = base.rsplit_once('/').unwrap();
    format!("{base}/{name}?{parameters}")
}

async fn execute(statement: String) {
    let mut connection: PgConnection =
        database_server().parse::<PgConnectOptions>().unwrap().connect().await.unwrap();
    connection.execute(AssertSqlSafe(statement)).await.unwrap();
}

/// From any thread, also one that has a runtime.
fn wait_for(work: impl Future<Output = ()> + Send + 'static) {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    std::thread::spawn(move || runtime().block_on(work)).join().unwrap();
}

async fn delete_queues(prefix: String) {
    let connection = Connection::connect(&broker(), ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    let delays = DELAYS.iter().map(|delay| format!("delay.{delay}"));
    for queue in QUEUES.into_iter().map(str::to_owned).chain(delays) {
        let name = format!("{prefix}{queue}");
        channel.queue_delete(name.as_str().into(), QueueDeleteOptions::default()).await.unwrap();
        channel.exchange_delete(name.as_str().into(), ExchangeDeleteOptions::default()).await.unwrap();
    }
    connection.close(200, "OK".into()).await.unwrap();
}

/// Deletes a queue that a test has made under a name of its own.
pub fn delete_queue(name: &str) {
    let name = name.to_owned();
    wait_for(async move {
        let connection = Connection::connect(&broker(), ConnectionProperties::default()).await.unwrap();
        let channel = connection.create_channel().await.unwrap();
        channel.queue_delete(name.into(), QueueDeleteOptions::default()).await.unwrap();
        connection.close(200, "OK".into()).await.unwrap();
    });
}

impl Deployment {
    pub fn new() -> Self {
        let name = Uuid::new_v4().simple().to_string();
        let deployment =
            Deployment { database: format!("warren_test_{name}"), prefix: format!("test.{name}.") };
        wait_for(execute(format!("CREATE DATABASE {}", deployment.database)));
        deployment
    }

    pub fn settings(&self) -> Vec<(&'static str, String)> {
        vec![
            ("WARREN__STORE__URL", database_url(&self.database)),
            ("WARREN__BROKER__URL", broker()),
            ("WARREN__BROKER__PREFIX", self.prefix.clone()),
            ("WARREN__BROKER__QUEUES", "1".to_owned()),
            ("WARREN__STORE__COMMIT_CONNECTIONS", "2".to_owned()),
            ("WARREN__STORE__READ_CONNECTIONS", "3".to_owned()),
            // A function that answers with what it is given.
            ("WARREN__FUNCTIONS__echo__COMMAND", "cat".to_owned()),
        ]
    }

    fn command(&self, arguments: &[&str], settings: &[(&str, &str)]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_warren"));
        command.args(arguments).current_dir(std::env::temp_dir()).stdin(Stdio::null());
        command.env("RUST_LOG", "warn,engine=info").envs(self.settings());
        command.envs(settings.iter().copied());
        command
    }

    /// Runs a command to its end.
    pub fn run(&self, arguments: &[&str], settings: &[(&str, &str)]) -> Output {
        self.command(arguments, settings).output().unwrap()
    }

    /// Starts a process on any free port.
    pub fn serve(&self, arguments: &[&str], settings: &[(&str, &str)]) -> Serve {
        let mut command = self.command(&[&["serve", "--port", "0"], arguments].concat(), settings);
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap());
        let log = Arc::new(Mutex::new(String::new()));
        let (send, endpoint) = std::sync::mpsc::channel();
        let kept = log.clone();
        std::thread::spawn(move || {
            for line in lines.lines().map_while(Result::ok) {
                if let Some((said, endpoint)) =
                    line.split_once(" on http://").filter(|(said, _)| said.starts_with("Warren"))
                {
                    assert!(said.ends_with("API") || said.ends_with("/metrics"), "{line}");
                    // The test may have given up.
                    let _ = send.send(format!("http://{endpoint}"));
                }
                *kept.lock().unwrap() += &format!("{line}\n");
            }
        });
        // Made first: the process is killed when the wait fails.
        let mut serve = Serve { child, endpoint: String::new(), log };
        serve.endpoint = endpoint.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("{}", serve.log()));
        serve
    }
}

impl Drop for Deployment {
    fn drop(&mut self) {
        wait_for(execute(format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.database)));
        wait_for(delete_queues(self.prefix.clone()));
    }
}

/// `warren serve`, killed when dropped.
pub struct Serve {
    child: Child,
    pub endpoint: String,
    log: Arc<Mutex<String>>,
}

impl Serve {
    pub fn client(&self) -> Client {
        Client::new(&self.endpoint).unwrap()
    }

    /// What it has told so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// What it answers to GET: the status, and the body.
    pub async fn get(&self, path: &str) -> (u16, Value) {
        let answer = reqwest::get(format!("{}{path}", self.endpoint)).await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap_or_default())
    }

    /// Waits until `/readyz` says so.
    pub async fn ready(&self) {
        let began = Instant::now();
        loop {
            let (status, body) = self.get("/readyz").await;
            if status == 200 {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "not ready: {body}; {}", self.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// SIGTERM. Answers the exit code.
    pub fn terminate(&mut self) -> Option<i32> {
        self.signal(Signal::TERM);
        self.child.wait().unwrap().code()
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
