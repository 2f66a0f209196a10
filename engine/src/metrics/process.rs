//! What `/proc` says of this process. It is read when metrics are asked for, and told as it is read: nothing here
//! is counted by us.

use std::fmt::Write as _;
use std::fs;

use super::catalogue::process as catalogue;
use super::metric::{Kind, Metric};

/// Ticks a second in `/proc/*/stat`: part of the interface on Linux.
const TICKS: f64 = 100.0;

/// What was read; empty where there is no `/proc`.
#[derive(Debug, Default, PartialEq)]
struct Process {
    cpu_seconds: Option<f64>,
    threads: Option<f64>,
    started_at: Option<f64>,
    virtual_bytes: Option<f64>,
    resident_bytes: Option<f64>,
    open_files: Option<f64>,
    files_max: Option<f64>,
}

/// Adds the process to a text of metrics.
pub(super) fn write(text: &mut String) {
    let process = Process::read();
    let told: [(&Metric, Option<f64>); 7] = [
        (&catalogue::CPU, process.cpu_seconds),
        (&catalogue::RESIDENT, process.resident_bytes),
        (&catalogue::VIRTUAL, process.virtual_bytes),
        (&catalogue::THREADS, process.threads),
        (&catalogue::OPEN_FILES, process.open_files),
        (&catalogue::FILES_MAX, process.files_max),
        (&catalogue::STARTED_AT, process.started_at),
    ];
    for (metric, value) in told {
        let (Some(value), name) = (value, metric.name) else { continue };
        let kind = if metric.kind == Kind::Counter { "counter" } else { "gauge" };
        // Writing to a text does not fail.
        let _ = write!(text, "# HELP {name} {}\n# TYPE {name} {kind}\n{name} {value}\n\n", metric.help);
    }
}

impl Process {
    fn read() -> Self {
        let own = |file: &str| fs::read_to_string(format!("/proc/self/{file}")).unwrap_or_default();
        let booted = fs::read_to_string("/proc/stat").unwrap_or_default();
        let open_files = fs::read_dir("/proc/self/fd").ok().map(|entries| entries.count() as f64);
        Process { open_files, ..Process::parse(&own("stat"), &own("status"), &own("limits"), &booted) }
    }

    fn parse(stat: &str, status: &str, limits: &str, booted: &str) -> Self {
        // The name, in brackets, may hold anything; the numbers begin behind it, with the third field.
        let fields: Vec<&str> =
            stat.rsplit_once(')').map(|(_, fields)| fields.split_whitespace().collect()).unwrap_or_default();
        let field = |number: usize| fields.get(number - 3)?.parse::<f64>().ok();
        let kilobytes = |key: &str| Some(value(status, key)?.parse::<f64>().ok()? * 1_024.0);
        let booted_at = value(booted, "btime").and_then(|seconds| seconds.parse::<f64>().ok());
        Process {
            cpu_seconds: field(14).zip(field(15)).map(|(user, system)| (user + system) / TICKS),
            threads: field(20),
            started_at: booted_at.zip(field(22)).map(|(booted_at, started)| booted_at + started / TICKS),
            virtual_bytes: field(23),
            resident_bytes: kilobytes("VmRSS:"),
            open_files: None,
            files_max: value(limits, "Max open files").and_then(|files| files.parse().ok()),
        }
    }
}

/// The first word behind a key at the beginning of a line.
fn value<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(key))?.split_whitespace().next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_read_whatever_its_name_is() {
        let stat = "7 (a) b (c) S 3 7 7 0 -1 4194560 1 2 3 4 150 50 20 10 20 0 9 0 4200 1048576 77";
        let read = Process::parse(
            stat,
            "Name:\ta\nVmRSS:\t    2048 kB\n",
            "Limit   Soft\nMax open files            1024       4096     files\n",
            "cpu 1 2\nbtime 1800000000\n",
        );
        let expected = Process {
            cpu_seconds: Some(2.0),
            threads: Some(9.0),
            started_at: Some(1_800_000_042.0),
            virtual_bytes: Some(1_048_576.0),
            resident_bytes: Some(2_097_152.0),
            open_files: None,
            files_max: Some(1_024.0),
        };
        assert_eq!(read, expected);
        assert_eq!(Process::parse("", "", "", ""), Process::default());
    }
}
