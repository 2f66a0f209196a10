//! What every case is given.

use lapin::uri::AMQPUri;

use crate::args::Args;
use crate::failure::{Context as _, Failure, Result};
use crate::machine::Processes;
use crate::machine::versions::Versions;
use crate::report::progress;
use crate::scratch::Servers;

/// The run.
#[derive(Debug)]
pub struct Bench {
    /// What was asked for.
    pub args: Args,
    /// Broker and database.
    pub servers: Servers,
    /// The processes of both, if they are here.
    pub processes: Processes,
    /// What all this is.
    pub versions: Versions,
}

impl Bench {
    /// Finds the servers; fails if one does not answer.
    pub async fn new(args: Args) -> Result<Self> {
        let uri: AMQPUri = args.broker.parse().map_err(Failure::new).context("--broker")?;
        let versions = Versions::read(&uri, &args.store).await?;
        let processes = Processes::find(uri.authority.port, database_port(&args.store));
        let servers = Servers::new(args.broker.clone(), args.store.clone());
        Ok(Bench { args, servers, processes, versions })
    }

    /// Removes what cases have left; says so if that fails.
    pub async fn clean(&self) {
        for failure in self.servers.clean().await {
            progress::line(&format!("not everything is removed: {failure}"));
        }
    }
}

fn database_port(url: &str) -> u16 {
    url.parse::<sqlx::postgres::PgConnectOptions>().map_or(5432, |options| options.get_port())
}
