//! Nothing but benches: see `interpreter.rs`.
