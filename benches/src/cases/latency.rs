//! How long ten Pass states take, one execution at a time: while nothing else runs, and while the engine does
//! half of what it can.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::deployed;
use super::workload::Workload;
use crate::bench::Bench;
use crate::deployment::{Deployment, Setup};
use crate::driver::api::{Api, Request};
use crate::driver::load::{Load, Until};
use crate::driver::standard::{Batch, STARTERS};
use crate::failure::{Failure, Result};
use crate::figure::{Figure, quantile};
use crate::target::Target;

const STATES: u32 = 10;
const CHAIN: Workload = Workload::Chain(STATES);
/// Executions in a repetition, should they be that quick.
const SAMPLES_MAX: usize = 500;
/// Between two looks at whether one has ended.
const LOOK_EVERY: Duration = Duration::from_millis(1);
const CAPACITY_FOR: Duration = Duration::from_secs(2);
const DRAIN_MAX: Duration = Duration::from_secs(60);

/// Which engine, and what it is held to.
#[derive(Debug, Clone, Copy)]
pub struct Latency {
    /// As Express, or as Standard.
    pub express: bool,
    /// Whether states share hops.
    pub fuse: bool,
    /// Median of an execution, idle.
    pub p50_ms_max: f64,
}

/// Milliseconds, one for each repetition.
#[derive(Default)]
struct Series {
    p50: Vec<f64>,
    p99: Vec<f64>,
}

impl Series {
    fn push(&mut self, mut milliseconds: Vec<f64>) {
        self.p50.push(quantile(&mut milliseconds, 0.5));
        self.p99.push(quantile(&mut milliseconds, 0.99));
    }

    fn figures(self, name: &str) -> [Figure; 2] {
        [
            Figure::new(format!("{name}, p50"), "ms", self.p50),
            Figure::new(format!("{name}, p99"), "ms", self.p99),
        ]
    }
}

impl Latency {
    /// Measures idle first, then under load.
    pub async fn run(&self, bench: &Bench) -> Result<Vec<Figure>> {
        deployed(bench, Setup::new(self.fuse), async |deployment| {
            let mut probe = self.probe(bench, deployment).await?;
            probe.series(bench, 1).await?; // warms up
            let idle = probe.series(bench, bench.args.repetitions).await?;
            let capacity = self.capacity(bench, deployment).await?;
            let mut load = self.half(bench, deployment, &probe, capacity);
            let loaded = tokio::select! {
                loaded = probe.series(bench, bench.args.repetitions) => loaded?,
                ended = load.end() => return Err(ended.err().unwrap_or_else(|| Failure::new("the load ended"))),
            };
            let [mut p50, p99] = idle.whole.figures("an execution, idle");
            let transition = p50.samples.iter().map(|ms| ms / f64::from(STATES)).collect();
            p50 = p50.held_to(Some(Target::AtMost(self.p50_ms_max)));
            let mut figures = vec![p50, p99, Figure::new("a state of it, p50", "ms", transition)];
            figures.extend(idle.start.figures("StartExecution, idle"));
            let half = format!("beside {:.0} executions/s", capacity / 2.0);
            figures.extend(loaded.whole.figures("an execution, half load").map(|figure| figure.note(half.as_str())));
            figures.extend(loaded.start.figures("StartExecution, half load"));
            Ok(figures)
        })
        .await
    }

    async fn probe(&self, bench: &Bench, deployment: &Deployment) -> Result<Probe> {
        let mut api = Api::new(&deployment.addresses[0]);
        let machine = api.create_machine("probe", self.express, &CHAIN.definition()).await?;
        let input = CHAIN.input(bench.args.input_bytes);
        let start = Request::start(&machine, &input);
        let sync = self.express.then(|| Request::start_sync(&machine, &input));
        Ok(Probe { api, machine, input, start, sync })
    }

    /// Executions a second that the engine can do, roughly.
    async fn capacity(&self, bench: &Bench, deployment: &Deployment) -> Result<f64> {
        let mut api = Api::new(&deployment.addresses[0]);
        let machine = api.create_machine("capacity", self.express, &CHAIN.definition()).await?;
        let input = CHAIN.input(bench.args.input_bytes);
        if !self.express {
            let until = Until { requests: Some(5_000), elapsed: Some(CAPACITY_FOR) };
            let batch = Batch::run(&deployment.addresses, &machine, &input, until, DRAIN_MAX).await?;
            return Ok(batch.spans.len() as f64 / batch.seconds());
        }
        let request = Request::start_sync(&machine, &input);
        let until = Until { requests: None, elapsed: Some(CAPACITY_FOR) };
        let begun = Instant::now();
        let mut load = Load::start(&deployment.addresses, bench.args.concurrency, &request, until);
        load.end().await?;
        Ok(load.done.load(std::sync::atomic::Ordering::Relaxed) as f64 / begun.elapsed().as_secs_f64())
    }

    fn half(&self, bench: &Bench, deployment: &Deployment, probe: &Probe, capacity: f64) -> Load {
        let request = probe.sync.as_ref().unwrap_or(&probe.start);
        let clients = if self.express { bench.args.concurrency } else { STARTERS };
        Load::paced(&deployment.addresses, clients, request, capacity / 2.0)
    }
}

struct Probe {
    api: Api,
    machine: String,
    input: serde_json::Value,
    start: Request,
    sync: Option<Request>,
}

#[derive(Default)]
struct Probed {
    whole: Series,
    start: Series,
}

impl Probe {
    async fn series(&mut self, bench: &Bench, repetitions: u32) -> Result<Probed> {
        let mut probed = Probed::default();
        for _ in 0..repetitions {
            let (mut whole, mut start) = (Vec::new(), Vec::new());
            let begun = Instant::now();
            while begun.elapsed() < bench.args.window() && whole.len() < SAMPLES_MAX {
                let (start_ms, whole_ms) = self.once().await?;
                start.push(start_ms);
                whole.push(whole_ms);
            }
            probed.whole.push(whole);
            probed.start.push(start);
        }
        Ok(probed)
    }

    /// Milliseconds of StartExecution, and of an execution with its start.
    async fn once(&mut self) -> Result<(f64, f64)> {
        let begun = Instant::now();
        let Some(sync) = &self.sync else {
            let execution = self.api.start(&self.machine, &self.input).await?;
            let start_ms = milliseconds(begun);
            while self.api.ended(&execution).await?.is_none() {
                sleep(LOOK_EVERY).await;
            }
            return Ok((start_ms, milliseconds(begun)));
        };
        self.api.send(sync).await?;
        let whole_ms = milliseconds(begun);
        let begun = Instant::now();
        self.api.send(&self.start).await?;
        let start_ms = milliseconds(begun);
        // What was started is not to be beside the next.
        sleep(Duration::from_secs_f64(whole_ms / 1e3)).await;
        Ok((start_ms, whole_ms))
    }
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}
