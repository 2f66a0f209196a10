//! The reading half.

use asl::branch::EventRef;
use async_trait::async_trait;
use engine::ids::{ExecutionId, MachineId, RevisionId};
use engine::ports::catalog::{
    Activity, Catalog, Created, Ends, Execution, ExecutionFilter, Machine, NumberedRow, Page, Revision,
    StartedBy, Updated, WithEnds,
};
use engine::ports::store::{Error, ExecutionStatus};

use super::{BranchPath, MemoryStore, Record};
use engine::ports::catalog::tags::{Tag, TagOwner};

/// The first `limit` items, and the name of the last of them if there are more.
pub(super) fn page<T>(mut items: Vec<(String, T)>, limit: u32) -> Page<T> {
    let more = items.len() > limit as usize;
    items.truncate(limit as usize);
    let next = items.last().filter(|_| more).map(|(name, _)| name.clone());
    Page { items: items.into_iter().map(|(_, item)| item).collect(), next }
}

pub(super) fn after(from: Option<&str>) -> Result<u64, Error> {
    let unreadable = |_| Error::Corrupt("the place to go on from cannot be read".to_owned());
    from.map_or(Ok(0), |from| from.parse().map_err(unreadable))
}

fn numbered<T: Clone>((made, item): (&u64, &T)) -> (String, T) {
    (made.to_string(), item.clone())
}

#[async_trait]
impl Catalog for MemoryStore {
    async fn create_machine(&self, machine: Machine, tags: Vec<Tag>) -> Result<Created<Machine>, Error> {
        let mut state = self.state();
        if let Some(taken) = state.machines.values().find(|taken| taken.name == machine.name) {
            return Ok(Created::Exists(taken.clone()));
        }
        state.made += 1;
        let made = state.made;
        state.put_tags(TagOwner::Machine(machine.id), &tags);
        state.revisions.insert(machine.revision.id, machine.revision.clone());
        state.machines.insert(made, machine);
        Ok(Created::New)
    }

    async fn update_machine(
        &self,
        machine: MachineId,
        from: RevisionId,
        revision: Revision,
    ) -> Result<Updated, Error> {
        let mut state = self.state();
        let found = state.machines.values_mut().find(|found| found.id == machine);
        let Some(found) = found else { return Ok(Updated::Gone) };
        if found.revision.id != from {
            return Ok(Updated::Overtaken);
        }
        found.revision = revision.clone();
        state.revisions.insert(revision.id, revision);
        Ok(Updated::Done)
    }

    async fn delete_machine(&self, machine: MachineId) -> Result<bool, Error> {
        let mut state = self.state();
        state.published.remove(&machine);
        state.tags.remove(&TagOwner::Machine(machine));
        let before = state.machines.len();
        state.machines.retain(|_, found| found.id != machine);
        Ok(state.machines.len() < before)
    }

    async fn machine(&self, name: &str) -> Result<Option<Machine>, Error> {
        Ok(self.state().machines.values().find(|machine| machine.name == name).cloned())
    }

    async fn revision(&self, id: RevisionId) -> Result<Option<Revision>, Error> {
        Ok(self.state().revisions.get(&id).cloned())
    }

    async fn count_machines(&self) -> Result<u64, Error> {
        Ok(self.state().machines.len() as u64)
    }

    async fn machines(&self, limit: u32, from: Option<&str>) -> Result<Page<Machine>, Error> {
        let after = after(from)?;
        Ok(page(self.state().machines.range(after + 1..).map(numbered).collect(), limit))
    }

    async fn create_activity(&self, activity: Activity, tags: Vec<Tag>) -> Result<Activity, Error> {
        let mut state = self.state();
        if let Some(there) = state.activities.values().find(|there| there.name == activity.name) {
            return Ok(there.clone());
        }
        state.made += 1;
        let made = state.made;
        state.put_tags(TagOwner::Activity(activity.name.clone()), &tags);
        state.activities.insert(made, activity.clone());
        Ok(activity)
    }

    async fn delete_activity(&self, name: &str) -> Result<bool, Error> {
        let mut state = self.state();
        state.tags.remove(&TagOwner::Activity(name.to_owned()));
        let before = state.activities.len();
        state.activities.retain(|_, activity| activity.name != name);
        Ok(state.activities.len() < before)
    }

    async fn activity(&self, name: &str) -> Result<Option<Activity>, Error> {
        Ok(self.state().activities.values().find(|activity| activity.name == name).cloned())
    }

    async fn count_activities(&self) -> Result<u64, Error> {
        Ok(self.state().activities.len() as u64)
    }

    async fn activities(&self, limit: u32, from: Option<&str>) -> Result<Page<Activity>, Error> {
        let after = after(from)?;
        Ok(page(self.state().activities.range(after + 1..).map(numbered).collect(), limit))
    }

