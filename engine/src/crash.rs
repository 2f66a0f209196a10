//! Points of the code at which a test lets the process die, where a crash is hardest to survive.
//!
//! `crash_point!("name")` is nothing at all, unless the feature `crash-points` is on: then the process aborts at
//! the n-th pass of the point that `WARREN_CRASH=name:n` names. A name that is not in [`POINTS`] does not
//! compile. `tests/faults/crash_points.rs` dies at each of them.

/// The variable that names a point and the pass at which to die: `committed:3`.
pub const VARIABLE: &str = "WARREN_CRASH";

/// All points.
pub const POINTS: &[&str] = &[
    // The loop: a delivery is in hand, and nothing is done.
    "received",
    // Transitions are made, in memory only.
    "applied",
    // The transaction stands; nobody was told.
    "committed",
    // The next messages were sent; the broker may have them or not.
    "published",
    // The broker has the next messages; the delivery is not acknowledged.
    "confirmed",
    // The acknowledgement was sent.
    "acknowledged",
    // The end of a branch was counted at its fork; the join was not announced.
    "joined",
    // The children of a fork are there; not all of their messages are.
    "forked",
    // An execution is over; nobody was told.
    "closed",
    // A task's result is recorded; what follows was not sent.
    "task-recorded",
    // The row of an execution is there; its first message is not.
    "start-committed",
    // The execution is announced as begun; its first message is not there.
    "begin-announced",
    // Due rows are claimed; their nudges were not sent.
    "due-claimed",
    // A callback is committed; its caller has no answer.
    "callback-committed",
    // The branches of an execution that was stopped are gone; nobody was told.
    "stop-committed",
    // A redriven execution runs again; nobody was told.
    "redrive-committed",
    // An end that no delivery stands behind is announced; its mark is still there.
    "announced",
    // Express: the requests of a held delivery are out.
    "express-asked",
    // Express: the answers are in; what follows was not sent.
    "express-answered",
];

/// Dies here if a test asks for it: `crash_point!("committed")`.
#[macro_export]
macro_rules! crash_point {
    ($name:literal) => {{
        const { assert!($crate::crash::is_listed($name), "this crash point is not in the list of crash.rs") };
        #[cfg(feature = "crash-points")]
        $crate::crash::pass($name);
    }};
}

/// Whether there is a point of this name.
pub const fn is_listed(name: &str) -> bool {
    let mut index = 0;
    while index < POINTS.len() {
        if same(POINTS[index].as_bytes(), name.as_bytes()) {
            return true;
        }
        index += 1;
    }
    false
}

const fn same(one: &[u8], other: &[u8]) -> bool {
    if one.len() != other.len() {
        return false;
    }
    let mut index = 0;
    while index < one.len() {
        if one[index] != other[index] {
            return false;
        }
        index += 1;
    }
    true
}

/// Counts a pass of the point that the environment names, and aborts at the pass it names.
#[cfg(feature = "crash-points")]
pub fn pass(name: &str) {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    static WANTED: OnceLock<Option<(String, u64)>> = OnceLock::new();
    static PASSES: AtomicU64 = AtomicU64::new(0);

    let wanted = WANTED.get_or_init(|| {
        let text = std::env::var(VARIABLE).ok()?;
        let (name, pass) = text.split_once(':')?;
        Some((name.to_owned(), pass.parse().ok()?))
    });
    if let Some((wanted, pass)) = wanted
        && wanted == name
        && PASSES.fetch_add(1, Ordering::Relaxed) + 1 == *pass
    {
        // As a kill does: nothing is flushed, nothing is told.
        std::process::abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_listed_names_are_points() {
        assert!(is_listed("committed") && !is_listed("commit") && !is_listed(""));
        crate::crash_point!("committed");
    }

    #[test]
    fn each_name_is_there_once() {
        let mut names = POINTS.to_vec();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), POINTS.len());
    }
}
