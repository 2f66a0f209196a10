//! What the history holds of an execution that is closed: where its branches stood.

use asl::branch::{Branch, BranchEnd, BranchPath, BranchResult, EventRef, Remains};
use asl::data::context::Redrive;
use asl::history::EventKind;
use asl::program::Program;

use super::RedriveError;
use crate::ids::ExecutionId;
use crate::messages::{Body, decode};
use crate::ports::store::redrive::LastRows;
use crate::ports::store::{BranchKey, Error};
use crate::services::Core;
use crate::services::computing::aside;
use crate::services::redrivable::HISTORY_FULL;

/// Children that are read at a time.
const CHUNK: u32 = 100;
/// History rows that are read for one redrive, together, in bytes (256 MiB): all of them are in memory at once.
const READ_BYTES_MAX: usize = 268_435_456;
/// Why an execution is not redriven whose branches hold more than that.
const TOO_LARGE: &str = "Execution state size limit exceeded: its branches hold more than 256 MiB";

/// A closed execution that is read.
pub(super) struct Closed<'a> {
    core: &'a Core,
    execution: ExecutionId,
    program: &'a Program,
    redrive: Redrive,
    /// How much more may be read.
    bytes_left: usize,
}

impl<'a> Closed<'a> {
    pub(super) fn new(
        core: &'a Core,
        execution: ExecutionId,
        program: &'a Program,
        redrive: Redrive,
    ) -> Self {
        Closed { core, execution, program, redrive, bytes_left: READ_BYTES_MAX }
    }

    /// What is left of its root; `None` if its history is gone.
    pub(super) async fn root(&mut self) -> Result<Option<Left>, RedriveError> {
        let root = BranchPath::root();
        let rows = self.last_rows(std::slice::from_ref(&root)).await?.pop().unwrap_or_default();
        Ok(aside(|| Left::of(&root, rows))?)
    }

    /// The children of a fork, by index, as they go on.
    pub(super) async fn children(
        &mut self,
        parent: &BranchPath,
        fork: u32,
        redriven: &EventRef,
    ) -> Result<Vec<Child>, RedriveError> {
        let (program, redrive) = (self.program, self.redrive);
        let mut children = Vec::new();
        for from in (0..).step_by(CHUNK as usize) {
            let paths: Vec<_> = (from..from + CHUNK).map(|index| parent.child(fork, index)).collect();
            let rows = self.last_rows(&paths).await?;
            let complete = aside(|| {
                for (path, rows) in paths.into_iter().zip(rows) {
                    let Some(left) = Left::of(&path, rows)? else { return Ok(true) };
                    children.push(left.child(path, program, redrive, redriven)?);
                }
                Ok::<_, RedriveError>(false)
            })?;
            if complete {
                break;
            }
        }
        Ok(children)
    }

    async fn last_rows(&mut self, branches: &[BranchPath]) -> Result<Vec<LastRows>, RedriveError> {
        let key = |branch: &BranchPath| BranchKey { execution: self.execution, branch: branch.clone() };
        let keys: Vec<_> = branches.iter().map(key).collect();
        let found = self.core.store.last_rows(&keys).await?;
        let bytes = found.iter().flatten().map(|(_, body)| body.len()).sum();
        let too_large = || RedriveError::NotRedrivable(TOO_LARGE.to_owned());
        self.bytes_left = self.bytes_left.checked_sub(bytes).ok_or_else(too_large)?;
        Ok(found)
    }
}

/// What is left of a branch.
pub(super) struct Left {
    /// Of its last history row.
    pub(super) seq: u32,
    /// Its last event, as far as the rows tell.
    pub(super) last: EventRef,
    pub(super) found: Found,
}

pub(super) enum Found {
    /// It ended well, with this event.
    Ended(EventRef),
    Remains(Box<Remains>),
}

