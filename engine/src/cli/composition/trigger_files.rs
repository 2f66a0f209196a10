//! Triggers from files: read when a process begins, and in `warren dev` whenever they change.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio_util::sync::CancellationToken;

use crate::events::rule::{InvalidTrigger, Trigger};
use crate::services::Core;
use crate::services::triggers::Definition;

/// How often files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Pause before the store and the broker are tried again.
const PAUSE: Duration = Duration::from_secs(2);

/// When to read the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Watch {
    /// Once.
    AtStart,
    /// At the start, and whenever they change.
    Always,
}

/// The files of a directory, as they were when they were read.
type Seen = BTreeMap<PathBuf, Option<SystemTime>>;

/// Makes the triggers of files what the files say. A directory with a file that cannot be read changes
/// nothing, so that a typing mistake removes no trigger.
pub async fn follow(core: Arc<Core>, directory: PathBuf, watch: Watch, stop: CancellationToken) {
    let mut seen: Option<Seen> = None;
    loop {
        let files = files(&directory);
        let mut pause = LOOK_EVERY;
        if seen.as_ref() != Some(&files) {
            match read(files.keys()) {
                Ok(definitions) => match core.follow_files(definitions).await {
                    Ok(()) => {
                        tracing::info!(directory = %directory.display(), files = files.len(), "triggers of files are in place");
                        seen = Some(files);
                    }
                    Err(error) => {
                        tracing::warn!(directory = %directory.display(), %error, "triggers of files wait");
                        pause = PAUSE;
                    }
                },
                Err(problems) => {
                    for problem in problems {
                        tracing::error!("failed to read a trigger: {problem}");
                    }
                    seen = Some(files);
                }
            }
        }
        if watch == Watch::AtStart && seen.is_some() {
            return;
        }
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// What may hold triggers, with the time of each.
fn files(directory: &Path) -> Seen {
    let Ok(entries) = std::fs::read_dir(directory) else { return Seen::new() };
    let named = |path: &PathBuf| {
        path.extension()
            .is_some_and(|extension| ["yaml", "yml", "json"].iter().any(|known| extension == *known))
    };
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path())).filter(named);
    paths.map(|path| (path.clone(), modified(&path))).collect()
}

fn modified(path: &Path) -> Option<SystemTime> {
    path.metadata().ok()?.modified().ok()
}

fn read<'a>(paths: impl Iterator<Item = &'a PathBuf>) -> Result<Vec<Definition>, Vec<String>> {
    let (mut definitions, mut problems) = (Vec::new(), Vec::new());
    for path in paths {
        match read_one(path) {
            Ok(trigger) => definitions.push(Definition::Trigger(Box::new(trigger))),
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() { Ok(definitions) } else { Err(problems) }
}

fn read_one(path: &Path) -> Result<Trigger, String> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|error| format!("{name}: {error}"))?;
    let is_json = path.extension().is_some_and(|extension| extension == "json");
    let read = if is_json { Trigger::parse_json(&text, &name) } else { Trigger::parse_yaml(&text, &name) };
    read.map_err(|error: InvalidTrigger| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_read_whole_or_every_problem_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(directory.path().join(name), text).unwrap();
        write("orders.yaml", "{name: orders, machine: order, from: {queue: jobs}}");
        write(
            "nightly.json",
            r#"{"name": "nightly", "machine": "order", "from": {"schedule": "rate(1 day)"}}"#,
        );
        write("notes.txt", "nothing to read");
        let found = files(directory.path());
        let names: Vec<String> =
            read(found.keys()).unwrap().iter().map(|definition| definition.name().to_owned()).collect();
        assert_eq!(names, ["nightly", "orders"]);
        write("bad.yml", "{name: bad}");
        write("worse.yaml", ": [");
        assert_eq!(read(files(directory.path()).keys()).unwrap_err().len(), 2);
        assert_eq!(files(&directory.path().join("none")), Seen::new());
    }
}
