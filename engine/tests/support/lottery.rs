//! Numbers that depend on nothing but the seed, which a failing test prints.

use std::time::Duration;

/// Draws numbers (PCG, O'Neill 2014).
#[derive(Debug, Clone)]
pub struct Lottery(u64);

impl Lottery {
    /// Of the seed in `WARREN_SEED`, or else 42.
    pub fn from_environment() -> Self {
        let seed = number("WARREN_SEED", 42);
        Lottery(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851_f42d_4c95_7f2d)
    }

    /// From 0 to before `bound`, which is not 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        let state = self.0;
        self.0 = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let mixed = ((state >> ((state >> 59) + 5)) ^ state).wrapping_mul(12_605_985_483_714_917_081);
        ((mixed >> 43) ^ mixed) % bound
    }

    /// A place in a list that is not empty.
    pub fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).unwrap()
    }

    /// From `from` to before `to` milliseconds.
    pub fn pause(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(from + self.below(to - from))
    }

    /// Another order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.index(last + 1));
        }
    }
}

/// A number that the environment may set.
pub fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |text| text.parse().expect("a number"))
}