impl Left {
    /// `None` if there is no such branch.
    fn of(path: &BranchPath, rows: LastRows) -> Result<Option<Self>, Error> {
        let mut rows = rows.into_iter();
        let Some((seq, body)) = rows.next() else { return Ok(None) };
        let read = |body: &[u8]| {
            decode::<Body>(body).map_err(|error| Error::corrupt(format_args!("{path}: {error}")))
        };
        let Body { events, value, end, .. } = read(&body)?;
        let reference = |offset: usize| EventRef {
            branch: path.clone(),
            seq,
            offset: u16::try_from(offset).unwrap_or(u16::MAX),
        };
        let last = reference(events.len().saturating_sub(1));
        let error = match (&end, events.last().map(|event| &event.kind)) {
            (Some(BranchEnd { result: BranchResult::Succeeded(_), last, .. }), _) => {
                return Ok(Some(Left { seq, last: last.clone(), found: Found::Ended(last.clone()) }));
            }
            (Some(BranchEnd { result: BranchResult::Failed(failed), .. }), _) => failed.failure.error.clone(),
            (None, Some(EventKind::ExecutionFailed(failure))) => failure.error.clone(),
            (None, _) => None,
        };
        let (value, after) = match value {
            Some(value) => (value, Vec::new()),
            None => {
                let missing = || Error::corrupt(format_args!("'{path}' has no value before its end"));
                let (_, before) = rows.next().ok_or_else(missing)?;
                let after = events.into_iter().enumerate().map(|(offset, event)| (reference(offset), event));
                (read(&before)?.value.ok_or_else(missing)?, after.collect())
            }
        };
        Ok(Some(Left { seq, last, found: Found::Remains(Box::new(Remains { value, after, error })) }))
    }

    fn child(
        self,
        path: BranchPath,
        program: &Program,
        redrive: Redrive,
        redriven: &EventRef,
    ) -> Result<Child, RedriveError> {
        Ok(match self.found {
            Found::Ended(last) => Child::Ended { path, seq: self.seq, last },
            found @ Found::Remains(_) => {
                Child::GoesOn { path, value: Box::new(found.go_on(program, redrive, redriven)?) }
            }
        })
    }
}

impl Found {
    /// The branch as it goes on.
    pub(super) fn go_on(
        self,
        program: &Program,
        redrive: Redrive,
        redriven: &EventRef,
    ) -> Result<Branch, RedriveError> {
        match self {
            Found::Ended(last) => {
                Err(Error::corrupt(format_args!("'{}' has ended well", last.branch)).into())
            }
            // Where a history was full, what a branch did last may be missing in it.
            Found::Remains(remains) => remains
                .go_on(program, redrive, redriven)
                .ok_or_else(|| RedriveError::NotRedrivable(HISTORY_FULL.to_owned())),
        }
    }
}

/// A child of a fork.
pub(super) enum Child {
    Ended { path: BranchPath, seq: u32, last: EventRef },
    GoesOn { path: BranchPath, value: Box<Branch> },
}

impl Child {
    pub(super) fn value(&self) -> Option<&Branch> {
        match self {
            Child::Ended { .. } => None,
            Child::GoesOn { value, .. } => Some(value),
        }
    }

    pub(super) fn last(&self) -> Option<EventRef> {
        match self {
            Child::Ended { last, .. } => Some(last.clone()),
            Child::GoesOn { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messages::encode;

    #[test]
    fn what_cannot_be_read_is_no_reason_of_the_execution() {
        let of = |bodies: Vec<bytes::Bytes>| {
            Left::of(&BranchPath::root(), bodies.into_iter().map(|body| (1, body)).collect())
        };
        let nothing = encode(&Body { events: Vec::new(), value: None, request: None, end: None });
        assert!(matches!(of(Vec::new()), Ok(None)), "its history is gone");
        for unreadable in [vec!["{".into()], vec![nothing.clone()], vec![nothing.clone(), nothing.clone()]] {
            assert!(matches!(of(unreadable), Err(Error::Corrupt(_))));
        }
    }
}
