//! Where triggers are kept: what starts executions by itself.
//!
//! A definition is opaque here. Whoever changes one says which revision it has read, so that of two who change
//! it at once one is told. A schedule's next tick is a column of its own: it is claimed for a while, and claimed
//! again if whoever had it never said that it was done.

use asl::data::timestamp::Timestamp;
use async_trait::async_trait;

use super::store::Error;
use crate::ids::TriggerId;

/// Triggers that one list holds.
pub const TRIGGERS_MAX: u32 = 10_000;

/// Who made a trigger, and may change it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A file; the file replaces it.
    File,
    /// A person, by the command line or the console.
    Command,
    /// The EventBridge API.
    Api,
}

/// A trigger as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptTrigger {
    /// Drawn when it was made; one made again under the same name has another.
    pub id: TriggerId,
    /// Unique.
    pub name: String,
    /// Who made it.
    pub origin: Origin,
    /// JSON.
    pub definition: String,
    /// Whether it was told to rest; what comes meanwhile waits.
    pub paused: bool,
    /// Raised by each change; 1 at first.
    pub revision: i64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When its schedule starts the next execution.
    pub next_tick: Option<Timestamp>,
}

/// What a change makes of a trigger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replacement {
    /// JSON.
    pub definition: String,
    /// Whether it rests from now on; as before, if absent.
    pub paused: Option<bool>,
    /// When its schedule starts the next execution.
    pub next_tick: Option<Timestamp>,
}

/// What a trigger was before it was changed or removed: its queues and bindings may still be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remains {
    /// The trigger as it was.
    pub trigger: KeptTrigger,
    /// When it was changed or removed.
    pub since: Timestamp,
}

/// Keeps triggers.
#[async_trait]
pub trait Triggers: Send + Sync {
    /// Makes a trigger, unless the name is taken: then it answers who has it.
    async fn create_trigger(&self, trigger: KeptTrigger) -> Result<Option<KeptTrigger>, Error>;

    /// Changes a trigger that is at this revision; what it was remains. False if it is not, or is gone.
    async fn replace_trigger(
        &self,
        id: TriggerId,
        revision: i64,
        by: Replacement,
        now: Timestamp,
    ) -> Result<bool, Error>;

    /// Tells a trigger to rest or to go on; `next_tick` replaces that of a schedule. False if it is gone.
    async fn pause_trigger(
        &self,
        id: TriggerId,
        paused: bool,
        next_tick: Option<Timestamp>,
    ) -> Result<bool, Error>;

    /// Removes a trigger; what it was remains. False if it is gone.
    async fn remove_trigger(&self, id: TriggerId, now: Timestamp) -> Result<bool, Error>;

    /// What remains of triggers, the oldest first, at most `limit`.
    async fn remains(&self, limit: u32) -> Result<Vec<Remains>, Error>;

    /// Nothing remains any more of this revision of a trigger.
    async fn forget_remains(&self, id: TriggerId, revision: i64) -> Result<(), Error>;

    /// The trigger with this name.
    async fn trigger(&self, name: &str) -> Result<Option<KeptTrigger>, Error>;

    /// All triggers by name, at most [`TRIGGERS_MAX`].
    async fn triggers(&self) -> Result<Vec<KeptTrigger>, Error>;

    /// Claims ticks that are not after `now`, of triggers that do not rest: until `until` nobody else is given
    /// them. The earliest first, at most `limit`.
    async fn claim_ticks(
        &self,
        now: Timestamp,
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<KeptTrigger>, Error>;

    /// Nobody else is given a claimed tick until `until`. False if the trigger is at another tick, or rests, or is
    /// gone.
    async fn hold_tick(&self, id: TriggerId, tick: Timestamp, until: Timestamp) -> Result<bool, Error>;

    /// A tick is done, and this is the next one. Nothing changes if the trigger is at another tick.
    async fn ticked(&self, id: TriggerId, tick: Timestamp, next: Option<Timestamp>) -> Result<(), Error>;
}
