//! The reading half.

use asl::branch::EventRef;
use async_trait::async_trait;
use futures::FutureExt;

use super::{SqliteStore, executions, history, machines, tags, versions};
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
impl Catalog for SqliteStore {
    async fn create_machine(&self, machine: Machine, tags: Vec<Tag>) -> Result<Created<Machine>, Error> {
        self.write(|connection, _| machines::create(connection, machine, tags).boxed()).await
    }

    async fn update_machine(
        &self,
        machine: MachineId,
        from: RevisionId,
        revision: Revision,
    ) -> Result<Updated, Error> {
        self.write(move |connection, _| machines::update(connection, machine, from, revision).boxed()).await
    }

    async fn delete_machine(&self, machine: MachineId) -> Result<bool, Error> {
        self.write(move |connection, _| machines::delete(connection, machine).boxed()).await
    }

    async fn machine(&self, name: &str) -> Result<Option<Machine>, Error> {
        machines::find(self.reader().await.statement(), name).await
    }

    async fn revision(&self, id: RevisionId) -> Result<Option<Revision>, Error> {
        machines::revision(self.reader().await.statement(), id).await
    }

    async fn count_machines(&self) -> Result<u64, Error> {
        machines::count(self.reader().await.statement()).await
    }

    async fn machines(&self, limit: u32, from: Option<&str>) -> Result<Page<Machine>, Error> {
        machines::list(self.reader().await.statement(), limit, from).await
    }

    async fn create_activity(&self, activity: Activity, tags: Vec<Tag>) -> Result<Activity, Error> {
        self.write(|connection, _| machines::create_activity(connection, activity, tags).boxed()).await
    }

    async fn delete_activity(&self, name: &str) -> Result<bool, Error> {
        let name = name.to_owned();
        self.write(|connection, _| async move { machines::delete_activity(connection, &name).await }.boxed())
            .await
    }

    async fn activity(&self, name: &str) -> Result<Option<Activity>, Error> {
        machines::find_activity(self.reader().await.statement(), name).await
    }

    async fn count_activities(&self) -> Result<u64, Error> {
        machines::count_activities(self.reader().await.statement()).await
    }

    async fn activities(&self, limit: u32, from: Option<&str>) -> Result<Page<Activity>, Error> {
        machines::list_activities(self.reader().await.statement(), limit, from).await
    }

    async fn execution(&self, machine_name: &str, name: &str) -> Result<Option<Execution>, Error> {
        executions::by_name(self.reader().await.statement(), machine_name, name).await
    }

    async fn execution_by_id(&self, id: ExecutionId) -> Result<Option<Execution>, Error> {
        executions::by_id(self.reader().await.statement(), id).await
    }

    async fn still_running(&self, ids: &[ExecutionId]) -> Result<Vec<ExecutionId>, Error> {
        executions::still_running(self.reader().await.statement(), ids).await
    }

    async fn ends(&self, id: ExecutionId) -> Result<Option<Ends>, Error> {
        history::ends(self.reader().await.statement(), id).await
    }

    async fn executions_with_ends(&self, ids: &[ExecutionId]) -> Result<Vec<Option<WithEnds>>, Error> {
        executions::with_ends(self.reader().await.statement(), ids).await
    }

    async fn executions(
        &self,
        filter: &ExecutionFilter,
        limit: u32,
        from: Option<&str>,
    ) -> Result<Page<Execution>, Error> {
        executions::list(self.reader().await.statement(), filter, limit, from).await
    }

    async fn running(&self) -> Result<u64, Error> {
        executions::running(self.reader().await.statement()).await
    }

    async fn history(
        &self,
        id: ExecutionId,
        from: u64,
        limit: u32,
        reverse: bool,
    ) -> Result<Vec<NumberedRow>, Error> {
        history::page(self.reader().await.statement(), id, from, limit, reverse).await
    }

    async fn history_events(&self, id: ExecutionId) -> Result<u64, Error> {
        history::recorded(self.reader().await.statement(), id).await
    }

    async fn event_ids(&self, id: ExecutionId, events: &[EventRef]) -> Result<Vec<Option<u64>>, Error> {
        history::ids(self.reader().await.statement(), id, events).await
    }
}

#[async_trait]
impl Versions for SqliteStore {
    async fn publish(&self, machine: MachineId, version: NewVersion) -> Result<Published, Error> {
        self.write(move |connection, _| versions::publish(connection, machine, version).boxed()).await
    }

    async fn version(&self, machine: &str, number: u32) -> Result<Option<(Machine, Version)>, Error> {
        versions::find(self.reader().await.statement(), machine, number).await
    }

    async fn versions(
        &self,
        machine: MachineId,
        limit: u32,
        from: Option<&str>,
    ) -> Result<Page<Version>, Error> {
        versions::list(self.reader().await.statement(), machine, limit, from).await
    }

    async fn delete_version(&self, machine: MachineId, number: u32) -> Result<Vec<String>, Error> {
        self.write(move |connection, _| versions::delete(connection, machine, number).boxed()).await
    }

    async fn create_alias(
        &self,
        machine: MachineId,
        alias: Alias,
        aliases_max: u32,
    ) -> Result<Aliased, Error> {
        self.write(move |connection, _| {
            versions::create_alias(connection, machine, alias, aliases_max).boxed()
        })
        .await
    }

    async fn update_alias(
        &self,
        machine: MachineId,
        name: &str,
        change: AliasChange,
    ) -> Result<Aliased, Error> {
        let name = name.to_owned();
        self.write(move |connection, _| {
            async move { versions::update_alias(connection, machine, &name, change).await }.boxed()
        })
        .await
    }

    async fn delete_alias(&self, machine: MachineId, name: &str) -> Result<bool, Error> {
        let name = name.to_owned();
        self.write(move |connection, _| {
            async move { versions::delete_alias(connection, machine, &name).await }.boxed()
        })
        .await
    }

    async fn alias(&self, machine: &str, name: &str) -> Result<Option<Alias>, Error> {
        versions::alias(self.reader().await.statement(), machine, name).await
    }

    async fn aliases(
        &self,
        machine: MachineId,
        version: Option<u32>,
        limit: u32,
        from: Option<&str>,
    ) -> Result<Page<Alias>, Error> {
        versions::list_aliases(self.reader().await.statement(), machine, version, limit, from).await
    }

    async fn routes(&self, machine: &str, alias: &str) -> Result<Vec<(Route, Machine)>, Error> {
        versions::routes(self.reader().await.statement(), machine, alias).await
    }
}

#[async_trait]
impl Tags for SqliteStore {
    async fn add_tags(&self, owner: &TagOwner, tags: &[Tag], tags_max: u32) -> Result<Tagged, Error> {
        let (owner, tags) = (owner.clone(), tags.to_vec());
        self.write(move |connection, _| {
            async move { tags::add(connection, &owner, &tags, tags_max).await }.boxed()
        })
        .await
    }

    async fn remove_tags(&self, owner: &TagOwner, keys: &[String]) -> Result<(), Error> {
        let (owner, keys) = (owner.clone(), keys.to_vec());
        self.write(move |connection, _| async move { tags::remove(connection, &owner, &keys).await }.boxed())
            .await
    }

    async fn tags(&self, owner: &TagOwner) -> Result<Vec<Tag>, Error> {
        tags::list(self.reader().await.statement(), owner).await
    }
}
