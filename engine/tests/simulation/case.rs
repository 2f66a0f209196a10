//! One execution: its caller, and what the caller may expect.

use std::sync::Arc;
use std::time::Duration;

use asl::data::Failure;
use engine::ids::ExecutionId;
use engine::ports::catalog::{ExecutionFilter, Machine, StartedBy};
use engine::ports::store::ExecutionStatus;
use engine::services::executions::{StartError, StartRequest, SyncEnd};
use engine::services::redrive::RedriveError;

use super::check::{self, End};
use super::workflow::{Kind, Workflow};
use super::world::World;
use super::{ended, request};

/// A caller gives a call up after this long.
const PATIENCE: Duration = Duration::from_secs(20);

/// How often an execution that did not succeed is redriven, at most.
const REDRIVES_MAX: u64 = 2;

/// One execution.
pub struct Case {
    pub world: Arc<World>,
    pub machine: Machine,
    pub workflow: Workflow,
    pub expected: End,
    pub number: u64,
    /// Whether the caller of an Express execution waits for its end.
    pub synchronous: bool,
}

impl Case {
    pub async fn run(self, kind: Kind) {
        tokio::time::sleep(self.world.fate.milliseconds(10_000)).await;
        match kind {
            Kind::Standard => self.standard().await,
            Kind::Express if self.synchronous => self.synchronous().await,
            Kind::Express => self.express().await,
        }
    }

    fn request(&self, name: Option<&str>) -> StartRequest {
        request(&self.machine, &self.workflow, name)
    }

    async fn standard(self) {
        let name = format!("run-{}", self.number);
        while !self.started(&name).await {
            tokio::time::sleep(self.world.fate.milliseconds(500)).await;
        }
        let stops = self.world.fate.draw(|lottery| lottery.one_in(6));
        if stops {
            tokio::time::sleep(self.world.fate.milliseconds(8_000)).await;
            self.stop(&name).await;
        }
        let mut end = ended(&self.world, &self.machine, &name).await;
        let mut redrives = 0;
        let redrives_max = self.world.fate.draw(|lottery| lottery.below(REDRIVES_MAX + 1));
        while end.status != ExecutionStatus::Succeeded && redrives < redrives_max {
            redrives += 1;
            self.redrive(&name, redrives).await;
            if self.world.fate.draw(|lottery| lottery.one_in(3)) {
                tokio::time::sleep(self.world.fate.milliseconds(4_000)).await;
                self.stop(&name).await;
            }
            end = ended(&self.world, &self.machine, &name).await;
        }
        let definition = &self.workflow.definition;
        if !(end.status == ExecutionStatus::Aborted) {
            assert_eq!(
                (end.status, &end.result),
                (self.expected.status, &self.expected.result),
                "{definition}"
            );
            if self.workflow.exact && redrives == 0 {
                assert_eq!(end.events, self.expected.events, "{definition}");
            }
        }
        self.only_once(&name);
    }

    /// By two callers that mean the same redrive: it is made once.
    async fn redrive(&self, name: &str, count: u64) {
        let id = self.id(name);
        let token = format!("redrive {count}");
        let one = async || {
            loop {
                let redrives = self.world.engine();
                let asked = redrives.redrive_execution(id, Some(&token));
                match tokio::time::timeout(PATIENCE, asked).await {
                    Ok(Ok(at)) => return at,
                    Ok(Err(RedriveError::NotAdmitted(StartError::Unavailable(_)))) | Err(_) => {
                        tokio::time::sleep(self.world.fate.milliseconds(500)).await;
                    }
                    Ok(Err(error)) => panic!("{error:?}"),
                }
            }
        };
        let (first, second) = tokio::join!(one(), one());
        assert_eq!(first, second);
        let found = self.world.database.ask(move |db| async move { db.execution_by_id(id).await });
        assert_eq!(found.unwrap().unwrap().redrive.map(|redrive| u64::from(redrive.count)), Some(count));
    }

    fn id(&self, name: &str) -> ExecutionId {
        let (machine, name) = (self.machine.name.clone(), name.to_owned());
        let found = self.world.database.ask(|db| async move { db.execution(&machine, &name).await }).unwrap();
        found.unwrap().id
    }

    /// Whether it is known to be started.
    async fn started(&self, name: &str) -> bool {
        let core = self.world.engine();
        match tokio::time::timeout(PATIENCE, core.start_execution(self.request(Some(name)))).await {
            // Started before, and over.
            Ok(Ok(_) | Err(StartError::AlreadyExists { .. })) => true,
            Ok(Err(StartError::Unavailable(_))) | Err(_) => false,
            Ok(Err(error)) => panic!("{error}"),
        }
    }

    async fn stop(&self, name: &str) {
        let id = self.id(name);
        loop {
            let failure = Failure { error: None, cause: None };
            let core = self.world.engine();
            if let Ok(Ok(_)) = tokio::time::timeout(PATIENCE, core.stop_execution(id, failure)).await {
                return;
            }
        }
    }

    fn only_once(&self, name: &str) {
        let filter = ExecutionFilter { machine: self.machine.id, started_by: StartedBy::Any, status: None };
        let all =
            self.world.database.ask(|db| async move { db.executions(&filter, 100, None).await }).unwrap();
        assert_eq!(all.items.iter().filter(|execution| execution.name == name).count(), 1, "{name}");
    }

    /// At least once: what was accepted reaches its end, if the broker lives.
    async fn express(self) {
        let core = self.world.engine();
        let accepted = tokio::time::timeout(PATIENCE, core.start_execution(self.request(None))).await;
        if !matches!(accepted, Ok(Ok(_))) || self.expected.status != ExecutionStatus::Succeeded {
            return;
        }
        let deadline = tokio::time::Instant::now() + Duration::from_secs(290);
        while !self.world.ledger.reached(&self.machine.name) && !self.world.blacked_out() {
            assert!(
                tokio::time::Instant::now() < deadline,
                "an Express execution is lost: {}",
                self.workflow.definition
            );
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    /// At most once: an answer, or an error after which the caller may start another one.
    async fn synchronous(self) {
        loop {
            let core = self.world.engine();
            let waits = core.start_sync_execution(self.request(None));
            let outcome = match tokio::time::timeout(Duration::from_secs(310), waits).await {
                Ok(Ok(outcome)) => outcome.end,
                Ok(Err(StartError::Unavailable(_))) | Err(_) => {
                    tokio::time::sleep(self.world.fate.milliseconds(500)).await;
                    continue;
                }
                Ok(Err(error)) => panic!("{error}"),
            };
            let (status, result) = match outcome {
                SyncEnd::Succeeded(output) => (ExecutionStatus::Succeeded, output),
                SyncEnd::Failed(failure) => {
                    let text = |text: Option<String>| text.unwrap_or_default();
                    (ExecutionStatus::Failed, format!("{}: {}", text(failure.error), text(failure.cause)))
                }
                // The engine that ran it may be gone, and nobody is left to say so.
                SyncEnd::TimedOut if self.world.lost_engines() => continue,
                SyncEnd::TimedOut => (ExecutionStatus::TimedOut, String::new()),
            };
            let result = check::strip_ids(&result);
            assert_eq!((status, &result), (self.expected.status, &self.expected.result));
            return;
        }
    }
}
