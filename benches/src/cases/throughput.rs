//! How much goes through.
//!
//! Express keeps no record to count by, so its load is StartSyncExecution: an answer is an execution that
//! ended. The request and the answer are part of what is measured. Standard is started asynchronously and
//! counted by the dates of its executions (`driver::standard`); the starts are part of what is measured.

use std::time::Duration;

use super::deployed;
use super::workload::Workload;
use crate::baseline::count_windows;
use crate::bench::Bench;
use crate::deployment::{Deployment, Setup};
use crate::driver::api::{Api, Request};
use crate::driver::load::{Load, Until};
use crate::driver::standard::Batch;
use crate::driver::worker::Worker;
use crate::failure::{Failure, Result};
use crate::figure::{Ceiling, Figure, Window, quantile};
use crate::target::Target;

/// Under load, of one engine.
const MEMORY_MB_MAX: f64 = 80.0;
/// For executions to end that have begun.
const DRAIN_MAX: Duration = Duration::from_secs(90);

/// A workload on engines that are configured so.
#[derive(Debug, Clone, Copy)]
pub struct Throughput {
    /// What runs.
    pub workload: Workload,
    /// As Express, or as Standard.
    pub express: bool,
    /// Whether states share hops.
    pub fuse: bool,
    /// Engines.
    pub processes: u32,
    /// Standard: executions started for each second of a measurement, at most.
    pub backlog_per_second: u32,
    /// What the rate is held to.
    pub target: Option<Target>,
}

impl Throughput {
    /// With fused states.
    pub const fn fused(self) -> Self {
        Throughput { fuse: true, ..self }
    }

    /// By so many engines.
    pub const fn by(self, processes: u32) -> Self {
        Throughput { processes, ..self }
    }

    /// Whether somebody must answer its tasks.
    pub fn needs_worker(&self) -> bool {
        matches!(self.workload, Workload::Tasks(_))
    }

    /// Measures it.
    pub async fn run(&self, bench: &Bench, ceiling: Option<&'static str>) -> Result<Vec<Figure>> {
        let setup = Setup { processes: self.processes, ..Setup::new(self.fuse) };
        deployed(bench, setup, async |deployment| {
            let worker = self.worker(bench, deployment).await?;
            let windows = if self.express {
                self.express(bench, deployment).await?
            } else {
                self.standard(bench, deployment).await?
            };
            drop(worker);
            let mut figures = vec![self.figure(windows, ceiling)];
            figures.extend(memory(deployment));
            Ok(figures)
        })
        .await
    }

    fn figure(&self, measured: Measured, ceiling: Option<&'static str>) -> Figure {
        let weight = f64::from(self.workload.states_per_unit());
        let ceiling = ceiling.map(|case| Ceiling { case, weight });
        let name = self.workload.unit().0.trim_end_matches("/s");
        let figure = Figure::rate(name, self.workload.unit().0, &measured.windows);
        let figure = figure.share_of(ceiling).held_to(self.target);
        measured.notes.into_iter().fold(figure, Figure::note)
    }

    async fn worker(&self, bench: &Bench, deployment: &Deployment) -> Result<Option<Worker>> {
        if !self.needs_worker() {
            return Ok(None);
        }
        let prefix = deployment.prefix.as_ref().ok_or_else(|| Failure::new("the prefix is not known"))?;
        Worker::start(&bench.servers, prefix).await.map(Some)
    }

    async fn express(&self, bench: &Bench, deployment: &Deployment) -> Result<Measured> {
        let mut api = Api::new(&deployment.addresses[0]);
        let machine = api.create_machine("throughput", true, &self.workload.definition()).await?;
        let request = Request::start_sync(&machine, &self.workload.input(bench.args.input_bytes));
        // As many clients with Maps would measure the backlog alone.
        let clients = bench.args.concurrency.div_ceil(self.workload.messages_at_once());
        let mut load = Load::start(&deployment.addresses, clients, &request, Until::default());
        let done = load.done.clone();
        let units = f64::from(self.workload.unit().1);
        let windows = tokio::select! {
            windows = count_windows(bench, &deployment.processes, &done, units) => windows,
            ended = load.end() => return Err(ended.err().unwrap_or_else(|| Failure::new("the load ended"))),
        };
        let note = format!("StartSyncExecution, {clients} at a time; request and answer included");
        Ok(Measured { windows, notes: vec![note] })
    }

    async fn standard(&self, bench: &Bench, deployment: &Deployment) -> Result<Measured> {
        let mut api = Api::new(&deployment.addresses[0]);
        let input = self.workload.input(bench.args.input_bytes);
        let most = (bench.args.seconds * f64::from(self.backlog_per_second)).max(1.0);
        let until = Until { requests: Some(most as u64), elapsed: Some(bench.args.window() * 2) };
        let units = f64::from(self.workload.unit().1);
        let (mut windows, mut drains, mut throttled) = (Vec::new(), Vec::new(), 0);
        for repetition in 0..=bench.args.repetitions {
            let name = format!("throughput-{repetition}");
            let machine = api.create_machine(&name, false, &self.workload.definition()).await?;
            // The first, much smaller, warms up and is not counted.
            let until =
                if repetition == 0 { Until { requests: Some(most as u64 / 10 + 1), ..until } } else { until };
            let before = deployment.processes.usage();
            let batch = Batch::run(&deployment.addresses, &machine, &input, until, DRAIN_MAX).await?;
            let spent = deployment.processes.usage().since(before);
            if repetition > 0 {
                let units = batch.spans.len() as f64 * units;
                windows.push(Window { units, seconds: batch.seconds(), spent });
                drains.extend(batch.drain_rate().map(|rate| rate * f64::from(self.workload.unit().1)));
                throttled += batch.throttled;
            }
        }
        let mut notes = vec!["StartExecution; from the first start to the last end".to_owned()];
        if !drains.is_empty() {
            let rate = quantile(&mut drains, 0.5);
            notes.push(format!("{rate:.0} {} once nothing was started any more", self.workload.unit().0));
        }
        if throttled > 0 {
            notes.push(format!("{throttled} starts were throttled and sent again"));
        }
        Ok(Measured { windows, notes })
    }
}

struct Measured {
    windows: Vec<Window>,
    notes: Vec<String>,
}

/// The most that the engines took, if they are this run's.
fn memory(deployment: &Deployment) -> Option<Figure> {
    let engines = deployment.addresses.len() as f64;
    let (_, peak) = deployment.processes.engine_memory();
    let figure = Figure::new("memory of an engine, peak", "MB", vec![peak / engines]);
    (peak > 0.0).then(|| figure.held_to(Some(Target::AtMost(MEMORY_MB_MAX))))
}
