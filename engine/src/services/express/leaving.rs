//! What turns leave behind, and how it gets to the broker.
//!
//! What belongs to a synchronous execution is published at most once: if it may have been lost, who waits is
//! told so, as a second copy might run twice.

use super::answers::Answers;
use crate::messages::ExpressResult;
use crate::ports::broker::{Delivery, Publication};
use crate::services::{Core, observed};

/// What a turn leaves behind.
pub(super) enum Left {
    /// Nothing: somebody else goes on, or nobody.
    Nothing,
    /// The branch's next message.
    Next(Box<Publication>),
    /// The same of a synchronous execution.
    NextOnce(Box<Publication>),
    /// The answer to its delivery.
    Answer(Delivery, Box<ExpressResult>),
}

/// What several turns leave behind, published together.
#[derive(Default)]
pub(in crate::services) struct Leaving {
    next: Vec<Publication>,
    once: Vec<Publication>,
    answers: Answers,
}

impl Leaving {
    /// Adds what others leave behind.
    pub(in crate::services) fn join(&mut self, other: Leaving) {
        self.next.extend(other.next);
        self.once.extend(other.once);
        self.answers.join(other.answers);
    }

    pub(super) fn add(&mut self, left: Left) {
        match left {
            Left::Nothing => {}
            Left::Next(publication) => self.next.push(*publication),
            Left::NextOnce(publication) => self.once.push(*publication),
            Left::Answer(delivery, result) => {
                self.answers.add(delivery.id, delivery.reply_to, delivery.correlation_id, *result);
            }
        }
    }
}

impl Core {
    /// Until the broker has all of it, or what must not be there twice is answered for.
    pub(in crate::services) async fn leave(&self, leaving: Leaving) {
        let Leaving { next: mut publications, once, mut answers } = leaving;
        for Publication { id, body, reply_to, correlation_id, .. } in self.publish_once(once).await {
            observed::given_up(&body, self.clock.now());
            answers.add(id, reply_to, correlation_id, ExpressResult::Lost);
        }
        publications.extend(answers.into_publications());
        self.publish_for_sure(publications).await;
    }

    /// As [`leave`](Self::leave), for one.
    pub(super) async fn leave_one(&self, left: Left) {
        let mut leaving = Leaving::default();
        leaving.add(left);
        self.leave(leaving).await;
    }
}
