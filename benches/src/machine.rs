//! What processes cost: CPU and memory as `/proc` tells them, and what machine this is.
//!
//! Broker and database are found as the processes that listen on their ports, so that others of their kind on
//! the machine are not counted. Where they run elsewhere, or may not be looked into, their columns stay empty.

use std::fs;
use std::time::Instant;

use serde::Serialize;

mod listener;
pub mod versions;

/// Ticks a second in `/proc/*/stat`: part of the interface on Linux.
const TICKS: f64 = 100.0;

/// Whose CPU time is told apart.
#[derive(Debug, Clone, Default)]
pub struct Processes {
    broker: Option<u32>,
    database: Option<u32>,
    engines: Vec<u32>,
}

/// CPU seconds so far.
#[derive(Debug, Clone, Copy)]
pub struct Usage {
    at: Instant,
    broker: Option<f64>,
    database: Option<f64>,
    engines: f64,
    driver: f64,
    machine: f64,
}

/// CPU seconds between two moments.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Spent {
    /// By the clock.
    pub elapsed: f64,
    /// The broker.
    pub broker: Option<f64>,
    /// The database.
    pub database: Option<f64>,
    /// All engine processes.
    pub engines: f64,
    /// This process.
    pub driver: f64,
    /// Everybody else; the broker and the database too, where they are not known.
    pub other: f64,
}

impl Processes {
    /// Finds the servers that listen on these ports.
    pub fn find(broker_port: u16, database_port: u16) -> Self {
        let broker = listener::process(broker_port, "beam.smp");
        let database = listener::process(database_port, "postgres");
        Processes { broker, database, engines: Vec::new() }
    }

    /// The same, and these engines.
    pub fn with(&self, engines: Vec<u32>) -> Self {
        Processes { engines, ..self.clone() }
    }

    /// The same, and the engine that listens on this port, if it is here.
    pub fn with_engine_on(&self, port: u16) -> Self {
        self.with(listener::process(port, "warren").into_iter().collect())
    }

    /// What they used until now.
    pub fn usage(&self) -> Usage {
        Usage {
            at: Instant::now(),
            broker: self.broker.and_then(|id| Some(Stat::read(id)?.cpu())),
            database: self.database.map(family_cpu),
            engines: self.engines.iter().filter_map(|id| Stat::read(*id)).map(|stat| stat.cpu()).sum(),
            driver: Stat::read(std::process::id()).map_or(0.0, |stat| stat.cpu()),
            machine: machine_cpu(),
        }
    }

    /// Memory of all engines together, in MB: now, and at most.
    pub fn engine_memory(&self) -> (f64, f64) {
        let sum = |key| self.engines.iter().map(|id| status_kilobytes(*id, key)).sum::<f64>() / 1024.0;
        (sum("VmRSS:"), sum("VmHWM:"))
    }
}

impl Usage {
    /// What was used since.
    pub fn since(self, before: Usage) -> Spent {
        let between = |after: Option<f64>, before: Option<f64>| Some((after? - before?).max(0.0));
        let broker = between(self.broker, before.broker);
        let database = between(self.database, before.database);
        let engines = (self.engines - before.engines).max(0.0);
        let driver = self.driver - before.driver;
        let known = broker.unwrap_or_default() + database.unwrap_or_default() + engines + driver;
        Spent {
            elapsed: (self.at - before.at).as_secs_f64(),
            broker,
            database,
            engines,
            driver,
            other: (self.machine - before.machine - known).max(0.0),
        }
    }
}

/// What `/proc/ID/stat` says.
struct Stat {
    parent: u32,
    own: f64,
    /// Of children that have ended and were waited for.
    children: f64,
}

impl Stat {
    fn read(id: u32) -> Option<Self> {
        Self::parse(&fs::read_to_string(format!("/proc/{id}/stat")).ok()?)
    }

    /// The name, in brackets, may hold anything; the numbers begin behind it.
    fn parse(text: &str) -> Option<Self> {
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
        let seconds = |index: usize| Some(fields.get(index)?.parse::<f64>().ok()? / TICKS);
        Some(Stat {
            parent: fields.get(1)?.parse().ok()?,
            own: seconds(11)? + seconds(12)?,
            children: seconds(13)? + seconds(14)?,
        })
    }

    fn cpu(&self) -> f64 {
        self.own
    }
}

/// A server that forks for each connection: itself, its children, and those that are gone.
fn family_cpu(parent: u32) -> f64 {
    let children = processes().filter_map(Stat::read).filter(|stat| stat.parent == parent);
    let living: f64 = children.map(|stat| stat.own + stat.children).sum();
    living + Stat::read(parent).map_or(0.0, |stat| stat.own + stat.children)
}

/// Ids of all processes.
fn processes() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// All cores, whoever used them.
fn machine_cpu() -> f64 {
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    let ticks = text.lines().next().unwrap_or_default().split_whitespace().skip(1);
    // user nice system idle iowait irq softirq: all but the two that wait.
    let used = ticks.take(7).enumerate().filter(|(index, _)| *index != 3 && *index != 4);
    used.filter_map(|(_, ticks)| ticks.parse::<f64>().ok()).sum::<f64>() / TICKS
}

fn status_kilobytes(id: u32, key: &str) -> f64 {
    let text = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(key));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_and_blanks_does_not_shift_the_numbers() {
        let text = "7 (a) b (c) S 3 7 7 0 -1 4194560 1 2 3 4 150 50 20 10 20 0 1 0 99 1 1";
        let stat = Stat::parse(text).unwrap();
        assert_eq!((stat.parent, stat.own), (3, 2.0));
        assert!((stat.children - 0.3).abs() < 1e-9);
    }
}
