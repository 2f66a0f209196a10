//! What makes an event start an execution: which one, with which input, under which name, and when.
//!
//! ```text
//!   message ─▶ event ─▶ pattern: is it meant? ─▶ input: what does the execution get? ─▶ execution name
//!   the clock's reading ─▶ schedule: when next? ─▶ (the same)
//!   rule: all of this together, as a trigger file says it
//! ```
//!
//! All of it is computation: nothing here does I/O, reads a clock or waits. Times, messages and files come in
//! as arguments. Words and meanings are those of Amazon EventBridge, and of its published matcher
//! `event-ruler` where the service's documentation is silent.

pub mod envelope;

pub mod pattern;

pub mod input;

pub mod execution_name;

pub mod schedule;

pub mod rule;

pub mod bus_rule;
