//! Processes of `warren serve` under test, on queues and a database of their own; or a server that runs.
//!
//! Dropped, the processes are killed. Their queues and their database go with [`Deployment::remove`], or at the
//! end of the run.

use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::sleep;

use crate::bench::Bench;
use crate::driver::api::Api;
use crate::failure::{Context as _, Failure, Result};
use crate::machine::Processes;
use crate::scratch::Scratch;

/// Below those that systems hand out to clients, so that nobody takes one between the look and the start.
const PORTS: std::ops::Range<u16> = 21_000..29_000;
const READY_MAX: Duration = Duration::from_secs(30);
const READY_LOOK: Duration = Duration::from_millis(2);
const LOG_LINES: usize = 15;

/// How engines are configured.
#[derive(Debug, Clone, Copy)]
pub struct Setup {
    /// Whether consecutive states that touch nothing outside share a hop.
    pub fuse: bool,
    /// How many processes.
    pub processes: u32,
    /// `limits.history_events_max`: a Map of 10,000 passes the default.
    pub history_events_max: Option<u32>,
    /// `metrics.enabled`.
    pub metrics: bool,
}

impl Setup {
    /// One process that fuses or not.
    pub fn new(fuse: bool) -> Self {
        Setup { fuse, processes: 1, history_events_max: None, metrics: true }
    }
}

/// Engines that are ready.
pub struct Deployment {
    /// `HOST:PORT` of each.
    pub addresses: Vec<String>,
    /// The engines among the servers.
    pub processes: Processes,
    /// What queues begin with; absent for a server that runs, unless `--prefix` tells.
    pub prefix: Option<String>,
    engines: Vec<Child>,
    own: Option<Own>,
}

struct Own {
    binary: PathBuf,
    setup: Setup,
    scratch: Scratch,
    logs: TempDir,
}

impl Deployment {
    /// Starts engines, or takes the server that was named.
    pub async fn start(bench: &Bench, setup: Setup) -> Result<Self> {
        if let Some(url) = &bench.args.endpoint {
            let prefix = bench.args.prefix.clone();
            let address = address(url)?;
            let port = address.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
            let processes = bench.processes.with_engine_on(port.unwrap_or_default());
            return Ok(Deployment {
                addresses: vec![address],
                processes,
                prefix,
                engines: Vec::new(),
                own: None,
            });
        }
        let binary = binary(bench)?;
        let scratch = bench.servers.scratch().await?;
        let logs = TempDir::with_prefix("warren-bench-")?;
        let mut deployment = Deployment {
            addresses: Vec::new(),
            processes: bench.processes.clone(),
            prefix: Some(scratch.prefix.clone()),
            engines: Vec::new(),
            own: Some(Own { binary, setup, scratch, logs }),
        };
        for _ in 0..setup.processes {
            deployment.add(bench).await?;
        }
        Ok(deployment)
    }

    /// Starts one more engine; how long it took to be ready.
    pub async fn add(&mut self, bench: &Bench) -> Result<Duration> {
        let own =
            self.own.as_ref().ok_or_else(|| Failure::new("--endpoint names a server that runs already"))?;
        let (port, log) = (free_port()?, own.logs.path().join(format!("{}.log", self.engines.len())));
        let address = format!("127.0.0.1:{port}");
        let started = Instant::now();
        let mut engine =
            own.command(bench, port, &log)?.spawn().context(format!("start {}", own.binary.display()))?;
        let mut api = Api::new(&address);
        while !api.ready().await {
            if let Some(status) = engine.try_wait()? {
                return Err(Failure::new(format!("the engine ended with {status}:\n{}", tail(&log))));
            }
            if started.elapsed() > READY_MAX {
                let limit = READY_MAX.as_secs();
                return Err(Failure::new(format!(
                    "/readyz did not answer 200 in {limit} s:\n{}",
                    tail(&log)
                )));
            }
            sleep(READY_LOOK).await;
        }
        let took = started.elapsed();
        self.engines.push(engine);
        self.addresses.push(address);
        self.processes = bench.processes.with(self.engines.iter().filter_map(Child::id).collect());
        Ok(took)
    }

    /// Kills the engines; their queues and rows stay.
    pub async fn stop(&mut self) -> Result<()> {
        for engine in &mut self.engines {
            engine.kill().await?;
        }
        self.engines.clear();
        self.addresses.clear();
        Ok(())
    }

    /// Kills the engines and removes what they used.
    pub async fn remove(mut self, bench: &Bench) -> Result<()> {
        self.stop().await?;
        match self.own.take() {
            Some(own) => bench.servers.remove(&own.scratch).await,
            None => Ok(()),
        }
    }

    /// The last lines of what the engines say, for a failure's text.
    pub fn tail(&self) -> String {
        let logs = self.own.as_ref().map(|own| own.logs.path().join("0.log"));
        logs.map(|log| tail(&log)).unwrap_or_default()
    }
}

impl Own {
    fn command(&self, bench: &Bench, port: u16, log: &Path) -> Result<Command> {
        let (mut command, log) = (Command::new(&self.binary), File::create(log)?);
        command
            .arg("serve")
            .current_dir(self.logs.path())
            .env("WARREN__BROKER__URL", &bench.args.broker)
            .env("WARREN__BROKER__PREFIX", &self.scratch.prefix)
            .env("WARREN__STORE__URL", &self.scratch.store)
            .env("WARREN__SERVER__PORT", port.to_string())
            .env("WARREN__ENGINE__FUSE", self.setup.fuse.to_string())
            .env("WARREN__METRICS__ENABLED", self.setup.metrics.to_string())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true);
        if let Some(events) = self.setup.history_events_max {
            command.env("WARREN__LIMITS__HISTORY_EVENTS_MAX", events.to_string());
        }
        Ok(command)
    }
}

/// The binary to start; why there is none.
pub fn binary(bench: &Bench) -> Result<PathBuf> {
    let path = match &bench.args.warren {
        Some(path) => path.clone(),
        None => std::env::current_exe()?.with_file_name("warren"),
    };
    // Engines run in a folder of their own.
    std::path::absolute(&path).ok().filter(|path| path.is_file()).ok_or_else(|| {
        let hint = "build it with `cargo build --release -p engine`, or give --warren or --endpoint";
        Failure::new(format!("there is no {}: {hint}", path.display()))
    })
}

/// `HOST:PORT` of a URL.
fn address(url: &str) -> Result<String> {
    let rest = url.strip_prefix("http://").ok_or_else(|| Failure::new("--endpoint begins with http://"))?;
    let host = rest.split('/').next().unwrap_or_default();
    Ok(if host.contains(':') { host.to_owned() } else { format!("{host}:80") })
}

fn free_port() -> Result<u16> {
    let random = uuid::Uuid::new_v4().as_u128();
    let first = u16::try_from(random % PORTS.len() as u128)?;
    let candidates = (0..PORTS.len() as u16).map(|step| PORTS.start + (first + step) % PORTS.len() as u16);
    let mut free = candidates.filter(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok());
    free.next().ok_or_else(|| Failure::new("no port is free"))
}

fn tail(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
}
