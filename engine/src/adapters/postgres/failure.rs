//! What Postgres's errors mean to the engine.
//!
//! ```text
//! 40001 40P01       rolled back, somebody was in the way         again, then each member alone
//! XX                the server failed, perhaps on one member     the same
//! 22 23 54          a value, a key, a size: a member is at fault each member alone, then lasting
//! all others        away, busy, full, not migrated: unknown      as if redelivered
//! ```

use crate::ports::store::Error;

/// Why a statement failed.
#[derive(Debug)]
pub enum Fault {
    /// It was rolled back since another transaction was in the way.
    Again(String),
    /// Repeating does not mend it.
    Lasting(String),
    /// Nothing is known about it.
    Unknown(String),
}

impl Fault {
    /// Whether one of several members may be to blame, and nothing was committed.
    pub(super) fn may_be_of_a_member(&self) -> bool {
        matches!(self, Fault::Again(_) | Fault::Lasting(_))
    }
}

impl From<sqlx::Error> for Fault {
    fn from(error: sqlx::Error) -> Self {
        let text = error.to_string();
        match &error {
            sqlx::Error::Database(database) => of_code(database.code().as_deref().unwrap_or_default(), text),
            // A column that is missing or cannot be read.
            sqlx::Error::ColumnDecode { .. }
            | sqlx::Error::ColumnNotFound(_)
            | sqlx::Error::ColumnIndexOutOfBounds { .. }
            | sqlx::Error::Decode(_)
            | sqlx::Error::Encode(_)
            | sqlx::Error::RowNotFound => Fault::Lasting(text),
            _ => Fault::Unknown(text),
        }
    }
}

fn of_code(code: &str, text: String) -> Fault {
    match code {
        "40001" | "40P01" => Fault::Again(text),
        _ => match code.get(..2) {
            Some("22" | "23" | "54") => Fault::Lasting(text),
            // A disk, an index, a bug of the server: the world's failure, and no reason to fail executions.
            Some("XX") => Fault::Again(text),
            _ => Fault::Unknown(text),
        },
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Again(text) | Fault::Unknown(text) => Error::Unavailable(text),
            Fault::Lasting(text) => Error::Corrupt(text),
        }
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        match error {
            Error::Unavailable(text) => Fault::Unknown(text),
            Error::Corrupt(text) => Fault::Lasting(text),
        }
    }
}

/// For a value that no commit of ours writes.
pub(super) fn corrupt(what: impl std::fmt::Display) -> Fault {
    Fault::Lasting(what.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_tells_what_to_do() {
        let fault = |code| of_code(code, String::new());
        assert!(matches!(fault("40P01"), Fault::Again(_)));
        assert!(matches!(fault("40001"), Fault::Again(_)));
        assert!(matches!(fault("XX001"), Fault::Again(_)));
        for lasting in ["22P05", "23505", "54000"] {
            assert!(matches!(fault(lasting), Fault::Lasting(_)), "{lasting}");
        }
        for unknown in ["08006", "57P01", "57014", "55P03", "53100", "25006", "42P01", "0A000", ""] {
            assert!(matches!(fault(unknown), Fault::Unknown(_)), "{unknown}");
        }
    }
}
