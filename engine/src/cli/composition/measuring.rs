//! Metrics of a process: turned on before anything is recorded, kept small while it runs.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::cli::Error;
use crate::config::{Config, Roles};
use crate::metrics;

/// How often times are added up that were taken since.
const TIDY_EVERY: Duration = Duration::from_secs(5);

/// Turns metrics on, unless the configuration says otherwise.
pub fn begin(config: &Config, roles: &Roles) -> Result<(), Error> {
    if config.metrics.enabled {
        metrics::install().map_err(|error| Error::Failed(error.to_string()))?;
        metrics::conditions::process_is(env!("CARGO_PKG_VERSION"), &roles.to_string());
    }
    Ok(())
}

/// Tidies up until told to stop.
pub async fn tidy(stop: CancellationToken) {
    while metrics::are_on() {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(TIDY_EVERY) => metrics::tidy_up(),
        }
    }
}
