//! `warren test`: table tests for definitions, in files beside them.
//!
//! ```text
//!   *.test.yaml ──▶ Suite ──cases──▶ play, on all cores ──▶ problems ──▶ report · JUnit · JSON
//!   MockConfigFile ─┘                        │
//!                                            └─▶ coverage of each definition
//! ```
//!
//! Time is always simulated, nothing is called, and nothing depends on when and where a case is played.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use clap::Args;
use serde_json::Value;

use super::output::Output;
use super::{Error, Exit, TypeArg, source};
use crate::config::Config;
use coverage::Coverages;
use played::Played;
use report::Report;
use suite::{Case, Choices, Loaded, Suite};

mod coverage;
mod discovery;
mod expected;
mod junit;
mod observed;
mod played;
mod read;
mod report;
mod suite;

/// Stack of a thread that plays cases; as large as that of a main thread.
const STACK_BYTES: usize = 8_388_608;

/// Results that may wait to be told of.
const WAITING_MAX: usize = 64;

/// What `warren test` is told.
#[derive(Debug, Args)]
pub struct TestArgs {
    /// Test files, MockConfigFiles of Step Functions Local, and folders: of these all *.test.yaml, .yml and .json below.
    #[arg(default_value = ".", value_name = "FILE|FOLDER")]
    paths: Vec<PathBuf>,
    /// Only cases whose name has this in it.
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// Fail if less of a definition's states and ways out of them is taken by all cases.
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100))]
    coverage_min: Option<u8>,
    /// Also write what came of it as JUnit XML.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Tell each step of the cases that fail.
    #[arg(long, conflicts_with = "json")]
    steps: bool,
    /// Print it as JSON instead.
    #[arg(long)]
    json: bool,
    /// The definition of a MockConfigFile; that beside it with the name of the machine unless given.
    #[arg(long, value_name = "FILE")]
    definition: Option<PathBuf>,
    /// The only state machine of a MockConfigFile that is meant.
    #[arg(long, value_name = "NAME")]
    machine: Option<String>,
    /// What kind of state machine those of a MockConfigFile are.
    #[arg(long = "type", value_enum, ignore_case = true, default_value_t, value_name = "TYPE")]
    workflow: TypeArg,
    /// The input of the cases of a MockConfigFile: JSON, @FILE, or `-` for standard input.
    #[arg(long, value_name = "JSON|@FILE|-", allow_hyphen_values = true)]
    input: Option<String>,
}

/// Plays the cases. It fails if one of them does, if there is none, or if too little is covered.
pub fn run(config: &Config, args: &TestArgs, out: &mut Output) -> Result<Exit, Error> {
    let input = args.input.as_deref().map(|argument| source::value("--input", argument)).transpose()?;
    let choices = Choices {
        definition: args.definition.clone(),
        machine: args.machine.clone(),
        workflow: args.workflow,
        input: input.map(|(value, _)| value),
    };
    let files = discovery::files(&args.paths)?;
    let suites: Vec<Suite> = files.iter().flat_map(|file| suite::load(file, &choices)).collect();
    let chosen = chosen(&suites, args.filter.as_deref());
    let mut report = Report::new(&suites, args.json);
    report.broken(out);
    let mut coverages = Coverages::default();
    for (suite, _, _) in &chosen {
        if let (Some(definition), Ok(loaded)) = (&suites[*suite].definition, &suites[*suite].loaded) {
            coverages.add(definition, &loaded.program);
        }
    }
    play_all(config, &chosen, |place, played| {
        let (suite, loaded, case) = &chosen[place];
        let failed = played.as_ref().is_some_and(|played| !played.problems.is_empty());
        if let (Some(definition), Some(played)) = (&suites[*suite].definition, &played) {
            coverages.count(definition, &played.observed);
        }
        report.case(*suite, case, played, out);
        if failed && args.steps {
            played::retell(config, loaded, case, out);
        }
    });
    // Whoever reads a document finds one, even where it holds nothing.
    let covered = (args.json || !report.is_empty()) && report.conclude(&coverages, args.coverage_min, out);
    if let Some(path) = &args.junit {
        let failed = |error| Error::Failed(format!("failed to write {}: {error}", path.display()));
        std::fs::write(path, junit::xml(&report)).map_err(failed)?;
    }
    if report.is_empty() {
        return Err(Error::Failed(nothing(args, &files)));
    }
    Ok(if covered && report.is_well() { Exit::Well } else { Exit::Failed })
}

/// A case, with the place of its suite.
type Chosen<'a> = (usize, &'a Loaded, &'a Case);

fn chosen<'a>(suites: &'a [Suite], filter: Option<&str>) -> Vec<Chosen<'a>> {
    let mut chosen = Vec::new();
    for (place, suite) in suites.iter().enumerate() {
        let Ok(loaded) = &suite.loaded else { continue };
        let wanted = |case: &&Case| filter.is_none_or(|text| case.name.contains(text));
        chosen.extend(loaded.cases.iter().filter(wanted).map(|case| (place, loaded, case)));
    }
    chosen
}

/// Plays the cases on all cores and tells of them in their order. One that is skipped is not played.
fn play_all(config: &Config, cases: &[Chosen<'_>], mut tell: impl FnMut(usize, Option<Played>)) {
    let threads = std::thread::available_parallelism().map_or(1, NonZeroUsize::get).min(cases.len());
    let next = AtomicUsize::new(0);
    let (sender, receiver) = mpsc::sync_channel(WAITING_MAX);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            let (sender, next) = (sender.clone(), &next);
            let work = move || {
                loop {
                    let place = next.fetch_add(1, Ordering::Relaxed);
                    let Some((_, loaded, case)) = cases.get(place) else { return };
                    let played = case.skip.is_none().then(|| played::play(config, loaded, case));
                    if sender.send((place, played)).is_err() {
                        return;
                    }
                }
            };
            // Without a thread the others do its work; without any, this one does.
            if std::thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, work.clone()).is_err()
            {
                work();
            }
        }
        drop(sender);
        let mut early = BTreeMap::new();
        let mut told = 0;
        for (place, played) in receiver {
            early.insert(place, played);
            while let Some(played) = early.remove(&told) {
                tell(told, played);
                told += 1;
            }
        }
    });
}

/// Why there is nothing to tell of.
fn nothing(args: &TestArgs, files: &[PathBuf]) -> String {
    let places: Vec<String> = args.paths.iter().map(|path| path.display().to_string()).collect();
    let places = places.join(", ");
    match (&args.filter, files.len()) {
        (Some(filter), 1..) => format!("no case has '{filter}' in its name, below {places}"),
        (_, 1..) => format!("no file has a test case, below {places}"),
        (_, 0) => format!(
            "no test file is below {places}: write one beside a definition, order.test.yaml for order.asl.json"
        ),
    }
}

/// What is wrong with a test file, each problem with its place; what it names is not looked at.
pub fn problems(document: &Value) -> Vec<String> {
    read::read(document).err().unwrap_or_default().iter().map(ToString::to_string).collect()
}
