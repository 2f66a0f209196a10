//! Triggers.

use asl::data::timestamp::Timestamp;
use async_trait::async_trait;
use futures::FutureExt;
use sqlx::query;
use sqlx::sqlite::SqliteConnection;

use super::SqliteStore;
use super::failure::failure;
use super::rows::blob;
use crate::adapters::sql::triggers::{decode, decode_remains, number, trigger_columns};
use crate::ids::TriggerId;
use crate::ports::store::Error;
use crate::ports::triggers::{KeptTrigger, Remains, Replacement, TRIGGERS_MAX, Triggers};

fn milliseconds(at: Option<Timestamp>) -> Option<i64> {
    at.map(|at| at.milliseconds())
}

async fn create(
    connection: &mut SqliteConnection,
    trigger: KeptTrigger,
) -> Result<Option<KeptTrigger>, Error> {
    const INSERT: &str = "
        INSERT INTO triggers (id, name, origin, definition, paused, revision, created_at, next_tick)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    if let Some(taken) = find(connection, trigger.name.clone()).await? {
        return Ok(Some(taken));
    }
    let insert = query(INSERT)
        .bind(blob(trigger.id.0))
        .bind(trigger.name)
        .bind(number(trigger.origin))
        .bind(trigger.definition)
        .bind(trigger.paused)
        .bind(trigger.revision)
        .bind(trigger.created_at.milliseconds())
        .bind(milliseconds(trigger.next_tick));
    insert.execute(connection).await.map_err(failure)?;
    Ok(None)
}

async fn find(connection: &mut SqliteConnection, name: String) -> Result<Option<KeptTrigger>, Error> {
    const FIND: &str = concat!("SELECT ", trigger_columns!(), " FROM triggers WHERE name = ?1");
    let found = query(FIND).bind(name).fetch_optional(connection).await.map_err(failure)?;
    found.as_ref().map(decode).transpose()
}

async fn list(connection: &mut SqliteConnection) -> Result<Vec<KeptTrigger>, Error> {
    const LIST: &str = concat!("SELECT ", trigger_columns!(), " FROM triggers ORDER BY name LIMIT ?1");
    let rows = query(LIST).bind(i64::from(TRIGGERS_MAX)).fetch_all(connection).await.map_err(failure)?;
    rows.iter().map(decode).collect()
}

async fn replace(
    connection: &mut SqliteConnection,
    id: TriggerId,
    revision: i64,
    by: Replacement,
    now: Timestamp,
) -> Result<bool, Error> {
    const KEEP: &str = concat!(
        "INSERT INTO trigger_remains (",
        trigger_columns!(),
        ", since) SELECT ",
        trigger_columns!(),
        ", ?3 FROM triggers WHERE id = ?1 AND revision = ?2"
    );
    const REPLACE: &str = "
        UPDATE triggers SET definition = ?3, next_tick = ?4, paused = coalesce(?5, paused), claimed_until = NULL,
            revision = revision + 1
        WHERE id = ?1 AND revision = ?2";
    let keep = query(KEEP).bind(blob(id.0)).bind(revision).bind(now.milliseconds());
    if keep.execute(&mut *connection).await.map_err(failure)?.rows_affected() == 0 {
        return Ok(false);
    }
    let replace = query(REPLACE).bind(blob(id.0)).bind(revision).bind(by.definition);
    let replace = replace.bind(milliseconds(by.next_tick)).bind(by.paused);
    replace.execute(connection).await.map_err(failure)?;
    Ok(true)
}

async fn pause(
    connection: &mut SqliteConnection,
    id: TriggerId,
    paused: bool,
    next_tick: Option<Timestamp>,
) -> Result<bool, Error> {
    const PAUSE: &str = "
        UPDATE triggers SET paused = ?2, next_tick = ?3, claimed_until = NULL, revision = revision + 1
        WHERE id = ?1";
    let pause = query(PAUSE).bind(blob(id.0)).bind(paused).bind(milliseconds(next_tick));
    Ok(pause.execute(connection).await.map_err(failure)?.rows_affected() > 0)
}

async fn remove(connection: &mut SqliteConnection, id: TriggerId, now: Timestamp) -> Result<bool, Error> {
    const KEEP: &str = concat!(
        "INSERT INTO trigger_remains (",
        trigger_columns!(),
        ", since) SELECT ",
        trigger_columns!(),
        ", ?2 FROM triggers WHERE id = ?1"
    );
    let keep = query(KEEP).bind(blob(id.0)).bind(now.milliseconds());
    keep.execute(&mut *connection).await.map_err(failure)?;
    let remove = query("DELETE FROM triggers WHERE id = ?1").bind(blob(id.0));
    Ok(remove.execute(connection).await.map_err(failure)?.rows_affected() > 0)
}

