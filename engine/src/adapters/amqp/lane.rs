//! A channel that publishes, whichever session it is in.
//!
//! ```text
//! publish ─▶ jobs ─▶ chunk ─▶ written together ─▶ confirms ─▶ Ledger ─▶ tickets
//! ```
//!
//! Nothing waits for one write or one confirm. If the channel ends, what was written is in doubt and what was
//! not waits for the next channel, as long as its caller does.

use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures::stream::{FuturesUnordered, StreamExt};
use lapin::Channel;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::{Instant, interval, sleep};

use super::batch::Ticket;
use super::envelope::{Envelope, Names};
use super::ledger::{Ledger, Resolved};
use super::link::{Link, Session};
use super::topology::Topology;

/// Messages handed to the channel at a time.
const CHUNK_MAX: usize = 256;
const LOOK_EVERY: Duration = Duration::from_millis(500);
const OPEN_AGAIN_AFTER: Duration = Duration::from_millis(200);
/// A channel on which a message stays without an answer for so many deadlines is replaced.
const DEADLINES_MAX: u32 = 3;

/// A message on its way to a channel.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) envelope: Envelope,
    pub(super) ticket: Ticket,
    /// Its room in memory, held until the channel has let go of it.
    pub(super) room: OwnedSemaphorePermit,
}

pub(super) struct Lane {
    pub(super) jobs: mpsc::UnboundedReceiver<Job>,
    pub(super) link: Arc<Link>,
    pub(super) topology: Arc<Topology>,
    pub(super) names: Names,
    pub(super) confirm_within: Duration,
}

/// Why a channel is no longer served.
enum End {
    NobodyPublishes,
    ChannelLost,
}

impl Lane {
    /// Until nobody publishes any more.
    pub(super) async fn run(mut self) {
        loop {
            let Ok(session) = self.link.session(Instant::now() + LOOK_EVERY).await else {
                if self.jobs.is_closed() && self.jobs.is_empty() {
                    return;
                }
                continue;
            };
            match open(&session).await {
                Ok(channel) => {
                    if matches!(self.serve(&channel, &session).await, End::NobodyPublishes) {
                        return;
                    }
                    let _ = channel.close(200, "OK".into()).await;
                    self.mend(&session).await;
                }
                Err(error) => tracing::debug!(%error, "failed to open a channel"),
            }
            sleep(OPEN_AGAIN_AFTER).await;
        }
    }

    /// A channel may be lost because a rung is: the session goes on, and puts it back.
    async fn mend(&self, session: &Session) {
        if session.is_up()
            && let Err(error) = self.topology.declare_base(session).await
        {
            tracing::error!(%error, "failed to declare the queues of delays");
        }
    }

    async fn serve(&mut self, channel: &Channel, session: &Session) -> End {
        let mut ledger = Ledger::default();
        let mut flight = FuturesUnordered::new();
        let mut chunk = Vec::with_capacity(CHUNK_MAX);
        let mut looks = interval(LOOK_EVERY);
        loop {
            tokio::select! {
                resolved = drained(&mut flight), if !flight.is_empty() => {
                    let returned = ledger.resolve(resolved);
                    returned.iter().for_each(|key| self.topology.forget(&self.names.stripped(key.as_str())));
                }
                count = self.jobs.recv_many(&mut chunk, CHUNK_MAX) => {
                    if count == 0 {
                        break;
                    }
                    for Job { envelope, ticket, room } in chunk.drain(..) {
                        if ticket.is_sent() {
                            let (key, id) = (envelope.routing_key.clone(), envelope.id());
                            flight.push(send(channel, ledger.enter(ticket, key, id), envelope, room));
                        }
                    }
                }
                _ = looks.tick() => {
                    if !channel.status().connected() || !session.is_up() || self.is_stuck(&ledger) {
                        return End::ChannelLost;
                    }
                }
            }
        }
        while !flight.is_empty() {
            ledger.resolve(drained(&mut flight).await);
        }
        End::NobodyPublishes
    }

    /// While the broker says that it takes nothing, a new channel would not be better.
    fn is_stuck(&self, ledger: &Ledger) -> bool {
        let is_old = |sent: Instant| sent.elapsed() > self.confirm_within * DEADLINES_MAX;
        self.link.blocked().is_none() && ledger.oldest().is_some_and(is_old)
    }
}

async fn open(session: &Session) -> lapin::Result<Channel> {
    let channel = session.channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    Ok(channel)
}

async fn send(channel: &Channel, number: u64, envelope: Envelope, _room: OwnedSemaphorePermit) -> Resolved {
    let Envelope { exchange, routing_key, mandatory, properties, body } = envelope;
    let options = BasicPublishOptions { mandatory, ..BasicPublishOptions::default() };
    let written = channel.basic_publish(exchange, routing_key, options, &body, properties).await;
    drop(body);
    crate::crash_point!("published");
    match written {
        Ok(confirm) => (number, confirm.await),
        Err(error) => (number, Err(error)),
    }
}

/// Waits until something is resolved, then takes all that is. It looks again until it finds nothing more, so
/// that all is among it that was resolved before the last of it: the [`Ledger`] counts on that.
async fn drained<F: Future<Output = Resolved>>(flight: &mut FuturesUnordered<F>) -> Vec<Resolved> {
    let mut resolved = Vec::new();
    std::future::poll_fn(|context| {
        loop {
            let before = resolved.len();
            while let Poll::Ready(Some(one)) = flight.poll_next_unpin(context) {
                resolved.push(one);
            }
            if resolved.len() == before {
                return if resolved.is_empty() { Poll::Pending } else { Poll::Ready(()) };
            }
        }
    })
    .await;
    resolved
}
