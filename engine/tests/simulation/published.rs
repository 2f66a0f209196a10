//! Versions, aliases and tags in a store that may fail.

use async_trait::async_trait;
use engine::ids::MachineId;
use engine::ports::catalog::tags::{Tag, TagOwner, Tagged, Tags};
use engine::ports::catalog::versions::{
    Alias, AliasChange, Aliased, NewVersion, Published, Route, Version, Versions,
};
use engine::ports::catalog::{Machine, Page};
use engine::ports::store::Error;

use super::store::FaultyStore;

#[async_trait]
impl Versions for FaultyStore {
    async fn publish(&self, machine: MachineId, version: NewVersion) -> Result<Published, Error> {
        self.ask(move |db| async move { db.publish(machine, version).await }).await
    }

    async fn version(&self, machine: &str, number: u32) -> Result<Option<(Machine, Version)>, Error> {
        let machine = machine.to_owned();
        self.ask(move |db| async move { db.version(&machine, number).await }).await
    }

    async fn versions(
        &self,
        machine: MachineId,
        limit: u32,
        from: Option<&str>,
    ) -> Result<Page<Version>, Error> {
        let from = from.map(str::to_owned);
        self.ask(move |db| async move { db.versions(machine, limit, from.as_deref()).await }).await
    }

    async fn delete_version(&self, machine: MachineId, number: u32) -> Result<Vec<String>, Error> {
        self.ask(move |db| async move { db.delete_version(machine, number).await }).await
    }

    async fn create_alias(
        &self,
        machine: MachineId,
        alias: Alias,
        aliases_max: u32,
    ) -> Result<Aliased, Error> {
        self.ask(move |db| async move { db.create_alias(machine, alias, aliases_max).await }).await
    }

    async fn update_alias(
        &self,
        machine: MachineId,
        name: &str,
        change: AliasChange,
    ) -> Result<Aliased, Error> {
        let name = name.to_owned();
        self.ask(move |db| async move { db.update_alias(machine, &name, change).await }).await
    }

    async fn delete_alias(&self, machine: MachineId, name: &str) -> Result<bool, Error> {
        let name = name.to_owned();
        self.ask(move |db| async move { db.delete_alias(machine, &name).await }).await
    }

    async fn alias(&self, machine: &str, name: &str) -> Result<Option<Alias>, Error> {
        let (machine, name) = (machine.to_owned(), name.to_owned());
        self.ask(move |db| async move { db.alias(&machine, &name).await }).await
    }

    async fn aliases(
        &self,
        machine: MachineId,
        version: Option<u32>,
        limit: u32,
        from: Option<&str>,
    ) -> Result<Page<Alias>, Error> {
        let from = from.map(str::to_owned);
        self.ask(move |db| async move { db.aliases(machine, version, limit, from.as_deref()).await }).await
    }

    async fn routes(&self, machine: &str, alias: &str) -> Result<Vec<(Route, Machine)>, Error> {
        let (machine, alias) = (machine.to_owned(), alias.to_owned());
        self.ask(move |db| async move { db.routes(&machine, &alias).await }).await
    }
}

#[async_trait]
impl Tags for FaultyStore {
    async fn add_tags(&self, owner: &TagOwner, tags: &[Tag], tags_max: u32) -> Result<Tagged, Error> {
        let (owner, tags) = (owner.clone(), tags.to_vec());
        self.ask(move |db| async move { db.add_tags(&owner, &tags, tags_max).await }).await
    }

    async fn remove_tags(&self, owner: &TagOwner, keys: &[String]) -> Result<(), Error> {
        let (owner, keys) = (owner.clone(), keys.to_vec());
        self.ask(move |db| async move { db.remove_tags(&owner, &keys).await }).await
    }

    async fn tags(&self, owner: &TagOwner) -> Result<Vec<Tag>, Error> {
        let owner = owner.clone();
        self.ask(move |db| async move { db.tags(&owner).await }).await
    }
}
