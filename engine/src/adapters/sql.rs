//! What the stores in SQL databases have alike: how values are stored, and what is made of the rows read.
//!
//! Statements are each store's own, as what is cheap in one database is dear in the other; only lists of
//! columns stand here, beside what decodes them.

mod columns;
pub mod executions;
pub mod forks;
pub mod history;
pub mod lists;
pub mod machines;
pub mod rows;
pub mod tags;
pub mod triggers;
pub mod versions;

pub use columns::Columns;
