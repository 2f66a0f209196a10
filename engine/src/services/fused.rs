//! Where states are fused, what a commit makes runnable goes on at once, without a message: children that
//! touch nothing outside, and the parent that they end in.
//!
//! Nothing is lost by it. The delivery behind the first commit comes back if this engine dies; the children
//! that had not moved are found then, as if their messages had been lost, and a parent that its children's
//! ends made runnable is due by itself.

use asl::branch::{Event, Waiting};

use crate::messages::{Standing, decode};
use crate::ports::store::{BranchKey, Fence, Launched, Verdict};
use crate::services::advance::{After, Backing, Subject};
use crate::services::reading::{Origin, Ready};
use crate::services::{Core, Unavailable};

impl Core {
    /// What a commit that stands lets go on here and now, and what is left of its verdict for messages.
    pub(super) async fn run_on(
        &self,
        after: &After,
        mut verdict: Verdict,
    ) -> Result<(Vec<Ready>, Verdict), Unavailable> {
        let mut steps = Vec::new();
        if self.limits.fused_states_max <= 1 {
            return Ok((steps, verdict));
        }
        let Verdict::Done { launched, parent, .. } = &mut verdict else { return Ok((steps, verdict)) };
        let mut others = Vec::new();
        for child in launched.drain(..) {
            match self.enter_pure(after, &child).await? {
                Some(step) => steps.push(step),
                None => others.push(child),
            }
        }
        *launched = others;
        if let Some((key, fence)) = parent.take() {
            match self.join_here(&key, fence).await? {
                Some(step) => steps.push(step),
                None => *parent = Some((key, fence)),
            }
        }
        Ok((steps, verdict))
    }

    async fn enter_pure(&self, after: &After, child: &Launched) -> Result<Option<Ready>, Unavailable> {
        let compiled = self.programs.get(self.catalog.as_ref(), after.header.revision).await?;
        let Ok(Standing { value: Some(value), .. }) = decode::<Standing>(&child.body) else {
            return Ok(None);
        };
        if !compiled.program.has_state(value.state) || !compiled.program.is_pure_from(value.state) {
            return Ok(None);
        }
        let subject = Subject {
            header: after.header.clone(),
            compiled,
            path: child.branch.clone(),
            fence: child.fence,
            value,
        };
        let event = Event::Enter { after: child.after.clone() };
        let step = self.advance(subject, event, Backing::Row).await?;
        Ok(step.ok().map(|step| Ready { step, origin: Origin::Inline }))
    }

    /// The join of a fork whose children have all ended well.
    async fn join_here(&self, key: &BranchKey, fence: Fence) -> Result<Option<Ready>, Unavailable> {
        let Some(row) = self.branch(key).await? else { return Ok(None) };
        if row.fence != fence || row.failed_child.is_some() {
            return Ok(None);
        }
        let Some(subject) = self.subject(row).await? else { return Ok(None) };
        let Waiting::Branches { .. } = subject.value.waiting else { return Ok(None) };
        let step = self.join(key, fence, subject, Backing::Row).await?;
        Ok(step.map(|step| Ready { step, origin: Origin::Inline }))
    }
}
