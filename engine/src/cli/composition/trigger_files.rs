//! Triggers from files: read when a process begins, and in `warren dev` whenever they change.

use std::collections::BTreeMap;
use std::io;
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

/// Makes the triggers of files what the files say. A directory that cannot be read, or that has a file that cannot
/// be read, changes nothing, so that a typing mistake removes no trigger.
pub async fn follow(core: Arc<Core>, directory: PathBuf, watch: Watch, stop: CancellationToken) {
    let mut follower = Follower { core, directory, watch, seen: None, unread: None };
    loop {
        let pause = follower.look().await;
        if watch == Watch::AtStart && follower.seen.is_some() {
            return;
        }
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

struct Follower {
    core: Arc<Core>,
    directory: PathBuf,
    watch: Watch,
    /// The files that were read last.
    seen: Option<Seen>,
    /// Why the directory could not be read; told once.
    unread: Option<io::ErrorKind>,
}

impl Follower {
    /// Reads the files if they are others than before. Answers when to look again.
    async fn look(&mut self) -> Duration {
        let directory = self.directory.display();
        let files = match files(&self.directory) {
            Ok(files) => files,
            Err(error) => {
                // A directory that is watched may yet have to be made.
                let is_expected = self.watch == Watch::Always && error.kind() == io::ErrorKind::NotFound;
                if self.unread.replace(error.kind()) != Some(error.kind()) && !is_expected {
                    tracing::error!(%directory, %error, "failed to read the directory of triggers, trying again");
                }
                return PAUSE;
            }
        };
        self.unread = None;
        if self.seen.as_ref() == Some(&files) {
            return LOOK_EVERY;
        }
        match read(files.keys()) {
            Ok(definitions) => {
                if let Err(error) = self.core.follow_files(definitions).await {
                    tracing::warn!(%directory, %error, "triggers of files wait");
                    return PAUSE;
                }
                tracing::info!(%directory, files = files.len(), "triggers of files are in place");
            }
            Err(problems) => {
                for problem in problems {
                    tracing::error!("failed to read a trigger: {problem}");
                }
            }
        }
        self.seen = Some(files);
        LOOK_EVERY
    }
}

/// What may hold triggers, with the time of each.
fn files(directory: &Path) -> io::Result<Seen> {
    let named = |path: &PathBuf| {
        path.extension()
            .is_some_and(|extension| ["yaml", "yml", "json"].iter().any(|known| extension == *known))
    };
    let entries = std::fs::read_dir(directory)?.collect::<io::Result<Vec<_>>>()?;
    let paths = entries.into_iter().map(|entry| entry.path()).filter(named);
    Ok(paths.map(|path| (path.clone(), modified(&path))).collect())
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
    Trigger::parse(&text, path).map_err(|error: InvalidTrigger| error.to_string())
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
        let found = files(directory.path()).unwrap();
        let names: Vec<String> =
            read(found.keys()).unwrap().iter().map(|definition| definition.name().to_owned()).collect();
        assert_eq!(names, ["nightly", "orders"]);
        write("bad.yml", "{name: bad}");
        write("worse.yaml", ": [");
        assert_eq!(read(files(directory.path()).unwrap().keys()).unwrap_err().len(), 2);
        // None is not the same as one without triggers, whose files were removed.
        assert!(files(&directory.path().join("none")).is_err());
    }
}
