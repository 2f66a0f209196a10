//! An engine until it is ready, and what it takes while it has nothing to do.

use std::time::Duration;

use tokio::time::sleep;

use crate::bench::Bench;
use crate::deployment::{Deployment, Setup};
use crate::failure::Result;
use crate::figure::Figure;
use crate::target::Target;

use super::deployed;

const STARTS: u32 = 5;
const START_MS_MAX: f64 = 300.0;
const IDLE_MB_MAX: f64 = 40.0;
const IDLE_FOR: Duration = Duration::from_secs(2);

/// Starts engines one after the other; the servers run, the tables and queues are made by the first.
pub async fn run(bench: &Bench) -> Result<Vec<Figure>> {
    deployed(bench, Setup { processes: 0, ..Setup::new(false) }, async |deployment: &mut Deployment| {
        let first = deployment.add(bench).await?;
        deployment.stop().await?;
        let (mut starts, mut memory) = (Vec::new(), Vec::new());
        for _ in 0..STARTS {
            starts.push(deployment.add(bench).await?.as_secs_f64() * 1e3);
            sleep(IDLE_FOR).await;
            memory.push(deployment.processes.engine_memory().0);
            deployment.stop().await?;
        }
        let first = vec![first.as_secs_f64() * 1e3];
        Ok(vec![
            Figure::new("start to ready", "ms", starts).held_to(Some(Target::AtMost(START_MS_MAX))),
            Figure::new("memory, idle", "MB", memory).held_to(Some(Target::AtMost(IDLE_MB_MAX))),
            Figure::new("first start, tables and queues made", "ms", first),
        ])
    })
    .await
}
