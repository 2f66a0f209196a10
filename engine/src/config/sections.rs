//! The sections of the configuration, but that of functions, which is read key by key.

use std::num::{NonZeroU16, NonZeroU32, NonZeroU64, NonZeroUsize};
use std::path::PathBuf;

use serde::{Deserialize, Deserializer};

use super::Error;
use super::roles::Roles;
use super::secret::{Address, Key};
use crate::arn::Home;

/// Where the API listens, and what a process does.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Server {
    /// `host`: a name or address; `127.0.0.1`.
    pub host: String,
    /// `port`: 8083; 0 takes any that is free.
    pub port: u16,
    /// `roles`: what `warren serve` does, by names with commas between; all of them.
    pub roles: Roles,
    /// `drain_seconds`: how long a stop waits for work at hand; 25.
    pub drain_seconds: u32,
}

impl Default for Server {
    fn default() -> Self {
        Server { host: "127.0.0.1".to_owned(), port: 8083, roles: Roles::default(), drain_seconds: 25 }
    }
}

/// Where `warren dev` keeps state.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Data {
    /// `directory`: made if it does not exist; absent, everything is kept in memory.
    pub directory: Option<PathBuf>,
}

/// The broker of `warren serve`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Broker {
    /// `url`: `amqp://guest:guest@127.0.0.1:5672/%2f`; `amqps` for TLS.
    pub url: Address,
    /// `prefix`: before the names of all queues; `warren.`. Deployments on one virtual host differ in it.
    pub prefix: String,
    /// `queue_type`: `quorum`, or `classic` where the broker is one node and its disk is trusted.
    pub queue_type: QueueType,
    /// `queues`: the width of each family of queues in a new deployment; 2. One that exists keeps its own.
    pub queues: NonZeroU16,
    /// `confirm_seconds`: how long a publication may wait for the broker's word; 10.
    pub confirm_seconds: NonZeroU32,
    /// `heartbeat_seconds`: how long a silent connection is believed in; 10.
    pub heartbeat_seconds: NonZeroU16,
    /// `management_url`: the broker's management API, for `warren doctor` alone; none.
    pub management_url: Option<Address>,
    /// `declare_queues`: whether queues and topics that tasks send to are made where they are missing; false,
    /// with `warren dev` true.
    pub declare_queues: bool,
}

impl Default for Broker {
    fn default() -> Self {
        Broker {
            url: Address::from("amqp://guest:guest@127.0.0.1:5672/%2f"),
            prefix: "warren.".to_owned(),
            queue_type: QueueType::Quorum,
            queues: const { NonZeroU16::new(2).expect("not zero") },
            confirm_seconds: const { NonZeroU32::new(10).expect("not zero") },
            heartbeat_seconds: const { NonZeroU16::new(10).expect("not zero") },
            management_url: None,
            declare_queues: false,
        }
    }
}

/// How the broker keeps queues.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum QueueType {
    /// On several nodes.
    Quorum,
    /// On one.
    Classic,
}

/// The database of `warren serve`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Store {
    /// `url`: `postgres://postgres@127.0.0.1:5432/warren`.
    pub url: Address,
    /// `commit_connections`: 3 for each process.
    pub commit_connections: NonZeroU16,
    /// `read_connections`: 8 for each process.
    pub read_connections: NonZeroU16,
    /// `retention_days`: how long closed executions are kept; 90.
    pub retention_days: NonZeroU32,
    /// `migrate_at_start`: whether `warren serve` brings the tables up to date; true.
    pub migrate_at_start: bool,
}

impl Default for Store {
    fn default() -> Self {
        Store {
            url: Address::from("postgres://postgres@127.0.0.1:5432/warren"),
            commit_connections: const { NonZeroU16::new(3).expect("not zero") },
            read_connections: const { NonZeroU16::new(8).expect("not zero") },
            retention_days: const { NonZeroU32::new(90).expect("not zero") },
            migrate_at_start: true,
        }
    }
}

/// What `GET /metrics` tells.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Metrics {
    /// `enabled`: whether metrics are recorded and served; true.
    pub enabled: bool,
}

impl Default for Metrics {
    fn default() -> Self {
        Metrics { enabled: true }
    }
}

/// The transition loop.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Engine {
    /// `fuse`: whether states that touch nothing outside are run through in one message; false.
    pub fuse: bool,
}

/// What is told to those who listen.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Events {
    /// `status_changes`: whether each change of the status of a Standard execution is announced; true.
    pub status_changes: bool,
    /// `transitions`: whether each transition is shown in passing; `warren dev` does unless told otherwise, `warren serve`
    /// does not.
    pub transitions: Option<bool>,
}

impl Default for Events {
    fn default() -> Self {
        Events { status_changes: true, transitions: None }
    }
}

