//! Publishes for who looks on: without confirms, and what there is no room for is dropped.

use std::sync::Arc;
use std::time::Duration;

use lapin::Channel;
use lapin::options::BasicPublishOptions;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::envelope::Envelope;
use super::link::Link;

/// Messages that wait to be sent.
const ROOM: usize = 4_096;
/// Messages sent before the next look at the connection.
const CHUNK_MAX: usize = 256;
const LOOK_EVERY: Duration = Duration::from_millis(500);
const OPEN_AGAIN_AFTER: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Feed(mpsc::Sender<Envelope>);

impl Feed {
    /// It runs in the set.
    pub(super) fn new(link: &Arc<Link>, tasks: &mut JoinSet<()>) -> Self {
        let (sender, waiting) = mpsc::channel(ROOM);
        tasks.spawn(run(Arc::clone(link), waiting));
        Feed(sender)
    }

    pub(super) fn send(&self, envelope: Envelope) {
        // Without room it is dropped: nobody waits for it.
        let _ = self.0.try_send(envelope);
    }
}

async fn run(link: Arc<Link>, mut waiting: mpsc::Receiver<Envelope>) {
    let mut chunk = Vec::with_capacity(CHUNK_MAX);
    loop {
        let Ok(session) = link.session(Instant::now() + LOOK_EVERY).await else {
            if waiting.is_closed() && waiting.is_empty() {
                return;
            }
            continue;
        };
        if let Ok(channel) = session.channel().await {
            while channel.status().connected() && session.is_up() {
                if waiting.recv_many(&mut chunk, CHUNK_MAX).await == 0 {
                    return;
                }
                if link.blocked().is_some() {
                    chunk.clear();
                }
                for envelope in chunk.drain(..) {
                    send(&channel, envelope).await;
                }
            }
        }
        sleep(OPEN_AGAIN_AFTER).await;
    }
}

async fn send(channel: &Channel, envelope: Envelope) {
    let Envelope { exchange, routing_key, properties, body, .. } = envelope;
    let options = BasicPublishOptions::default();
    let _ = channel.basic_publish(exchange, routing_key, options, &body, properties).await;
}
