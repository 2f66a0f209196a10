//! Versions and aliases of state machines.
//!
//! A version is a number for a revision; it never changes. An alias is a name for one or two versions, with the share
//! of the starts that each gets. An execution runs a revision: nothing that becomes of the version or the alias that
//! it was started by reaches it.

use asl::data::timestamp::Timestamp;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::{Machine, Page};
use crate::ids::{MachineId, RevisionId};
use crate::ports::store::Error;

/// A published version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// From 1; a machine gives each number once.
    pub number: u32,
    /// What it names.
    pub revision: RevisionId,
    /// As given.
    pub description: Option<String>,
    /// When it was published.
    pub created_at: Timestamp,
}

/// A version to be published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewVersion {
    /// What the current revision must be; any if absent.
    pub revision: Option<RevisionId>,
    /// For people.
    pub description: Option<String>,
    /// When it is published.
    pub created_at: Timestamp,
    /// Versions that a machine may have at a time.
    pub versions_max: u32,
}

/// What became of a publication.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Published {
    /// The current revision has this version: a new one, or the one that it had.
    Version(Version),
    /// The current revision is another one.
    OtherRevision,
    /// There are as many versions as there may be.
    Full,
    /// The machine is gone.
    NoMachine,
}

/// The share of an alias's starts that a version gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// The version.
    pub version: u32,
    /// In percent.
    pub weight: u8,
}

/// The one or two versions of an alias; their weights make a hundred.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Routes {
    /// The first.
    pub first: Route,
    /// The other, which gets what the first does not; `None` if that gets all.
    pub other: Option<u32>,
}

impl Routes {
    /// In the order they were given.
    pub fn iter(self) -> impl Iterator<Item = Route> {
        let rest = 100u8.saturating_sub(self.first.weight);
        let other = self.other.map(|version| Route { version, weight: rest });
        std::iter::once(self.first).chain(other)
    }
}

/// An alias.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alias {
    /// Unique in its machine.
    pub name: String,
    /// As given.
    pub description: Option<String>,
    /// Where it leads.
    pub routes: Routes,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed; at first, when it was made.
    pub updated_at: Timestamp,
}

/// What of an alias is to be changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AliasChange {
    /// Its description, unless that stays.
    pub description: Option<String>,
    /// Its routes, unless they stay.
    pub routes: Option<Routes>,
    /// When.
    pub updated_at: Timestamp,
}

/// What became of making or changing an alias.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Aliased {
    /// It stands.
    Done,
    /// The name is taken by this one.
    Exists(Alias),
    /// There are as many aliases as there may be.
    Full,
    /// A version that it would lead to does not exist.
    NoVersion,
    /// There is no such alias, or its machine is gone.
    NoAlias,
}

/// What an execution was started by, where it was not the machine's own ARN.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Qualifier {
    /// The version that it runs.
    pub version: u32,
    /// The alias that led there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alias: Option<String>,
}

/// Keeps versions and aliases. What concerns one machine happens one after the other: a version that an alias leads
/// to is there. They go with their machine.
#[async_trait]
pub trait Versions: Send + Sync {
    /// Gives the current revision a number, unless it has one. Atomic.
    async fn publish(&self, machine: MachineId, version: NewVersion) -> Result<Published, Error>;
    /// A version of the machine with this name, and the machine with the version's revision.
    async fn version(&self, machine: &str, number: u32) -> Result<Option<(Machine, Version)>, Error>;
    /// Versions of a machine, newest first.
    async fn versions(
        &self,
        machine: MachineId,
        limit: u32,
        from: Option<&str>,
    ) -> Result<Page<Version>, Error>;
    /// Removes a version; its revision stays. Answers the aliases that lead to it: if there are any, it stays.
    async fn delete_version(&self, machine: MachineId, number: u32) -> Result<Vec<String>, Error>;

    /// Makes an alias, unless the name is taken or the machine has `aliases_max` of them.
    async fn create_alias(
        &self,
        machine: MachineId,
        alias: Alias,
        aliases_max: u32,
    ) -> Result<Aliased, Error>;
    /// Changes an alias.
    async fn update_alias(
        &self,
        machine: MachineId,
        name: &str,
        change: AliasChange,
    ) -> Result<Aliased, Error>;
    /// Removes an alias. False if it is gone.
    async fn delete_alias(&self, machine: MachineId, name: &str) -> Result<bool, Error>;
    /// An alias of the machine with this name.
    async fn alias(&self, machine: &str, name: &str) -> Result<Option<Alias>, Error>;
    /// Aliases of a machine, or those that lead to one of its versions, in the order they were made.
    async fn aliases(
        &self,
        machine: MachineId,
        version: Option<u32>,
        limit: u32,
        from: Option<&str>,
    ) -> Result<Page<Alias>, Error>;
    /// Where an alias of the machine with this name leads: each version's share, and the machine with its revision.
    /// Empty if there is no such alias.
    async fn routes(&self, machine: &str, alias: &str) -> Result<Vec<(Route, Machine)>, Error>;
}
