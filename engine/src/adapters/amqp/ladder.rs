//! The steps a delayed publication takes to its time.
//!
//! A rung is a queue without consumers whose messages expire after the rung's time and go to where they were
//! bound from the beginning. A delay is a few rungs, the largest first; below the smallest rung a message
//! waits with whoever received it, unacknowledged.

use std::time::Duration;

/// The smallest rung; shorter waits are kept in memory.
pub(super) const SMALLEST_MILLISECONDS: u64 = 250;
/// How often the smallest rung doubles.
const DOUBLINGS: u32 = 9;
/// The largest rung: most waits of Express executions, which end after five minutes, take few rungs.
const LARGEST_MILLISECONDS: u64 = 240_000;

/// All rungs in milliseconds, the smallest first.
pub(super) fn rungs() -> impl Iterator<Item = u64> {
    (0..=DOUBLINGS)
        .map(|doubling| SMALLEST_MILLISECONDS << doubling)
        .chain(std::iter::once(LARGEST_MILLISECONDS))
}

/// The largest rung that is not longer than this.
pub(super) fn rung_within(delay: Duration) -> Option<u64> {
    let milliseconds = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
    rungs().take_while(|rung| *rung <= milliseconds).last()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rungs_double_up_to_the_largest() {
        let rungs: Vec<u64> = rungs().collect();
        assert_eq!(rungs, [250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 64_000, 128_000, 240_000]);
    }

    #[test]
    fn the_largest_rung_within_a_delay_is_taken() {
        let cases =
            [(0, None), (249, None), (250, Some(250)), (1_999, Some(1_000)), (9_000_000, Some(240_000))];
        for (milliseconds, rung) in cases {
            assert_eq!(rung_within(Duration::from_millis(milliseconds)), rung, "{milliseconds}");
        }
    }
}
