//! What Task states call: it answers as its parameters say, and keeps a book of what it was asked.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use asl::data::Failure;
use asl::program::{Pattern, Resource};
use async_trait::async_trait;
use connectors::{Connector, Request, Submission};
use engine::messages::{TaskMessage, decode};
use engine::ports::broker::Publication;
use engine::ports::store::{BranchKey, Change, Commit, RowState, Verdict};
use serde_json::{Value, json};

use super::clock::SimulatedClock;
use super::node::Node;

/// A decision to send a request out is carried out within this time, or made anew.
const DECISION_MILLISECONDS: i64 = 5_000;
const DECISION: Duration = Duration::from_millis(DECISION_MILLISECONDS.unsigned_abs());

/// What all engines of a run asked for.
pub struct Ledger {
    clock: Arc<SimulatedClock>,
    book: Mutex<Book>,
}

#[derive(Default)]
struct Book {
    /// How often each attempt was run.
    runs: BTreeMap<String, u32>,
    /// The attempt that each branch waits for.
    open: BTreeMap<BranchKey, u32>,
    /// When an attempt's result, or its time-out, was recorded.
    over: BTreeMap<String, i64>,
    /// Tokens that nobody has taken up.
    tokens: Vec<String>,
    /// Tokens that were handed to the one who answers.
    known: BTreeSet<String>,
    marks: BTreeSet<String>,
    wrong: Vec<String>,
}

impl Ledger {
    pub fn new(clock: Arc<SimulatedClock>) -> Arc<Self> {
        Arc::new(Ledger { clock, book: Mutex::default() })
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A publication is on its way: a request must not go out for an attempt that is over. An engine that was
    /// frozen may have decided to send it before.
    pub fn asked(&self, publication: &Publication, node: &Node) {
        let queue = publication.to.queue().map_or("", |queue| queue.as_str());
        if !queue.starts_with("tasks.") && !queue.starts_with("activities.")
            || node.was_frozen_within(DECISION)
        {
            return;
        }
        let message: TaskMessage = decode(&publication.body).unwrap();
        let now = self.clock.elapsed();
        let mut book = self.book();
        let over = book.over.get(&message.id()).copied();
        if let Some(over) = over.filter(|over| now > over + DECISION_MILLISECONDS) {
            book.wrong.push(format!("attempt {} was over at {over} and is asked for at {now}", message.id()));
        }
    }

    /// Keeps track of which attempts are over.
    pub fn committed(&self, batch: &[Commit], verdicts: &[Verdict]) {
        let now = self.clock.last();
        let mut book = self.book();
        for (commit, verdict) in batch.iter().zip(verdicts) {
            if !matches!(verdict, Verdict::Done { .. }) {
                continue;
            }
            let open = match &commit.change {
                Change::Move(RowState { task, .. }) => *task,
                Change::Fork { .. } | Change::EndBranch { .. } | Change::Finish(_) => None,
            };
            let before = book.open.remove(&commit.key);
            if let Some(task) = before.filter(|task| Some(*task) != open) {
                let BranchKey { execution, branch } = &commit.key;
                book.over.insert(format!("{execution}/{branch}/{task}"), now);
            }
            if let Some(task) = open {
                book.open.insert(commit.key.clone(), task);
            }
        }
    }

    /// A token that was not answered yet, once.
    pub fn take_token(&self) -> Option<String> {
        let mut book = self.book();
        while let Some(token) = book.tokens.pop() {
            if book.known.insert(token.clone()) {
                return Some(token);
            }
        }
        None
    }

    pub fn reached(&self, mark: &str) -> bool {
        self.book().marks.contains(mark)
    }

    /// Attempts that were run more than once.
    pub fn repeated(&self) -> Vec<String> {
        let book = self.book();
        book.runs.iter().filter(|(_, runs)| **runs > 1).map(|(id, runs)| format!("{id}: {runs}")).collect()
    }

    pub fn wrong(&self) -> Vec<String> {
        self.book().wrong.clone()
    }
}

/// The connector of one engine.
pub struct FakeConnector {
    pub node: Arc<Node>,
    pub ledger: Arc<Ledger>,
}

#[async_trait]
impl Connector for FakeConnector {
    fn name(&self) -> &'static str {
        "fake"
    }

    fn claims(&self, resource: &Resource) -> bool {
        !matches!(resource, Resource::Activity { .. })
    }

    async fn run(&self, request: Request, submission: &dyn Submission) -> Result<Value, Failure> {
        *self.ledger.book().runs.entry(request.id.clone()).or_default() += 1;
        tokio::time::sleep(self.node.fate.milliseconds(200)).await;
        self.node.alive().await;
        let asked = &request.parameters;
        let number = |field: &str| asked[field].as_u64().unwrap_or_default();
        if let Some(mark) = asked["mark"].as_str() {
            self.ledger.book().marks.insert(mark.to_owned());
        }
        match asked["do"].as_str() {
            Some("hang") if number("attempt") < number("times") => std::future::pending().await,
            Some("fail") if number("attempt") < number("times") => {
                Err(Failure::new("Sim.Failed", format!("attempt {}", number("attempt"))))
            }
            _ => {
                self.accepted(&request, submission).await;
                Ok(json!({ "done": number("n") + 1 }))
            }
        }
    }
}

impl FakeConnector {
    /// What comes between a call and the end of its task.
    async fn accepted(&self, request: &Request, submission: &dyn Submission) {
        let Resource::Service(service) = &request.resource else { return };
        match service.pattern {
            Pattern::RequestResponse => {}
            Pattern::Sync | Pattern::Sync2 => {
                submission.submitted(json!({ "job": 1 })).await;
                tokio::time::sleep(Duration::from_millis(300)).await;
            }
            Pattern::WaitForTaskToken => {
                let token = request.parameters["token"].as_str().unwrap_or_default().to_owned();
                self.ledger.book().tokens.push(token);
                // The answer by token may come before this call's own answer.
                tokio::time::sleep(self.node.fate.milliseconds(400)).await;
            }
        }
    }
}
