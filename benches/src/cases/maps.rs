//! Whether an item of a large Map costs more than one of a small Map: it must not, or the cost of a Map would
//! grow faster than its items.

use std::time::{Duration, Instant};

use super::deployed;
use super::workload::Workload;
use crate::bench::Bench;
use crate::deployment::{Deployment, Setup};
use crate::driver::api::{Api, Request};
use crate::driver::load::{Load, Until};
use crate::driver::standard::Batch;
use crate::failure::Result;
use crate::figure::Figure;
use crate::target::Target;

/// Items, and executions at a time: as many items at a time in either.
const SMALL: (u32, u32) = (100, 100);
const LARGE: (u32, u32) = (10_000, 1);
const HISTORY_EVENTS_MAX: u32 = 1_000_000;
/// How much dearer an item of the large Map may be.
const RATIO_MAX: f64 = 1.3;
const DRAIN_MAX: Duration = Duration::from_secs(120);

/// Which engine.
#[derive(Debug, Clone, Copy)]
pub struct Maps {
    /// As Express, or as Standard.
    pub express: bool,
    /// Whether states share hops.
    pub fuse: bool,
}

impl Maps {
    /// Measures both, in turns.
    pub async fn run(&self, bench: &Bench) -> Result<Vec<Figure>> {
        let setup = Setup { history_events_max: Some(HISTORY_EVENTS_MAX), ..Setup::new(self.fuse) };
        deployed(bench, setup, async |deployment| {
            let (mut small, mut large) = (Vec::new(), Vec::new());
            for repetition in 0..=bench.args.repetitions {
                let rates = [
                    self.items_a_second(bench, deployment, SMALL, repetition).await?,
                    self.items_a_second(bench, deployment, LARGE, repetition).await?,
                ];
                // The first warms up.
                if repetition > 0 {
                    small.push(rates[0]);
                    large.push(rates[1]);
                }
            }
            let ratios = small.iter().zip(&large).map(|(small, large)| small / large).collect();
            Ok(vec![
                Figure::new("cost of an item, to one of 100", "×", ratios)
                    .held_to(Some(Target::AtMost(RATIO_MAX))),
                Figure::new("items, Map of 10,000", "items/s", large),
                Figure::new("items, Map of 100", "items/s", small),
            ])
        })
        .await
    }

    async fn items_a_second(
        &self,
        bench: &Bench,
        deployment: &Deployment,
        (items, executions): (u32, u32),
        repetition: u32,
    ) -> Result<f64> {
        let workload = Workload::Map(items);
        let mut api = Api::new(&deployment.addresses[0]);
        let name = format!("map-{items}-{repetition}");
        let machine = api.create_machine(&name, self.express, &workload.definition()).await?;
        let input = workload.input(bench.args.input_bytes);
        let until = Until { requests: Some(u64::from(executions)), elapsed: None };
        let seconds = if self.express {
            let begun = Instant::now();
            let request = Request::start_sync(&machine, &input);
            Load::start(&deployment.addresses, executions, &request, until).end().await?;
            begun.elapsed().as_secs_f64()
        } else {
            Batch::run(&deployment.addresses, &machine, &input, until, DRAIN_MAX).await?.seconds()
        };
        Ok(f64::from(items) * f64::from(executions) / seconds)
    }
}
