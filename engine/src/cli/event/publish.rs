//! `warren event publish`: one event, to the bus of a server.

use clap::Args;
use serde_json::{Value, json};

use crate::cli::client::Client;
use crate::cli::output::{Output, Tone};
use crate::cli::{Error, Exit, source};

/// What `warren event publish` is told.
#[derive(Debug, Args)]
pub struct PublishArgs {
    /// Who tells it: my.shop.
    #[arg(long, value_name = "SOURCE")]
    source: String,
    /// What kind of event it is: "Order Placed".
    #[arg(long, value_name = "TYPE")]
    detail_type: String,
    /// The event itself: a JSON object, @FILE, or - for standard input.
    #[arg(long, value_name = "JSON|@FILE|-", default_value = "{}")]
    detail: String,
    /// The server.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8083")]
    endpoint: String,
}

/// Publishes it, and prints the id that it was given.
pub(super) async fn run(args: PublishArgs, out: &mut Output) -> Result<Exit, Error> {
    let client = Client::new(&args.endpoint).map_err(|error| Error::Usage(error.to_string()))?;
    let (detail, text) = source::value("--detail", &args.detail)?;
    if !detail.is_object() {
        return Err(Error::Usage("--detail is a JSON object".to_owned()));
    }
    let entry = json!({ "Source": args.source, "DetailType": args.detail_type, "Detail": text });
    let answer = client.put_events(json!({ "Entries": [entry] })).await;
    let answer = answer.map_err(|error| Error::Failed(error.to_string()))?;
    let id = event_id(&answer).map_err(Error::Failed)?;
    out.line(format_args!("{} {id}", out.paint(Tone::Good, "published")));
    Ok(Exit::Well)
}

/// Of the one entry; else why it was not taken.
fn event_id(answer: &Value) -> Result<&str, String> {
    let entry = &answer["Entries"][0];
    if let Some(id) = entry["EventId"].as_str() {
        return Ok(id);
    }
    match (entry["ErrorCode"].as_str(), entry["ErrorMessage"].as_str()) {
        (None, None) => Err("the server does not say what became of the event".to_owned()),
        (code, message) => Err([code, message].into_iter().flatten().collect::<Vec<_>>().join(": ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_has_an_id_or_an_error() {
        let check = |answer: Value, expected: Result<&str, &str>| {
            assert_eq!(event_id(&answer), expected.map_err(str::to_owned), "{answer}");
        };
        check(json!({ "FailedEntryCount": 0, "Entries": [{ "EventId": "e-1" }] }), Ok("e-1"));
        let refused = json!({ "ErrorCode": "MalformedDetail", "ErrorMessage": "Detail is malformed." });
        check(
            json!({ "FailedEntryCount": 1, "Entries": [refused] }),
            Err("MalformedDetail: Detail is malformed."),
        );
        check(json!({}), Err("the server does not say what became of the event"));
    }
}
