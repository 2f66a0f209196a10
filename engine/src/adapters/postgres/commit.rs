//! Commits: what a batch becomes.
//!
//! ```text
//! a caller's batch ─▶ waves (members that build on each other's order) ─▶ lanes by kind ─▶ a committer
//!   moves     one statement for up to 256 of whoever waits        ┐
//!   forks     the same with their children's rows                 │ whichever connection is free takes what
//!   finishes  the same where only the root is left                │ waits in a lane; nobody lingers
//!   ends      all of a fork that wait, several forks at once      │
//!   alone     joins, and ends of executions with live branches    ┘
//! ```
//!
//! What happens under failure: a statement that was rolled back for another's sake is done again, then its
//! members one by one, so that one bad member is found and fails alone. When the connection is lost nothing
//! is known, and the callers are told so. A caller that is gone changes nothing: its members are committed.

mod alone;
mod ends;
mod finishes;
mod forks;
mod lanes;
mod moves;
pub(super) mod statement;

use std::cmp::Reverse;
use std::collections::HashMap;

use futures::FutureExt;
use futures::future::BoxFuture;
use sqlx::Connection;
use sqlx::postgres::PgConnection;

pub(super) use alone::{apply, remove_all, remove_below};
pub(super) use lanes::{Answered, Lanes};
use statement::{Member, Refusal, Terms, refusals, verdicts};

use super::failure::Fault;
use crate::ids::ExecutionId;
use crate::ports::store::{Change, Commit, Verdict};

/// Which lane a commit takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Move,
    Fork,
    End,
    Finish,
    Alone,
}

impl Kind {
    fn of(commit: &Commit) -> Self {
        match commit.change {
            _ if commit.joins => Kind::Alone,
            Change::Move(_) => Kind::Move,
            Change::Fork { .. } => Kind::Fork,
            Change::EndBranch { .. } => Kind::End,
            Change::Finish(_) => Kind::Finish,
        }
    }

    /// Kinds whose members may be taken in any order among each other, within one execution.
    fn company(self) -> u8 {
        match self {
            Kind::Move | Kind::Fork => 0,
            Kind::End => 1,
            Kind::Finish | Kind::Alone => 2,
        }
    }
}

/// Cuts a batch into waves, to be committed one after the other: members of one branch, and members of one
/// execution that are of different company, keep their order. Each with its position.
pub(super) fn waves(batch: Vec<Commit>) -> Vec<Vec<(usize, Commit)>> {
    let mut last: HashMap<ExecutionId, (usize, u8, Vec<String>)> = HashMap::new();
    let mut waves: Vec<Vec<(usize, Commit)>> = Vec::new();
    for (position, commit) in batch.into_iter().enumerate() {
        let company = Kind::of(&commit).company();
        let branch = commit.key.branch.to_string();
        let (wave, before, branches) =
            last.entry(commit.key.execution).or_insert_with(|| (0, company, Vec::new()));
        // What takes rows away stands alone.
        if *before != company || company == 2 && !branches.is_empty() || branches.contains(&branch) {
            *wave += 1;
            branches.clear();
        }
        *before = company;
        branches.push(branch);
        let wave = *wave;
        if waves.len() <= wave {
            waves.resize_with(wave + 1, Vec::new);
        }
        if let Some(wave) = waves.get_mut(wave) {
            wave.push((position, commit));
        }
    }
    waves
}

