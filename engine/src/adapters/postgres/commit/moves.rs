//! Plain moves: most of all transitions. One statement is the whole transaction.

use asl::data::timestamp::Timestamp;
use sqlx::postgres::PgConnection;

use super::statement::{
    Member, Passed, Terms, appended, bind, clock, member_arrays, member_columns, passed_columns, passes, run,
    who_passed,
};
use crate::adapters::postgres::failure::Fault;
use crate::adapters::postgres::rows::narrow;
use crate::adapters::sql::rows::phase_number;
use crate::ports::store::{Change, Phase, RowState};

/// Moves the rows of the members that pass, and appends their history.
pub(in crate::adapters::postgres) async fn apply(
    connection: &mut PgConnection,
    members: &[Member<'_>],
    terms: Terms,
) -> Result<Passed, Fault> {
    const MOVE: &str = concat!(
        clock!(),
        "passed AS (UPDATE branches b SET seq = i.seq + 1, stamp = i.fresh, phase = i.phase, moved_at = c.ms, ",
        "wake = i.wake, due = i.due, task = i.task, events = b.events + i.joined + i.count, below = 0, ",
        "children = NULL, launched = NULL, open = NULL, failed = NULL, cause = NULL FROM ",
        member_arrays!(),
        ", $13::smallint[], $14::bigint[], $15::bigint[], $16::int[]) AS i(",
        member_columns!(),
        ", phase, wake, due, task), clock c WHERE ",
        passes!(),
        "RETURNING ",
        passed_columns!(),
        "), ",
        appended!(),
        who_passed!()
    );
    let states: Vec<_> = members.iter().map(|member| state(&member.commit.change)).collect();
    let time = |of: fn(&RowState) -> Option<Timestamp>| {
        states.iter().map(|state| of(state).map(Timestamp::milliseconds)).collect::<Vec<_>>()
    };
    let statement = bind(MOVE, members, terms, terms.history_events_max)
        .bind(states.iter().map(|state| phase_number(state.phase)).collect::<Vec<_>>())
        .bind(time(|state| state.wake))
        .bind(time(|state| state.due))
        .bind(states.iter().map(|state| state.task.map(narrow)).collect::<Vec<_>>());
    run(connection, statement, members.len()).await
}

/// The state after a move. A child that ends is at rest; what that does to its parent is not said here.
fn state(change: &Change) -> RowState {
    match change {
        Change::Move(state) => *state,
        Change::Fork { .. } => RowState::at_rest(Phase::Forked),
        Change::EndBranch { .. } | Change::Finish(_) => RowState::at_rest(Phase::Ended),
    }
}
