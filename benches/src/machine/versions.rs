//! What was measured, on what.

use std::fs;
use std::process::Command;

use lapin::uri::AMQPUri;
use serde::Serialize;
use sqlx::{Connection as _, PgConnection, Row as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::failure::{Context as _, Result};

/// Machine and versions.
#[derive(Debug, Clone, Serialize)]
pub struct Versions {
    /// Processor.
    pub processor: String,
    /// Its cores, as the system schedules them.
    pub cores: usize,
    /// Memory.
    pub memory_gigabytes: f64,
    /// Kernel.
    pub kernel: String,
    /// As its greeting says.
    pub broker: String,
    /// As it says.
    pub database: String,
    /// The compiler at hand.
    pub rustc: String,
    /// The commit that is checked out, with `+` if anything differs from it.
    pub revision: String,
}

impl Versions {
    /// Asks them all; who does not answer is `unknown`, but the two servers must.
    pub async fn read(broker: &AMQPUri, store: &str) -> Result<Self> {
        let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let dirty = !command("git", &["status", "--porcelain", "--untracked-files=no"]).is_empty();
        let revision = command("git", &["rev-parse", "--short", "HEAD"]);
        let kilobytes: f64 = field(&memory, "MemTotal:").trim_end_matches(" kB").parse().unwrap_or_default();
        Ok(Versions {
            processor: field(&cpu, "model name").trim_start_matches([':', ' ']).to_owned(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory_gigabytes: (kilobytes / 1024.0 / 1024.0).round(),
            kernel: kernel.trim().to_owned(),
            broker: broker_version(broker).await.context("the broker (--broker)")?,
            database: database_version(store).await.context("the database (--store)")?,
            rustc: known(command("rustc", &["--version"])),
            revision: format!("{}{}", known(revision), if dirty { "+" } else { "" }),
        })
    }
}

fn field<'a>(text: &'a str, key: &str) -> &'a str {
    text.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default().trim()
}

fn known(text: String) -> String {
    if text.is_empty() { "unknown".to_owned() } else { text }
}

fn command(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
}

/// The client library keeps the greeting to itself, so this reads it.
async fn broker_version(uri: &AMQPUri) -> Result<String> {
    let mut stream = TcpStream::connect((uri.authority.host.as_str(), uri.authority.port)).await?;
    stream.write_all(b"AMQP\x00\x00\x09\x01").await?;
    let mut greeting = [0_u8; 2048];
    let read = stream.read(&mut greeting).await?;
    let text = |key: &str| long_text(&greeting[..read], key);
    let name = text("product").unwrap_or_else(|| "unknown".to_owned());
    Ok(format!("{name} {}", text("version").unwrap_or_default()).trim().to_owned())
}

/// The text of a key in a table of AMQP: `S`, its length, itself.
fn long_text(table: &[u8], key: &str) -> Option<String> {
    let mut marker = vec![u8::try_from(key.len()).ok()?];
    marker.extend_from_slice(key.as_bytes());
    marker.push(b'S');
    let start = table.windows(marker.len()).position(|window| window == marker)? + marker.len();
    let length = u32::from_be_bytes(table.get(start..start + 4)?.try_into().ok()?) as usize;
    Some(String::from_utf8_lossy(table.get(start + 4..start + 4 + length)?).into_owned())
}

async fn database_version(store: &str) -> Result<String> {
    let mut connection = PgConnection::connect(store).await?;
    let row = sqlx::query("SELECT current_setting('server_version')").fetch_one(&mut connection).await?;
    Ok(format!("PostgreSQL {}", row.try_get::<String, _>(0)?))
}
