//! Requests at bounded concurrency, as fast as they are answered or at a pace.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::{sleep, sleep_until};

use super::api::{Api, Request, Sent};
use crate::failure::Result;

/// Before a throttled request is sent again.
const THROTTLED_PAUSE: Duration = Duration::from_millis(10);

/// When a load ends by itself; each may be absent.
#[derive(Debug, Clone, Copy, Default)]
pub struct Until {
    /// So many requests.
    pub requests: Option<u64>,
    /// So long.
    pub elapsed: Option<Duration>,
}

/// A load that goes on. Dropped, it stops.
pub struct Load {
    /// Requests that are done.
    pub done: Arc<AtomicU64>,
    throttled: Arc<AtomicU64>,
    clients: JoinSet<Result<()>>,
}

/// How a client decides to send another request.
#[derive(Clone)]
struct Gate {
    begun: Arc<AtomicU64>,
    until: Until,
    from: Instant,
    per_second: Option<f64>,
}

impl Load {
    /// As fast as requests are answered; clients share out over the servers.
    pub fn start(addresses: &[String], clients: u32, request: &Request, until: Until) -> Self {
        Self::begin(addresses, clients, request, until, None)
    }

    /// So many a second, however long each takes, as long as the clients suffice.
    pub fn paced(addresses: &[String], clients: u32, request: &Request, per_second: f64) -> Self {
        Self::begin(addresses, clients, request, Until::default(), Some(per_second))
    }

    fn begin(
        addresses: &[String],
        clients: u32,
        request: &Request,
        until: Until,
        per_second: Option<f64>,
    ) -> Self {
        let gate = Gate { begun: Arc::default(), until, from: Instant::now(), per_second };
        let mut load = Load { done: Arc::default(), throttled: Arc::default(), clients: JoinSet::new() };
        for address in addresses.iter().cycle().take(clients as usize) {
            let client = Client {
                api: Api::new(address),
                request: request.clone(),
                gate: gate.clone(),
                done: Arc::clone(&load.done),
                throttled: Arc::clone(&load.throttled),
            };
            load.clients.spawn(client.run());
        }
        load
    }

    /// Ends when the load does, with how often it was throttled; or when a client fails.
    pub async fn end(&mut self) -> Result<u64> {
        while let Some(client) = self.clients.join_next().await {
            client??;
        }
        Ok(self.throttled.load(Ordering::Relaxed))
    }
}

struct Client {
    api: Api,
    request: Request,
    gate: Gate,
    done: Arc<AtomicU64>,
    throttled: Arc<AtomicU64>,
}

impl Client {
    async fn run(mut self) -> Result<()> {
        while self.gate.pass().await {
            while self.api.send(&self.request).await? == Sent::Throttled {
                self.throttled.fetch_add(1, Ordering::Relaxed);
                sleep(THROTTLED_PAUSE).await;
            }
            self.done.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }
}

impl Gate {
    async fn pass(&self) -> bool {
        let number = self.begun.fetch_add(1, Ordering::Relaxed);
        if let Some(per_second) = self.per_second {
            let at = self.from + Duration::from_secs_f64(number as f64 / per_second);
            sleep_until(at.into()).await;
        }
        self.until.requests.is_none_or(|requests| number < requests)
            && self.until.elapsed.is_none_or(|elapsed| self.from.elapsed() < elapsed)
    }
}
