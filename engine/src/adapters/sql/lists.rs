//! Lists by pages.

use super::Columns;
use crate::ports::catalog::Page;
use crate::ports::store::Error;

/// Cuts off the one item that was read to see whether there are more.
pub fn page<T>(mut items: Vec<T>, limit: u32, place: impl Fn(&T) -> String) -> Page<T> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = items.len() > limit;
    items.truncate(limit);
    let next = items.last().filter(|_| more).map(place);
    Page { items, next }
}

/// The same of rows that are listed by the number in a column: the order they were made in.
pub fn numbered_page<R: Columns, T>(
    rows: &[R],
    limit: u32,
    column: usize,
    decode: impl Fn(&R) -> Result<T, R::Error>,
) -> Result<Page<T>, R::Error> {
    let numbered = |row: &R| Ok((row.number::<i64>(column)?, decode(row)?));
    let items = rows.iter().map(numbered).collect::<Result<Vec<_>, R::Error>>()?;
    let Page { items, next } = page(items, limit, |(made, _)| made.to_string());
    Ok(Page { items: items.into_iter().map(|(_, item)| item).collect(), next })
}

/// Where such a list goes on: the number of the last item of the page before.
pub fn after(from: Option<&str>) -> Result<i64, Error> {
    from.map_or(Ok(0), |from| from.parse().map_err(|_| unreadable(from)))
}

/// For a place in a list that no page of ours named.
pub fn unreadable(place: &str) -> Error {
    Error::corrupt(format_args!("'{place}' is no place in a list"))
}
