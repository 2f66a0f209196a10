//! GetExecutionHistory: from history rows to numbered events.

use std::collections::HashMap;

use asl::branch::{BranchPath, EventRef};
use asl::history::HistoryEvent;
use serde_json::Value;

use super::errors::ApiError;
use super::executions;
use super::lookup;
use super::pages::PageRequest;
use super::parameters::Parameters;
use crate::ids::ExecutionId;
use crate::messages::{self, Body};
use crate::ports::catalog::NumberedRow;
use crate::services::Core;

/// Events that are read at a time.
const EVENTS_PER_READ: u32 = 200;
/// Bytes of events after which a page ends, whatever was asked for: 1,000 events of 256 KiB would be
/// more than an answer should hold.
const PAGE_BYTES_MAX: usize = 4 * 1_048_576;

/// GetExecutionHistory.
pub async fn get(core: &Core, parameters: &Parameters) -> Result<Value, ApiError> {
    let found = lookup::execution(core, parameters.required("executionArn")).await?;
    let execution = found.id;
    let reverse = parameters.flag("reverseOrder").unwrap_or_default();
    let data = parameters.flag("includeExecutionData").unwrap_or(true);
    let order = if reverse { "backwards" } else { "forwards" };
    let request = PageRequest::read(&core.tokens, format!("history of {execution} {order}"), parameters)?;
    let from = match &request.from {
        Some(from) => from.parse().map_err(|_| ApiError::invalid_token())?,
        None if reverse => core.catalog.history_events(execution).await?,
        None => 1,
    };
    let mut page = Page { next: Some(from), reverse, ..Page::default() };
    page.read(core, execution, request.limit).await?;
    page.complete(core, execution).await?;
    let previous = page.previous_ids(core, execution).await?;
    let shown = page.events.iter().zip(previous).map(|((id, event), previous)| {
        let mut shown = event.to_json(*id, previous, data);
        // The language does not know what an execution was started by.
        if let Some(Value::Object(started)) = shown.get_mut("executionStartedEventDetails") {
            executions::show_qualifier(core, &found, started);
        }
        shown
    });
    let next = page.next.map(|id| id.to_string());
    Ok(request.answer("events", shown.collect(), next.as_deref()))
}

/// Events on their way out.
#[derive(Default)]
struct Page {
    reverse: bool,
    /// Id of the event to go on from; `None` at the end.
    next: Option<u64>,
    /// With their ids, in the order asked for.
    events: Vec<(u64, HistoryEvent)>,
    /// Where the rows that were read begin: most events refer to one of their neighbours.
    first_ids: HashMap<(BranchPath, u32), u64>,
    bytes: usize,
}

impl Page {
    /// Reads up to `limit` events. Afterwards `next` tells where the next page begins.
    async fn read(&mut self, core: &Core, execution: ExecutionId, limit: u32) -> Result<(), ApiError> {
        let limit = limit as usize;
        // An id of 0 is behind the first event, read backwards.
        while let Some(from) = self.next.filter(|from| *from > 0) {
            // One more than fits tells whether there is a next page.
            let wanted = u32::try_from(limit + 1 - self.events.len()).unwrap_or(EVENTS_PER_READ);
            let wanted = wanted.min(EVENTS_PER_READ);
            let rows = core.catalog.history(execution, from, wanted, self.reverse).await?;
            self.next = None;
            for row in rows {
                if !self.take(row, from, limit)? {
                    return Ok(());
                }
            }
            self.next = self.after(from);
        }
        self.next = None;
        Ok(())
    }

    /// Where the read after the one from `from` begins; `None` if that brought nothing.
    fn after(&self, from: u64) -> Option<u64> {
        let (last, _) = self.events.last()?;
        match self.reverse {
            true => (*last <= from).then(|| last - 1),
            false => (*last >= from).then(|| last + 1),
        }
    }

