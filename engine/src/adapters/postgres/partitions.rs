//! Partitions: made ahead of time, and taken away when all in them is past its retention.
//!
//! Ids are UUIDv7, so a day of starts is a range of ids. `executions` has a partition for each week, `history`
//! one for each day. What finds no partition goes to the default one, and stays there until it is deleted.
//!
//! What happens under failure: a partition that cannot be made or dropped now, as somebody holds the table, is
//! made or dropped the next time.

use asl::data::timestamp::Timestamp;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection, Row as _, query};
use uuid::Uuid;

use super::due;
use super::failure::{Fault, corrupt};
use super::migrations::LOCK;
use super::rows::Id;

const DAY_MILLISECONDS: i64 = 86_400_000;
/// How many are made before they are needed.
const AHEAD: i64 = 2;
/// Executions that are deleted at a time.
const CHUNK: i64 = 500;

/// A table that is partitioned by ranges of execution ids.
#[derive(Debug, Clone, Copy)]
struct Table {
    name: &'static str,
    span_milliseconds: i64,
    storage: &'static str,
}

const EXECUTIONS: Table =
    Table { name: "executions", span_milliseconds: 7 * DAY_MILLISECONDS, storage: "WITH (fillfactor = 80)" };
const HISTORY: Table = Table { name: "history", span_milliseconds: DAY_MILLISECONDS, storage: "" };

/// A range of ids, by the time in them; `number` counts spans since 1970.
#[derive(Debug, Clone, Copy)]
struct Span {
    table: Table,
    number: i64,
}

impl Span {
    fn name(self) -> String {
        format!("{}_{:06}", self.table.name, self.number)
    }

    fn from(self) -> Uuid {
        first_id(self.number.saturating_mul(self.table.span_milliseconds))
    }

    fn to(self) -> Uuid {
        first_id(self.number.saturating_add(1).saturating_mul(self.table.span_milliseconds))
    }
}

/// What sorts before all ids of this millisecond and after all of those before.
fn first_id(milliseconds: i64) -> Uuid {
    Uuid::from_u128(u128::from(milliseconds.max(0).unsigned_abs()) << 80)
}

/// Makes the partitions of now and of the next times, where they are missing.
pub(super) async fn prepare(connection: &mut PgConnection) -> Result<(), Fault> {
    let now = due::now(connection).await?.milliseconds();
    for table in [EXECUTIONS, HISTORY] {
        let current = now.div_euclid(table.span_milliseconds);
        for number in current..=current + AHEAD {
            make(connection, Span { table, number }).await?;
        }
    }
    Ok(())
}

