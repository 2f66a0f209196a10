//! Triggers.

use super::Columns;
use crate::ids::TriggerId;
use crate::ports::store;
use crate::ports::triggers::{KeptTrigger, Origin, Remains};

/// The columns of a trigger, in the order [`decode`] reads them.
macro_rules! trigger_columns {
    () => {
        "id, name, origin, definition, paused, revision, created_at, next_tick"
    };
}
pub(in crate::adapters) use trigger_columns;

/// The number of an origin.
pub fn number(origin: Origin) -> i16 {
    match origin {
        Origin::File => 0,
        Origin::Command => 1,
        Origin::Api => 2,
    }
}

fn origin(number: i16) -> Result<Origin, store::Error> {
    match number {
        0 => Ok(Origin::File),
        1 => Ok(Origin::Command),
        2 => Ok(Origin::Api),
        _ => Err(store::Error::corrupt(format_args!("{number} is no origin of a trigger"))),
    }
}

/// A trigger from its row.
pub fn decode<R: Columns>(row: &R) -> Result<KeptTrigger, R::Error> {
    Ok(KeptTrigger {
        id: TriggerId(row.id(0)?),
        name: row.text(1)?.to_owned(),
        origin: origin(row.number(2)?)?,
        definition: row.text(3)?.to_owned(),
        paused: row.flag(4)?,
        revision: row.number(5)?,
        created_at: row.time(6)?,
        next_tick: row.maybe_time(7)?,
    })
}

/// What remains of a trigger: its columns, then the time.
pub fn decode_remains<R: Columns>(row: &R) -> Result<Remains, R::Error> {
    Ok(Remains { trigger: decode(row)?, since: row.time(8)? })
}
