//! What executions are started of, as it was a moment ago: a start must not cost a look at the database, nor wait for
//! one that is away.
//!
//! It is asked for as the end of its ARN names it: a machine, or a version or an alias behind a colon. An alias is
//! kept with all its versions, so that each start draws anew.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

use crate::arn::version_number;
use crate::ports::catalog::Machine;
use crate::ports::catalog::versions::{Qualifier, Route};
use crate::ports::store::Error;
use crate::services::Core;

/// What was read so long ago is read again: an update made through another process is seen after this.
const FRESH: Duration = Duration::from_secs(1);
/// While the store is away, what was read so long ago still serves.
const OF_USE: Duration = Duration::from_secs(600);
/// What is remembered, by the names that it was asked for by.
const REMEMBERED_MAX: usize = 1_000;

/// A machine with the revision that an execution of it would run.
#[derive(Debug, Clone, PartialEq)]
pub struct Startable {
    /// It.
    pub machine: Machine,
    /// The version or the alias that this is by.
    pub qualifier: Option<Qualifier>,
}

/// Where a name leads, and how many of a hundred starts go there. Never empty.
type Ways = Vec<(u8, Startable)>;

/// What may be started, by name.
#[derive(Debug, Default)]
pub struct Door {
    ways: Mutex<HashMap<String, (Instant, Ways)>>,
}

impl Door {
    /// A machine, or a version or an alias of it, was changed here: the next start sees that.
    pub fn forget(&self, machine: &str) {
        let is_its_own = |name: &str| {
            name.strip_prefix(machine).is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
        };
        self.lock().retain(|name, _| !is_its_own(name));
    }

    fn find(&self, name: &str, within: Duration) -> Option<Startable> {
        let all = self.lock();
        let (read, ways) = all.get(name)?;
        if read.elapsed() < within { pick(ways, draw(ways)) } else { None }
    }

    fn remember(&self, name: &str, ways: Ways) {
        let mut all = self.lock();
        if all.len() >= REMEMBERED_MAX {
            all.retain(|_, (read, _)| read.elapsed() < FRESH);
        }
        if all.len() < REMEMBERED_MAX {
            all.insert(name.to_owned(), (Instant::now(), ways));
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, (Instant, Ways)>> {
        self.ways.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A number below a hundred; where there is one way, any will do.
fn draw(ways: &Ways) -> u8 {
    if ways.len() < 2 {
        return 0;
    }
    u8::try_from(Uuid::new_v4().as_u128() % 100).unwrap_or(0)
}

/// The way that a number below a hundred falls to.
fn pick(ways: &Ways, mut drawn: u8) -> Option<Startable> {
    for (weight, startable) in ways {
        if drawn < *weight {
            return Some(startable.clone());
        }
        drawn -= weight;
    }
    None
}

impl Core {
    /// What this names, to start an execution of: a machine's name, with `:` and a version or an alias behind it or
    /// not.
    pub async fn machine_to_start(&self, name: &str) -> Result<Option<Startable>, Error> {
        if let Some(found) = self.door.find(name, FRESH) {
            return Ok(Some(found));
        }
        match self.ways(name).await {
            Ok(ways) if ways.is_empty() => {
                self.door.lock().remove(name);
                Ok(None)
            }
            Ok(ways) => {
                let found = pick(&ways, draw(&ways));
                self.door.remember(name, ways);
                Ok(found)
            }
            Err(error @ Error::Unavailable(_)) => match self.door.find(name, OF_USE) {
                Some(found) => Ok(Some(found)),
                None => Err(error),
            },
            Err(error) => Err(error),
        }
    }

    async fn ways(&self, name: &str) -> Result<Ways, Error> {
        let Some((machine, qualifier)) = name.split_once(':') else {
            let found = self.catalog.machine(name).await?;
            return Ok(found
                .into_iter()
                .map(|machine| (100, Startable { machine, qualifier: None }))
                .collect());
        };
        if let Some(number) = version_number(qualifier) {
            let found = self.catalog.version(machine, number).await?;
            let by = Some(Qualifier { version: number, alias: None });
            return Ok(found
                .into_iter()
                .map(|(machine, _)| (100, Startable { machine, qualifier: by.clone() }))
                .collect());
        }
        let routes = self.catalog.routes(machine, qualifier).await?;
        let way = |(route, machine): (Route, Machine)| {
            let by = Qualifier { version: route.version, alias: Some(qualifier.to_owned()) };
            (route.weight, Startable { machine, qualifier: Some(by) })
        };
        Ok(routes.into_iter().map(way).collect())
    }
}

#[cfg(test)]
mod tests {
    use asl::data::timestamp::Timestamp;
    use asl::definition::WorkflowType;

    use super::*;
    use crate::ids::{MachineId, RevisionId};
    use crate::ports::catalog::Revision;

    fn startable(version: u32) -> Startable {
        let created_at = Timestamp::default();
        let revision = Revision {
            id: RevisionId::new(),
            initial: true,
            definition: String::new(),
            role_arn: String::new(),
            settings: String::new(),
            created_at,
        };
        let name = "m".to_owned();
        let workflow_type = WorkflowType::Standard;
        let machine = Machine { id: MachineId::new(), name, workflow_type, created_at, revision };
        Startable { machine, qualifier: Some(Qualifier { version, alias: Some("live".to_owned()) }) }
    }

    fn check(weights: [u8; 2], drawn: u8, version: u32) {
        let ways = vec![(weights[0], startable(1)), (weights[1], startable(2))];
        let picked = pick(&ways, drawn).and_then(|picked| picked.qualifier);
        assert_eq!(picked.map(|by| by.version), Some(version), "{weights:?} {drawn}");
    }

    #[test]
    fn each_version_gets_its_share() {
        check([30, 70], 0, 1);
        check([30, 70], 29, 1);
        check([30, 70], 30, 2);
        check([30, 70], 99, 2);
        check([100, 0], 99, 1);
        check([0, 100], 0, 2);
    }

    #[test]
    fn a_change_is_seen_under_all_names_of_a_machine() {
        let door = Door::default();
        for name in ["m", "m:1", "m:live", "more", "more:1"] {
            door.remember(name, vec![(100, startable(1))]);
        }
        door.forget("m");
        for (name, kept) in
            [("m", false), ("m:1", false), ("m:live", false), ("more", true), ("more:1", true)]
        {
            assert_eq!(door.find(name, FRESH).is_some(), kept, "{name}");
        }
    }
}
