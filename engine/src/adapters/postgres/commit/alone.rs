//! Transitions that take away the rows below a branch: joins, and ends of executions whose branches still
//! run. Each has a transaction of its own.

use sqlx::postgres::PgConnection;
use sqlx::{Connection, query};

use super::statement::{Member, Refusal, Terms, refusals, verdicts};
use super::{ends, finishes, forks, moves};
use crate::adapters::postgres::failure::Fault;
use crate::adapters::postgres::history;
use crate::adapters::postgres::rows::{self, Id, Row, branch_columns};
use crate::adapters::sql::Columns as _;
use crate::ids::ExecutionId;
use crate::ports::store::{BranchKey, Change, Commit, Verdict};

/// Commits one member in a transaction. What does not pass has changed nothing.
pub(super) async fn commit(
    connection: &mut PgConnection,
    commit: &Commit,
    history_events_max: u64,
) -> Result<Verdict, Fault> {
    let mut member = Member::new(commit);
    // Without locks: a fence that was missed once is missed for good.
    if refusals(connection, &[member], u64::MAX).await?.contains(&Refusal::Stale) {
        return Ok(Verdict::Stale);
    }
    let mut transaction = connection.begin().await?;
    let finishes = matches!(commit.change, Change::Finish(_));
    if commit.joins || finishes {
        let removed = remove_below(&mut transaction, &commit.key).await?;
        member.joined = removed.iter().map(|(_, events)| events).sum();
    }
    // Those below may have recorded events in transactions that began after this one.
    let after = if finishes { history::end(&mut transaction, commit.key.execution).await?.0 } else { 0 };
    let verdict = apply(&mut transaction, member, Terms { after, history_events_max }).await?;
    match verdict {
        Verdict::Done { .. } => transaction.commit().await?,
        Verdict::Stale | Verdict::HistoryFull => transaction.rollback().await?,
    }
    Ok(verdict)
}

/// Within a transaction: does what the member asks, all below it being gone.
pub(in crate::adapters::postgres) async fn apply(
    connection: &mut PgConnection,
    member: Member<'_>,
    terms: Terms,
) -> Result<Verdict, Fault> {
    let members = [member];
    let mut launched = Vec::new();
    let mut room = terms.history_events_max;
    let passed = match &member.commit.change {
        Change::EndBranch { .. } => {
            let (mut verdicts, _) = ends::apply(connection, &members, terms).await?;
            return Ok(verdicts.pop().unwrap_or(Verdict::Stale));
        }
        Change::Move(_) => moves::apply(connection, &members, terms).await?,
        Change::Fork { .. } => {
            let (passed, children) = forks::apply(connection, &members, terms).await?;
            launched = children.into_iter().flatten().collect();
            passed
        }
        Change::Finish(_) => {
            room = finishes::room(terms);
            finishes::apply(connection, &members, terms).await?
        }
    };
    let done = |_, member: &Member<'_>| Verdict::Done {
        fence: member.fence(),
        launched: launched.clone(),
        parent: None,
    };
    let mut verdicts = verdicts(connection, &members, &passed, room, done).await?;
    Ok(verdicts.pop().unwrap_or(Verdict::Stale))
}

/// Within a transaction: deletes all rows below a branch, in passes until one finds none, as a fork that was
/// committing adds rows that no earlier pass could see. Answers each with the events that it recorded itself
/// and joined. Rows are locked children first.
pub(in crate::adapters::postgres) async fn remove_below(
    connection: &mut PgConnection,
    key: &BranchKey,
) -> Result<Vec<(Row, u64)>, Fault> {
    let (from, to) = key.branch.descendants();
    remove(connection, key.execution, &from, &to).await
}

/// The same for all rows of an execution.
pub(in crate::adapters::postgres) async fn remove_all(
    connection: &mut PgConnection,
    execution: ExecutionId,
) -> Result<Vec<(Row, u64)>, Fault> {
    remove(connection, execution, "", "s").await
}

async fn remove(
    connection: &mut PgConnection,
    execution: ExecutionId,
    from: &str,
    to: &str,
) -> Result<Vec<(Row, u64)>, Fault> {
    const REMOVE: &str = concat!(
        "WITH doomed AS MATERIALIZED (SELECT execution, branch FROM branches ",
        "WHERE execution = $1 AND branch >= $2 AND branch < $3 ORDER BY branch DESC FOR UPDATE) ",
        "DELETE FROM branches b USING doomed d WHERE b.execution = d.execution AND b.branch = d.branch RETURNING ",
        branch_columns!(),
        ", b.events"
    );
    let mut removed = Vec::new();
    loop {
        let pass =
            query(REMOVE).bind(Id(execution.0)).bind(from).bind(to).fetch_all(&mut *connection).await?;
        if pass.is_empty() {
            return Ok(removed);
        }
        for row in &pass {
            removed.push((rows::decode(row)?, row.number(rows::BODY)?));
        }
    }
}
