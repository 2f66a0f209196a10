//! Ends of branches: all that wait of one fork go in one transaction, so that their parent's row, which all
//! of them change, is changed once.
//!
//! ```text
//! fence and end the children ─▶ lock their parents ─▶ decide in memory ─▶ write parents, launch siblings
//! ```
//!
//! Rows are locked children before parents, in one order everywhere.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use asl::branch::EventRef;
use asl::data::timestamp::Timestamp;
use bytes::Bytes;
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::query;

use super::moves;
use super::statement::{Member, Terms, now, refusals};
use crate::adapters::postgres::failure::{Fault, corrupt};
use crate::adapters::postgres::rows::{self, Id, Row, branch_columns, key_arrays, narrow};
use crate::adapters::sql::Columns as _;
use crate::adapters::sql::rows::{Fork, phase_number, signed};
use crate::ids::Stamp;
use crate::ports::store::{BranchKey, Change, Fence, Launched, OUTBOX_MILLISECONDS, Phase, Verdict};

/// Within a transaction: ends the children that pass, and does what that does to their forks.
pub(super) async fn apply(
    connection: &mut PgConnection,
    members: &[Member<'_>],
    terms: Terms,
) -> Result<(Vec<Verdict>, Timestamp), Fault> {
    let mut order: Vec<_> = (0..).zip(members).collect();
    order.sort_by_key(|(_, member)| (member.commit.key.execution, Reverse(&member.commit.key.branch)));
    let sorted: Vec<_> = order.iter().map(|(_, member)| **member).collect();
    let passed = moves::apply(connection, &sorted, terms).await?;
    let mut stands = vec![None; members.len()];
    for ((place, _), events) in order.iter().zip(passed.stands) {
        let place: usize = *place;
        if let Some(stand) = stands.get_mut(place) {
            *stand = events;
        }
    }
    let mut forks = Forks::lock(connection, members, &stands).await?;
    let mut verdicts = Vec::new();
    for (place, (member, events)) in members.iter().zip(&stands).enumerate() {
        verdicts.push(events.map(|events| forks.end(place, member, events)));
    }
    for (place, body) in forks.write(connection).await? {
        let verdict = verdicts.get_mut(place).and_then(Option::as_mut);
        if let Some(Verdict::Done { launched, .. }) = verdict {
            launched.iter_mut().for_each(|launched| launched.body.clone_from(&body));
        }
    }
    if verdicts.iter().all(Option::is_some) {
        return Ok((verdicts.into_iter().flatten().collect(), passed.now));
    }
    let refused = refusals(connection, members, terms.history_events_max).await?;
    let verdicts = verdicts.into_iter().zip(refused);
    Ok((verdicts.map(|(done, refusal)| done.unwrap_or_else(|| refusal.verdict())).collect(), passed.now))
}

/// The forks whose children end here, as they become.
#[derive(Debug)]
struct Forks {
    rows: BTreeMap<Reverse<BranchKey>, Row>,
    changed: BTreeMap<BranchKey, u64>,
    siblings: Vec<Sibling>,
}

/// A queued child that is launched in place of the member at `place`.
#[derive(Debug)]
struct Sibling {
    place: usize,
    key: BranchKey,
    stamp: Stamp,
    after: EventRef,
    before: u64,
}

impl Forks {
    async fn lock(
        connection: &mut PgConnection,
        members: &[Member<'_>],
        stands: &[Option<u64>],
    ) -> Result<Self, Fault> {
        const LOCK: &str = concat!(
            "SELECT ",
            branch_columns!(),
            " FROM unnest($1::uuid[], $2::text[]) AS k(execution, branch) JOIN branches b",
            " ON b.execution = k.execution AND b.branch = k.branch",
            " ORDER BY b.execution, b.branch DESC FOR UPDATE OF b"
        );
        let ended = members.iter().zip(stands).filter(|(_, stands)| stands.is_some());
        let mut parents: Vec<_> = ended.filter_map(|(member, _)| member.commit.key.parent()).collect();
        parents.sort();
        parents.dedup();
        let mut rows = BTreeMap::new();
        if !parents.is_empty() {
            let (executions, branches) = key_arrays(parents.iter());
            let found = query(LOCK).bind(executions).bind(branches).fetch_all(connection).await?;
            for row in &found {
                let row = rows::decode(row)?;
                rows.insert(Reverse(row.key.clone()), row);
            }
        }
        Ok(Forks { rows, changed: BTreeMap::new(), siblings: Vec::new() })
    }

    /// What the end of a child does to its parent and to the next sibling in line.
    fn end(&mut self, place: usize, member: &Member<'_>, events: u64) -> Verdict {
        let (parent, launched) = self.consequence(place, member, events).unwrap_or_default();
        Verdict::Done { fence: member.fence(), launched, parent }
    }

    fn consequence(&mut self, place: usize, member: &Member<'_>, events: u64) -> Option<Consequence> {
        let Change::EndBranch { failed, last, last_inner } = &member.commit.change else { return None };
        let at = member.commit.key.branch.place()?;
        let key = member.commit.key.parent()?;
        let row = self.rows.get_mut(&Reverse(key.clone()))?;
        // A parent that is runnable already, as a sibling failed, takes no more notice.
        let fork =
            row.fork.as_mut().filter(|_| row.state.phase == Phase::Forked && row.fence.seq == at.fork)?;
        fork.open = fork.open.saturating_sub(1);
        fork.failed = failed.then_some(at.index);
        row.cause = Some(last.clone());
        row.events.below += events;
        *self.changed.entry(key.clone()).or_default() += events;
        if *failed || fork.open == 0 {
            row.state.phase = Phase::Runnable;
            row.fence.stamp = Stamp::draw();
            return Some((Some((key, row.fence)), Vec::new()));
        }
        if fork.launched >= fork.children {
            return None;
        }
        let branch = key.branch.child(at.fork, fork.launched);
        fork.launched += 1;
        let fence = Fence { seq: 0, stamp: Stamp::draw() };
        let key = BranchKey { branch: branch.clone(), ..key };
        let before = row.events.recorded + row.events.below;
        self.siblings.push(Sibling { place, key, stamp: fence.stamp, after: last_inner.clone(), before });
        Some((None, vec![Launched { branch, fence, after: Some(last_inner.clone()), body: Bytes::new() }]))
    }

    /// Writes the parents and launches the siblings. Answers the siblings' bodies, by the members' places.
    async fn write(self, connection: &mut PgConnection) -> Result<Vec<(usize, Bytes)>, Fault> {
        // Phase 0 is `Runnable`, 4 `Queued`. Whichever becomes runnable is looked after until it moves.
        const WRITE: &str = concat!(
            "WITH clock AS MATERIALIZED (SELECT ",
            now!(),
            " AS ms), parents AS (UPDATE branches b SET stamp = i.stamp, phase = i.phase, ",
            "moved_at = CASE WHEN i.phase = 0 THEN c.ms ELSE b.moved_at END, ",
            "due = CASE WHEN i.phase = 0 THEN c.ms + $15::bigint END, ",
            "launched = i.launched, open = i.open, failed = i.failed, cause = i.cause, below = b.below + i.below ",
            "FROM unnest($1::uuid[], $2::text[], $3::int[], $4::smallint[], $5::int[], $6::int[], $7::int[], ",
            "$8::text[], $9::bigint[]) AS i(execution, branch, stamp, phase, launched, open, failed, cause, below), ",
            "clock c WHERE b.execution = i.execution AND b.branch = i.branch), ",
            "siblings AS (UPDATE branches b SET phase = 0, stamp = i.stamp, moved_at = c.ms, ",
            "due = c.ms + $15::bigint, cause = i.cause, before = i.before ",
            "FROM unnest($10::uuid[], $11::text[], $12::int[], $13::text[], $14::bigint[], $16::int[]) ",
            "AS i(execution, branch, stamp, cause, before, place), clock c ",
            "WHERE b.execution = i.execution AND b.branch = i.branch AND b.phase = 4 ",
            "RETURNING b.execution, b.branch, i.place) ",
            "SELECT s.place, h.body FROM siblings s JOIN history h ",
            "ON h.execution = s.execution AND h.branch = s.branch AND h.seq = 0"
        );
        if self.changed.is_empty() {
            return Ok(Vec::new());
        }
        let parents: Vec<_> = self
            .changed
            .iter()
            .filter_map(|(key, below)| Some((self.rows.get(&Reverse(key.clone()))?, *below)))
            .collect();
        let fork = |of: fn(Fork) -> Option<u32>| {
            parents.iter().map(|(row, _)| row.fork.and_then(of).map(narrow)).collect::<Vec<_>>()
        };
        let (executions, branches) = key_arrays(parents.iter().map(|(row, _)| &row.key));
        let siblings = &self.siblings;
        let (sibling_executions, sibling_branches): (Vec<Id>, Vec<&str>) =
            key_arrays(siblings.iter().map(|sibling| &sibling.key));
        let write = query(WRITE)
            .bind(executions)
            .bind(branches)
            .bind(parents.iter().map(|(row, _)| narrow(row.fence.stamp.0)).collect::<Vec<_>>())
            .bind(parents.iter().map(|(row, _)| phase_number(row.state.phase)).collect::<Vec<_>>())
            .bind(fork(|fork| Some(fork.launched)))
            .bind(fork(|fork| Some(fork.open)))
            .bind(fork(|fork| fork.failed))
            .bind(
                parents
                    .iter()
                    .map(|(row, _)| row.cause.as_ref().map(ToString::to_string))
                    .collect::<Vec<_>>(),
            )
            .bind(parents.iter().map(|(_, below)| signed(*below)).collect::<Vec<_>>())
            .bind(sibling_executions)
            .bind(sibling_branches)
            .bind(siblings.iter().map(|sibling| narrow(sibling.stamp.0)).collect::<Vec<_>>())
            .bind(siblings.iter().map(|sibling| sibling.after.to_string()).collect::<Vec<_>>())
            .bind(siblings.iter().map(|sibling| signed(sibling.before)).collect::<Vec<_>>())
            .bind(OUTBOX_MILLISECONDS)
            .bind((0..).take(siblings.len()).collect::<Vec<i32>>());
        let found = write.fetch_all(connection).await?;
        if found.len() != siblings.len() {
            return Err(corrupt("a sibling to be launched is not queued"));
        }
        let body = |row: &PgRow| {
            let sibling =
                siblings.get(row.number::<usize>(0)?).ok_or_else(|| corrupt("a sibling is unknown"))?;
            Ok((sibling.place, row.bytes(1)?))
        };
        found.iter().map(body).collect()
    }
}

/// What the end of a child leads to: the parent that became runnable, the siblings that did.
type Consequence = (Option<(BranchKey, Fence)>, Vec<Launched>);
