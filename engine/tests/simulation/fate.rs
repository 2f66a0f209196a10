//! What goes wrong, and when: drawn from a seed, so that a run can be repeated.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Numbers that depend on nothing but the seed (PCG, O'Neill 2014).
pub struct Lottery(u64);

impl Lottery {
    pub fn new(seed: u64) -> Self {
        let mut lottery = Lottery(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851_f42d_4c95_7f2d);
        lottery.below(2);
        lottery
    }

    /// From 0 to before `bound`, which is not 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        let state = self.0;
        self.0 = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let mixed = ((state >> ((state >> 59) + 5)) ^ state).wrapping_mul(12_605_985_483_714_917_081);
        ((mixed >> 43) ^ mixed) % bound
    }

    pub fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).unwrap()
    }

    pub fn one_in(&mut self, bound: u64) -> bool {
        self.below(bound) == 0
    }
}

/// How often each thing goes wrong, out of a thousand times that it could.
#[derive(Debug, Clone, Copy, Default)]
pub struct Rates {
    /// A call takes a while.
    pub slow: u64,
    /// A message arrives twice.
    pub twice: u64,
    /// A message is overtaken by others.
    pub late: u64,
    /// The broker has the message, or not, and does not say which.
    pub in_doubt: u64,
    /// The broker does not answer a publish.
    pub broker_away: u64,
    /// A consumer is gone, and what it had not settled comes back.
    pub cancelled: u64,
    /// What a consumer had not settled comes back in another order.
    pub reordered: u64,
    /// A settlement does not reach the broker, and the consumer is gone.
    pub settle_lost: u64,
    /// The store does not do what it is asked.
    pub store_away: u64,
    /// The store does it, and the answer is lost.
    pub answer_lost: u64,
    /// The store commits a part of a batch, and nobody is told which.
    pub torn: u64,
    /// An engine dies at a call of a port.
    pub killed: u64,
    /// An engine freezes at a call of a port, and goes on later.
    pub frozen: u64,
    /// When an engine dies, all die and the broker with them.
    pub blackout: u64,
}

impl Rates {
    /// One kind of trouble at a time for some seeds, all of them for others.
    pub fn draw(lottery: &mut Lottery) -> Self {
        let all = Rates {
            slow: 100,
            twice: 40,
            late: 150,
            in_doubt: 30,
            broker_away: 15,
            cancelled: 8,
            reordered: 500,
            settle_lost: 4,
            store_away: 20,
            answer_lost: 20,
            torn: 30,
            killed: 4,
            frozen: 1,
            blackout: 400,
        };
        let quiet = Rates { slow: all.slow, late: all.late, ..Rates::default() };
        match lottery.below(10) {
            0 => Rates { twice: 150, in_doubt: 100, ..quiet },
            1 => Rates { cancelled: 30, reordered: 700, settle_lost: 15, broker_away: 50, ..quiet },
            2 => Rates { store_away: 60, answer_lost: 60, torn: 200, ..quiet },
            3 => Rates { killed: 12, ..quiet },
            4 => Rates { killed: 8, blackout: 1_000, ..quiet },
            5 => Rates { frozen: 6, ..quiet },
            6 => Rates { frozen: 4, killed: 4, twice: 60, ..quiet },
            _ => all,
        }
    }
}

/// Decides what goes wrong in one run.
pub struct Fate {
    lottery: Mutex<Lottery>,
    rates: Rates,
    strikes: AtomicBool,
    /// A digest of all that was decided: equal for equal runs.
    trace: AtomicU64,
}

impl Fate {
    pub fn new(seed: u64, rates: Rates) -> Self {
        let lottery = Mutex::new(Lottery::new(seed));
        Fate { lottery, rates, strikes: AtomicBool::new(true), trace: AtomicU64::new(0) }
    }

    /// From now on nothing goes wrong any more.
    pub fn relent(&self) {
        self.strikes.store(false, Ordering::Relaxed);
    }

    pub fn trace(&self) -> u64 {
        self.trace.load(Ordering::Relaxed)
    }

    pub fn draw<T>(&self, draw: impl FnOnce(&mut Lottery) -> T) -> T {
        draw(&mut self.lottery.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether something happens that happens so often out of a thousand times.
    pub fn strikes(&self, rate: impl FnOnce(&Rates) -> u64) -> bool {
        let rate = rate(&self.rates);
        let drawn = self.draw(|lottery| lottery.below(1_000));
        let trace = self.trace.load(Ordering::Relaxed);
        self.trace.store(trace.rotate_left(7) ^ drawn ^ trace.wrapping_mul(31), Ordering::Relaxed);
        rate > 0 && self.strikes.load(Ordering::Relaxed) && drawn < rate
    }

    /// Up to so many milliseconds.
    pub fn milliseconds(&self, max: u64) -> Duration {
        Duration::from_millis(1 + self.draw(|lottery| lottery.below(max)))
    }

    /// A call of a port, now and then a slow one.
    pub async fn pause(&self) {
        if self.strikes(|rates| rates.slow) {
            tokio::time::sleep(self.milliseconds(40)).await;
        }
    }
}
