//! How branches and executions that have ended tell those who wait: ends of one fork that come together go
//! home in one message.

use std::collections::BTreeMap;

use asl::branch::{BranchEnd, BranchPath};

use crate::messages::{ExpressResult, encode};
use crate::ports::broker::{Publication, Queue};

/// Answers to be sent.
#[derive(Default)]
pub(super) struct Answers {
    /// Ends of branches by where they go; the id is that of the first.
    ends: BTreeMap<(Queue, Option<String>), Ends>,
    others: Vec<Publication>,
}

/// Ends of branches, and the id of the message that tells them.
type Ends = (String, Vec<(BranchPath, BranchEnd)>);

impl Answers {
    pub(super) fn join(&mut self, other: Answers) {
        for (place, (id, ends)) in other.ends {
            self.ends.entry(place).or_insert_with(|| (id, Vec::new())).1.extend(ends);
        }
        self.others.extend(other.others);
    }

    /// The answer to the message with this id, if anybody waits for one.
    pub(super) fn add(
        &mut self,
        id: String,
        reply_to: Option<Queue>,
        correlation_id: Option<String>,
        result: ExpressResult,
    ) {
        let Some(queue) = reply_to else { return };
        match result {
            ExpressResult::Branch(path, end) => {
                let (_, ends) = self.ends.entry((queue, correlation_id)).or_insert_with(|| (id, Vec::new()));
                ends.push((path, end));
            }
            result => self.others.push(answer(queue, correlation_id, &id, &result)),
        }
    }

    /// The messages that carry them.
    pub(super) fn into_publications(self) -> impl Iterator<Item = Publication> {
        let ends = self.ends.into_iter().map(|((queue, correlation_id), (id, ends))| {
            answer(queue, correlation_id, &id, &ExpressResult::Branches(ends))
        });
        self.others.into_iter().chain(ends)
    }
}

fn answer(queue: Queue, correlation_id: Option<String>, id: &str, result: &ExpressResult) -> Publication {
    Publication { correlation_id, ..Publication::new(queue, format!("{id}/end"), encode(result)) }
}
