//! What a Task state can call: one module per service integration, each behind [`Connector`].
//!
//! A connector knows a task's request and its result, and never the engine. What it needs of the engine
//! (to start an execution, say) comes in through a narrow trait of its own.

pub mod connector;

pub mod lambda;
pub mod states;

mod metadata;
mod parameters;

pub use connector::{Connector, QueueReply, QueuedCall, Request, Submission};
