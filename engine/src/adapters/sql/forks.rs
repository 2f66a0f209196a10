//! What is gathered of the children of a fork.

use std::cmp::Ordering;

use asl::branch::BranchPath;
use bytes::Bytes;

use crate::ports::store::{BranchKey, Error, JOIN_BYTES_MAX, StoredBranch};

/// The last bodies of the children of a fork, while they are read.
pub struct Bodies<'a> {
    parent: &'a BranchKey,
    fork: u32,
    found: Vec<(u32, Bytes)>,
    size: usize,
}

impl<'a> Bodies<'a> {
    /// None yet, of the fork that this transition of the parent made.
    pub fn new(parent: &'a BranchKey, fork: u32) -> Self {
        Bodies { parent, fork, found: Vec::new(), size: 0 }
    }

    /// Adds one. Answers whether they are still within [`JOIN_BYTES_MAX`] together.
    pub fn add(&mut self, child: &BranchPath, body: Bytes) -> Result<bool, Error> {
        let ours = |parent: &BranchPath, fork| *parent == self.parent.branch && fork == self.fork;
        let place = child.place().filter(|place| ours(&place.parent, place.fork));
        let place =
            place.ok_or_else(|| Error::corrupt(format_args!("'{child}' is left in a joined fork")))?;
        self.size += body.len();
        self.found.push((place.index, body));
        Ok(self.size <= JOIN_BYTES_MAX)
    }

    /// All of them, by index.
    pub fn in_order(mut self) -> Vec<Bytes> {
        self.found.sort_by_key(|(index, _)| *index);
        self.found.into_iter().map(|(_, body)| body).collect()
    }
}

/// Parts what is left of a failed fork: the child that failed, and the others in path order.
pub fn part(
    parent: &StoredBranch,
    mut left: Vec<StoredBranch>,
) -> Result<(StoredBranch, Vec<StoredBranch>), Error> {
    let failed = parent.failed_child.as_ref();
    let position = left.iter().position(|branch| Some(&branch.key.branch) == failed);
    let missing = || Error::corrupt(format_args!("the failed child of '{}' is gone", parent.key.branch));
    let child = left.swap_remove(position.ok_or_else(missing)?);
    left.sort_by(|left, right| path_order(&left.key.branch, &right.key.branch));
    Ok((child, left))
}

/// Parents before children, and siblings by index, which is not the order of their texts.
fn path_order(left: &BranchPath, right: &BranchPath) -> Ordering {
    let numbers = |path: &BranchPath| {
        path.as_str().split('.').filter_map(|part| part.parse::<u32>().ok()).collect::<Vec<_>>()
    };
    numbers(left).cmp(&numbers(right))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_in_the_order_of_their_numbers() {
        let sorted = ["r", "r.2.0", "r.2.2", "r.2.2.1.0", "r.2.10", "r.10.0"];
        let mut paths: Vec<BranchPath> = sorted.iter().rev().map(|path| path.parse().unwrap()).collect();
        paths.sort_by(path_order);
        assert_eq!(paths.iter().map(BranchPath::as_str).collect::<Vec<_>>(), sorted);
    }
}
