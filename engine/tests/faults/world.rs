//! Engines, workers and the two servers beneath them, made for one test.

use std::sync::Arc;
use std::time::Duration;

use lapin::options::QueueDeleteOptions;
use sqlx::PgPool;
use sqlx::postgres::PgConnectOptions;
use tempfile::TempDir;
use tokio::sync::{Mutex, MutexGuard};

use super::listener::Listener;
use crate::support::api::Api;
use crate::support::engine::{Engine, Setting};
use crate::support::lottery::{Lottery, number};
use crate::support::private::Private;
use crate::support::recorder::{Recorder, create_database};
use crate::support::worker::{Worker, connect};

/// The account and region of the engines' defaults.
pub const FUNCTION: &str = "arn:aws:lambda:us-east-1:000000000000:function:work";

/// The servers of all tests; whoever holds a pair runs. Tests wait more than they work.
static SERVERS: [Mutex<Option<Servers>>; 2] = [const { Mutex::const_new(None) }; 2];

/// A broker and a database that may be killed.
pub struct Servers {
    pub rabbitmq: Private,
    pub postgres: Private,
}

/// All that one test has. Nobody else has its servers meanwhile.
pub struct World {
    pub setting: Setting,
    pub engines: Vec<Engine>,
    pub api: Arc<Api>,
    pub recorder: Recorder,
    pub worker: Worker,
    pub listener: Listener,
    pub lottery: Lottery,
    /// Warren's database.
    pub database: PgPool,
    /// The server's own database, for what concerns the server.
    pub admin: PgPool,
    pub name: &'static str,
    logs: TempDir,
    servers: MutexGuard<'static, Option<Servers>>,
}

/// So many executions, kills, … as the environment wants: the size of a change, times the scale.
pub fn sized(of_a_change: u64) -> u64 {
    of_a_change * number("WARREN_FAULTS_SCALE", 1)
}

impl World {
    /// Starts so many engines, which find the servers directly.
    pub async fn start(name: &'static str, engines: usize) -> Self {
        World::start_with(name, engines, async |setting| setting).await
    }

    /// Starts so many engines with a setting that the test may change: a proxy in between.
    pub async fn start_with(
        name: &'static str,
        engines: usize,
        change: impl AsyncFnOnce(Setting) -> Setting,
    ) -> Self {
        let seed = number("WARREN_SEED", 42);
        eprintln!("{name}: WARREN_SEED={seed} WARREN_FAULTS_SCALE={}", sized(1));
        let mut servers = pair().await;
        let (broker, store) = tokio::task::block_in_place(|| serve(&mut servers));
        let suffix = uuid::Uuid::new_v4().simple().to_string();
        let (prefix, database) = (format!("{name}.{suffix}."), format!("{name}_{suffix}"));
        let options: PgConnectOptions = store.parse().unwrap();
        let admin = PgPool::connect_lazy_with(options.clone());
        create_database(&admin, &database).await;
        let recorder = Recorder::create(&store, &format!("recorder_{suffix}")).await;
        let worker = Worker::start(&broker, &prefix, "work", &recorder).await;
        let store_url = format!("{}/{database}", store.rsplit_once('/').unwrap().0);
        let setting = Setting { broker_url: broker.clone(), prefix, store_url, variables: Vec::new() };
        let setting = change(setting).await;
        let logs = tempfile::tempdir().unwrap();
        let start = |index| Engine::start(setting.clone(), &logs.path().join(format!("engine-{index}.log")));
        // The first one makes the tables; the others find them.
        let mut started: Vec<Engine> = (0..engines).map(start).collect();
        for engine in &mut started {
            engine.ready().await;
        }
        let listener = Listener::start(&broker, &setting.prefix).await;
        let api = Arc::new(Api::new(started.iter().map(Engine::endpoint)));
        let (database, lottery) =
            (PgPool::connect_lazy_with(options.database(&database)), Lottery::from_environment());
        World {
            setting,
            engines: started,
            api,
            recorder,
            worker,
            listener,
            lottery,
            database,
            admin,
            name,
            logs,
            servers,
        }
    }

    /// The broker and the database.
    pub fn servers(&mut self) -> &mut Servers {
        self.servers.as_mut().unwrap()
    }

    /// `rabbitmqctl`.
    pub fn control(&mut self, arguments: &[&str]) -> String {
        tokio::task::block_in_place(|| self.servers().rabbitmq.control(arguments))
    }

    /// Kills one engine at random and starts it again.
    pub fn kill_one(&mut self) {
        let index = self.lottery.index(self.engines.len());
        self.engines[index].restart();
    }

    /// Kills so many engines, each a while after the one before; a while is up to `pause`.
    pub async fn kill_engines(&mut self, kills: u64, pause: Duration) {
        for _ in 0..kills {
            let while_ = self.lottery.pause(pause.as_millis() as u64 / 10, pause.as_millis() as u64);
            tokio::time::sleep(while_).await;
            self.kill_one();
        }
    }

    /// Another engine's log.
    pub fn log(&self, name: &str) -> std::path::PathBuf {
        self.logs.path().join(format!("{name}.log"))
    }

    /// Names of the queues of this test.
    pub fn queues(&mut self) -> Vec<String> {
        let listed = self.control(&["list_queues", "--quiet", "--no-table-headers", "name"]);
        listed.lines().filter(|name| name.starts_with(&self.setting.prefix)).map(str::to_owned).collect()
    }

    /// Leaves the servers as they were: many queues would slow down the next test.
    pub async fn close(mut self) {
        for engine in &mut self.engines {
            assert!(engine.runs(), "an engine has ended by itself:\n{}", engine.tail());
            assert!(engine.terminate(), "an engine did not stop well:\n{}", engine.tail());
        }
        let queues = self.queues();
        let url = self.servers().rabbitmq.url.clone();
        let connection = connect(&url).await.unwrap();
        let channel = connection.create_channel().await.unwrap();
        for queue in queues {
            channel.queue_delete(queue.as_str().into(), QueueDeleteOptions::default()).await.unwrap();
        }
    }
}

/// Servers that nobody has.
async fn pair() -> MutexGuard<'static, Option<Servers>> {
    let (servers, ..) = futures::future::select_all(SERVERS.iter().map(|pair| Box::pin(pair.lock()))).await;
    servers
}

/// Holds two servers, and nothing on them.
pub async fn hold() -> MutexGuard<'static, Option<Servers>> {
    let mut servers = pair().await;
    tokio::task::block_in_place(|| serve(&mut servers));
    servers
}

/// Both run, also after a test that failed while one was dead.
fn serve(servers: &mut Option<Servers>) -> (String, String) {
    let running = servers.get_or_insert_with(|| {
        let postgres = std::thread::spawn(Private::postgres);
        Servers { rabbitmq: Private::rabbitmq(), postgres: postgres.join().unwrap() }
    });
    running.rabbitmq.restart();
    running.postgres.restart();
    (running.rabbitmq.url.clone(), running.postgres.url.clone())
}
