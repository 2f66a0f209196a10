//! Standard executions in bulk: started at bounded concurrency, counted by their own dates.
//!
//! Counting while they run would disturb what is counted. So nothing is asked on the way but, twenty times a
//! second, whether any still runs; at the end the dates of all are listed. Both ends of every span are the
//! server's, so the time that polling takes is in none of them.

use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::time::sleep;

use super::api::{Api, Request, Span};
use super::load::{Load, Until};
use crate::failure::{Failure, Result};

/// Between two looks at whether any still runs.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// StartExecution requests at a time.
pub const STARTERS: u32 = 64;

/// Executions of one machine that have all succeeded.
#[derive(Debug)]
pub struct Batch {
    /// One for each.
    pub spans: Vec<Span>,
    /// How often a start was put off.
    pub throttled: u64,
}

impl Batch {
    /// Starts executions until then, and waits for the last to end, so long after the last start at most.
    pub async fn run(
        addresses: &[String],
        machine: &str,
        input: &Value,
        until: Until,
        drain_max: Duration,
    ) -> Result<Self> {
        let mut load = Load::start(addresses, STARTERS, &Request::start(machine, input), until);
        let throttled = load.end().await?;
        let started = load.done.load(std::sync::atomic::Ordering::Relaxed);
        let mut api = Api::new(&addresses[0]);
        let deadline = Instant::now() + drain_max;
        while api.any(machine, "RUNNING").await? {
            if Instant::now() > deadline {
                return Err(Failure::new(format!(
                    "executions still run {} s after the last start",
                    drain_max.as_secs()
                )));
            }
            sleep(LOOK_EVERY).await;
        }
        let spans = api.succeeded(machine).await?;
        if spans.len() as u64 == started {
            Ok(Batch { spans, throttled })
        } else {
            Err(Failure::new(format!("{} of {started} executions succeeded", spans.len())))
        }
    }

    /// From the first start to the last end.
    pub fn seconds(&self) -> f64 {
        let first = self.spans.iter().map(|span| span.start_ms).fold(f64::INFINITY, f64::min);
        let last = self.spans.iter().map(|span| span.stop_ms).fold(f64::NEG_INFINITY, f64::max);
        ((last - first) / 1e3).max(1e-3)
    }

    /// Executions that ended in a second, in the part when nothing was started any more; nothing if most had
    /// ended by then, as then it was the starts that took the time.
    pub fn drain_rate(&self) -> Option<f64> {
        let last_start = self.spans.iter().map(|span| span.start_ms).fold(f64::NEG_INFINITY, f64::max);
        let late: Vec<f64> =
            self.spans.iter().map(|span| span.stop_ms).filter(|stop| *stop > last_start).collect();
        let last = late.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let enough = late.len() * 5 > self.spans.len() && last - last_start > 200.0;
        enough.then(|| late.len() as f64 * 1e3 / (last - last_start))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_drain_begins_with_the_last_start() {
        let spans = (0..10).map(|n| Span { start_ms: 0.0, stop_ms: f64::from(n + 1) * 100.0 }).collect();
        let batch = Batch { spans, throttled: 0 };
        assert_eq!(batch.seconds(), 1.0);
        assert_eq!(batch.drain_rate(), Some(10.0));
    }
}
