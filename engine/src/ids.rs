//! Ids of what the service keeps. Never bare strings or numbers.

use std::fmt;
use std::str::FromStr;

use asl::data::timestamp::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// A new id; ids made later sort later (UUIDv7).
            pub fn new() -> Self {
                $name(Uuid::now_v7())
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self::new()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, uuid::Error> {
                Uuid::parse_str(text).map($name)
            }
        }
    };
}

uuid_id!(
    /// An execution. Ranges of ids are ranges of start time.
    ExecutionId
);
impl ExecutionId {
    /// When it was drawn, to the millisecond; `None` for an id that Warren did not make.
    pub fn drawn_at(self) -> Option<Timestamp> {
        let (seconds, nanoseconds) = self.0.get_timestamp()?.to_unix();
        let milliseconds = i64::try_from(seconds).ok()?.checked_mul(1_000)?;
        Some(Timestamp::from_milliseconds(milliseconds + i64::from(nanoseconds / 1_000_000)))
    }
}

uuid_id!(
    /// A state machine, whatever its revision.
    MachineId
);
uuid_id!(
    /// A trigger, as long as it is there.
    TriggerId
);
uuid_id!(
    /// A state machine's definition as it was at one time; immutable.
    RevisionId
);

/// Drawn at random by the commit that made a message; with `seq` it fences the next commit, so that a
/// message not made by the commit that stands matches nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Stamp(pub u32);

impl Stamp {
    /// A fresh one.
    pub fn draw() -> Self {
        let random = Uuid::new_v4().as_u128();
        // The low bits of a v4 UUID are random; 31 of them fit a signed column of any database.
        Stamp((random & 0x7fff_ffff) as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_tells_when_it_was_drawn() {
        let drawn_at = |id: &str| id.parse::<ExecutionId>().unwrap().drawn_at();
        let at = Timestamp::from_milliseconds(0x0190_0000_0000);
        assert_eq!(drawn_at("01900000-0000-7000-8000-000000000001"), Some(at));
        assert_eq!(drawn_at("00000000-0000-4000-8000-000000000001"), None);
    }
}
