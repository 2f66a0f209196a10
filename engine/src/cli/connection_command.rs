//! `warren connection`: what has to do with the connections of HTTP tasks.

use std::io::{IsTerminal, Read};

use clap::{Args, Subcommand};
use connectors::http::{Secret, sealed};

use super::output::Output;
use super::{Error, Exit};
use crate::config::{Config, Key};

/// Bytes of a secret that is sealed.
const SECRET_BYTES_MAX: u64 = 65_536;

/// What `warren connection` is told.
#[derive(Debug, Args)]
pub struct ConnectionArgs {
    #[command(subcommand)]
    command: ConnectionCommand,
}

#[derive(Debug, Subcommand)]
enum ConnectionCommand {
    /// Print a secret as it may stand in the configuration: only `secrets.key` opens it. It is asked for, or read
    /// from standard input.
    Seal,
}

/// Does what it is told.
pub fn run(config: &Config, args: &ConnectionArgs, out: &mut Output) -> Result<Exit, Error> {
    match args.command {
        ConnectionCommand::Seal => seal(config, out),
    }
}

fn seal(config: &Config, out: &mut Output) -> Result<Exit, Error> {
    // Before anybody is asked for anything.
    let Some(Key(key)) = config.secrets.read_key()? else {
        return Err(Error::Usage(
            "there is no key to seal with: set `secrets.key` (WARREN__SECRETS__KEY) or `secrets.key_file` to what \
             `openssl rand -base64 32` prints"
                .to_owned(),
        ));
    };
    let sealed = sealed::seal(&key, &secret()?);
    out.line(sealed.map_err(|error| Error::Failed(format!("failed to {error}")))?);
    Ok(Exit::Well)
}

/// From the terminal without showing it, else from standard input; the line break at its end is no part of it.
fn secret() -> Result<Secret, Error> {
    let unread = |error: std::io::Error| Error::Failed(format!("failed to read the secret: {error}"));
    let text = if std::io::stdin().is_terminal() {
        rpassword::prompt_password("Secret: ").map_err(unread)?
    } else {
        let mut text = String::new();
        let mut input = std::io::stdin().lock().take(SECRET_BYTES_MAX + 1);
        input.read_to_string(&mut text).map_err(unread)?;
        text
    };
    let text = text.strip_suffix('\n').unwrap_or(&text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    if text.is_empty() {
        return Err(Error::Usage("there is nothing to seal: the secret is empty".to_owned()));
    }
    if text.len() as u64 > SECRET_BYTES_MAX {
        let message = format!("the secret is too long to be one: it has more than {SECRET_BYTES_MAX} bytes");
        return Err(Error::Usage(message));
    }
    Ok(Secret::new(text))
}
