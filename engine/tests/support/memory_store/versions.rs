//! Versions and aliases.

use std::collections::BTreeMap;

use async_trait::async_trait;
use engine::ids::MachineId;
use engine::ports::catalog::versions::{
    Alias, AliasChange, Aliased, NewVersion, Published as Answer, Route, Routes, Version, Versions,
};
use engine::ports::catalog::{Machine, Page};
use engine::ports::store::Error;

use super::catalog::{after, page};
use super::{MemoryStore, State};

/// Those of a machine.
#[derive(Default)]
pub(super) struct Published {
    last: u32,
    versions: BTreeMap<u32, Version>,
    /// In the order they were made, by number.
    aliases: BTreeMap<u64, Alias>,
}

impl Published {
    fn holds(&self, routes: Routes) -> bool {
        routes.iter().all(|route| self.versions.contains_key(&route.version))
    }

    fn alias(&self, name: &str) -> Option<&Alias> {
        self.aliases.values().find(|alias| alias.name == name)
    }
}

fn leads_to(alias: &Alias, number: u32) -> bool {
    alias.routes.iter().any(|route| route.version == number)
}

impl State {
    fn machine_named(&self, name: &str) -> Option<&Machine> {
        self.machines.values().find(|machine| machine.name == name)
    }

    /// The machine as it was when this version was published.
    fn versioned(&self, name: &str, number: u32) -> Option<(Machine, Version)> {
        let machine = self.machine_named(name)?;
        let version = self.published.get(&machine.id)?.versions.get(&number)?.clone();
        let revision = self.revisions[&version.revision].clone();
        Some((Machine { revision, ..machine.clone() }, version))
    }
}

#[async_trait]
impl Versions for MemoryStore {
    async fn publish(&self, machine: MachineId, new: NewVersion) -> Result<Answer, Error> {
        let mut state = self.state();
        let Some(found) = state.machines.values().find(|found| found.id == machine) else {
            return Ok(Answer::NoMachine);
        };
        let revision = found.revision.id;
        if new.revision.is_some_and(|expected| expected != revision) {
            return Ok(Answer::OtherRevision);
        }
        let published = state.published.entry(machine).or_default();
        if let Some(there) = published.versions.values().find(|version| version.revision == revision) {
            return Ok(Answer::Version(there.clone()));
        }
        if published.versions.len() >= new.versions_max as usize {
            return Ok(Answer::Full);
        }
        published.last += 1;
        let number = published.last;
        let version = Version { number, revision, description: new.description, created_at: new.created_at };
        published.versions.insert(number, version.clone());
        Ok(Answer::Version(version))
    }

    async fn version(&self, machine: &str, number: u32) -> Result<Option<(Machine, Version)>, Error> {
        Ok(self.state().versioned(machine, number))
    }

    async fn versions(
        &self,
        machine: MachineId,
        limit: u32,
        from: Option<&str>,
    ) -> Result<Page<Version>, Error> {
        let below = from.map_or(Ok(u64::MAX), |from| after(Some(from)))?;
        let state = self.state();
        let all = state.published.get(&machine).into_iter().flat_map(|of| of.versions.values().rev());
        let wanted = all.filter(|version| u64::from(version.number) < below);
        Ok(page(wanted.map(|version| (version.number.to_string(), version.clone())).collect(), limit))
    }

    async fn delete_version(&self, machine: MachineId, number: u32) -> Result<Vec<String>, Error> {
        let mut state = self.state();
        let Some(published) = state.published.get_mut(&machine) else { return Ok(Vec::new()) };
        let kept_by = published.aliases.values().filter(|alias| leads_to(alias, number));
        let names: Vec<_> = kept_by.map(|alias| alias.name.clone()).collect();
        if names.is_empty() {
            published.versions.remove(&number);
        }
        Ok(names)
    }

    async fn create_alias(
        &self,
        machine: MachineId,
        alias: Alias,
        aliases_max: u32,
    ) -> Result<Aliased, Error> {
        let mut state = self.state();
        if !state.machines.values().any(|found| found.id == machine) {
            return Ok(Aliased::NoAlias);
        }
        state.made += 1;
        let made = state.made;
        let published = state.published.entry(machine).or_default();
        if let Some(taken) = published.alias(&alias.name) {
            return Ok(Aliased::Exists(taken.clone()));
        }
        if !published.holds(alias.routes) {
            return Ok(Aliased::NoVersion);
        }
        if published.aliases.len() >= aliases_max as usize {
            return Ok(Aliased::Full);
        }
        published.aliases.insert(made, alias);
        Ok(Aliased::Done)
    }

    async fn update_alias(
        &self,
        machine: MachineId,
        name: &str,
        change: AliasChange,
    ) -> Result<Aliased, Error> {
        let mut state = self.state();
        let Some(published) = state.published.get_mut(&machine) else { return Ok(Aliased::NoAlias) };
        if change.routes.is_some_and(|routes| !published.holds(routes)) {
            return Ok(published.alias(name).map_or(Aliased::NoAlias, |_| Aliased::NoVersion));
        }
        let Some(alias) = published.aliases.values_mut().find(|alias| alias.name == name) else {
            return Ok(Aliased::NoAlias);
        };
        alias.routes = change.routes.unwrap_or(alias.routes);
        alias.description = change.description.or(alias.description.take());
        alias.updated_at = change.updated_at;
        Ok(Aliased::Done)
    }

    async fn delete_alias(&self, machine: MachineId, name: &str) -> Result<bool, Error> {
        let mut state = self.state();
        let Some(published) = state.published.get_mut(&machine) else { return Ok(false) };
        let before = published.aliases.len();
        published.aliases.retain(|_, alias| alias.name != name);
        Ok(published.aliases.len() < before)
    }

    async fn alias(&self, machine: &str, name: &str) -> Result<Option<Alias>, Error> {
        let state = self.state();
        let Some(machine) = state.machine_named(machine) else { return Ok(None) };
        Ok(state.published.get(&machine.id).and_then(|published| published.alias(name)).cloned())
    }

    async fn aliases(
        &self,
        machine: MachineId,
        version: Option<u32>,
        limit: u32,
        from: Option<&str>,
    ) -> Result<Page<Alias>, Error> {
        let after = after(from)?;
        let state = self.state();
        let all = state.published.get(&machine).into_iter().flat_map(|of| of.aliases.range(after + 1..));
        let wanted = all.filter(|(_, alias)| version.is_none_or(|number| leads_to(alias, number)));
        Ok(page(wanted.map(|(made, alias)| (made.to_string(), alias.clone())).collect(), limit))
    }

    async fn routes(&self, machine: &str, alias: &str) -> Result<Vec<(Route, Machine)>, Error> {
        let Some(alias) = self.alias(machine, alias).await? else { return Ok(Vec::new()) };
        let state = self.state();
        let route = |route: Route| Some((route, state.versioned(machine, route.version)?.0));
        Ok(alias.routes.iter().filter_map(route).collect())
    }
}
