//! `warren trigger`: makes, shows and steers what starts executions by itself.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::client::{CallError, Client, Method};
use super::output::{Output, Tone};
use super::{Error, Exit, source};
use crate::events::rule::Trigger;

/// What `warren trigger` is told.
#[derive(Debug, Args)]
pub struct TriggerArgs {
    #[command(subcommand)]
    command: TriggerCommand,
    /// The server.
    #[arg(long, global = true, value_name = "URL", default_value = "http://127.0.0.1:8083")]
    endpoint: String,
    /// Print JSON.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum TriggerCommand {
    /// Make triggers from files; `-` is standard input.
    Create {
        /// In YAML or JSON.
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// Replace triggers of the same name that were made by this command.
        #[arg(long)]
        replace: bool,
    },
    /// List all triggers.
    List,
    /// Show a trigger, and what waits for it.
    Show {
        /// Its name.
        name: String,
    },
    /// Tell a trigger to rest: what comes meanwhile waits in its queue.
    Pause {
        /// Its name.
        name: String,
    },
    /// Tell a trigger to go on.
    Resume {
        /// Its name.
        name: String,
    },
    /// Remove a trigger, with what waits in its queue.
    Delete {
        /// Its name.
        name: String,
    },
    /// Show what would become of an event, without starting anything.
    Test(TestArgs),
}

#[derive(Debug, Args)]
struct TestArgs {
    /// The name of a trigger, or a file with one.
    trigger: String,
    /// The event: JSON, `@FILE`, or `-` for standard input.
    #[arg(long, value_name = "JSON")]
    event: String,
    /// The message's id.
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// The message's routing key.
    #[arg(long, value_name = "KEY", default_value = "")]
    routing_key: String,
    /// A header of the message; may be given several times.
    #[arg(long = "header", value_name = "NAME=VALUE")]
    headers: Vec<String>,
}

/// Does what it is told.
pub async fn run(args: TriggerArgs, out: &mut Output) -> Result<Exit, Error> {
    let client = Client::new(&args.endpoint).map_err(|error| Error::Usage(error.to_string()))?;
    let one = |name: &str, rest: &str| format!("triggers/{}{rest}", encoded(name));
    match &args.command {
        TriggerCommand::Create { files, replace } => {
            for file in files {
                create(&client, file, *replace, args.json, out).await?;
            }
        }
        TriggerCommand::List => list(&client, args.json, out).await?,
        TriggerCommand::Show { name } => {
            let shown = ask(&client, Method::Get, &one(name, ""), None).await?;
            if args.json { out.line(&shown) } else { show(&shown, out) }
        }
        TriggerCommand::Pause { name } => {
            told(&client, Method::Post, &one(name, "/pause"), "rests", args.json, out).await?;
        }
        TriggerCommand::Resume { name } => {
            told(&client, Method::Post, &one(name, "/resume"), "goes on", args.json, out).await?;
        }
        TriggerCommand::Delete { name } => {
            let answer = ask(&client, Method::Delete, &one(name, ""), None).await?;
            if args.json { out.line(&answer) } else { out.line(format_args!("{name} is removed")) }
        }
        TriggerCommand::Test(test_args) => return test(&client, test_args, args.json, out).await,
    }
    Ok(Exit::Well)
}

async fn ask(client: &Client, method: Method, path: &str, body: Option<Value>) -> Result<Value, Error> {
    client.console(method, path, body).await.map_err(failed)
}

fn failed(error: CallError) -> Error {
    match error {
        // The code is a number of HTTP, and tells nothing more.
        CallError::Refused { message, .. } => Error::Failed(message),
        other => Error::Failed(other.to_string()),
    }
}

/// Reads a file, and reports every problem in it.
fn read(file: &std::path::Path) -> Result<Value, Error> {
    let text = source::read(file)?;
    let read = Trigger::parse(&text, file);
    Ok(read.map_err(|problems| Error::Usage(problems.to_string()))?.to_value())
}

async fn create(
    client: &Client,
    file: &std::path::Path,
    replace: bool,
    as_json: bool,
    out: &mut Output,
) -> Result<(), Error> {
    let path = if replace { "triggers?replace=true" } else { "triggers" };
    let made = client.console(Method::Post, path, Some(read(file)?)).await.map_err(|error| match error {
        CallError::Refused { code, message } if code == "409" && !replace => {
            Error::Failed(format!("{message}; replace it with --replace"))
        }
        error => failed(error),
    })?;
    if as_json {
        out.line(&made);
    } else {
        out.line(format_args!("{} is there", text(&made, "name")));
    }
    Ok(())
}

