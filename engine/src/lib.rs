//! The service that runs executions.
//!
//! ```text
//! cli ─▶ adapters ─▶ ports ◀─ services ◀─ api          only cli names an adapter
//! ```

pub mod crash;

pub mod ids;

pub mod arn;

pub mod names;

mod fields;

mod yaml;

pub mod messages;

pub mod events;

pub mod ports;

pub mod metrics;

pub mod services;

pub mod api;

pub mod adapters;

pub mod config;

pub mod cli;
