//! What the statements of all lanes have in common.
//!
//! One statement takes any number of members as arrays, changes the rows of those that pass their fence,
//! appends their history, and answers which passed, with the database's time. Nothing is read before it.
//!
//! The order of events is `pos`: the transaction's id, then the place in it. A transaction begins after its
//! members' fences are known, so after the commits that made them and all that those refer to; therefore what
//! an event refers to is in an earlier transaction, and no two members of one transaction build on each
//! other: the second's stamp is not known before the first has committed. Only who appends without a fence,
//! or for others than the branch it fences, must look where the history ends (`after`).

use std::collections::HashMap;

use asl::data::timestamp::Timestamp;
use sqlx::Postgres;
use sqlx::postgres::{PgArguments, PgConnection};
use sqlx::query::Query;
use sqlx::{Row as _, query};

use crate::adapters::postgres::failure::Fault;
use crate::adapters::postgres::rows::{Id, key_arrays, narrow};
use crate::adapters::sql::Columns as _;
use crate::adapters::sql::rows::signed;
use crate::ids::Stamp;
use crate::ports::store::{Commit, Fence, Verdict};

/// Bits of `pos` that tell the place in a transaction.
macro_rules! place_bits {
    () => {
        "16"
    };
}
/// The time, and where the places of this transaction begin.
macro_rules! clock {
    () => {
        concat!(
            "WITH clock AS MATERIALIZED (SELECT ",
            $crate::adapters::postgres::commit::statement::now!(),
            " AS ms, greatest(pg_current_xact_id()::text::bigint << ",
            $crate::adapters::postgres::commit::statement::place_bits!(),
            ", $11::bigint) AS base), "
        )
    };
}
/// The time in milliseconds, never ahead of itself.
macro_rules! now {
    () => {
        "floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint"
    };
}
/// The arrays that [`bind`] binds: $1 to $10; $11 and $12 are `after` and the room there is.
macro_rules! member_arrays {
    () => {
        "unnest($1::uuid[], $2::text[], $3::int[], $4::int[], $5::int[], $6::int[], $7::bigint[], \
         $8::bigint[], $9::int[], $10::bytea[]"
    };
}
/// Their names.
macro_rules! member_columns {
    () => {
        "execution, branch, seq, stamp, fresh, place, woken_at, joined, count, body"
    };
}
/// What the row `b` must be for member `i` at time `c`.
macro_rules! passes {
    () => {
        "b.execution = i.execution AND b.branch = i.branch AND b.seq = i.seq AND b.stamp = i.stamp \
         AND (i.woken_at IS NULL OR (b.wake <= i.woken_at AND b.wake <= c.ms)) \
         AND b.before + b.events + i.joined + i.count < $12::bigint "
    };
}
/// What those that passed answer, for [`appended`].
macro_rules! passed_columns {
    () => {
        "i.execution, i.branch, i.seq + 1 AS seq, i.place, i.count, i.body, b.events"
    };
}
/// Appends the history of those that passed.
macro_rules! appended {
    () => {
        "appended AS (INSERT INTO history (execution, branch, seq, pos, count, body) \
         SELECT p.execution, p.branch, p.seq, c.base + p.place, p.count, p.body FROM passed p, clock c) "
    };
}
/// Which passed, and when.
macro_rules! who_passed {
    () => {
        " SELECT coalesce(array_agg(p.place), '{}'), coalesce(array_agg(p.events), '{}'), (SELECT ms FROM clock) \
         FROM passed p"
    };
}
pub(in crate::adapters::postgres) use {
    appended, clock, member_arrays, member_columns, now, passed_columns, passes, place_bits, who_passed,
};

/// A commit on its way into a statement.
#[derive(Debug, Clone, Copy)]
pub(in crate::adapters::postgres) struct Member<'a> {
    pub(in crate::adapters::postgres) commit: &'a Commit,
    /// The stamp it gets if it passes.
    pub(in crate::adapters::postgres) fresh: Stamp,
    /// Events that it takes over from the branches that it joins.
    pub(in crate::adapters::postgres) joined: u64,
}

impl<'a> Member<'a> {
    pub(in crate::adapters::postgres) fn new(commit: &'a Commit) -> Self {
        Member { commit, fresh: Stamp::draw(), joined: 0 }
    }

    /// Where the branch is if it passes.
    pub(in crate::adapters::postgres) fn fence(&self) -> Fence {
        Fence { seq: self.commit.fence.seq + 1, stamp: self.fresh }
    }
}

/// What holds for all members of a statement.
#[derive(Debug, Clone, Copy)]
pub(in crate::adapters::postgres) struct Terms {
    /// The history begins no earlier than here; 0 for where the transaction is.
    pub(in crate::adapters::postgres) after: i64,
    pub(in crate::adapters::postgres) history_events_max: u64,
}

/// What became of the members, and the time.
#[derive(Debug)]
pub(in crate::adapters::postgres) struct Passed {
    /// By position: of one that passed, the events that its branch has recorded.
    pub(in crate::adapters::postgres) stands: Vec<Option<u64>>,
    pub(in crate::adapters::postgres) now: Timestamp,
}

