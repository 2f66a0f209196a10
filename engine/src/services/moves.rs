//! The messages that move Standard branches on.

use asl::branch::{Branch, BranchPath, EventRef};

use crate::messages::{Body, Header, Move, Nudge, Transition, decode, encode};
use crate::ports::broker::{Family, Publication};
use crate::ports::store::{BranchKey, Fence, Launched};
use crate::services::Core;

impl Core {
    /// The message that moves a branch on.
    pub fn transition(
        &self,
        header: &Header,
        path: &BranchPath,
        fence: Fence,
        value: Branch,
        after: Option<EventRef>,
    ) -> Publication {
        let id = format!("{}/{path}/{}", header.id, fence.seq);
        let execution = header.clone();
        let body = Transition {
            execution,
            path: path.clone(),
            stamp: fence.stamp,
            value,
            after,
            at: Some(self.clock.now()),
        };
        let queue = self.shards.queue(Family::Standard, header.id);
        Publication::new(queue, id, encode(&Move::Transition(Box::new(body))))
    }

    /// The message of a child that became runnable.
    pub(super) fn launched_transition(&self, header: &Header, child: &Launched) -> Option<Publication> {
        let Ok(Body { value: Some(value), .. }) = decode::<Body>(&child.body) else {
            tracing::error!(execution = %header.id, branch = %child.branch, "a branch that was made cannot be read");
            return None;
        };
        Some(self.transition(header, &child.branch, child.fence, value, child.after.clone()))
    }

    /// The message that asks an engine to look at a row.
    pub fn nudge(&self, key: &BranchKey, fence: Fence) -> Publication {
        let id = format!("{}/{}/{}", key.execution, key.branch, fence.seq);
        let queue = self.shards.queue(Family::Standard, key.execution);
        Publication::new(queue, id, encode(&Move::Nudge(Nudge::new(key, fence, self.clock.now()))))
    }
}