    async fn execution(&self, machine_name: &str, name: &str) -> Result<Option<Execution>, Error> {
        let state = self.state();
        let all = state.executions.values().map(|record| &record.execution);
        let named = all.filter(|found| found.machine_name == machine_name && found.name == name);
        // A machine made again under its old name may have used a name again: the newest counts.
        Ok(named.max_by_key(|found| (found.started_at, found.id)).cloned())
    }

    async fn execution_by_id(&self, id: ExecutionId) -> Result<Option<Execution>, Error> {
        Ok(self.state().executions.get(&id).map(|record| record.execution.clone()))
    }

    async fn still_running(&self, ids: &[ExecutionId]) -> Result<Vec<ExecutionId>, Error> {
        let state = self.state();
        let runs = |id: &&ExecutionId| {
            state
                .executions
                .get(*id)
                .is_some_and(|record| record.execution.status == ExecutionStatus::Running)
        };
        Ok(ids.iter().filter(runs).copied().collect())
    }

    async fn ends(&self, id: ExecutionId) -> Result<Option<Ends>, Error> {
        let state = self.state();
        let Some(record) = state.executions.get(&id) else { return Ok(None) };
        let root = BranchPath::root();
        let rows = record.history.range((root.clone(), 0)..=(root, u32::MAX));
        let mut bodies = rows.map(|(_, entry)| entry.body.clone());
        let Some(first) = bodies.next() else { return Ok(None) };
        let last = bodies.next_back().unwrap_or_else(|| first.clone());
        Ok(Some(Ends { first, last: (!record.runs()).then_some(last) }))
    }

    async fn executions_with_ends(&self, ids: &[ExecutionId]) -> Result<Vec<Option<WithEnds>>, Error> {
        let mut found = Vec::new();
        for id in ids {
            let last_seq = self.state().executions.get(id).map(Record::last_seq);
            let read = (self.execution_by_id(*id).await?, self.ends(*id).await?, last_seq);
            let (Some(execution), Some(ends), Some(last_seq)) = read else {
                found.push(None);
                continue;
            };
            found.push(Some(WithEnds { execution, ends, last_seq }));
        }
        Ok(found)
    }

    async fn executions(
        &self,
        filter: &ExecutionFilter,
        limit: u32,
        from: Option<&str>,
    ) -> Result<Page<Execution>, Error> {
        let unreadable = |_| Error::Corrupt("the place to go on from cannot be read".to_owned());
        let below: Option<ExecutionId> = from.map(|from| from.parse().map_err(unreadable)).transpose()?;
        let state = self.state();
        let mut all: Vec<_> = state.executions.values().map(|record| &record.execution).collect();
        all.sort_by_key(|execution| std::cmp::Reverse(execution.place));
        let wanted = all.into_iter().filter(|found| {
            let by = found.qualifier.as_ref();
            let started = match &filter.started_by {
                StartedBy::Any => true,
                StartedBy::Version(number) => by.is_some_and(|by| by.version == *number),
                StartedBy::Alias(name) => by.is_some_and(|by| by.alias.as_ref() == Some(name)),
            };
            started
                && found.machine == filter.machine
                && filter.status.is_none_or(|status| status == found.status)
                && below.is_none_or(|below| found.place < below)
        });
        Ok(page(wanted.map(|found| (found.place.to_string(), found.clone())).collect(), limit))
    }

    async fn running(&self) -> Result<u64, Error> {
        Ok(self.state().executions.values().filter(|record| record.runs()).count() as u64)
    }

    async fn history(
        &self,
        id: ExecutionId,
        from: u64,
        limit: u32,
        reverse: bool,
    ) -> Result<Vec<NumberedRow>, Error> {
        let state = self.state();
        let Some(record) = state.executions.get(&id).filter(|_| limit > 0) else { return Ok(Vec::new()) };
        let reach = u64::from(limit - 1);
        let window =
            if reverse { (from.saturating_sub(reach), from) } else { (from, from.saturating_add(reach)) };
        let rows = record.order.iter().map(|key| (key, &record.history[key]));
        let held = rows.filter(|(_, entry)| {
            let last_id = entry.first_id + u64::from(entry.events);
            entry.events > 0 && entry.first_id <= window.1 && last_id > window.0
        });
        let numbered = held.map(|((branch, seq), entry)| NumberedRow {
            first_id: entry.first_id,
            branch: branch.clone(),
            seq: *seq,
            events: entry.events,
            body: entry.body.clone(),
        });
        let mut rows: Vec<_> = numbered.collect();
        if reverse {
            rows.reverse();
        }
        Ok(rows)
    }

    async fn history_events(&self, id: ExecutionId) -> Result<u64, Error> {
        Ok(self.state().executions.get(&id).map_or(0, |record| record.events))
    }

    async fn event_ids(&self, id: ExecutionId, events: &[EventRef]) -> Result<Vec<Option<u64>>, Error> {
        let state = self.state();
        let record = state.executions.get(&id);
        Ok(events.iter().map(|event| record.and_then(|record| record.id_of(event))).collect())
    }
}
