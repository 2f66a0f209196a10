//! How messages leave: until the broker has them, or at most once.

use std::time::Duration;

use futures::future::join;

use crate::ports::broker::{Publication, Published};
use crate::services::status_events::Ended;
use crate::services::{Core, Unavailable};

/// Pause before a broker that is away is asked again.
const PAUSE: Duration = Duration::from_millis(200);

/// What leaves after commits that stand.
#[derive(Debug, Default)]
pub struct Outgoing {
    /// Messages.
    pub publications: Vec<Publication>,
    /// Executions that are over, to be announced.
    pub ended: Vec<Ended>,
}

impl Outgoing {
    /// Both together.
    pub fn add(&mut self, other: impl Into<Outgoing>) {
        let Outgoing { publications, ended } = other.into();
        self.publications.extend(publications);
        self.ended.extend(ended);
    }
}

impl From<Vec<Publication>> for Outgoing {
    fn from(publications: Vec<Publication>) -> Self {
        Outgoing { publications, ended: Vec::new() }
    }
}

impl Core {
    /// Publishes all of it, until the broker has it.
    pub async fn send(&self, outgoing: Outgoing) -> Result<(), Unavailable> {
        let Outgoing { publications, ended } = outgoing;
        if ended.is_empty() {
            return self.publish(publications).await;
        }
        // What goes on need not wait for what is over.
        let ends = async { self.publish(self.end_events(&ended).await?).await };
        let (published, announced) = join(self.publish(publications), ends).await;
        published.and(announced)?;
        let marked = ended.iter().filter(|ended| ended.closing.unannounced);
        let marked: Vec<_> = marked.map(Ended::announced).collect();
        // A mark that stays is announced again, as the same event.
        if !marked.is_empty()
            && let Err(error) = self.store.announced(&marked).await
        {
            tracing::debug!(%error, "ends of executions will be announced again");
        }
        Ok(())
    }

    /// Publishes until the broker has all of it. After a failure some of it may be there.
    pub async fn publish(&self, mut publications: Vec<Publication>) -> Result<(), Unavailable> {
        while !publications.is_empty() {
            let published = self.broker.publish(publications.clone()).await?;
            let mut again = Vec::new();
            for (publication, outcome) in publications.into_iter().zip(published) {
                match outcome {
                    Published::Confirmed => {}
                    Published::InDoubt => again.push(publication),
                    Published::Returned => again.extend(self.unroutable(publication).await?),
                }
            }
            publications = again;
        }
        Ok(())
    }

    /// Publishes until the broker has all of it, however long it is away. The caller may drop it.
    pub async fn publish_for_sure(&self, publications: Vec<Publication>) {
        while let Err(error) = self.publish(publications.clone()).await {
            self.outages.noticed(&error);
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Publishes what must not arrive twice, and gives back what may have been lost.
    pub async fn publish_once(&self, publications: Vec<Publication>) -> Vec<Publication> {
        if publications.is_empty() {
            return Vec::new();
        }
        let published = match self.broker.publish(publications.clone()).await {
            Ok(published) => published,
            Err(error) => {
                self.outages.noticed(&error.into());
                return publications;
            }
        };
        let confirmed = |outcome: &Published| *outcome == Published::Confirmed;
        let outcomes = publications.into_iter().zip(published);
        outcomes.filter(|(_, outcome)| !confirmed(outcome)).map(|(publication, _)| publication).collect()
    }
}
