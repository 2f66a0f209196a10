//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

/// Measures the raw limits of this machine, and Warren beside them on the same payloads and durability.
#[derive(Debug, Clone, Parser)]
#[command(name = "warren-bench", version)]
pub struct Args {
    /// Which cases: a name, or the beginning of several; all, unless given. A case brings its ceiling along.
    #[arg(value_name = "CASE")]
    pub cases: Vec<String>,
    /// List the cases.
    #[arg(long)]
    pub list: bool,
    /// Length of one measurement.
    #[arg(long, value_name = "SECONDS", default_value_t = 3.0, value_parser = seconds)]
    pub seconds: f64,
    /// How often each is measured.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub repetitions: u32,
    /// Write figures, machine and versions there.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// The broker.
    #[arg(long, value_name = "URL", default_value = "amqp://guest:guest@127.0.0.1:5672/%2f")]
    pub broker: String,
    /// A database server, by any database whose user may create others.
    #[arg(long, value_name = "URL", default_value = "postgres://postgres@127.0.0.1:5432/postgres")]
    pub store: String,
    /// The binary to start; the `warren` beside this binary, unless given.
    #[arg(long, value_name = "PATH")]
    pub warren: Option<PathBuf>,
    /// A running server to load instead, as it is configured; cases that start processes are left out.
    #[arg(long, value_name = "URL", conflicts_with = "warren")]
    pub endpoint: Option<String>,
    /// With --endpoint: what its queues begin with, for the tasks that are AMQP workers'.
    #[arg(long, value_name = "TEXT", requires = "endpoint")]
    pub prefix: Option<String>,
    /// Requests at a time where StartSyncExecution is the load.
    #[arg(long, value_name = "N", default_value_t = 384, value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub concurrency: u32,
    /// Body of a message in the baselines.
    #[arg(long, value_name = "BYTES", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(256..=65_536))]
    pub message_bytes: u32,
    /// History that one state leaves in the baselines.
    #[arg(long, value_name = "BYTES", default_value_t = 600, value_parser = clap::value_parser!(u32).range(64..=65_536))]
    pub row_bytes: u32,
    /// Input of each execution, about.
    #[arg(long, value_name = "BYTES", default_value_t = 150, value_parser = clap::value_parser!(u32).range(64..=65_536))]
    pub input_bytes: u32,
    /// Timers that are due at one moment; 100,000 takes minutes.
    #[arg(long, value_name = "N", default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(100..=1_000_000))]
    pub timers: u32,
    /// Executions that sleep while memory is read.
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(100..=1_000_000))]
    pub sleepers: u32,
}

impl Args {
    /// Length of one measurement.
    pub fn window(&self) -> Duration {
        Duration::from_secs_f64(self.seconds)
    }
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds: f64 = text.parse().map_err(|_| "give a number of seconds".to_owned())?;
    if (0.2..=600.0).contains(&seconds) { Ok(seconds) } else { Err("give 0.2 to 600 seconds".to_owned()) }
}
