//! What a deployment shares.

use sqlx::query;
use sqlx::sqlite::SqliteConnection;

use super::failure::failure;
use crate::ports::store::Error;

/// See [`Store::setting`](crate::ports::store::Store::setting).
pub(super) async fn first(
    connection: &mut SqliteConnection,
    name: String,
    initial: Vec<u8>,
) -> Result<Vec<u8>, Error> {
    const OFFER: &str = "INSERT INTO settings (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO NOTHING";
    let offer = query(OFFER).bind(name.clone()).bind(initial);
    offer.execute(&mut *connection).await.map_err(failure)?;
    let standing = query("SELECT value FROM settings WHERE name = ?1").bind(name);
    let row = standing.fetch_one(connection).await.map_err(failure)?;
    sqlx::Row::try_get(&row, 0).map_err(failure)
}
