//! Publishes over a few lanes.
//!
//! A queue always has the same lane, which keeps its order. What is on its way takes room from one budget:
//! when the broker is slow or takes nothing, callers wait for room, and memory is bounded.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use super::batch::{Batch, Outcome};
use super::envelope::{Envelope, Names};
use super::lane::{Job, Lane};
use super::link::Link;
use super::topology::Topology;
use crate::ports::broker::{Error, Publication, Published};

/// Enough to use the broker's cores, few enough to let confirms come in large pieces.
const LANES: usize = 4;
/// What may be on its way at a time.
const ROOM_BYTES: u32 = 64 * 1024 * 1024;
/// How long a publication waits for a connection that is away.
const RECONNECTED_WITHIN: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub(super) struct Publisher {
    names: Names,
    link: Arc<Link>,
    lanes: Vec<mpsc::UnboundedSender<Job>>,
    room: Arc<Semaphore>,
    confirm_within: Duration,
}

impl Publisher {
    /// The lanes run in the set.
    pub(super) fn new(
        names: &Names,
        link: &Arc<Link>,
        topology: &Arc<Topology>,
        confirm_within: Duration,
        tasks: &mut JoinSet<()>,
    ) -> Arc<Self> {
        let lanes = (0..LANES).map(|_| {
            let (sender, jobs) = mpsc::unbounded_channel();
            let (link, topology, names) = (Arc::clone(link), Arc::clone(topology), names.clone());
            tasks.spawn(Lane { jobs, link, topology, names, confirm_within }.run());
            sender
        });
        Arc::new(Publisher {
            names: names.clone(),
            link: Arc::clone(link),
            lanes: lanes.collect(),
            room: Arc::new(Semaphore::new(ROOM_BYTES as usize)),
            confirm_within,
        })
    }

    pub(super) async fn publish(&self, batch: Vec<Publication>) -> Result<Vec<Published>, Error> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        self.link.session(Instant::now() + RECONNECTED_WITHIN).await?;
        let deadline = Instant::now() + self.confirm_within;
        let answers = Batch::of(batch.len());
        for (index, publication) in batch.into_iter().enumerate() {
            let ticket = answers.ticket(index);
            let envelope = self.names.seal(publication);
            // Without room in time the ticket is dropped here: it was not sent.
            let Some(room) = self.room(&envelope, deadline).await else { continue };
            let lane = self.lane(&envelope);
            let _ = self.lanes[lane].send(Job { envelope, ticket, room });
        }
        let _ = timeout_at(deadline, answers.finished()).await;
        self.read(&answers.close())
    }

    /// Waits until nothing is on its way, and keeps it so.
    pub(super) async fn flush(&self) {
        let deadline = Instant::now() + self.confirm_within;
        if let Ok(Ok(all)) = timeout_at(deadline, self.room.acquire_many(ROOM_BYTES)).await {
            all.forget();
        }
        self.room.close();
    }

    async fn room(&self, envelope: &Envelope, deadline: Instant) -> Option<OwnedSemaphorePermit> {
        let bytes = u32::try_from(envelope.weight_bytes()).unwrap_or(ROOM_BYTES).min(ROOM_BYTES);
        if let Ok(room) = Arc::clone(&self.room).try_acquire_many_owned(bytes) {
            return Some(room);
        }
        let waiting = Arc::clone(&self.room).acquire_many_owned(bytes);
        timeout_at(deadline, waiting).await.ok()?.ok()
    }

    fn lane(&self, envelope: &Envelope) -> usize {
        let mut hasher = DefaultHasher::new();
        envelope.routing_key.as_str().hash(&mut hasher);
        usize::try_from(hasher.finish() % LANES as u64).unwrap_or_default()
    }

    fn read(&self, outcomes: &[Outcome]) -> Result<Vec<Published>, Error> {
        if outcomes.iter().all(|outcome| *outcome == Outcome::NotSent) {
            let reason = self.link.away().or_else(|| self.link.blocked());
            return Err(Error::Unavailable(reason.unwrap_or_else(|| "it is too slow".to_owned())));
        }
        let published = |outcome: &Outcome| match outcome {
            Outcome::Confirmed => Published::Confirmed,
            Outcome::Returned => Published::Returned,
            Outcome::Waiting | Outcome::Sent | Outcome::InDoubt | Outcome::NotSent => Published::InDoubt,
        };
        Ok(outcomes.iter().map(published).collect())
    }
}
