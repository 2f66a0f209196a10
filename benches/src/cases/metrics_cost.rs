//! What metrics cost: processor time of an engine that records them beside one that does not.
//!
//! Two engines, each with queues and a database of its own, are given the same work in turns: on and off, off and
//! on. So what else the machine does, and how it changes meanwhile, meets both alike. The page is asked for once
//! in each turn, five times as often as Prometheus does by default.

use std::time::{Duration, Instant};

use super::workload::Workload;
use crate::bench::Bench;
use crate::deployment::{Deployment, Setup};
use crate::driver::api::{Api, Request};
use crate::driver::http::Http;
use crate::driver::load::{Load, Until};
use crate::driver::standard::Batch;
use crate::failure::Result;
use crate::figure::{Figure, quantile};
use crate::report::progress;
use crate::target::Target;

const CHAIN: Workload = Workload::Chain(10);
/// Turns of each engine for each repetition.
const TURNS: u32 = 4;
/// Executions that a turn has.
const EXECUTIONS_MIN: u64 = 100;
const EXECUTIONS_MAX: u64 = 1_000_000;
/// A turn is full that could be longer by this factor, and one that is not grows by so much at most.
const FULL: f64 = 1.3;
const GROWTH_MAX: f64 = 5.0;
/// How much more an engine with metrics may use.
const RATIO_MAX: f64 = 1.02;
const DRAIN_MAX: Duration = Duration::from_secs(90);

/// Which engine.
#[derive(Debug, Clone, Copy)]
pub struct MetricsCost {
    /// As Express, or as Standard.
    pub express: bool,
    /// Whether states share hops.
    pub fuse: bool,
}

impl MetricsCost {
    /// Measures both, in turns.
    pub async fn run(&self, bench: &Bench) -> Result<Vec<Figure>> {
        let setup = Setup::new(self.fuse);
        let mut on = Deployment::start(bench, setup).await?;
        let mut off = match Deployment::start(bench, Setup { metrics: false, ..setup }).await {
            Ok(off) => off,
            Err(failure) => {
                on.remove(bench).await?;
                return Err(failure);
            }
        };
        let measured = self.compare(bench, &mut on, &mut off).await;
        on.remove(bench).await?;
        off.remove(bench).await?;
        measured
    }

    async fn compare(&self, bench: &Bench, on: &mut Deployment, off: &mut Deployment) -> Result<Vec<Figure>> {
        self.turn(bench, on, EXECUTIONS_MIN).await?;
        let executions = self.fill_turn(bench, off).await?;
        let (mut with, mut without) = (Vec::new(), Vec::new());
        for turn in 0..bench.args.repetitions * TURNS {
            if turn % 2 == 0 {
                with.push(self.turn(bench, on, executions).await?);
                without.push(self.turn(bench, off, executions).await?);
            } else {
                without.push(self.turn(bench, off, executions).await?);
                with.push(self.turn(bench, on, executions).await?);
            }
        }
        let ratio = quantile(&mut with.clone(), 0.5) / quantile(&mut without.clone(), 0.5);
        progress::line(&format!("    {executions} executions a turn"));
        Ok(vec![
            Figure::new("processor time, on to off", "×", vec![ratio])
                .held_to(Some(Target::AtMost(RATIO_MAX)))
                .note("of the medians below"),
            Figure::new("engine with metrics, a state", "µs", with),
            Figure::new("engine without, a state", "µs", without),
        ])
    }

    /// How many executions fill a turn; warms up on the way.
    async fn fill_turn(&self, bench: &Bench, deployment: &Deployment) -> Result<u64> {
        let mut executions = EXECUTIONS_MIN;
        loop {
            let begun = Instant::now();
            self.turn(bench, deployment, executions).await?;
            let missing = bench.args.seconds / begun.elapsed().as_secs_f64();
            if missing <= FULL || executions >= EXECUTIONS_MAX {
                return Ok(executions);
            }
            executions = ((executions as f64 * missing.min(GROWTH_MAX)) as u64).min(EXECUTIONS_MAX);
        }
    }

    /// Microseconds of the engine's processor time for each state, of so many executions.
    async fn turn(&self, bench: &Bench, deployment: &Deployment, executions: u64) -> Result<f64> {
        let addresses = &deployment.addresses;
        let mut api = Api::new(&addresses[0]);
        let name = format!("metrics-{}", uuid::Uuid::new_v4().simple());
        let machine = api.create_machine(&name, self.express, &CHAIN.definition()).await?;
        let input = CHAIN.input(bench.args.input_bytes);
        let until = Until { requests: Some(executions), elapsed: None };
        let before = deployment.processes.usage();
        Http::new(&addresses[0]).call("GET /metrics", "", &[]).await?;
        if self.express {
            let request = Request::start_sync(&machine, &input);
            Load::start(addresses, bench.args.concurrency, &request, until).end().await?;
        } else {
            Batch::run(addresses, &machine, &input, until, DRAIN_MAX).await?;
        }
        let spent = deployment.processes.usage().since(before);
        let states = executions as f64 * f64::from(CHAIN.unit().1);
        Ok(spent.engines * 1e6 / states)
    }
}
