//! History rows, and the ids of their events.

use std::collections::HashMap;
use std::ops::RangeInclusive;

use asl::branch::{BranchPath, EventRef};

use super::Columns;
use crate::ports::catalog::NumberedRow;
use crate::ports::store::EventIds;

/// The ids of a page of `limit` events that begins, or in `reverse` ends, with `from`; `None` for no event.
pub fn window(from: u64, limit: u32, reverse: bool) -> Option<RangeInclusive<u64>> {
    let reach = u64::from(limit.checked_sub(1)?);
    Some(if reverse { from.saturating_sub(reach)..=from } else { from..=from.saturating_add(reach) })
}

/// Reads id, branch, `seq`, number of events and body.
pub fn decode<R: Columns>(row: &R) -> Result<NumberedRow, R::Error> {
    Ok(NumberedRow {
        first_id: row.number(0)?,
        branch: row.path(1)?,
        seq: row.number(2)?,
        events: row.number(3)?,
        body: row.bytes(4)?,
    })
}

/// The ids in one history row.
#[derive(Debug, Clone, Copy)]
pub struct Ids {
    /// Of its first event.
    pub first: u64,
    /// How many.
    pub events: u16,
}

impl Ids {
    /// The id of one of its events.
    pub fn id(self, offset: u16) -> Option<u64> {
        (offset < self.events).then(|| self.first + u64::from(offset))
    }
}

/// Ids of all events of an execution at one moment, by branch and `seq`. All of them, because the question is
/// asked in the middle of a decision, which cannot wait for an answer; a fork fails rarely.
#[derive(Debug, Default)]
pub struct AllIds(pub HashMap<(BranchPath, u32), Ids>);

impl EventIds for AllIds {
    fn id(&self, event: &EventRef) -> Option<u64> {
        self.0.get(&(event.branch.clone(), event.seq))?.id(event.offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_holds_as_many_ids_as_asked_on_its_side() {
        assert_eq!(window(5, 3, false), Some(5..=7));
        assert_eq!(window(5, 3, true), Some(3..=5));
        assert_eq!(window(2, 9, true), Some(0..=2));
        assert_eq!(window(u64::MAX, 2, false), Some(u64::MAX..=u64::MAX));
        assert_eq!(window(5, 0, false), None);
    }
}
