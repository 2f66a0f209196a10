//! How many requests of each action this process takes: a bucket of tokens for each, which a request takes one of and
//! time fills again. Without a bucket, an action is not held up.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use tokio::time::Instant;

/// A bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bucket {
    /// Tokens that it holds when it is full: requests that may come at once.
    pub burst: u32,
    /// Tokens that come in a second.
    pub per_second: u32,
}

/// The buckets of a process.
#[derive(Debug, Default)]
pub struct Throttle {
    levels: HashMap<&'static str, Mutex<Level>>,
}

#[derive(Debug)]
struct Level {
    bucket: Bucket,
    tokens: f64,
    filled_at: Instant,
}

impl Throttle {
    /// Full buckets, by action.
    pub fn new(buckets: impl IntoIterator<Item = (&'static str, Bucket)>) -> Self {
        let now = Instant::now();
        let level = |bucket: Bucket| Level { bucket, tokens: f64::from(bucket.burst), filled_at: now };
        let levels = buckets.into_iter().map(|(action, bucket)| (action, Mutex::new(level(bucket))));
        Throttle { levels: levels.collect() }
    }

    /// Takes a token of this action. False if there is none: the request must not be served.
    pub fn admits(&self, action: &str) -> bool {
        let Some(level) = self.levels.get(action) else { return true };
        level.lock().unwrap_or_else(PoisonError::into_inner).take(Instant::now())
    }
}

impl Level {
    fn take(&mut self, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.filled_at).as_secs_f64();
        let full = f64::from(self.bucket.burst);
        self.tokens = (self.tokens + passed * f64::from(self.bucket.per_second)).min(full);
        self.filled_at = now;
        let is_there = self.tokens >= 1.0;
        if is_there {
            self.tokens -= 1.0;
        }
        is_there
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_bucket_empties_and_fills_again_but_never_more_than_full() {
        let throttle = Throttle::new([("Start", Bucket { burst: 3, per_second: 2 })]);
        let admitted = |asked: u32| (0..asked).filter(|_| throttle.admits("Start")).count();
        assert_eq!(admitted(5), 3);
        tokio::time::advance(Duration::from_millis(499)).await;
        assert_eq!(admitted(1), 0);
        tokio::time::advance(Duration::from_millis(501)).await;
        assert_eq!(admitted(5), 2);
        tokio::time::advance(Duration::from_secs(3600)).await;
        assert_eq!(admitted(5), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn each_action_has_its_own_and_others_have_none() {
        let throttle = Throttle::new([("Start", Bucket { burst: 1, per_second: 1 })]);
        assert!(throttle.admits("Start") && !throttle.admits("Start"));
        assert!((0..1_000).all(|_| throttle.admits("Stop")));
    }
}
