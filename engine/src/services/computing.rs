//! The interpreter at work in an engine: what it must not do to others.

use std::panic::{AssertUnwindSafe, catch_unwind};

use asl::branch::{Branch, Event, Run, StaleEvent, Tick, Transition};
use asl::data::template::Template;
use asl::program::{Program, StateKind};
use tokio::runtime::{Handle, RuntimeFlavor};

use crate::services::Unavailable;

/// Applies an event to a branch. Stale when the branch does not wait for it.
///
/// A panic of the interpreter is a bug; it is answered as an error, so that it ends the execution instead of the
/// engine.
pub fn apply(
    branch: &mut Branch,
    run: &Run<'_>,
    event: Event,
    tick: &Tick,
) -> Result<Result<Transition, StaleEvent>, Unavailable> {
    let long = may_take_long(run.program, branch);
    let work = || catch_unwind(AssertUnwindSafe(|| branch.apply(run, event, tick)));
    let applied = if long { aside(work) } else { work() };
    applied.map_err(|_| Unavailable::Definition("the interpreter failed on this event".to_owned()))
}

/// Whether the next transition of a branch may compute for seconds: a Map that makes an input of each of its items
/// may have tens of thousands. What else one transition computes is bounded to less.
fn may_take_long(program: &Program, branch: &Branch) -> bool {
    let state = program.has_state(branch.state).then(|| program.state(branch.state));
    match state.map(|state| &state.kind) {
        Some(StateKind::Map(map)) => {
            matches!(&map.item_selector, Some(selector) if !matches!(selector, Template::Literal(_)))
        }
        Some(_) | None => false,
    }
}

/// Does work while others use the place of this thread, where there are other threads.
pub fn aside<T>(work: impl FnOnce() -> T) -> T {
    match Handle::try_current().map(|handle| handle.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        Ok(_) | Err(_) => work(),
    }
}
