//! The clock: one for all engines of a deployment (the database's).

use asl::data::timestamp::Timestamp;

/// Tells the time of the deployment.
pub trait Clock: Send + Sync {
    /// Now. Two calls may give the same time; a later call never gives an earlier one by more than the
    /// correction of the underlying clock.
    fn now(&self) -> Timestamp;
}
