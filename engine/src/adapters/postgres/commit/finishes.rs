//! Ends of executions that are nothing but their root: one statement is the whole transaction.
//!
//! If a statement sees no branch but the root, and the root passes its fence, then there is none: only the
//! root could have forked since, and then it would be at another fence.

use asl::data::timestamp::Timestamp;
use sqlx::postgres::PgConnection;

use super::statement::{
    Member, Passed, Terms, appended, bind, clock, member_arrays, member_columns, passed_columns, passes, run,
    who_passed,
};
use crate::adapters::postgres::executions::without_nul;
use crate::adapters::postgres::failure::Fault;
use crate::adapters::sql::executions::status_number;
use crate::ports::store::{Change, Closing, OUTBOX_MILLISECONDS};

/// Deletes the roots of the members that pass, appends their history and closes their executions.
pub(in crate::adapters::postgres) async fn apply(
    connection: &mut PgConnection,
    members: &[Member<'_>],
    terms: Terms,
) -> Result<Passed, Fault> {
    const FINISH: &str = concat!(
        clock!(),
        "passed AS (DELETE FROM branches b USING ",
        member_arrays!(),
        ", $13::smallint[], $14::bigint[], $15::text[], $16::boolean[]) AS i(",
        member_columns!(),
        ", status, at, error, unannounced), clock c WHERE ",
        passes!(),
        "AND NOT EXISTS (SELECT FROM branches d WHERE d.execution = i.execution AND d.branch > i.branch) ",
        "RETURNING ",
        passed_columns!(),
        ", i.status, i.at, i.error, i.unannounced), ",
        appended!(),
        ", closed AS (UPDATE executions x SET status = p.status, stopped_at = p.at, error = p.error ",
        "FROM passed p WHERE x.id = p.execution RETURNING x.id, x.redrives), ",
        "kept AS (INSERT INTO unannounced (execution, due, number) ",
        "SELECT p.execution, c.ms + $17::bigint, 2 * x.redrives + 2 FROM passed p ",
        "JOIN closed x ON x.id = p.execution, clock c WHERE p.unannounced ",
        "ON CONFLICT (execution) DO UPDATE SET number = greatest(unannounced.number, excluded.number))",
        who_passed!()
    );
    let closings: Vec<_> = members.iter().filter_map(|member| closing(&member.commit.change)).collect();
    let statement = bind(FINISH, members, terms, room(terms))
        .bind(closings.iter().map(|closing| status_number(closing.status)).collect::<Vec<_>>())
        .bind(closings.iter().map(|closing| closing.at).map(Timestamp::milliseconds).collect::<Vec<_>>())
        .bind(closings.iter().map(|closing| closing.error.as_deref().map(without_nul)).collect::<Vec<_>>())
        .bind(closings.iter().map(|closing| closing.unannounced).collect::<Vec<_>>())
        .bind(OUTBOX_MILLISECONDS);
    run(connection, statement, members.len()).await
}

/// The last place is kept for the event that ends the execution.
pub(super) fn room(terms: Terms) -> u64 {
    terms.history_events_max.saturating_add(1)
}

fn closing(change: &Change) -> Option<&Closing> {
    match change {
        Change::Finish(closing) => Some(closing),
        Change::Move(_) | Change::Fork { .. } | Change::EndBranch { .. } => None,
    }
}