/// Commits members of one kind, in lock order: by execution, children before their parents.
pub(super) fn run<'a>(
    connection: &'a mut PgConnection,
    kind: Kind,
    commits: &'a [&'a Commit],
    history_events_max: u64,
) -> BoxFuture<'a, Result<Answered<Verdict>, Fault>> {
    let terms = Terms { after: 0, history_events_max };
    async move {
        let mut order: Vec<_> = commits.iter().copied().enumerate().collect();
        match kind {
            // Who of them completes the fork is told by the order they came in; they lock in theirs.
            Kind::End => return run_ends(connection, commits, terms).await,
            Kind::Alone => return run_alone(connection, commits, terms).await,
            Kind::Move | Kind::Fork | Kind::Finish => {
                order.sort_by_key(|(_, commit)| (commit.key.execution, Reverse(&commit.key.branch)));
            }
        }
        let sorted: Vec<_> = order.iter().map(|(_, commit)| *commit).collect();
        let Answered { answers, now } = match kind {
            Kind::Fork => run_forks(connection, &sorted, terms).await?,
            Kind::Finish => run_finishes(connection, &sorted, terms).await?,
            Kind::Move | Kind::End | Kind::Alone => run_moves(connection, &sorted, terms).await?,
        };
        let mut placed: Vec<_> = order.iter().map(|(place, _)| *place).zip(answers).collect();
        placed.sort_by_key(|(place, _)| *place);
        Ok(Answered { answers: placed.into_iter().map(|(_, answer)| answer).collect(), now })
    }
    .boxed()
}

fn members<'a>(commits: &[&'a Commit]) -> Vec<Member<'a>> {
    commits.iter().map(|commit| Member::new(commit)).collect()
}

async fn run_moves(
    connection: &mut PgConnection,
    commits: &[&Commit],
    terms: Terms,
) -> Result<Answered<Verdict>, Fault> {
    let members = members(commits);
    let passed = moves::apply(connection, &members, terms).await?;
    let done = |_, member: &Member<'_>| done(member);
    let answers = verdicts(connection, &members, &passed, terms.history_events_max, done).await?;
    Ok(Answered { answers, now: Some(passed.now) })
}

async fn run_forks(
    connection: &mut PgConnection,
    commits: &[&Commit],
    terms: Terms,
) -> Result<Answered<Verdict>, Fault> {
    let members = members(commits);
    let (passed, launched) = forks::apply(connection, &members, terms).await?;
    let done = |place: usize, member: &Member<'_>| Verdict::Done {
        fence: member.fence(),
        launched: launched.get(place).cloned().unwrap_or_default(),
        parent: None,
    };
    let answers = verdicts(connection, &members, &passed, terms.history_events_max, done).await?;
    Ok(Answered { answers, now: Some(passed.now) })
}

async fn run_ends(
    connection: &mut PgConnection,
    commits: &[&Commit],
    terms: Terms,
) -> Result<Answered<Verdict>, Fault> {
    let members = members(commits);
    let mut transaction = connection.begin().await?;
    let (answers, now) = ends::apply(&mut transaction, &members, terms).await?;
    transaction.commit().await?;
    Ok(Answered { answers, now: Some(now) })
}

/// Ends executions; those that have more branches than the root take longer, each alone.
async fn run_finishes(
    connection: &mut PgConnection,
    commits: &[&Commit],
    terms: Terms,
) -> Result<Answered<Verdict>, Fault> {
    let members = members(commits);
    let passed = finishes::apply(connection, &members, terms).await?;
    let now = Some(passed.now);
    if passed.stands.iter().all(Option::is_some) {
        return Ok(Answered { answers: members.iter().map(done).collect(), now });
    }
    let refusals = refusals(connection, &members, finishes::room(terms)).await?;
    let mut answers = Vec::new();
    for ((member, stands), refusal) in members.iter().zip(&passed.stands).zip(refusals) {
        answers.push(match (stands, refusal) {
            (Some(_), _) => done(member),
            (None, Refusal::Other) => {
                alone::commit(connection, member.commit, terms.history_events_max).await?
            }
            (None, Refusal::Stale | Refusal::Full) => refusal.verdict(),
        });
    }
    Ok(Answered { answers, now })
}

async fn run_alone(
    connection: &mut PgConnection,
    commits: &[&Commit],
    terms: Terms,
) -> Result<Answered<Verdict>, Fault> {
    let mut answers = Vec::new();
    for commit in commits {
        answers.push(alone::commit(connection, commit, terms.history_events_max).await?);
    }
    Ok(Answered { answers, now: None })
}

fn done(member: &Member<'_>) -> Verdict {
    Verdict::Done { fence: member.fence(), launched: Vec::new(), parent: None }
}