    /// Takes the events of a row from `from` on. False if the page is full; then `next` is set.
    fn take(&mut self, row: NumberedRow, from: u64, limit: usize) -> Result<bool, ApiError> {
        let body: Body = messages::decode(&row.body)?;
        self.first_ids.insert((row.branch, row.seq), row.first_id);
        let bytes = row.body.len();
        let mut numbered: Vec<(u64, HistoryEvent)> = (row.first_id..).zip(body.events).collect();
        if self.reverse {
            numbered.reverse();
        }
        for (id, event) in numbered {
            let before = if self.reverse { id > from } else { id < from };
            if before {
                continue;
            }
            if self.events.len() >= limit || self.bytes > PAGE_BYTES_MAX {
                self.next = Some(id);
                return Ok(false);
            }
            self.events.push((id, event));
        }
        self.bytes += bytes;
        Ok(true)
    }

    /// Completes the causes that name an event.
    async fn complete(&mut self, core: &Core, execution: ExecutionId) -> Result<(), ApiError> {
        let places: Vec<usize> =
            (0..self.events.len()).filter(|at| self.events[*at].1.mentioned().is_some()).collect();
        for place in places {
            let Some(mentioned) = self.events[place].1.mentioned().cloned() else { continue };
            let id = match self.near(&mentioned) {
                Some(id) => Some(id),
                None => core.catalog.event_ids(execution, &[mentioned]).await?.pop().flatten(),
            };
            self.events[place].1.complete(id);
        }
        Ok(())
    }

    /// The id of the event before each event; 0 where there is none.
    async fn previous_ids(&self, core: &Core, execution: ExecutionId) -> Result<Vec<u64>, ApiError> {
        let references = self.events.iter().filter_map(|(_, event)| event.previous.as_ref());
        let far: Vec<EventRef> = references.filter(|event| self.near(event).is_none()).cloned().collect();
        let mut far_ids = Vec::new().into_iter();
        if !far.is_empty() {
            far_ids = core.catalog.event_ids(execution, &far).await?.into_iter();
        }
        let mut id = |event: &EventRef| self.near(event).or_else(|| far_ids.next().flatten());
        let previous = self.events.iter().map(|(_, event)| event.previous.as_ref().and_then(&mut id));
        Ok(previous.map(Option::unwrap_or_default).collect())
    }

    /// The id of an event in a row that was read.
    fn near(&self, event: &EventRef) -> Option<u64> {
        let first = self.first_ids.get(&(event.branch.clone(), event.seq))?;
        Some(first + u64::from(event.offset))
    }
}

#[cfg(test)]
mod tests {
    use asl::data::timestamp::Timestamp;
    use asl::history::EventKind;

    use super::*;

    /// A row of two events with ids `first_id` and the next.
    fn row(first_id: u64) -> NumberedRow {
        let event =
            HistoryEvent { at: Timestamp::default(), previous: None, kind: EventKind::TaskStateAborted };
        let body = Body { events: vec![event.clone(), event], value: None, request: None, end: None };
        let seq = u32::try_from(first_id).unwrap();
        NumberedRow { first_id, branch: BranchPath::root(), seq, events: 2, body: messages::encode(&body) }
    }

    fn check(rows: &[u64], from: u64, limit: usize, reverse: bool, ids: &[u64], next: Option<u64>) {
        let mut page = Page { reverse, ..Page::default() };
        for first_id in rows {
            if !page.take(row(*first_id), from, limit).unwrap() {
                break;
            }
        }
        let taken: Vec<u64> = page.events.iter().map(|(id, _)| *id).collect();
        assert_eq!((taken.as_slice(), page.next), (ids, next), "{rows:?} {from} {limit} {reverse}");
    }

    #[test]
    fn a_page_begins_and_ends_within_rows() {
        check(&[1, 3], 1, 10, false, &[1, 2, 3, 4], None);
        check(&[1, 3], 1, 3, false, &[1, 2, 3], Some(4));
        check(&[1, 3], 2, 2, false, &[2, 3], Some(4));
        check(&[3, 1], 4, 10, true, &[4, 3, 2, 1], None);
        check(&[3, 1], 3, 2, true, &[3, 2], Some(1));
    }

    #[test]
    fn an_event_in_a_row_that_was_read_has_its_id() {
        let mut page = Page::default();
        page.take(row(7), 1, 10).unwrap();
        let event = |seq, offset| EventRef { branch: BranchPath::root(), seq, offset };
        assert_eq!(page.near(&event(7, 1)), Some(8));
        assert_eq!(page.near(&event(6, 0)), None);
    }
}
