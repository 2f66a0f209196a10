//! `warren config`: the settings as they are read, and where each comes from.

use std::path::Path;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::output::{Output, Tone};
use super::serve::ServeArgs;
use super::{Error, Exit};
use crate::config::{Config, Setting};

/// What `warren config` is told.
#[derive(Debug, Args)]
pub struct ConfigArgs {
    #[command(subcommand)]
    command: ConfigCommand,
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Every setting with its value and where that comes from; passwords and keys are masked.
    Explain {
        /// Print `[{key, value, origin}]` instead.
        #[arg(long)]
        json: bool,
        /// As `warren serve` would be given them.
        #[command(flatten)]
        flags: ServeArgs,
    },
}

/// Shows the settings.
pub fn run(file: Option<&Path>, args: &ConfigArgs, out: &mut Output) -> Result<Exit, Error> {
    let ConfigCommand::Explain { json, flags } = &args.command;
    let settings = Config::explain(file, &flags.flags())?;
    if *json {
        let settings: Vec<Value> = settings.into_iter().map(to_json).collect();
        out.line(format_args!("{:#}", Value::from(settings)));
        return Ok(Exit::Well);
    }
    let width = settings.iter().map(|setting| setting.key.len()).max().unwrap_or_default();
    for Setting { key, value, origin } in settings {
        let value = value.map_or_else(|| out.paint(Tone::Quiet, "not set"), |value| value.to_string());
        let tone = if origin == "default" { Tone::Quiet } else { Tone::Strong };
        out.line(format_args!("{key:<width$}  {value}  {}", out.paint(tone, format_args!("({origin})"))));
    }
    Ok(Exit::Well)
}

fn to_json(setting: Setting) -> Value {
    json!({ "key": setting.key, "value": setting.value, "origin": setting.origin })
}
