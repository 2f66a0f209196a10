//! The service that runs executions.
//!
//! ```text
//! cli ─▶ adapters ─▶ ports ◀─ services ◀─ api          only cli names an adapter
//! ```

pub mod ids;

pub mod ports;

pub mod adapters;
