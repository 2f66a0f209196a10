//! Executions that wait: what they take, and how late they go on.

use std::time::Duration;

use chrono::{DateTime, SecondsFormat};
use serde_json::json;
use tokio::time::sleep;

use super::deployed;
use super::workload::Workload;
use crate::bench::Bench;
use crate::deployment::{Deployment, Setup};
use crate::driver::api::{Api, Request};
use crate::driver::load::{Load, Until};
use crate::driver::now_ms;
use crate::driver::standard::{Batch, STARTERS};
use crate::failure::Result;
use crate::figure::{Figure, quantile};

const HOUR_SECONDS: u32 = 3_600;
/// Memory is told for so many.
const SLEEPERS: f64 = 10_000.0;
/// An engine is at rest when it uses less of a core than this, for a second.
const IDLE_CORES: f64 = 0.05;
const IDLE_TRIES: u32 = 60;
/// Timers are due so long after the first start, and longer for many: all must have begun to wait by then.
const DUE_MS_MIN: i64 = 15_000;
const STARTS_PER_SECOND_MIN: i64 = 1_000;
const DRAIN_MAX: Duration = Duration::from_secs(300);

/// Memory of an engine before and after many executions fell asleep.
pub async fn sleeping(bench: &Bench) -> Result<Vec<Figure>> {
    deployed(bench, Setup::new(false), async |deployment| {
        let workload = Workload::Sleep(HOUR_SECONDS);
        let mut api = Api::new(&deployment.addresses[0]);
        let machine = api.create_machine("sleeping", false, &workload.definition()).await?;
        let request = Request::start(&machine, &workload.input(bench.args.input_bytes));
        at_rest(deployment).await;
        let (before, _) = deployment.processes.engine_memory();
        let count = u64::from(bench.args.sleepers);
        let until = Until { requests: Some(count), elapsed: None };
        Load::start(&deployment.addresses, STARTERS, &request, until).end().await?;
        at_rest(deployment).await;
        let (after, peak) = deployment.processes.engine_memory();
        let each = (after - before) / f64::from(bench.args.sleepers) * SLEEPERS;
        let note =
            format!("{count} asleep: {before:.1} MB before, {after:.1} MB after, {peak:.1} MB at most");
        Ok(vec![Figure::new("memory for 10,000", "MB", vec![each]).note(note)])
    })
    .await
}

/// Waits until the engines have nothing to do, for a minute at most.
async fn at_rest(deployment: &Deployment) {
    for _ in 0..IDLE_TRIES {
        let before = deployment.processes.usage();
        sleep(Duration::from_secs(1)).await;
        let spent = deployment.processes.usage().since(before);
        if spent.engines < IDLE_CORES * spent.elapsed {
            return;
        }
    }
}

/// Lateness of timers that are all due at one moment.
pub async fn timers(bench: &Bench) -> Result<Vec<Figure>> {
    deployed(bench, Setup::new(false), async |deployment| {
        let workload = Workload::WaitUntil;
        let mut api = Api::new(&deployment.addresses[0]);
        let machine = api.create_machine("timers", false, &workload.definition()).await?;
        let count = i64::from(bench.args.timers);
        let due_ms = now_ms() + DUE_MS_MIN + count * 1_000 / STARTS_PER_SECOND_MIN;
        let input = json!({ "at": timestamp(due_ms) });
        let until = Until { requests: Some(u64::from(bench.args.timers)), elapsed: None };
        let batch = Batch::run(&deployment.addresses, &machine, &input, until, DRAIN_MAX).await?;
        let late = batch.spans.iter().filter(|span| span.start_ms >= due_ms as f64).count();
        let mut lateness: Vec<f64> = batch.spans.iter().map(|span| span.stop_ms - due_ms as f64).collect();
        let last = lateness.iter().copied().fold(0.0, f64::max);
        let early = lateness.iter().filter(|ms| **ms < 0.0).count();
        let figure = |name: &str, value| Figure::new(name, "ms", vec![value]);
        let p50 = figure("late, p50", quantile(&mut lateness, 0.5)).note(format!(
            "{count} due at one moment; {early} fired early, {late} were started too late to wait"
        ));
        Ok(vec![
            p50,
            figure("late, p99", quantile(&mut lateness, 0.99)),
            Figure::new("fired", "timers/s", vec![count as f64 * 1e3 / last.max(1.0)]),
        ])
    })
    .await
}

fn timestamp(ms: i64) -> String {
    let time = DateTime::from_timestamp_millis(ms).unwrap_or_default();
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_are_as_the_language_reads_them() {
        assert_eq!(timestamp(1_700_000_000_123), "2023-11-14T22:13:20.123Z");
    }
}
