//! What runs: the transition loop, its timers, its callers.
//!
//! [`Core`] is what they share. A service is named by its role and knows only the ports.

use std::sync::Arc;

use asl::limits::Limits;

use crate::arn::Home;
use crate::ports::broker::Broker;
use crate::ports::catalog::Catalog;
use crate::ports::clock::Clock;
use crate::ports::store::Store;

pub mod callbacks;
pub mod executions;
pub mod programs;
pub mod tokens;

use programs::Programs;
use tokens::Tokens;

/// What all services of an engine share.
pub struct Core {
    /// Standard executions.
    pub store: Arc<dyn Store>,
    /// What the API lists and describes.
    pub catalog: Arc<dyn Catalog>,
    /// Messages.
    pub broker: Arc<dyn Broker>,
    /// The deployment's clock.
    pub clock: Arc<dyn Clock>,
    /// Region and account.
    pub home: Home,
    /// Quotas.
    pub limits: Limits,
    /// Compiled definitions.
    pub programs: Programs,
    /// Task tokens.
    pub tokens: Tokens,
    /// Names this engine instance: its reply queue.
    pub engine: String,
}

/// Something outside is away: the caller may try again.
#[derive(Debug, thiserror::Error)]
pub enum Unavailable {
    /// The store.
    #[error(transparent)]
    Store(#[from] crate::ports::store::Error),
    /// The broker.
    #[error(transparent)]
    Broker(#[from] crate::ports::broker::Error),
}
