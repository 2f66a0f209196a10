//! The machines that executions are started of, as they were a moment ago: a start must not cost a look at
//! the database, nor wait for one that is away.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::ports::catalog::Machine;
use crate::ports::store::Error;
use crate::services::Core;

/// What was read so long ago is read again: an update made through another process is seen after this.
const FRESH: Duration = Duration::from_secs(1);
/// While the store is away, what was read so long ago still serves.
const OF_USE: Duration = Duration::from_secs(600);
/// Machines that are remembered.
const REMEMBERED_MAX: usize = 1_000;

/// Machines by name.
#[derive(Debug, Default)]
pub struct Door {
    machines: Mutex<HashMap<String, (Instant, Machine)>>,
}

impl Door {
    /// It was changed here: the next start sees that.
    pub fn forget(&self, name: &str) {
        self.lock().remove(name);
    }

    fn find(&self, name: &str, within: Duration) -> Option<Machine> {
        let machines = self.lock();
        let (read, machine) = machines.get(name)?;
        (read.elapsed() < within).then(|| machine.clone())
    }

    fn remember(&self, machine: &Machine) {
        let mut machines = self.lock();
        if machines.len() >= REMEMBERED_MAX {
            machines.retain(|_, (read, _)| read.elapsed() < FRESH);
        }
        if machines.len() < REMEMBERED_MAX {
            machines.insert(machine.name.clone(), (Instant::now(), machine.clone()));
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, (Instant, Machine)>> {
        self.machines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Core {
    /// The machine of this name, to start an execution of.
    pub async fn machine_to_start(&self, name: &str) -> Result<Option<Machine>, Error> {
        if let Some(machine) = self.door.find(name, FRESH) {
            return Ok(Some(machine));
        }
        match self.catalog.machine(name).await {
            Ok(Some(machine)) => {
                self.door.remember(&machine);
                Ok(Some(machine))
            }
            Ok(None) => {
                self.door.forget(name);
                Ok(None)
            }
            Err(error @ Error::Unavailable(_)) => match self.door.find(name, OF_USE) {
                Some(machine) => Ok(Some(machine)),
                None => Err(error),
            },
            Err(error) => Err(error),
        }
    }
}
