//! The reading half.

use asl::branch::EventRef;
use async_trait::async_trait;
use futures::FutureExt;

use super::{SqliteStore, executions, history, machines};
use crate::ids::{ExecutionId, MachineId, RevisionId};
use crate::ports::catalog::{
    Activity, Catalog, Created, Ends, Execution, ExecutionFilter, Machine, NumberedRow, Page, Revision,
    WithEnds,
};
use crate::ports::store::Error;

#[async_trait]
impl Catalog for SqliteStore {
    async fn create_machine(&self, machine: Machine) -> Result<Created<Machine>, Error> {
        self.write(|connection, _| machines::create(connection, machine).boxed()).await
    }

    async fn update_machine(&self, machine: MachineId, revision: Revision) -> Result<bool, Error> {
        self.write(move |connection, _| machines::update(connection, machine, revision).boxed()).await
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

    async fn machines(&self, limit: u32, from: Option<&str>) -> Result<Page<Machine>, Error> {
        machines::list(self.reader().await.statement(), limit, from).await
    }

    async fn create_activity(&self, activity: Activity) -> Result<Activity, Error> {
        self.write(|connection, _| machines::create_activity(connection, activity).boxed()).await
    }

    async fn delete_activity(&self, name: &str) -> Result<bool, Error> {
        let name = name.to_owned();
        self.write(|connection, _| async move { machines::delete_activity(connection, &name).await }.boxed())
            .await
    }

    async fn activity(&self, name: &str) -> Result<Option<Activity>, Error> {
        machines::find_activity(self.reader().await.statement(), name).await
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
