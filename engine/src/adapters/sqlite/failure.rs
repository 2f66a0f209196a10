//! What SQLite's errors mean to the engine.

use sqlx::error::DatabaseError;

use crate::ports::store::Error;

/// Primary result codes (sqlite.org/rescode.html) of faults that repeating does not mend: a statement that is
/// wrong, data that is damaged or does not fit.
const LASTING: [i64; 8] = [1, 11, 18, 19, 20, 21, 25, 26];
/// Of another connection's lock.
const BUSY: i64 = 5;
const LOCKED: i64 = 6;

pub(super) fn failure(error: sqlx::Error) -> Error {
    let lasting = match &error {
        sqlx::Error::Database(error) => {
            primary_code(error.as_ref()).is_some_and(|code| LASTING.contains(&code))
        }
        sqlx::Error::Io(_) | sqlx::Error::WorkerCrashed => false,
        // A column that is missing or cannot be read, and what only other databases say.
        _ => true,
    };
    if lasting { Error::Corrupt(error.to_string()) } else { Error::Unavailable(error.to_string()) }
}

pub(super) fn is_busy(error: &sqlx::Error) -> bool {
    let database = error.as_database_error();
    database.is_some_and(|database| matches!(primary_code(database), Some(BUSY | LOCKED)))
}

/// The low byte of the extended code.
fn primary_code(error: &dyn DatabaseError) -> Option<i64> {
    error.code()?.parse::<i64>().ok().map(|code| code & 0xff)
}