async fn make(connection: &mut PgConnection, span: Span) -> Result<(), Fault> {
    let name = span.name();
    if exists(connection, &name).await? {
        return Ok(());
    }
    let Table { name: table, storage, .. } = span.table;
    let mut transaction = connection.begin().await?;
    query("SELECT pg_advisory_xact_lock($1)").bind(LOCK).execute(&mut *transaction).await?;
    if exists(&mut transaction, &name).await? {
        return Ok(transaction.rollback().await?);
    }
    // Attached rather than made in place: so that commits go on meanwhile.
    let create = format!("CREATE TABLE {name} (LIKE {table} INCLUDING ALL) {storage}");
    let attach = format!(
        "ALTER TABLE {table} ATTACH PARTITION {name} FOR VALUES FROM ('{}') TO ('{}')",
        span.from(),
        span.to()
    );
    query(AssertSqlSafe(create)).execute(&mut *transaction).await?;
    match query(AssertSqlSafe(attach)).execute(&mut *transaction).await {
        Ok(_) => Ok(transaction.commit().await?),
        Err(error) if is_in_the_way(&error) => {
            transaction.rollback().await?;
            tracing::warn!(partition = name, "rows of its time are in the default partition already");
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}

/// Rows of the default partition that belong to the new one.
fn is_in_the_way(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| error.code().as_deref() == Some("23514"))
}

async fn exists(connection: &mut PgConnection, name: &str) -> Result<bool, Fault> {
    // From the table: the server's cache may not know yet what was made while the lock was waited for.
    const EXISTS: &str =
        "SELECT EXISTS (SELECT FROM pg_class WHERE relname = $1 AND pg_table_is_visible(oid))";
    let row = query(EXISTS).bind(name).fetch_one(connection).await?;
    Ok(row.try_get(0)?)
}

/// Removes executions that closed before this time, with all they left; answers how many. A day of histories
/// goes at once when none of its executions is kept; before that they are deleted in chunks.
pub(super) async fn prune(connection: &mut PgConnection, closed_before: Timestamp) -> Result<u64, Fault> {
    drop_spans(connection, HISTORY, closed_before).await?;
    let mut pruned = 0;
    loop {
        let chunk = prune_chunk(connection, closed_before).await?;
        pruned += chunk;
        if chunk == 0 {
            break;
        }
    }
    drop_spans(connection, EXECUTIONS, closed_before).await?;
    Ok(pruned)
}

async fn prune_chunk(connection: &mut PgConnection, closed_before: Timestamp) -> Result<u64, Fault> {
    // What closed before then has started before then.
    const PRUNE: &str = "
        WITH old AS MATERIALIZED (
            SELECT id, machine_name, name, machine FROM executions
            WHERE id < $1 AND status <> 0 AND stopped_at < $2 ORDER BY id LIMIT $3 FOR UPDATE SKIP LOCKED),
        redriven AS (DELETE FROM redrives r USING old o WHERE r.execution = o.id),
        histories AS (DELETE FROM history h USING old o WHERE h.execution = o.id),
        names AS (DELETE FROM execution_names n USING old o
                  WHERE n.machine_name = o.machine_name AND n.name = o.name AND n.machine = o.machine
                  AND n.execution = o.id)
        DELETE FROM executions x USING old o WHERE x.id = o.id";
    let before = first_id(closed_before.milliseconds().saturating_add(1));
    let prune = query(PRUNE).bind(Id(before)).bind(closed_before.milliseconds()).bind(CHUNK);
    Ok(prune.execute(connection).await?.rows_affected())
}

/// Whether an execution of this span is kept.
async fn is_kept(connection: &mut PgConnection, span: Span, closed_before: Timestamp) -> Result<bool, Fault> {
    // Of `executions` only what is empty goes: its rows are counted as they are deleted.
    const KEPT: &str = "
        SELECT EXISTS (SELECT FROM executions WHERE id >= $1 AND id < $2
                       AND ($3 OR status = 0 OR stopped_at IS NULL OR stopped_at >= $4))";
    let kept = query(KEPT)
        .bind(Id(span.from()))
        .bind(Id(span.to()))
        .bind(span.table.name == EXECUTIONS.name)
        .bind(closed_before.milliseconds());
    Ok(kept.fetch_one(connection).await?.try_get(0)?)
}

/// Drops the partitions of which no execution is kept.
async fn drop_spans(
    connection: &mut PgConnection,
    table: Table,
    closed_before: Timestamp,
) -> Result<(), Fault> {
    const PARTITIONS: &str = "
        SELECT c.relname::text FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = to_regclass($1) ORDER BY c.relname";
    let last = closed_before.milliseconds().div_euclid(table.span_milliseconds);
    for row in query(PARTITIONS).bind(table.name).fetch_all(&mut *connection).await? {
        let name: String = row.try_get(0)?;
        let prefix = format!("{}_", table.name);
        let number = name.strip_prefix(&prefix).and_then(|number| number.parse::<i64>().ok());
        let Some(span) = number.map(|number| Span { table, number }).filter(|span| span.number < last) else {
            continue;
        };
        if span.name() != name {
            return Err(corrupt(format_args!("'{name}' is no partition of ours")));
        }
        if is_kept(connection, span, closed_before).await? {
            continue;
        }
        // Looked at again once nobody can write there: an execution may have been redriven meanwhile. The locks are
        // those of the drop, in its order.
        let mut transaction = connection.begin().await?;
        let lock = format!("LOCK TABLE ONLY {}, {name} IN ACCESS EXCLUSIVE MODE", table.name);
        query(AssertSqlSafe(lock)).execute(&mut *transaction).await?;
        if !is_kept(&mut transaction, span, closed_before).await? {
            query(AssertSqlSafe(format!("DROP TABLE {name}"))).execute(&mut *transaction).await?;
        }
        transaction.commit().await?;
    }
    Ok(())
}