async fn remains(connection: &mut SqliteConnection, limit: u32) -> Result<Vec<Remains>, Error> {
    const REMAINS: &str =
        concat!("SELECT ", trigger_columns!(), ", since FROM trigger_remains ORDER BY since LIMIT ?1");
    let rows = query(REMAINS).bind(i64::from(limit)).fetch_all(connection).await.map_err(failure)?;
    rows.iter().map(decode_remains).collect()
}

async fn forget(connection: &mut SqliteConnection, id: TriggerId, revision: i64) -> Result<(), Error> {
    let forget = query("DELETE FROM trigger_remains WHERE id = ?1 AND revision = ?2");
    forget.bind(blob(id.0)).bind(revision).execute(connection).await.map_err(failure)?;
    Ok(())
}

async fn claim(
    connection: &mut SqliteConnection,
    now: Timestamp,
    until: Timestamp,
    limit: u32,
) -> Result<Vec<KeptTrigger>, Error> {
    const CLAIM: &str = concat!(
        "UPDATE triggers SET claimed_until = ?2 WHERE id IN (
            SELECT id FROM triggers
            WHERE next_tick <= ?1 AND NOT paused AND (claimed_until IS NULL OR claimed_until <= ?1)
            ORDER BY next_tick LIMIT ?3)
        RETURNING ",
        trigger_columns!()
    );
    let claim = query(CLAIM).bind(now.milliseconds()).bind(until.milliseconds()).bind(i64::from(limit));
    let rows = claim.fetch_all(connection).await.map_err(failure)?;
    let mut claimed: Vec<KeptTrigger> = rows.iter().map(decode).collect::<Result<_, _>>()?;
    claimed.sort_by_key(|trigger| trigger.next_tick);
    Ok(claimed)
}

async fn hold(
    connection: &mut SqliteConnection,
    id: TriggerId,
    tick: Timestamp,
    until: Timestamp,
) -> Result<bool, Error> {
    const HOLD: &str =
        "UPDATE triggers SET claimed_until = ?3 WHERE id = ?1 AND next_tick = ?2 AND NOT paused";
    let hold = query(HOLD).bind(blob(id.0)).bind(tick.milliseconds()).bind(until.milliseconds());
    Ok(hold.execute(connection).await.map_err(failure)?.rows_affected() > 0)
}

async fn ticked(
    connection: &mut SqliteConnection,
    id: TriggerId,
    tick: Timestamp,
    next: Option<Timestamp>,
) -> Result<(), Error> {
    const TICKED: &str =
        "UPDATE triggers SET next_tick = ?3, claimed_until = NULL WHERE id = ?1 AND next_tick = ?2";
    let ticked = query(TICKED).bind(blob(id.0)).bind(tick.milliseconds()).bind(milliseconds(next));
    ticked.execute(connection).await.map_err(failure)?;
    Ok(())
}

#[async_trait]
impl Triggers for SqliteStore {
    async fn create_trigger(&self, trigger: KeptTrigger) -> Result<Option<KeptTrigger>, Error> {
        self.write(|connection, _| create(connection, trigger).boxed()).await
    }

    async fn replace_trigger(
        &self,
        id: TriggerId,
        revision: i64,
        by: Replacement,
        now: Timestamp,
    ) -> Result<bool, Error> {
        self.write(move |connection, _| replace(connection, id, revision, by, now).boxed()).await
    }

    async fn pause_trigger(
        &self,
        id: TriggerId,
        paused: bool,
        next_tick: Option<Timestamp>,
    ) -> Result<bool, Error> {
        self.write(move |connection, _| pause(connection, id, paused, next_tick).boxed()).await
    }

    async fn remove_trigger(&self, id: TriggerId, now: Timestamp) -> Result<bool, Error> {
        self.write(move |connection, _| remove(connection, id, now).boxed()).await
    }

    async fn remains(&self, limit: u32) -> Result<Vec<Remains>, Error> {
        remains(self.reader().await.statement(), limit).await
    }

    async fn forget_remains(&self, id: TriggerId, revision: i64) -> Result<(), Error> {
        self.write(move |connection, _| forget(connection, id, revision).boxed()).await
    }

    async fn trigger(&self, name: &str) -> Result<Option<KeptTrigger>, Error> {
        find(self.reader().await.statement(), name.to_owned()).await
    }

    async fn triggers(&self) -> Result<Vec<KeptTrigger>, Error> {
        list(self.reader().await.statement()).await
    }

    async fn claim_ticks(
        &self,
        now: Timestamp,
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<KeptTrigger>, Error> {
        self.write(move |connection, _| claim(connection, now, until, limit).boxed()).await
    }

    async fn hold_tick(&self, id: TriggerId, tick: Timestamp, until: Timestamp) -> Result<bool, Error> {
        self.write(move |connection, _| hold(connection, id, tick, until).boxed()).await
    }

    async fn ticked(&self, id: TriggerId, tick: Timestamp, next: Option<Timestamp>) -> Result<(), Error> {
        self.write(move |connection, _| ticked(connection, id, tick, next).boxed()).await
    }
}
