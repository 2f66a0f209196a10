//! The run as a file.

use std::path::Path;

use serde::Serialize;
use serde_json::{Value, json};

use super::share;
use crate::bench::Bench;
use crate::failure::{Context as _, Result};
use crate::figure::{Figure, Outcome};

/// The version of this file's build.
const FORMAT: u32 = 1;

/// Writes it, over what was there.
pub fn write(file: &Path, bench: &Bench, outcomes: &[Outcome]) -> Result<()> {
    let text = serde_json::to_string_pretty(&run(bench, outcomes)?)? + "\n";
    std::fs::write(file, text).context(format!("write {}", file.display()))
}

fn run(bench: &Bench, outcomes: &[Outcome]) -> Result<Value> {
    let cases = outcomes.iter().map(|outcome| case(outcome, outcomes)).collect::<Result<Vec<_>>>()?;
    let args = &bench.args;
    Ok(json!({
        "format": FORMAT,
        "at": chrono::DateTime::from_timestamp_millis(crate::driver::now_ms()).map(|at| at.to_rfc3339()),
        "machine_and_versions": bench.versions,
        "settings": {
            "seconds": args.seconds,
            "repetitions": args.repetitions,
            "concurrency": args.concurrency,
            "message_bytes": args.message_bytes,
            "row_bytes": args.row_bytes,
            "input_bytes": args.input_bytes,
            "endpoint": args.endpoint,
        },
        "cases": cases,
    }))
}

fn case(outcome: &Outcome, outcomes: &[Outcome]) -> Result<Value> {
    let mut value = serde_json::to_value(outcome)?;
    if let Outcome::Measured { figures, .. } = outcome {
        let all = figures.iter().map(|each| figure(each, outcomes)).collect::<Result<Vec<_>>>()?;
        value["figures"] = Value::Array(all);
    }
    Ok(value)
}

#[derive(Serialize)]
struct Told<'a> {
    #[serde(flatten)]
    figure: &'a Figure,
    median: f64,
    min: f64,
    max: f64,
    share: Option<f64>,
    target_met: Option<bool>,
}

fn figure(figure: &Figure, outcomes: &[Outcome]) -> Result<Value> {
    let (share, (min, max), median) = (share(figure, outcomes), figure.range(), figure.median());
    let target_met = figure.target.and_then(|target| target.met(median, share));
    Ok(serde_json::to_value(Told { figure, median, min, max, share, target_met })?)
}
