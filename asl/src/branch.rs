//! placeholder
mod address;
pub use address::{AddressError, BranchPath, EventRef, Place};
