//! The Amazon States Language: parse, check, interpret.
//!
//! This crate knows nothing outside itself: no I/O, no runtime, no random source, and no clock but the
//! [last wall](data::expression) that an expression may run into. A definition is read once into a
//! [`Program`](program::Program) ([`definition::check`]); from then on
//! [`Branch::apply`](branch::Branch::apply) is told what happened and answers what must be done:
//!
//! ```text
//!              Event + Tick                      Transition
//!   what happened ───────▶  Branch::apply  ───────▶  history events, to be committed
//!   (time and randomness    (program, branch)         effects, to be carried out afterwards
//!    arrive with it)
//! ```
//!
//! Reading order: the words of the language ([`program`]), how text becomes them ([`definition`]), how
//! values flow ([`data`]), how an execution moves ([`branch`]), what it leaves behind ([`history`]), and
//! a driver that runs a whole execution in memory ([`rehearsal`]).

pub mod limits;

pub mod program;

pub mod definition;

pub mod data;

pub mod branch;

pub mod history;

pub mod rehearsal;
