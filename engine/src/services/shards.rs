//! Which queue of a family an execution uses.

use std::sync::atomic::{AtomicU16, Ordering};

use crate::ids::ExecutionId;
use crate::ports::broker::{Family, Queue};

/// How wide the families of queues are. All engines of a deployment agree, but need not all at once:
/// whoever consumes from more queues than others publish to is merely early.
#[derive(Debug)]
pub struct Shards(AtomicU16);

impl Shards {
    /// So many queues in each family; at least 1.
    pub fn new(count: u16) -> Self {
        Shards(AtomicU16::new(count.max(1)))
    }

    /// Queues in each family.
    pub fn count(&self) -> u16 {
        self.0.load(Ordering::Relaxed)
    }

    /// The queue of an execution. All of its messages of a family go there, in order.
    pub fn queue(&self, family: Family, execution: ExecutionId) -> Queue {
        // The low bits of a v7 UUID are random.
        let random = execution.0.as_u128() & 0xffff_ffff;
        let shard = random % u128::from(self.count());
        Queue::of(family, u16::try_from(shard).unwrap_or(0))
    }

    /// All queues of a family.
    pub fn queues(&self, family: Family) -> impl Iterator<Item = Queue> + use<> {
        (0..self.count()).map(move |shard| Queue::of(family, shard))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn executions_share_out_over_all_queues_of_a_family() {
        let shards = Shards::new(4);
        let mut seen: Vec<Queue> =
            (0..400).map(|_| shards.queue(Family::Express, ExecutionId::new())).collect();
        seen.sort();
        seen.dedup();
        assert_eq!(seen, shards.queues(Family::Express).collect::<Vec<_>>());
    }
}
