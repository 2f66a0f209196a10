//! Redrive: how a branch goes on that failed, or that was cut short when its execution ended.
//!
//! ```text
//!   last value, events after it, error ─▶ redriven ─▶ Enter      does the work of its state (again)
//!                                                  ├▶ Wait       waits for what is left
//!                                                  └▶ Branches   its children go on, each by itself
//! ```
//!
//! A state is in the way of nothing that it did before: it was entered, and is not entered again. What a fork has
//! got from the children that ended well stays.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Branch, EventRef, Role, Visit, Waiting};
use crate::data::context::Redrive;
use crate::data::failure::names;
use crate::data::json;
use crate::history::{EventKind, HistoryEvent};
use crate::program::Program;

/// What the history holds of a branch.
#[derive(Debug, Clone, PartialEq)]
pub struct Remains {
    /// The last value that was recorded of it.
    pub value: Branch,
    /// What it recorded after that, by which it ended.
    pub after: Vec<(EventRef, HistoryEvent)>,
    /// The error that it failed with; `None` if it was cut short.
    pub error: Option<String>,
}

impl Remains {
    /// The branch as it goes on; what it records next follows `redriven`, where it is in a state. `None` if the
    /// history does not say where it stood, because there was no room for that in it.
    pub fn go_on(self, program: &Program, redrive: Redrive, redriven: &EventRef) -> Option<Branch> {
        let Remains { mut value, after, error } = self;
        let has_moved = value.follow(program, after)?;
        value.waiting = match value.waiting {
            Waiting::Over => return None,
            // What was too large together is made anew.
            Waiting::Branches { .. } if error.as_deref() == Some(names::DATA_LIMIT_EXCEEDED) => {
                Waiting::Enter
            }
            waiting @ (Waiting::Branches { .. } | Waiting::Wait { .. }) if !has_moved => waiting,
            Waiting::Enter
            | Waiting::Task(_)
            | Waiting::Retry { .. }
            | Waiting::Wait { .. }
            | Waiting::Branches { .. } => Waiting::Enter,
        };
        value.retries = Vec::new();
        value.redrive = Some(redrive);
        if value.visit.is_some() {
            value.last = Some(redriven.clone());
        }
        program.has_state(value.state).then_some(value)
    }
}

impl Branch {
    /// Makes up for what was recorded after this value: the states that it left and entered. Answers whether
    /// there were any.
    fn follow(&mut self, program: &Program, after: Vec<(EventRef, HistoryEvent)>) -> Option<bool> {
        let (mut has_moved, mut stands) = (false, true);
        for (reference, HistoryEvent { at, kind, .. }) in after {
            self.events += 1;
            if let (EventKind::MapIterationStarted(_), Role::Queued(map)) = (&kind, self.role) {
                self.role = Role::Iteration(map);
            }
            if let EventKind::StateExited { assigned, .. } = &kind {
                let value =
                    |(name, text): (&String, &Value)| Some((name.clone(), json::parse(text.as_str()?).ok()?));
                self.variables.apply(assigned.iter().map(value).collect::<Option<_>>()?);
                self.visit = None;
                (has_moved, stands) = (true, false);
            }
            if let EventKind::StateEntered { name, input, .. } = &kind {
                self.state = program.states.iter().position(|state| *state.name == **name).and_then(id)?;
                self.data = json::parse(input).ok()?;
                self.written = None;
                let (entered, entered_id) = (reference.clone(), self.events);
                self.visit = Some(Visit { entered_at: at, entered, entered_id });
                (has_moved, stands) = (true, true);
            }
            self.last = Some(reference);
        }
        stands.then_some(has_moved)
    }

    /// Whether it has recorded that it began.
    fn has_begun(&self) -> bool {
        match self.role {
            Role::Plain | Role::Iteration(_) => true,
            Role::Queued(_) => false,
        }
    }
}

fn id(place: usize) -> Option<crate::program::StateId> {
    u32::try_from(place).ok().map(crate::program::StateId)
}

/// What becomes of a child of a fork.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Member {
    /// It ended well, and its output stays.
    Ended,
    /// It goes on, or begins.
    Runs,
    /// It begins when there is room.
    Queued,
}

/// A fork whose children go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Family {
    /// By index.
    pub members: Vec<Member>,
    /// The index of the first that waits for room, as do all behind it.
    pub launched: u32,
    /// How many have not ended well.
    pub open: u32,
}

impl Family {
    /// Of children by index, `None` for those that ended well; `window` of them run at a time.
    pub fn of<'a>(children: impl IntoIterator<Item = Option<&'a Branch>>, window: u32) -> Self {
        let mut members = Vec::new();
        let mut begun = BTreeSet::new();
        for (index, child) in children.into_iter().enumerate() {
            if child.is_none_or(Branch::has_begun) {
                begun.insert(index);
            }
            members.push(if child.is_some() { Member::Queued } else { Member::Ended });
        }
        // Children are launched in order, so whoever stands before one that has begun was launched, too.
        let launched = begun.last().map_or(0, |last| last + 1);
        let window = usize::try_from(window).unwrap_or(usize::MAX);
        let (mut running, mut first_queued) = (0, members.len());
        for (index, member) in members.iter_mut().enumerate() {
            if *member == Member::Ended {
                continue;
            }
            if index >= launched && running >= window {
                first_queued = index;
                break;
            }
            running += 1;
            *member = Member::Runs;
        }
        let open = members.iter().filter(|member| **member != Member::Ended).count();
        Family { members, launched: narrow(first_queued), open: narrow(open) }
    }
}

fn narrow(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
