//! The reading half.

use asl::branch::EventRef;
use async_trait::async_trait;

use super::{PostgresStore, ask, executions, history, machines, tags, versions};
use crate::adapters::sql::lists::after;
use crate::adapters::sql::versions::below;
use crate::ids::{ExecutionId, MachineId, RevisionId};
use crate::ports::catalog::tags::{Tag, TagOwner, Tagged, Tags};
use crate::ports::catalog::versions::{
    Alias, AliasChange, Aliased, NewVersion, Published, Route, Version, Versions,
};
use crate::ports::catalog::{
    Activity, Catalog, Created, Ends, Execution, ExecutionFilter, Machine, NumberedRow, Page, Revision,
    Updated, WithEnds,
};
use crate::ports::store::Error;

#[async_trait]
impl Catalog for PostgresStore {
    async fn create_machine(&self, machine: Machine, tags: Vec<Tag>) -> Result<Created<Machine>, Error> {
        ask!(self, connection => machines::create(connection, machine, tags))
    }

    async fn update_machine(
        &self,
        machine: MachineId,
        from: RevisionId,
        revision: Revision,
    ) -> Result<Updated, Error> {
        ask!(self, connection => machines::update(connection, machine, from, revision))
    }

    async fn delete_machine(&self, machine: MachineId) -> Result<bool, Error> {
        ask!(self, connection => machines::delete(connection, machine))
    }

    async fn machine(&self, name: &str) -> Result<Option<Machine>, Error> {
        ask!(self, connection => machines::find(connection, name))
    }

    async fn revision(&self, id: RevisionId) -> Result<Option<Revision>, Error> {
        ask!(self, connection => machines::revision(connection, id))
    }

    async fn count_machines(&self) -> Result<u64, Error> {
        ask!(self, connection => machines::count(connection))
    }

    async fn machines(&self, limit: u32, from: Option<&str>) -> Result<Page<Machine>, Error> {
        let after = after(from)?;
        ask!(self, connection => machines::list(connection, limit, after))
    }

    async fn create_activity(&self, activity: Activity, tags: Vec<Tag>) -> Result<Activity, Error> {
        ask!(self, connection => machines::create_activity(connection, activity, tags))
    }

    async fn delete_activity(&self, name: &str) -> Result<bool, Error> {
        ask!(self, connection => machines::delete_activity(connection, name))
    }

    async fn activity(&self, name: &str) -> Result<Option<Activity>, Error> {
        ask!(self, connection => machines::find_activity(connection, name))
    }

    async fn count_activities(&self) -> Result<u64, Error> {
        ask!(self, connection => machines::count_activities(connection))
    }

    async fn activities(&self, limit: u32, from: Option<&str>) -> Result<Page<Activity>, Error> {
        let after = after(from)?;
        ask!(self, connection => machines::list_activities(connection, limit, after))
    }

    async fn execution(&self, machine_name: &str, name: &str) -> Result<Option<Execution>, Error> {
        ask!(self, connection => executions::by_name(connection, machine_name, name))
    }

    async fn execution_by_id(&self, id: ExecutionId) -> Result<Option<Execution>, Error> {
        ask!(self, connection => executions::by_id(connection, id))
    }

    async fn still_running(&self, ids: &[ExecutionId]) -> Result<Vec<ExecutionId>, Error> {
        ask!(self, connection => executions::still_running(connection, ids))
    }

    async fn ends(&self, id: ExecutionId) -> Result<Option<Ends>, Error> {
        ask!(self, connection => history::ends(connection, id))
    }

    async fn executions_with_ends(&self, ids: &[ExecutionId]) -> Result<Vec<Option<WithEnds>>, Error> {
        ask!(self, connection => executions::with_ends(connection, ids))
    }

    async fn executions(
        &self,
        filter: &ExecutionFilter,
        limit: u32,
        from: Option<&str>,
    ) -> Result<Page<Execution>, Error> {
        let below = executions::below(from)?;
        ask!(self, connection => executions::list(connection, filter, limit, below))
    }

    async fn running(&self) -> Result<u64, Error> {
        ask!(self, connection => executions::running(connection))
    }

    async fn history(
        &self,
        id: ExecutionId,
        from: u64,
        limit: u32,
        reverse: bool,
    ) -> Result<Vec<NumberedRow>, Error> {
        ask!(self, connection => history::page(connection, id, from, limit, reverse))
    }

    async fn history_events(&self, id: ExecutionId) -> Result<u64, Error> {
        ask!(self, connection => history::recorded(connection, id))
    }

    async fn event_ids(&self, id: ExecutionId, events: &[EventRef]) -> Result<Vec<Option<u64>>, Error> {
        ask!(self, connection => history::ids(connection, id, events))
    }
}

#[async_trait]
impl Versions for PostgresStore {
    async fn publish(&self, machine: MachineId, version: NewVersion) -> Result<Published, Error> {
        ask!(self, connection => versions::publish(connection, machine, version))
    }

    async fn version(&self, machine: &str, number: u32) -> Result<Option<(Machine, Version)>, Error> {
        ask!(self, connection => versions::find(connection, machine, number))
    }

    async fn versions(
        &self,
        machine: MachineId,
        limit: u32,
        from: Option<&str>,
    ) -> Result<Page<Version>, Error> {
        let below = below(from)?;
        ask!(self, connection => versions::list(connection, machine, limit, below))
    }

    async fn delete_version(&self, machine: MachineId, number: u32) -> Result<Vec<String>, Error> {
        ask!(self, connection => versions::delete(connection, machine, number))
    }

    async fn create_alias(
        &self,
        machine: MachineId,
        alias: Alias,
        aliases_max: u32,
    ) -> Result<Aliased, Error> {
        ask!(self, connection => versions::create_alias(connection, machine, alias, aliases_max))
    }

    async fn update_alias(
        &self,
        machine: MachineId,
        name: &str,
        change: AliasChange,
    ) -> Result<Aliased, Error> {
        ask!(self, connection => versions::update_alias(connection, machine, name, change))
    }

    async fn delete_alias(&self, machine: MachineId, name: &str) -> Result<bool, Error> {
        ask!(self, connection => versions::delete_alias(connection, machine, name))
    }

    async fn alias(&self, machine: &str, name: &str) -> Result<Option<Alias>, Error> {
        ask!(self, connection => versions::alias(connection, machine, name))
    }

    async fn aliases(
        &self,
        machine: MachineId,
        version: Option<u32>,
        limit: u32,
        from: Option<&str>,
    ) -> Result<Page<Alias>, Error> {
        let after = after(from)?;
        ask!(self, connection => versions::list_aliases(connection, machine, version, limit, after))
    }

    async fn routes(&self, machine: &str, alias: &str) -> Result<Vec<(Route, Machine)>, Error> {
        ask!(self, connection => versions::routes(connection, machine, alias))
    }
}

#[async_trait]
impl Tags for PostgresStore {
    async fn add_tags(&self, owner: &TagOwner, tags: &[Tag], tags_max: u32) -> Result<Tagged, Error> {
        ask!(self, connection => tags::add(connection, owner, tags, tags_max))
    }

    async fn remove_tags(&self, owner: &TagOwner, keys: &[String]) -> Result<(), Error> {
        ask!(self, connection => tags::remove(connection, owner, keys))
    }

    async fn tags(&self, owner: &TagOwner) -> Result<Vec<Tag>, Error> {
        ask!(self, connection => tags::list(connection, owner))
    }
}
