//! `warren migrate`: brings the tables of the database up to date.
//!
//! Any number may run at the same time: one works, under a lock of the database, and the others find nothing
//! left to do.

use clap::Args;
use serde_json::json;

use super::output::{Output, Tone};
use super::outside::Outside;
use super::{Error, Exit};
use crate::config::Config;

/// What `warren migrate` is told.
#[derive(Debug, Args)]
pub struct MigrateArgs {
    /// Print `{database, applied}` instead.
    #[arg(long)]
    json: bool,
}

/// Brings the tables up to date.
pub async fn run(config: Config, args: &MigrateArgs, out: &mut Output) -> Result<Exit, Error> {
    let outside = Outside::open(&config, "migrate").await?;
    let database = config.store.url.to_string();
    let applied = outside.migrate().await;
    outside.close().await;
    let applied = applied.map_err(|error| Error::Failed(format!("{error}; the database is {database}")))?;
    if args.json {
        out.line(json!({ "database": database, "applied": applied }));
        return Ok(Exit::Well);
    }
    let done = match applied {
        0 => "the tables are up to date".to_owned(),
        1 => "1 migration was applied; the tables are up to date".to_owned(),
        more => format!("{more} migrations were applied; the tables are up to date"),
    };
    out.line(format_args!("{database}: {}", out.paint(Tone::Good, done)));
    Ok(Exit::Well)
}
