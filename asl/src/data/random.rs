//! Randomness that repeats: the seed is an argument, everything else follows from it.
//!
//! [`Random`] serves what nobody but the engine needs to reproduce (UUIDs, unseeded random numbers).
//! [`JavaRandom`] serves seeds written by users, for which AWS's answers are those of `java.util.Random`.

use rand::rngs::Xoshiro256PlusPlus;
use rand::{Rng, SeedableRng};
use sha2::{Digest, Sha256};

/// A deterministic generator: the same seed gives the same sequence on every platform.
///
/// Not for secrets. The generator is xoshiro256++, whose state can be computed from its outputs.
///
/// ```
/// use asl::data::random::Random;
///
/// let mut random = Random::from_seed([7; 32]);
/// let mut again = Random::from_seed([7; 32]);
/// assert_eq!(random.uuid_v4(), again.uuid_v4());
/// ```
#[derive(Debug, Clone)]
pub struct Random(Xoshiro256PlusPlus);

impl Random {
    /// A generator whose whole sequence is determined by `seed`.
    ///
    /// The seed is hashed first: a counter or a repeated byte, taken as it is, would show in the first
    /// outputs, and seeds that differ in one bit would begin alike.
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self(Xoshiro256PlusPlus::from_seed(Sha256::digest(seed).into()))
    }

    /// The next 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// An unbiased integer in `0..bound`; 0 when `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 {
            return 0;
        }
        // Values under this threshold would make small remainders more likely than large ones.
        let threshold = bound.wrapping_neg() % bound;
        loop {
            let value = self.next_u64();
            if value >= threshold {
                return value % bound;
            }
        }
    }

    /// A number in `[0, 1)` with 53 random bits.
    pub fn unit_f64(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A version 4 UUID in lower-case text, `xxxxxxxx-xxxx-4xxx-yxxx-xxxxxxxxxxxx`.
    pub fn uuid_v4(&mut self) -> String {
        let bytes = (u128::from(self.next_u64()) << 64 | u128::from(self.next_u64())).to_be_bytes();
        uuid::Builder::from_random_bytes(bytes).into_uuid().to_string()
    }
}

/// The generator of `java.util.Random`: a linear congruence of 48 bits, specified by its documentation
/// down to the constants.
///
/// AWS gives -5 for `States.MathRandom(-5, 5, 42)`, which is what Java's `nextInt(10) - 5` gives.
///
/// ```
/// use asl::data::random::JavaRandom;
///
/// assert_eq!(JavaRandom::new(42).next_between(-5, 5), -5);
/// ```
#[derive(Debug, Clone)]
pub struct JavaRandom {
    state: u64,
}

impl JavaRandom {
    const MULTIPLIER: u64 = 0x5_DEEC_E66D;
    const INCREMENT: u64 = 0xB;
    const MASK: u64 = (1 << 48) - 1;

    /// The generator Java would make with `new Random(seed)`.
    pub fn new(seed: i64) -> Self {
        Self { state: (seed as u64 ^ Self::MULTIPLIER) & Self::MASK }
    }

    /// An integer in `start..end`; `start` when the range is empty.
    pub fn next_between(&mut self, start: i32, end: i32) -> i32 {
        if start >= end {
            return start;
        }
        match end.checked_sub(start) {
            Some(width) => start + self.next_below(width),
            // The width does not fit; more than half of all integers are inside, so this ends soon.
            None => loop {
                let value = self.next_bits(32);
                if (start..end).contains(&value) {
                    return value;
                }
            },
        }
    }

    /// A number in `[0, 1)`: Java's `nextDouble()`.
    pub fn next_f64(&mut self) -> f64 {
        let high = i64::from(self.next_bits(26)) << 27;
        let low = i64::from(self.next_bits(27));
        (high + low) as f64 / (1_i64 << 53) as f64
    }

    /// Java's `nextInt(bound)` for a positive bound.
    fn next_below(&mut self, bound: i32) -> i32 {
        let mut bits = self.next_bits(31);
        if bound & (bound - 1) == 0 {
            return ((i64::from(bound) * i64::from(bits)) >> 31) as i32;
        }
        loop {
            let value = bits % bound;
            // The last, incomplete run of `bound` values would favour small ones: draw again.
            if (bits - value).checked_add(bound - 1).is_some() {
                return value;
            }
            bits = self.next_bits(31);
        }
    }

    fn next_bits(&mut self, count: u32) -> i32 {
        self.state = self.state.wrapping_mul(Self::MULTIPLIER).wrapping_add(Self::INCREMENT) & Self::MASK;
        (self.state >> (48 - count)) as i32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn java_random_gives_what_openjdk_gives() {
        let mut random = JavaRandom::new(42);
        let values: Vec<i32> = (0..5).map(|_| random.next_between(0, 100)).collect();
        assert_eq!(values, [30, 63, 48, 84, 70]);
        let mut random = JavaRandom::new(7);
        let values: Vec<i32> = (0..3).map(|_| random.next_between(i32::MIN, i32::MAX)).collect();
        assert_eq!(values, [-1_156_638_823, -1_552_468_968, -1_077_308_326]);
        assert_eq!(JavaRandom::new(7).next_between(0, 64), 46);
        assert_eq!(JavaRandom::new(-9).next_between(0, 1 << 30), 289_544_454);
        assert_eq!(JavaRandom::new(99).next_between(0, 1_500_000_000), 836_448_458);
        assert_eq!(JavaRandom::new(42).next_f64(), 0.727_563_680_032_868_1);
    }

    #[test]
    fn java_random_stays_in_ranges_of_every_width() {
        for seed in -50..50 {
            let mut random = JavaRandom::new(seed);
            for (start, end) in
                [(0, 1), (-3, 5), (i32::MIN, i32::MAX), (i32::MAX - 1, i32::MAX), (-1, i32::MAX)]
            {
                assert!((start..end).contains(&random.next_between(start, end)));
            }
            assert_eq!(random.next_between(3, 3), 3);
        }
    }

    #[test]
    fn random_repeats_and_stays_below_its_bound() {
        let mut random = Random::from_seed([1; 32]);
        let mut again = Random::from_seed([1; 32]);
        for bound in [1, 2, 3, 10, u64::MAX] {
            let value = random.below(bound);
            assert!(value < bound);
            assert_eq!(value, again.below(bound));
        }
        assert_eq!(random.below(0), 0);
        assert!((0.0..1.0).contains(&random.unit_f64()));
    }

    #[test]
    fn the_sequence_of_a_seed_never_changes() {
        let uuid = Random::from_seed([0; 32]).uuid_v4();
        assert_eq!(uuid, "7aa2ccc2-28c8-4bc7-8a34-9c1b72a63aab");
    }
}
