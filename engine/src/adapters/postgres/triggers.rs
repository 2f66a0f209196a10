//! Triggers.

use asl::data::timestamp::Timestamp;
use async_trait::async_trait;
use sqlx::postgres::PgConnection;
use sqlx::query;

use super::failure::Fault;
use super::rows::Id;
use super::{PostgresStore, ask};
use crate::adapters::sql::triggers::{decode, decode_remains, number, trigger_columns};
use crate::ids::TriggerId;
use crate::ports::store::Error;
use crate::ports::triggers::{KeptTrigger, Remains, Replacement, TRIGGERS_MAX, Triggers};

fn milliseconds(at: Option<Timestamp>) -> Option<i64> {
    at.map(|at| at.milliseconds())
}

async fn create(connection: &mut PgConnection, trigger: KeptTrigger) -> Result<Option<KeptTrigger>, Fault> {
    const INSERT: &str = "
        INSERT INTO triggers (id, name, origin, definition, paused, revision, created_at, next_tick)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (name) DO NOTHING";
    let insert = query(INSERT)
        .bind(Id(trigger.id.0))
        .bind(&trigger.name)
        .bind(number(trigger.origin))
        .bind(&trigger.definition)
        .bind(trigger.paused)
        .bind(trigger.revision)
        .bind(trigger.created_at.milliseconds())
        .bind(milliseconds(trigger.next_tick));
    if insert.execute(&mut *connection).await?.rows_affected() > 0 {
        return Ok(None);
    }
    let taken = find(connection, &trigger.name).await?;
    // Gone since: the caller may try again.
    taken.map(Some).ok_or_else(|| Fault::Unknown(format!("the trigger '{}' was just removed", trigger.name)))
}

async fn find(connection: &mut PgConnection, name: &str) -> Result<Option<KeptTrigger>, Fault> {
    const FIND: &str = concat!("SELECT ", trigger_columns!(), " FROM triggers WHERE name = $1");
    query(FIND).bind(name).fetch_optional(connection).await?.as_ref().map(decode).transpose()
}

async fn list(connection: &mut PgConnection) -> Result<Vec<KeptTrigger>, Fault> {
    const LIST: &str = concat!("SELECT ", trigger_columns!(), " FROM triggers ORDER BY name LIMIT $1");
    query(LIST).bind(i64::from(TRIGGERS_MAX)).fetch_all(connection).await?.iter().map(decode).collect()
}

