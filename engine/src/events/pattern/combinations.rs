//! Sets of the combinations that the `$or`s of a pattern make.

/// Most combinations of one pattern, as on AWS.
pub(super) const COMBINATIONS_MAX: usize = 1_000;
/// Words that hold as many.
pub(super) const WORDS_MAX: usize = COMBINATIONS_MAX.div_ceil(64);

/// Some of a pattern's combinations. A pattern matches if all fields of one combination match.
///
/// Most patterns have one combination or a few; a set of theirs is one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Combinations<const WORDS: usize>([u64; WORDS]);

impl<const WORDS: usize> Combinations<WORDS> {
    pub(super) const NONE: Self = Combinations([0; WORDS]);
    /// Every combination there may be, those that a pattern does not have included.
    pub(super) const ALL: Self = Combinations([u64::MAX; WORDS]);

    pub(super) fn insert(&mut self, combination: usize) {
        self.0[combination / 64] |= 1 << (combination % 64);
    }

    #[must_use]
    pub(super) fn and(self, other: Self) -> Self {
        self.zip(other, |a, b| a & b)
    }

    #[must_use]
    pub(super) fn or(self, other: Self) -> Self {
        self.zip(other, |a, b| a | b)
    }

    #[must_use]
    pub(super) fn without(self, other: Self) -> Self {
        self.zip(other, |a, b| a & !b)
    }

    pub(super) fn is_empty(self) -> bool {
        self == Self::NONE
    }

    fn zip(mut self, other: Self, with: impl Fn(u64, u64) -> u64) -> Self {
        for (word, other) in self.0.iter_mut().zip(other.0) {
            *word = with(*word, other);
        }
        self
    }
}
