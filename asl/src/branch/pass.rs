//! `Pass` and `Succeed`.

use super::turn::Turn;
use crate::data::Problem;
use crate::program::{Next, Pass, Way};

impl Turn<'_> {
    /// `Pass`: its `Result`, or its input through `Parameters`.
    pub(super) fn pass(&mut self, pass: &Pass) -> Result<(), Problem> {
        let raw = std::mem::take(&mut self.branch.data);
        let context = self.context();
        let flow = &self.state().flow;
        let effective = self.effective_input(&raw, &context)?;
        let result = match &pass.result {
            Some(result) => result.clone(),
            None => flow.arguments(effective, &context, &mut self.random)?.into_owned(),
        };
        let after = self.branch.last.clone();
        self.exit_with_result(raw, result, pass.next, after)
    }

    /// `Succeed`: ends the machine with its input.
    pub(super) fn succeed(&mut self) -> Result<(), Problem> {
        let raw = std::mem::take(&mut self.branch.data);
        let context = self.context();
        let effective = self.effective_input(&raw, &context)?.into_owned();
        self.exit_with_input(effective, (Way::Onward, Next::End))
    }
}
