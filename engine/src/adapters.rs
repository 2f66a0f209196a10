//! The outside world behind the ports. Only `cli` chooses among these.

pub mod amqp;
pub mod in_process;
pub mod postgres;
mod sql;
pub mod sqlite;
pub mod system_clock;
