//! Tags, and whose they are.

use super::Columns;
use crate::ports::catalog::tags::{Tag, TagOwner};

/// An owner as it is stored.
pub fn owner_text(owner: &TagOwner) -> String {
    match owner {
        TagOwner::Machine(id) => format!("stateMachine:{id}"),
        TagOwner::Activity(name) => format!("activity:{name}"),
    }
}

/// The tags without those whose key comes again: no statement may write a row twice.
pub fn last_of_each(tags: &[Tag]) -> Vec<&Tag> {
    let comes_again = |place: usize, tag: &Tag| tags[place + 1..].iter().any(|other| other.key == tag.key);
    tags.iter().enumerate().filter(|(place, tag)| !comes_again(*place, tag)).map(|(_, tag)| tag).collect()
}

/// Whether so many tags with other keys leave no room for these.
pub fn is_full(others: u64, added: usize, tags_max: u32) -> bool {
    others.saturating_add(u64::try_from(added).unwrap_or(u64::MAX)) > u64::from(tags_max)
}

/// Reads key and value.
pub fn decode_tag<R: Columns>(row: &R) -> Result<Tag, R::Error> {
    Ok(Tag { key: row.text(0)?.to_owned(), value: row.text(1)?.to_owned() })
}
