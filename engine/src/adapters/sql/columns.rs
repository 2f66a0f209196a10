//! Columns of a row, read as what they hold.

use asl::branch::BranchPath;
use asl::data::timestamp::Timestamp;
use bytes::Bytes;
use uuid::Uuid;

use crate::ports::store;

/// A row that a database answered. Reading a value that no commit of ours writes fails for good.
pub trait Columns {
    /// How the database's adapter fails.
    type Error: From<store::Error>;

    /// An integer of whichever width, or nothing.
    fn maybe_integer(&self, column: usize) -> Result<Option<i64>, Self::Error>;
    /// Text or nothing.
    fn maybe_text(&self, column: usize) -> Result<Option<&str>, Self::Error>;
    /// Bytes or nothing.
    fn maybe_bytes(&self, column: usize) -> Result<Option<Bytes>, Self::Error>;
    /// Yes or no.
    fn flag(&self, column: usize) -> Result<bool, Self::Error>;
    /// An id.
    fn id(&self, column: usize) -> Result<Uuid, Self::Error>;

    /// A number that must be there.
    fn number<T: TryFrom<i64>>(&self, column: usize) -> Result<T, Self::Error> {
        present(self.maybe_number(column)?, column)
    }

    /// A number or nothing.
    fn maybe_number<T: TryFrom<i64>>(&self, column: usize) -> Result<Option<T>, Self::Error> {
        let wrong =
            |value| store::Error::corrupt(format_args!("column {column}: {value} is out of range")).into();
        let value = self.maybe_integer(column)?;
        value.map(|value| T::try_from(value).map_err(|_| wrong(value))).transpose()
    }

    /// A time that must be there.
    fn time(&self, column: usize) -> Result<Timestamp, Self::Error> {
        self.number(column).map(Timestamp::from_milliseconds)
    }

    /// A time or nothing.
    fn maybe_time(&self, column: usize) -> Result<Option<Timestamp>, Self::Error> {
        Ok(self.maybe_integer(column)?.map(Timestamp::from_milliseconds))
    }

    /// Text that must be there.
    fn text(&self, column: usize) -> Result<&str, Self::Error> {
        present(self.maybe_text(column)?, column)
    }

    /// Bytes that must be there.
    fn bytes(&self, column: usize) -> Result<Bytes, Self::Error> {
        present(self.maybe_bytes(column)?, column)
    }

    /// The path of a branch.
    fn path(&self, column: usize) -> Result<BranchPath, Self::Error> {
        self.text(column)?.parse().map_err(|error| store::Error::corrupt(error).into())
    }
}

fn present<T, E: From<store::Error>>(value: Option<T>, column: usize) -> Result<T, E> {
    value.ok_or_else(|| store::Error::corrupt(format_args!("column {column} is empty")).into())
}