async fn replace(
    connection: &mut PgConnection,
    id: TriggerId,
    revision: i64,
    by: Replacement,
    now: Timestamp,
) -> Result<bool, Fault> {
    // The inner query sees the row as it was; that it is locked keeps it so.
    const REPLACE: &str = concat!(
        "WITH before AS (SELECT ",
        trigger_columns!(),
        " FROM triggers WHERE id = $1 AND revision = $2 FOR UPDATE),
        kept AS (
            INSERT INTO trigger_remains (",
        trigger_columns!(),
        ", since) SELECT *, $6 FROM before)
        UPDATE triggers SET definition = $3, next_tick = $4, paused = coalesce($5, triggers.paused),
            claimed_until = NULL, revision = triggers.revision + 1
        FROM before WHERE triggers.id = before.id"
    );
    let replace = query(REPLACE).bind(Id(id.0)).bind(revision).bind(by.definition);
    let replace = replace.bind(milliseconds(by.next_tick)).bind(by.paused).bind(now.milliseconds());
    Ok(replace.execute(connection).await?.rows_affected() > 0)
}

async fn pause(
    connection: &mut PgConnection,
    id: TriggerId,
    paused: bool,
    next_tick: Option<Timestamp>,
) -> Result<bool, Fault> {
    const PAUSE: &str = "
        UPDATE triggers SET paused = $2, next_tick = $3, claimed_until = NULL, revision = revision + 1
        WHERE id = $1";
    let pause = query(PAUSE).bind(Id(id.0)).bind(paused).bind(milliseconds(next_tick));
    Ok(pause.execute(connection).await?.rows_affected() > 0)
}

async fn remove(connection: &mut PgConnection, id: TriggerId, now: Timestamp) -> Result<bool, Fault> {
    const REMOVE: &str = concat!(
        "WITH gone AS (DELETE FROM triggers WHERE id = $1 RETURNING ",
        trigger_columns!(),
        ") INSERT INTO trigger_remains (",
        trigger_columns!(),
        ", since) SELECT *, $2 FROM gone"
    );
    let remove = query(REMOVE).bind(Id(id.0)).bind(now.milliseconds());
    Ok(remove.execute(connection).await?.rows_affected() > 0)
}

async fn remains(connection: &mut PgConnection, limit: u32) -> Result<Vec<Remains>, Fault> {
    const REMAINS: &str =
        concat!("SELECT ", trigger_columns!(), ", since FROM trigger_remains ORDER BY since LIMIT $1");
    let rows = query(REMAINS).bind(i64::from(limit)).fetch_all(connection).await?;
    rows.iter().map(decode_remains).collect()
}

async fn forget(connection: &mut PgConnection, id: TriggerId, revision: i64) -> Result<(), Fault> {
    let forget = query("DELETE FROM trigger_remains WHERE id = $1 AND revision = $2");
    forget.bind(Id(id.0)).bind(revision).execute(connection).await?;
    Ok(())
}

async fn claim(
    connection: &mut PgConnection,
    now: Timestamp,
    until: Timestamp,
    limit: u32,
) -> Result<Vec<KeptTrigger>, Fault> {
    const CLAIM: &str = concat!(
        "WITH due AS (
            SELECT id AS due FROM triggers
            WHERE next_tick <= $1 AND NOT paused AND (claimed_until IS NULL OR claimed_until <= $1)
            ORDER BY next_tick LIMIT $3 FOR UPDATE SKIP LOCKED)
        UPDATE triggers SET claimed_until = $2 FROM due WHERE id = due RETURNING ",
        trigger_columns!()
    );
    let claim = query(CLAIM).bind(now.milliseconds()).bind(until.milliseconds()).bind(i64::from(limit));
    let mut claimed: Vec<KeptTrigger> =
        claim.fetch_all(connection).await?.iter().map(decode).collect::<Result<_, _>>()?;
    claimed.sort_by_key(|trigger| trigger.next_tick);
    Ok(claimed)
}

async fn hold(
    connection: &mut PgConnection,
    id: TriggerId,
    tick: Timestamp,
    until: Timestamp,
) -> Result<bool, Fault> {
    const HOLD: &str =
        "UPDATE triggers SET claimed_until = $3 WHERE id = $1 AND next_tick = $2 AND NOT paused";
    let hold = query(HOLD).bind(Id(id.0)).bind(tick.milliseconds()).bind(until.milliseconds());
    Ok(hold.execute(connection).await?.rows_affected() > 0)
}

async fn ticked(
    connection: &mut PgConnection,
    id: TriggerId,
    tick: Timestamp,
    next: Option<Timestamp>,
) -> Result<(), Fault> {
    const TICKED: &str =
        "UPDATE triggers SET next_tick = $3, claimed_until = NULL WHERE id = $1 AND next_tick = $2";
    let ticked = query(TICKED).bind(Id(id.0)).bind(tick.milliseconds()).bind(milliseconds(next));
    ticked.execute(connection).await?;
    Ok(())
}

#[async_trait]
impl Triggers for PostgresStore {
    async fn create_trigger(&self, trigger: KeptTrigger) -> Result<Option<KeptTrigger>, Error> {
        ask!(self, connection => create(connection, trigger))
    }

    async fn replace_trigger(
        &self,
        id: TriggerId,
        revision: i64,
        by: Replacement,
        now: Timestamp,
    ) -> Result<bool, Error> {
        ask!(self, connection => replace(connection, id, revision, by, now))
    }

    async fn pause_trigger(
        &self,
        id: TriggerId,
        paused: bool,
        next_tick: Option<Timestamp>,
    ) -> Result<bool, Error> {
        ask!(self, connection => pause(connection, id, paused, next_tick))
    }

    async fn remove_trigger(&self, id: TriggerId, now: Timestamp) -> Result<bool, Error> {
        ask!(self, connection => remove(connection, id, now))
    }

    async fn remains(&self, limit: u32) -> Result<Vec<Remains>, Error> {
        ask!(self, connection => remains(connection, limit))
    }

    async fn forget_remains(&self, id: TriggerId, revision: i64) -> Result<(), Error> {
        ask!(self, connection => forget(connection, id, revision))
    }

    async fn trigger(&self, name: &str) -> Result<Option<KeptTrigger>, Error> {
        ask!(self, connection => find(connection, name))
    }

    async fn triggers(&self) -> Result<Vec<KeptTrigger>, Error> {
        ask!(self, connection => list(connection))
    }

    async fn claim_ticks(
        &self,
        now: Timestamp,
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<KeptTrigger>, Error> {
        ask!(self, connection => claim(connection, now, until, limit))
    }

    async fn hold_tick(&self, id: TriggerId, tick: Timestamp, until: Timestamp) -> Result<bool, Error> {
        ask!(self, connection => hold(connection, id, tick, until))
    }

    async fn ticked(&self, id: TriggerId, tick: Timestamp, next: Option<Timestamp>) -> Result<(), Error> {
        ask!(self, connection => ticked(connection, id, tick, next))
    }
}
