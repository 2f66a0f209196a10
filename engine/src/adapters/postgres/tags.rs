//! Tags.

use sqlx::postgres::PgConnection;
use sqlx::{Connection, query};

use super::executions::without_nul;
use super::failure::Fault;
use super::rows::Id;
use crate::adapters::sql::Columns as _;
use crate::adapters::sql::tags::{decode_tag, is_full, last_of_each, owner_text};
use crate::ports::catalog::tags::{Tag, TagOwner, Tagged};

/// See [`Tags::add_tags`](crate::ports::catalog::tags::Tags::add_tags).
pub(super) async fn add(
    connection: &mut PgConnection,
    owner: &TagOwner,
    tags: &[Tag],
    tags_max: u32,
) -> Result<Tagged, Fault> {
    let mut transaction = connection.begin().await?;
    let done = add_locked(&mut transaction, owner, tags, tags_max).await?;
    transaction.commit().await?;
    Ok(done)
}

async fn add_locked(
    connection: &mut PgConnection,
    owner: &TagOwner,
    tags: &[Tag],
    tags_max: u32,
) -> Result<Tagged, Fault> {
    const OTHERS: &str = "SELECT count(*) FROM tags WHERE owner = $1 AND key <> ALL($2::text[])";
    // Two calls for one owner count one after the other.
    let locked = match owner {
        TagOwner::Machine(id) => query("SELECT FROM machines WHERE id = $1 FOR UPDATE").bind(Id(id.0)),
        TagOwner::Activity(name) => query("SELECT FROM activities WHERE name = $1 FOR UPDATE").bind(name),
    };
    if locked.fetch_optional(&mut *connection).await?.is_none() {
        return Ok(Tagged::NoOwner);
    }
    let added = last_of_each(tags);
    let keys: Vec<_> = added.iter().map(|tag| without_nul(&tag.key)).collect();
    let others = query(OTHERS).bind(owner_text(owner)).bind(keys).fetch_one(&mut *connection).await?;
    if is_full(others.number(0)?, added.len(), tags_max) {
        return Ok(Tagged::Full);
    }
    put(connection, owner, tags).await?;
    Ok(Tagged::Done)
}

/// Writes tags of an owner who is there.
pub(super) async fn put(connection: &mut PgConnection, owner: &TagOwner, tags: &[Tag]) -> Result<(), Fault> {
    const PUT: &str = "
        INSERT INTO tags (owner, key, value) SELECT $1, i.key, i.value
        FROM unnest($2::text[], $3::text[]) WITH ORDINALITY AS i(key, value, place) ORDER BY i.place
        ON CONFLICT (owner, key) DO UPDATE SET value = excluded.value";
    let added = last_of_each(tags);
    if added.is_empty() {
        return Ok(());
    }
    let put = query(PUT)
        .bind(owner_text(owner))
        .bind(added.iter().map(|tag| without_nul(&tag.key)).collect::<Vec<_>>())
        .bind(added.iter().map(|tag| without_nul(&tag.value)).collect::<Vec<_>>());
    put.execute(connection).await?;
    Ok(())
}

pub(super) async fn remove(
    connection: &mut PgConnection,
    owner: &TagOwner,
    keys: &[String],
) -> Result<(), Fault> {
    let remove = query("DELETE FROM tags WHERE owner = $1 AND key = ANY($2::text[])");
    let keys: Vec<_> = keys.iter().map(|key| without_nul(key)).collect();
    remove.bind(owner_text(owner)).bind(keys).execute(connection).await?;
    Ok(())
}

/// All tags of an owner who goes.
pub(super) async fn remove_all(connection: &mut PgConnection, owner: &TagOwner) -> Result<(), Fault> {
    query("DELETE FROM tags WHERE owner = $1").bind(owner_text(owner)).execute(connection).await?;
    Ok(())
}

pub(super) async fn list(connection: &mut PgConnection, owner: &TagOwner) -> Result<Vec<Tag>, Fault> {
    let list = query("SELECT key, value FROM tags WHERE owner = $1 ORDER BY made").bind(owner_text(owner));
    list.fetch_all(connection).await?.iter().map(decode_tag).collect()
}
