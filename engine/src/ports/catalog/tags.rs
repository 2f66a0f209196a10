//! Tags of state machines and activities.

use async_trait::async_trait;

use crate::ids::MachineId;
use crate::ports::store::Error;

/// A tag: for people and their tools, without meaning here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag {
    /// Unique among the tags of its owner.
    pub key: String,
    /// Possibly empty.
    pub value: String,
}

/// What can have tags.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum TagOwner {
    /// A state machine, whatever its revision.
    Machine(MachineId),
    /// The activity of this name.
    Activity(String),
}

/// What became of adding tags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tagged {
    /// They are there.
    Done,
    /// There would be too many. Nothing changed.
    Full,
    /// The owner is gone.
    NoOwner,
}

/// Keeps tags. They go with their owner.
#[async_trait]
pub trait Tags: Send + Sync {
    /// Adds tags; one with the key of another takes its place. Of equal keys the last counts. Atomic.
    async fn add_tags(&self, owner: &TagOwner, tags: &[Tag], tags_max: u32) -> Result<Tagged, Error>;
    /// Removes the tags with these keys, where they are.
    async fn remove_tags(&self, owner: &TagOwner, keys: &[String]) -> Result<(), Error>;
    /// All tags of an owner, in the order their keys were first added.
    async fn tags(&self, owner: &TagOwner) -> Result<Vec<Tag>, Error>;
}
