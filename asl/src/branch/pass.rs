//! `Pass` and `Succeed`.

use super::turn::Turn;
use crate::data::Problem;
use crate::data::steps::Step;
use crate::program::{Next, Pass, Way};

impl Turn<'_> {
    /// `Pass`: its `Result`, or its input through `Parameters`.
    pub(super) fn pass(&mut self, pass: &Pass) -> Result<(), Problem> {
        let raw = std::mem::take(&mut self.branch.data);
        let context = self.context();
        let flow = &self.state().flow;
        let effective = self.effective_input(&raw, &context)?;
        let result = match &pass.result {
            Some(result) => {
                self.steps.note(Step::Result, result);
                result.clone()
            }
            None => {
                flow.note_input(&effective, &mut self.steps);
                let made = flow.arguments(effective, &context, &mut self.random)?.into_owned();
                flow.note_arguments(&made, &mut self.steps);
                made
            }
        };
        let after = self.branch.last.clone();
        self.exit_with_result(raw, result, pass.next, after)
    }

    /// `Succeed`: ends the machine with its input.
    pub(super) fn succeed(&mut self) -> Result<(), Problem> {
        let raw = std::mem::take(&mut self.branch.data);
        let context = self.context();
        let effective = self.effective_input(&raw, &context)?.into_owned();
        self.state().flow.note_input(&effective, &mut self.steps);
        self.exit_with_input(effective, (Way::Onward, Next::End))
    }
}
