//! Writes down a run that failed, for `warren replay`.

use std::any::Any;
use std::path::{Path, PathBuf};

use engine::cli::replay::recording::{Heading, Step, VERSION, Workflow as Recorded};

use super::workflow::{Kind, Workflow};

/// What a panic says.
pub fn text(panic: &(dyn Any + Send)) -> String {
    let owned = panic.downcast_ref::<String>().cloned();
    owned.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}

/// Writes a recording into the build's folder, where the next `cargo clean` takes it away.
pub fn write(seed: u64, rule: &str, workflows: &[(String, Kind, Workflow)], steps: &[Step]) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("simulation");
    std::fs::create_dir_all(&folder).unwrap();
    let workflows = workflows.iter().map(|(name, kind, workflow)| Recorded {
        name: name.clone(),
        workflow_type: match kind {
            Kind::Standard => "STANDARD".to_owned(),
            Kind::Express => "EXPRESS".to_owned(),
        },
        definition: workflow.definition.clone(),
        input: workflow.input.clone(),
    });
    let heading = Heading { version: VERSION, seed, rule: rule.to_owned(), workflows: workflows.collect() };
    let mut lines = vec![serde_json::to_string(&heading).unwrap()];
    lines.extend(steps.iter().map(|step| serde_json::to_string(step).unwrap()));
    let path = folder.join(format!("seed-{seed}.jsonl"));
    std::fs::write(&path, lines.join("\n") + "\n").unwrap();
    path
}
