//! The two rows of a Standard transition: the fence that moves, the history that grows.

use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection as _, PgConnection};
use uuid::Uuid;

use super::work::{self, Move};
use crate::failure::{Failure, Result};

/// As Warren keeps them: a narrow row updated in place, an append-only one with nothing but its key.
const TABLES: &str = "
    CREATE TABLE branches (
        execution uuid NOT NULL,
        branch    text COLLATE \"C\" NOT NULL,
        seq       int NOT NULL,
        stamp     int NOT NULL,
        phase     smallint NOT NULL,
        moved_at  timestamptz NOT NULL,
        due       timestamptz,
        PRIMARY KEY (execution, branch)
    ) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);
    CREATE INDEX branches_due ON branches (due) WHERE due IS NOT NULL;
    CREATE TABLE history (
        execution uuid NOT NULL,
        branch    text COLLATE \"C\" NOT NULL,
        seq       int NOT NULL,
        pos       bigint NOT NULL,
        count     smallint NOT NULL,
        body      bytea NOT NULL,
        PRIMARY KEY (execution, branch, seq)
    )";
const SEED: &str = "
    INSERT INTO branches SELECT id, 'r', $2, $3, 0, now(), NULL FROM unnest($1::uuid[]) AS ids (id)";
/// One statement is the transaction. Whoever misses the fence is left out, the others pass.
const COMMIT: &str = "
    WITH moves AS (
        SELECT * FROM unnest($1::uuid[], $2::int[], $3::int[], $4::int[], $5::bytea[])
            AS moves (execution, seq, stamp, next, body)
    ), moved AS (
        UPDATE branches SET seq = moves.seq + 1, stamp = moves.next, phase = 0, moved_at = now()
        FROM moves
        WHERE branches.execution = moves.execution AND branches.branch = 'r'
          AND branches.seq = moves.seq AND branches.stamp = moves.stamp
        RETURNING branches.execution, branches.seq
    )
    INSERT INTO history
    SELECT execution, 'r', moved.seq, pg_current_xact_id()::text::bigint, 2, moves.body
    FROM moved JOIN moves USING (execution)
    RETURNING execution";

/// A connection that commits.
#[derive(Debug)]
pub struct Rows(PgConnection);

impl Rows {
    /// Makes the tables and a row for the execution of each message.
    pub async fn prepare(store: &str, messages: &[Vec<u8>]) -> Result<()> {
        let mut connection = PgConnection::connect(store).await?;
        sqlx::raw_sql(TABLES).execute(&mut connection).await?;
        // Servers built without it keep their own method.
        let lz4 = "ALTER TABLE history ALTER body SET COMPRESSION lz4";
        sqlx::raw_sql(lz4).execute(&mut connection).await.ok();
        let moves = messages.iter().map(|body| work::read(body)).collect::<Result<Vec<_>>>()?;
        let Some(first) = moves.first() else { return Ok(()) };
        let ids: Vec<Uuid> = moves.iter().map(|step| step.execution).collect();
        let seed = sqlx::query(SEED).bind(ids).bind(first.seq).bind(first.stamp);
        seed.execute(&mut connection).await?;
        sqlx::raw_sql("VACUUM ANALYZE branches").execute(&mut connection).await?;
        Ok(())
    }

    /// Connects, or to the socket in a folder instead of the address.
    pub async fn connect(store: &str, socket: Option<&str>) -> Result<Self> {
        let mut options: PgConnectOptions = store.parse()?;
        if let Some(folder) = socket {
            options = options.socket(folder);
        }
        Ok(Rows(PgConnection::connect_with(&options).await?))
    }

    /// Commits; fails if one missed its fence, as nothing here may.
    pub async fn commit(&mut self, moves: &[Move], row: &[u8]) -> Result<()> {
        let column = |pick: fn(&Move) -> i32| moves.iter().map(pick).collect::<Vec<i32>>();
        let query = sqlx::query(COMMIT)
            .bind(moves.iter().map(|step| step.execution).collect::<Vec<_>>())
            .bind(column(|step| step.seq))
            .bind(column(|step| step.stamp))
            .bind(column(|step| step.next))
            .bind(vec![row; moves.len()]);
        let done = query.fetch_all(&mut self.0).await?.len();
        if done == moves.len() {
            Ok(())
        } else {
            Err(Failure::new(format!("{done} of {} transitions passed the fence", moves.len())))
        }
    }
}
