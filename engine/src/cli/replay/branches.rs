//! The branches of executions, as the commits of a recording leave them.

use std::collections::BTreeMap;

use super::Output;
use super::recording::What;
use crate::cli::output::Tone;

/// What each execution's branches are doing.
#[derive(Debug, Default)]
pub(super) struct Branches(BTreeMap<String, BTreeMap<Vec<u32>, Branch>>);

#[derive(Debug)]
struct Branch {
    path: String,
    seq: u32,
    phase: String,
    /// The state that it entered last.
    state: String,
}

/// The numbers of a path, which sort it as it is drawn: parents first, siblings by index.
fn place(path: &str) -> Vec<u32> {
    path.split('.').skip(1).filter_map(|part| part.parse().ok()).collect()
}

impl Branch {
    fn new(path: &str) -> Self {
        Branch { path: path.to_owned(), seq: 0, phase: "runnable".to_owned(), state: String::new() }
    }
}

impl Branches {
    /// Takes a step. Answers whether it moved anything.
    pub(super) fn follow(&mut self, what: &What) -> bool {
        match what {
            What::Started { execution, outcome, .. } => {
                let created = outcome.starts_with("Created");
                if created {
                    self.0.insert(execution.clone(), BTreeMap::from([(Vec::new(), Branch::new("r"))]));
                }
                created
            }
            What::Committed(transition) if transition.stands() => {
                let branches = self.0.entry(transition.execution.clone()).or_default();
                let at = place(&transition.branch);
                if transition.ends_below {
                    branches.retain(|other, _| other.len() <= at.len() || !other.starts_with(&at));
                }
                let branch = branches.entry(at).or_insert_with(|| Branch::new(&transition.branch));
                branch.seq = transition.seq;
                branch.phase.clone_from(&transition.phase);
                let entered = transition.events.iter().rev();
                let entered = entered.filter(|event| event.contains("StateEntered"));
                if let Some((_, state)) = entered.filter_map(|event| event.split_once(' ')).next() {
                    state.clone_into(&mut branch.state);
                }
                for path in &transition.begins {
                    branches.entry(place(path)).or_insert_with(|| Branch::new(path));
                }
                true
            }
            What::Closed { execution, status } => {
                let root = Branch { phase: status.clone(), ..Branch::new("r") };
                self.0.insert(execution.clone(), BTreeMap::from([(Vec::new(), root)]));
                true
            }
            What::Redriven { execution, count } => {
                let root = Branch { phase: format!("redriven {count}"), ..Branch::new("r") };
                self.0.insert(execution.clone(), BTreeMap::from([(Vec::new(), root)]));
                true
            }
            What::Committed(_)
            | What::Delivered { .. }
            | What::Settled { .. }
            | What::Published { .. }
            | What::Claimed { .. }
            | What::Fault { .. }
            | What::Crashed
            | What::Began => false,
        }
    }

    /// Draws the branches of an execution, a line each.
    pub(super) fn draw(&self, execution: &str, out: &mut Output) {
        for (place, branch) in self.0.get(execution).into_iter().flatten() {
            let indent = " ".repeat(place.len());
            let Branch { path, seq, phase, state } = branch;
            let line = format!("{indent}{path}");
            let line = format!("{:>27}{line:<14} {seq:>3} {phase:<10} {state}", "│ ");
            out.line(out.paint(Tone::Quiet, line.trim_end()));
        }
    }
}
