//! doctor
use super::output::Output;
use super::{Error, Exit};
use crate::config::Config;
use clap::Args;
/// What `warren doctor` is told.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Print `[{check, verdict, finding, mend}]` instead.
    #[arg(long)]
    json: bool,
}
/// Checks.
pub async fn run(_config: Config, args: &DoctorArgs, _out: &mut Output) -> Result<Exit, Error> {
    let _ = args.json;
    Ok(Exit::Well)
}
