//! `warren queue send`.

use std::collections::BTreeMap;
use std::path::Path;

use clap::Args;
use serde_json::json;

use super::{failed, path};
use crate::cli::client::{Client, Method};
use crate::cli::output::{Output, Tone};
use crate::cli::{Error, Exit, source};

/// What `warren queue send` is told.
#[derive(Debug, Args)]
pub struct SendArgs {
    /// The queue. It is made, durable, if it does not exist.
    name: String,
    /// The body: JSON or any text, @FILE, or - for standard input.
    #[arg(long, value_name = "TEXT|@FILE|-", default_value = "{}", allow_hyphen_values = true)]
    body: String,
    /// A header; may be repeated.
    #[arg(long, value_name = "NAME=VALUE", value_parser = header)]
    header: Vec<(String, String)>,
    /// How many.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    count: u32,
    /// Fail if the queue does not exist.
    #[arg(long)]
    existing: bool,
    /// The server.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8083")]
    endpoint: String,
}

fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("a header is NAME=VALUE")?;
    if name.is_empty() {
        return Err("a header has a name: NAME=VALUE".to_owned());
    }
    Ok((name.to_owned(), value.to_owned()))
}

/// Sends them.
pub(super) async fn run(args: SendArgs, out: &mut Output) -> Result<Exit, Error> {
    let client = Client::new(&args.endpoint).map_err(|error| Error::Usage(error.to_string()))?;
    let body = match args.body.strip_prefix('@') {
        Some(file) => source::read(Path::new(file))?,
        None if args.body == "-" => source::read(Path::new("-"))?,
        None => args.body,
    };
    let headers: BTreeMap<String, String> = args.header.into_iter().collect();
    let request = json!({ "body": body, "headers": headers, "count": args.count });
    let path = path(&args.name, if args.existing { "messages" } else { "messages?declare=true" });
    let answer = client.console(Method::Post, &path, Some(request)).await.map_err(failed)?;
    out.line(format_args!("{} {} to {}", out.paint(Tone::Good, "sent"), answer["sent"], args.name));
    Ok(Exit::Well)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_has_a_name_and_any_value() {
        let read = |text: &str| header(text).map(|(name, value)| format!("{name}|{value}"));
        assert_eq!(read("a=b=c"), Ok("a|b=c".to_owned()));
        assert_eq!(read("a="), Ok("a|".to_owned()));
        assert!(read("a").is_err() && read("=b").is_err());
    }
}