/// Binds the arrays of [`member_arrays`], `after` and the room. Members come in lock order: by execution,
/// children before their parents; their places are those they were given in.
pub(super) fn bind<'q>(
    statement: &'static str,
    members: &[Member<'_>],
    terms: Terms,
    room: u64,
) -> Query<'q, Postgres, PgArguments> {
    let column = |of: fn(&Member<'_>) -> i32| members.iter().map(of).collect::<Vec<_>>();
    let executions: Vec<_> = members.iter().map(|member| Id(member.commit.key.execution.0)).collect();
    let branches: Vec<_> = members.iter().map(|member| member.commit.key.branch.as_str()).collect();
    let woken: Vec<_> =
        members.iter().map(|member| member.commit.woken_at.map(Timestamp::milliseconds)).collect();
    let bodies: Vec<_> = members.iter().map(|member| &*member.commit.history.body).collect();
    query(statement)
        .bind(executions)
        .bind(branches)
        .bind(column(|member| narrow(member.commit.fence.seq)))
        .bind(column(|member| narrow(member.commit.fence.stamp.0)))
        .bind(column(|member| narrow(member.fresh.0)))
        .bind((0..).take(members.len()).collect::<Vec<i32>>())
        .bind(woken)
        .bind(members.iter().map(|member| signed(member.joined)).collect::<Vec<_>>())
        .bind(column(|member| i32::from(member.commit.history.events)))
        .bind(bodies)
        .bind(terms.after)
        .bind(signed(room))
}

/// Runs a statement that ends with [`who_passed`].
pub(super) async fn run(
    connection: &mut PgConnection,
    statement: Query<'_, Postgres, PgArguments>,
    count: usize,
) -> Result<Passed, Fault> {
    let row = statement.fetch_one(connection).await?;
    let mut stands = vec![None; count];
    let places = row.try_get::<Vec<i32>, _>(0)?;
    for (place, events) in places.into_iter().zip(row.try_get::<Vec<i64>, _>(1)?) {
        if let Some(stand) = usize::try_from(place).ok().and_then(|place| stands.get_mut(place)) {
            *stand = Some(u64::try_from(events).unwrap_or_default());
        }
    }
    Ok(Passed { stands, now: row.time(2)? })
}

/// Why a member did not pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    Stale,
    Full,
    /// The row is as the member wants it: what else the statement asked for was not so.
    Other,
}

impl Refusal {
    pub(super) fn verdict(self) -> Verdict {
        match self {
            Refusal::Stale | Refusal::Other => Verdict::Stale,
            Refusal::Full => Verdict::HistoryFull,
        }
    }
}

/// Tells apart why members did not pass: asked afterwards and rarely, so that those that pass need no reading.
pub(super) async fn refusals(
    connection: &mut PgConnection,
    members: &[Member<'_>],
    room: u64,
) -> Result<Vec<Refusal>, Fault> {
    const FIND: &str = concat!(
        "SELECT k.place, b.seq, b.stamp, b.wake, b.before + b.events, ",
        now!(),
        " FROM unnest($1::uuid[], $2::text[]) WITH ORDINALITY AS k(execution, branch, place)",
        " JOIN branches b ON b.execution = k.execution AND b.branch = k.branch"
    );
    let keys = members.iter().map(|member| &member.commit.key);
    let (executions, branches) = key_arrays(keys);
    let found = query(FIND).bind(executions).bind(branches).fetch_all(connection).await?;
    let mut rows = HashMap::new();
    for row in &found {
        let fence = Fence { seq: row.number(1)?, stamp: Stamp(row.number(2)?) };
        let recorded: u64 = row.maybe_number(4)?.unwrap_or_default();
        rows.insert(
            row.number::<usize>(0)?.saturating_sub(1),
            (fence, row.maybe_time(3)?, recorded, row.time(5)?),
        );
    }
    let refusal = |(place, member): (usize, &Member<'_>)| {
        let Some((fence, wake, recorded, now)) = rows.get(&place) else { return Refusal::Stale };
        let Commit { woken_at, history, .. } = member.commit;
        let awake = woken_at.is_none_or(|woken| wake.is_some_and(|wake| wake <= woken && wake <= *now));
        if *fence != member.commit.fence || !awake {
            Refusal::Stale
        } else if recorded + member.joined + u64::from(history.events) >= room {
            Refusal::Full
        } else {
            Refusal::Other
        }
    };
    Ok(members.iter().enumerate().map(refusal).collect())
}

/// Verdicts in the members' order: of those that stand, and of the others by asking.
pub(super) async fn verdicts(
    connection: &mut PgConnection,
    members: &[Member<'_>],
    passed: &Passed,
    room: u64,
    done: impl Fn(usize, &Member<'_>) -> Verdict,
) -> Result<Vec<Verdict>, Fault> {
    let of = |(place, member): (usize, &Member<'_>)| done(place, member);
    if passed.stands.iter().all(Option::is_some) {
        return Ok(members.iter().enumerate().map(of).collect());
    }
    let refused = refusals(connection, members, room).await?;
    let verdict = |((place, member), (stands, refusal)): ((usize, &Member<'_>), (&Option<u64>, &Refusal))| {
        if stands.is_some() { done(place, member) } else { refusal.verdict() }
    };
    Ok(members.iter().enumerate().zip(passed.stands.iter().zip(&refused)).map(verdict).collect())
}
