//! Forks: the parent's fenced move and its children's rows, in one statement.

use sqlx::postgres::PgConnection;

use super::statement::{
    Member, Passed, Terms, appended, bind, clock, member_arrays, member_columns, passed_columns, passes, run,
    who_passed,
};
use crate::adapters::postgres::failure::Fault;
use crate::adapters::postgres::rows::narrow;
use crate::adapters::sql::rows::phase_number;
use crate::ids::Stamp;
use crate::ports::store::{Change, Fence, Launched, NewBranch, Phase};

/// Makes the children of the members that pass. Answers also whom each has launched if it passed.
pub(in crate::adapters::postgres) async fn apply(
    connection: &mut PgConnection,
    members: &[Member<'_>],
    terms: Terms,
) -> Result<(Passed, Vec<Vec<Launched>>), Fault> {
    // Children have no events of their own yet. Phase 3 is `Forked`.
    const FORK: &str = concat!(
        clock!(),
        "passed AS (UPDATE branches b SET seq = i.seq + 1, stamp = i.fresh, phase = 3, moved_at = c.ms, ",
        "wake = NULL, due = NULL, task = NULL, events = b.events + i.joined + i.count, below = 0, ",
        "children = i.children, launched = i.launched, open = i.children, failed = NULL, cause = NULL FROM ",
        member_arrays!(),
        ", $13::int[], $14::int[]) AS i(",
        member_columns!(),
        ", children, launched), clock c WHERE ",
        passes!(),
        "RETURNING ",
        passed_columns!(),
        ", b.before + b.events AS before), ",
        appended!(),
        ", born AS (SELECT p.execution, k.branch, k.stamp, k.phase, k.body, p.before FROM ",
        "unnest($15::int[], $16::text[], $17::int[], $18::smallint[], $19::bytea[]) ",
        "AS k(parent, branch, stamp, phase, body) JOIN passed p ON p.place = k.parent), ",
        "rows AS (INSERT INTO branches (execution, branch, seq, stamp, phase, moved_at, before, events, below) ",
        "SELECT n.execution, n.branch, 0, n.stamp, n.phase, c.ms, n.before, 0, 0 FROM born n, clock c), ",
        "values AS (INSERT INTO history (execution, branch, seq, pos, count, body) ",
        "SELECT n.execution, n.branch, 0, c.base, 0, n.body FROM born n, clock c)",
        who_passed!()
    );
    let forks: Vec<_> = members.iter().map(Fork::of).collect();
    let children =
        || (0..).zip(&forks).flat_map(|(place, fork)| fork.children.iter().map(move |child| (place, child)));
    let statement = bind(FORK, members, terms, terms.history_events_max)
        .bind(forks.iter().map(|fork| count(&fork.children)).collect::<Vec<_>>())
        .bind(forks.iter().map(|fork| narrow(fork.window).min(count(&fork.children))).collect::<Vec<_>>())
        .bind(children().map(|(place, _)| place).collect::<Vec<i32>>())
        .bind(children().map(|(_, child)| child.new.branch.as_str()).collect::<Vec<_>>())
        .bind(children().map(|(_, child)| narrow(child.stamp.0)).collect::<Vec<_>>())
        .bind(children().map(|(_, child)| phase_number(child.phase)).collect::<Vec<_>>())
        .bind(children().map(|(_, child)| &*child.new.history.body).collect::<Vec<_>>());
    let passed = run(connection, statement, members.len()).await?;
    Ok((passed, forks.iter().map(Fork::launched).collect()))
}

struct Fork<'a> {
    children: Vec<Child<'a>>,
    window: u32,
}

struct Child<'a> {
    new: &'a NewBranch,
    stamp: Stamp,
    phase: Phase,
}

impl<'a> Fork<'a> {
    fn of(member: &Member<'a>) -> Self {
        let Change::Fork { children, window } = &member.commit.change else {
            return Fork { children: Vec::new(), window: 0 };
        };
        let child = |(index, new)| {
            let phase = if index < *window { Phase::Runnable } else { Phase::Queued };
            Child { new, stamp: Stamp::draw(), phase }
        };
        Fork { children: (0..).zip(children).map(child).collect(), window: *window }
    }

    fn launched(&self) -> Vec<Launched> {
        let first = self.children.iter().take_while(|child| child.phase == Phase::Runnable);
        let launched = |child: &Child<'_>| Launched {
            branch: child.new.branch.clone(),
            fence: Fence { seq: 0, stamp: child.stamp },
            after: None,
            body: child.new.history.body.clone(),
        };
        first.map(launched).collect()
    }
}

fn count(children: &[Child<'_>]) -> i32 {
    i32::try_from(children.len()).unwrap_or(i32::MAX)
}
