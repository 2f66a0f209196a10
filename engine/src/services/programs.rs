//! Compiled definitions: each revision is read and compiled once, and kept while there is room.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use asl::definition::{WorkflowType, check};
use asl::program::Program;

use crate::ids::RevisionId;
use crate::ports::catalog::Catalog;
use crate::ports::store;

/// Definition texts whose programs are kept, in bytes.
const CACHED_BYTES_MAX: usize = 64 * 1024 * 1024;

/// A revision that can be run.
#[derive(Debug)]
pub struct Compiled {
    /// Its program.
    pub program: Program,
    /// The role's ARN, for the context object and the history.
    pub role_arn: String,
    /// Whether the program can read the execution's input at any time.
    pub reads_execution_input: bool,
}

/// Why there is no program.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store is away.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// No such revision, or one that this release cannot run.
    #[error("failed to load the definition: {0}")]
    Unusable(String),
}

/// The cache.
#[derive(Default)]
pub struct Programs {
    cache: Mutex<Cache>,
}

#[derive(Default)]
struct Cache {
    entries: HashMap<RevisionId, Entry>,
    bytes: usize,
    uses: u64,
}

struct Entry {
    compiled: Arc<Compiled>,
    bytes: usize,
    last_use: u64,
}

impl Programs {
    /// The program of a revision.
    pub async fn get(&self, catalog: &dyn Catalog, id: RevisionId) -> Result<Arc<Compiled>, Error> {
        if let Some(compiled) = self.lock().find(id) {
            return Ok(compiled);
        }
        let revision = catalog
            .revision(id)
            .await?
            .ok_or_else(|| Error::Unusable(format!("revision {id} does not exist")))?;
        let checked = check(&revision.definition, WorkflowType::Standard);
        let program = checked.program.ok_or_else(|| {
            let problem = checked.diagnostics.first().or(checked.unsupported.first());
            Error::Unusable(problem.map_or_else(|| "it cannot be run".to_owned(), ToString::to_string))
        })?;
        let compiled = Arc::new(Compiled {
            program,
            role_arn: revision.role_arn,
            reads_execution_input: checked.reads_execution_input,
        });
        self.lock().insert(id, compiled.clone(), revision.definition.len());
        Ok(compiled)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Cache> {
        // Nothing below can leave the cache half-changed in a way that matters.
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Cache {
    fn find(&mut self, id: RevisionId) -> Option<Arc<Compiled>> {
        self.uses += 1;
        let entry = self.entries.get_mut(&id)?;
        entry.last_use = self.uses;
        Some(entry.compiled.clone())
    }

    fn insert(&mut self, id: RevisionId, compiled: Arc<Compiled>, bytes: usize) {
        self.uses += 1;
        self.bytes += bytes;
        if let Some(old) = self.entries.insert(id, Entry { compiled, bytes, last_use: self.uses }) {
            self.bytes -= old.bytes;
        }
        while self.bytes > CACHED_BYTES_MAX && self.entries.len() > 1 {
            let oldest = self.entries.iter().min_by_key(|(_, entry)| entry.last_use).map(|(id, _)| *id);
            if let Some(removed) = oldest.and_then(|id| self.entries.remove(&id)) {
                self.bytes -= removed.bytes;
            }
        }
    }
}