/// Tasks.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tasks {
    /// `token_key`: signs task tokens, 32 bytes in base64 or hexadecimal; unless given, one is drawn and kept in the database.
    pub token_key: Option<Key>,
}

/// What opens sealed secrets.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Secrets {
    /// `key`: 32 bytes in base64 or hexadecimal; none.
    pub key: Option<Key>,
    /// `key_file`: a file that holds the key, read where `key` is not given; none.
    pub key_file: Option<PathBuf>,
}

impl Secrets {
    /// The key, if there is one.
    pub fn read_key(&self) -> Result<Option<Key>, Error> {
        let (None, Some(path)) = (&self.key, &self.key_file) else { return Ok(self.key.clone()) };
        let wrong = |reason: &dyn std::fmt::Display| {
            Error(format!("failed to read the key of secrets in {}: {reason}", path.display()))
        };
        let text = std::fs::read_to_string(path).map_err(|error| wrong(&error))?;
        Key::try_from(text).map(Some).map_err(|error| wrong(&error))
    }
}

/// What starts executions by itself.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Triggers {
    /// `directory`: of files with triggers, the same for all processes; `warren dev` takes `triggers` if it is
    /// there, and follows what changes.
    pub directory: Option<PathBuf>,
}

/// What ARNs say.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Aws {
    /// `region`: `us-east-1`.
    pub region: String,
    /// `account`: twelve digits, as a text; `000000000000`.
    #[serde(deserialize_with = "account")]
    pub account: String,
}

impl Default for Aws {
    fn default() -> Self {
        let Home { region, account } = Home::default();
        Aws { region, account }
    }
}

fn account<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(text);
    }
    Err(serde::de::Error::custom(format!("an account has twelve digits, {text:?} has not")))
}

/// What is refused, or ended, beyond which size.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// `payload_bytes_max`: input or output of a state, a task or an execution, in bytes; 262,144.
    pub payload_bytes_max: NonZeroUsize,
    /// `history_events_max`: events in the history of one Standard execution; 25,000.
    pub history_events_max: NonZeroU64,
    /// `map_concurrency`: iterations of an inline Map that run at a time where `MaxConcurrency` is 0 or
    /// absent; 40.
    pub map_concurrency: NonZeroU32,
    /// `open_executions_max`: executions that run at a time; a start beyond it is refused; 1,000,000.
    pub open_executions_max: NonZeroU64,
    /// `versions_max`: versions of a state machine; 1,000.
    pub versions_max: NonZeroU32,
    /// `aliases_max`: aliases of a state machine; 100.
    pub aliases_max: NonZeroU32,
    /// `tags_max`: tags of a state machine or an activity; 50.
    pub tags_max: NonZeroU32,
    /// `state_machines_max`: state machines; 100,000.
    pub state_machines_max: NonZeroU32,
    /// `activities_max`: activities; 100,000.
    pub activities_max: NonZeroU32,
    /// `activity_workers_max`: workers that wait for tasks of one activity, in each process; 1,000.
    pub activity_workers_max: NonZeroU32,
}

impl Default for Limits {
    fn default() -> Self {
        use asl::limits::{HISTORY_EVENTS_MAX, MAP_CONCURRENCY_DEFAULT, PAYLOAD_BYTES_MAX};
        const { assert!(PAYLOAD_BYTES_MAX > 0 && HISTORY_EVENTS_MAX > 0 && MAP_CONCURRENCY_DEFAULT > 0) };
        Limits {
            payload_bytes_max: NonZeroUsize::new(PAYLOAD_BYTES_MAX).unwrap_or(NonZeroUsize::MAX),
            history_events_max: NonZeroU64::new(HISTORY_EVENTS_MAX).unwrap_or(NonZeroU64::MAX),
            map_concurrency: NonZeroU32::new(MAP_CONCURRENCY_DEFAULT).unwrap_or(NonZeroU32::MAX),
            open_executions_max: const { NonZeroU64::new(1_000_000).expect("not zero") },
            versions_max: const { NonZeroU32::new(1_000).expect("not zero") },
            aliases_max: const { NonZeroU32::new(100).expect("not zero") },
            tags_max: const { NonZeroU32::new(50).expect("not zero") },
            state_machines_max: const { NonZeroU32::new(100_000).expect("not zero") },
            activities_max: const { NonZeroU32::new(100_000).expect("not zero") },
            activity_workers_max: const { NonZeroU32::new(1_000).expect("not zero") },
        }
    }
}

impl Limits {
    /// Those that the language knows.
    pub fn of_language(&self) -> asl::limits::Limits {
        asl::limits::Limits {
            payload_bytes_max: self.payload_bytes_max.get(),
            history_events_max: self.history_events_max.get(),
            map_concurrency_default: self.map_concurrency.get(),
            ..asl::limits::Limits::default()
        }
    }
}
