//! The ports with a watch on them: what goes through is timed and counted, and otherwise left as it is.
//!
//! ```text
//!   services ─▶ Metered ─▶ adapter
//!                  └─▶ metrics
//! ```
//!
//! Where metrics are off the adapters are used bare.

mod broker;
mod store;

pub use broker::metered as metered_broker;
pub use store::metered as metered_store;