async fn told(
    client: &Client,
    method: Method,
    path: &str,
    does: &str,
    as_json: bool,
    out: &mut Output,
) -> Result<(), Error> {
    let answer = ask(client, method, path, Some(json!({}))).await?;
    if as_json {
        out.line(&answer);
    } else {
        out.line(format_args!("{} {does}", text(&answer, "name")));
    }
    Ok(())
}

async fn list(client: &Client, as_json: bool, out: &mut Output) -> Result<(), Error> {
    let answer = ask(client, Method::Get, "triggers", None).await?;
    if as_json {
        out.line(&answer);
        return Ok(());
    }
    let triggers = answer["triggers"].as_array().cloned().unwrap_or_default();
    let rows: Vec<[String; 4]> = triggers.iter().map(row).collect();
    let widths: Vec<usize> =
        (0..3).map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0)).collect();
    for [name, state, machine, from] in rows {
        let tone = if state == "paused" { Tone::Warning } else { Tone::Good };
        let state = out.paint(tone, format_args!("{state:<width$}", width = widths[1]));
        out.line(format_args!(
            "{name:<first$}  {state}  {machine:<third$}  {from}",
            first = widths[0],
            third = widths[2]
        ));
    }
    Ok(())
}

/// Name, state, machine and source of a trigger.
fn row(trigger: &Value) -> [String; 4] {
    let state = if trigger["paused"] == true { "paused" } else { "active" };
    let definition = &trigger["definition"];
    let machine = text(definition, "machine");
    [text(trigger, "name"), state.to_owned(), machine, from(definition)]
}

fn from(definition: &Value) -> String {
    if let Some(pattern) = definition.get("event_pattern").and_then(Value::as_str) {
        return format!("rule {pattern}");
    }
    if let Some(schedule) = definition.get("schedule_expression").and_then(Value::as_str) {
        return schedule.to_owned();
    }
    let from = definition.get("from").and_then(Value::as_object);
    let parts = from.into_iter().flatten().map(|(name, value)| match value {
        Value::String(value) => format!("{name} {value}"),
        value => format!("{name} {value}"),
    });
    parts.collect::<Vec<_>>().join(" ")
}

fn show(shown: &Value, out: &mut Output) {
    let [name, state, ..] = row(shown);
    out.line(out.paint(Tone::Strong, name));
    out.line(format_args!("  state         {state}"));
    out.line(format_args!("  made by       {}, {}", text(shown, "origin"), text(shown, "created_at")));
    out.line(format_args!("  waiting       {}", shown["waiting"]));
    out.line(format_args!("  dead letters  {}", shown["dead_letters"]));
    if shown.get("next_tick").is_some() {
        out.line(format_args!("  next          {}", text(shown, "next_tick")));
    }
    out.line(format_args!("{:#}", shown["definition"]));
}

async fn test(client: &Client, args: &TestArgs, as_json: bool, out: &mut Output) -> Result<Exit, Error> {
    let (event, _) = source::value("--event", &args.event)?;
    let mut headers = Map::new();
    for header in &args.headers {
        let (name, value) = header
            .split_once('=')
            .ok_or_else(|| Error::Usage(format!("--header {header} is not like NAME=VALUE")))?;
        headers.insert(name.to_owned(), json!(value));
    }
    let mut sample = json!({"event": event, "routing_key": args.routing_key, "headers": headers});
    if let Some(id) = &args.id {
        sample["id"] = json!(id);
    }
    let file = PathBuf::from(&args.trigger);
    let path = if file.is_file() {
        sample["definition"] = read(&file)?;
        "triggers/test".to_owned()
    } else {
        format!("triggers/{}/test", encoded(&args.trigger))
    };
    let answer = ask(client, Method::Post, &path, Some(sample)).await?;
    if as_json {
        out.line(&answer);
    }
    let verdicts = answer["verdicts"].as_array().cloned().unwrap_or_default();
    let starts = verdicts.iter().any(|verdict| verdict["starts"] == true);
    if !as_json {
        verdicts.iter().for_each(|verdict| explain(verdict, out));
    }
    Ok(if starts { Exit::Well } else { Exit::Failed })
}

fn explain(verdict: &Value, out: &mut Output) {
    if verdict["starts"] == true {
        out.line(out.paint(Tone::Good, format_args!("starts {}", text(verdict, "machine"))));
        if let Some(name) = verdict.get("name").and_then(Value::as_str) {
            out.line(format_args!("  name   {name}"));
        }
        out.line(format_args!("  input  {:#}", verdict["input"]));
    } else {
        out.line(out.paint(Tone::Warning, format_args!("starts nothing: {}", text(verdict, "reason"))));
    }
}

fn text(value: &Value, name: &str) -> String {
    value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// A name as a part of a path: what it may hold needs no more than this.
fn encoded(name: &str) -> String {
    name.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'_' | b'-' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}
