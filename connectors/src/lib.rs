//! What a Task state can call: one module per service integration, each behind [`Connector`].
//!
//! A connector knows a task's request and its result, and never the engine. What it needs of the engine
//! (to start an execution, to send a message) comes in through a narrow trait of its own.

pub mod connector;
pub mod parameters;
pub mod service;
pub mod service_outputs;

pub mod events;
pub mod http;
pub mod lambda;
pub mod message;
pub mod sfn;
pub mod sns;
pub mod sqs;
pub mod states;

mod metadata;

pub use connector::{Connector, Exchange, HttpPart, QueueReply, QueuedCall, Request, Submission};

/// The code of the guide is compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../docs/guides/writing-a-connector.md")]
pub struct Guide;
