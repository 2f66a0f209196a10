//! Tags.

use sqlx::query;
use sqlx::sqlite::SqliteConnection;

use super::failure::failure;
use super::rows::{blob, json};
use crate::adapters::sql::Columns as _;
use crate::adapters::sql::tags::{decode_tag, is_full, last_of_each, owner_text};
use crate::ports::catalog::tags::{Tag, TagOwner, Tagged};
use crate::ports::store::Error;

/// See [`Tags::add_tags`](crate::ports::catalog::tags::Tags::add_tags).
pub(super) async fn add(
    connection: &mut SqliteConnection,
    owner: &TagOwner,
    tags: &[Tag],
    tags_max: u32,
) -> Result<Tagged, Error> {
    const OTHERS: &str = "
        SELECT count(*) FROM tags WHERE owner = ?1 AND key NOT IN (SELECT value FROM json_each(?2))";
    let present = match owner {
        TagOwner::Machine(id) => query("SELECT 1 FROM machines WHERE id = ?1").bind(blob(id.0)),
        TagOwner::Activity(name) => query("SELECT 1 FROM activities WHERE name = ?1").bind(name.clone()),
    };
    if present.fetch_optional(&mut *connection).await.map_err(failure)?.is_none() {
        return Ok(Tagged::NoOwner);
    }
    let keys: Vec<_> = last_of_each(tags).into_iter().map(|tag| tag.key.as_str()).collect();
    let others = query(OTHERS).bind(owner_text(owner)).bind(json(&keys)?);
    let others = others.fetch_one(&mut *connection).await.map_err(failure)?.number(0)?;
    if is_full(others, keys.len(), tags_max) {
        return Ok(Tagged::Full);
    }
    put(connection, owner, tags).await?;
    Ok(Tagged::Done)
}

/// Writes tags of an owner who is there.
pub(super) async fn put(
    connection: &mut SqliteConnection,
    owner: &TagOwner,
    tags: &[Tag],
) -> Result<(), Error> {
    const PUT: &str = "
        INSERT INTO tags (owner, key, value) SELECT ?1, t.value ->> 0, t.value ->> 1 FROM json_each(?2) t
        WHERE true ORDER BY t.key ON CONFLICT (owner, key) DO UPDATE SET value = excluded.value";
    let pairs: Vec<_> = last_of_each(tags).into_iter().map(|tag| (&tag.key, &tag.value)).collect();
    query(PUT).bind(owner_text(owner)).bind(json(&pairs)?).execute(connection).await.map_err(failure)?;
    Ok(())
}

pub(super) async fn remove(
    connection: &mut SqliteConnection,
    owner: &TagOwner,
    keys: &[String],
) -> Result<(), Error> {
    let remove = query("DELETE FROM tags WHERE owner = ?1 AND key IN (SELECT value FROM json_each(?2))");
    remove.bind(owner_text(owner)).bind(json(keys)?).execute(connection).await.map_err(failure)?;
    Ok(())
}

/// All tags of an owner who goes.
pub(super) async fn remove_all(connection: &mut SqliteConnection, owner: &TagOwner) -> Result<(), Error> {
    let remove = query("DELETE FROM tags WHERE owner = ?1").bind(owner_text(owner));
    remove.execute(connection).await.map_err(failure)?;
    Ok(())
}

pub(super) async fn list(connection: &mut SqliteConnection, owner: &TagOwner) -> Result<Vec<Tag>, Error> {
    let list = query("SELECT key, value FROM tags WHERE owner = ?1 ORDER BY made").bind(owner_text(owner));
    list.fetch_all(connection).await.map_err(failure)?.iter().map(decode_tag).collect()
}
