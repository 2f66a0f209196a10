//! What messages say of an execution, for those that do not carry it (timers, joins, task results).

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use asl::history::EventKind;

use crate::ids::ExecutionId;
use crate::messages::{Body, Header, decode};
use crate::ports::store;
use crate::services::{Core, programs};

/// Executions whose headers are kept; a header without input is some 200 bytes.
const CACHED_MAX: usize = 10_000;

/// The cache: first in, first out.
#[derive(Default)]
pub struct Headers {
    cache: Mutex<Cache>,
}

#[derive(Default)]
struct Cache {
    entries: HashMap<ExecutionId, Arc<Header>>,
    order: VecDeque<ExecutionId>,
}

impl Headers {
    /// Remembers a header that came along.
    pub fn keep(&self, header: &Arc<Header>) {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        if cache.entries.insert(header.id, header.clone()).is_none() {
            cache.order.push_back(header.id);
        }
        while cache.order.len() > CACHED_MAX {
            if let Some(oldest) = cache.order.pop_front() {
                cache.entries.remove(&oldest);
            }
        }
    }

    /// Forgets an execution that is over.
    pub fn forget(&self, id: ExecutionId) {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        cache.entries.remove(&id);
        // Its place in the order stays until its turn comes: it costs 16 bytes, and no search.
    }

    fn find(&self, id: ExecutionId) -> Option<Arc<Header>> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner).entries.get(&id).cloned()
    }
}

impl Core {
    /// The header of an execution; `None` if it does not exist.
    pub async fn header(&self, id: ExecutionId) -> Result<Option<Arc<Header>>, programs::Error> {
        if let Some(header) = self.headers.find(id) {
            return Ok(Some(header));
        }
        let Some(execution) = self.catalog.execution_by_id(id).await? else { return Ok(None) };
        let compiled = self.programs.get(self.catalog.as_ref(), execution.revision).await?;
        let input = if compiled.reads_execution_input { self.execution_input(id).await? } else { None };
        let header = Arc::new(Header {
            id,
            revision: execution.revision,
            qualifier: execution.qualifier,
            machine_name: execution.machine_name,
            name: execution.name,
            started_at: execution.started_at,
            input,
        });
        self.headers.keep(&header);
        Ok(Some(header))
    }

    async fn execution_input(&self, id: ExecutionId) -> Result<Option<serde_json::Value>, programs::Error> {
        let Some(ends) = self.catalog.ends(id).await? else { return Ok(None) };
        let corrupt = |error: String| programs::Error::Store(store::Error::Corrupt(error));
        let body: Body = decode(&ends.first).map_err(|error| corrupt(error.to_string()))?;
        let started = body.events.into_iter().find_map(|event| match event.kind {
            EventKind::ExecutionStarted { input, .. } => Some(input),
            _ => None,
        });
        let text = started.ok_or_else(|| corrupt("the first history row holds no start".to_owned()))?;
        serde_json::from_str(&text).map(Some).map_err(|error| corrupt(error.to_string()))
    }
}
