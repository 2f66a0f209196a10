//! `Pass` and `Succeed`.

use super::turn::Turn;
use crate::data::Failure;
use crate::program::{Next, Pass};

impl Turn<'_> {
    /// `Pass`: its `Result`, or its input through `Parameters`.
    pub(super) fn pass(&mut self, pass: &Pass) -> Result<(), Failure> {
        let raw = std::mem::take(&mut self.branch.data);
        let context = self.context();
        let flow = &self.state().flow;
        let effective = self.effective_input(&raw, &context)?;
        let result = match &pass.result {
            Some(result) => result.clone(),
            None => flow.arguments(effective, &context, &mut self.random)?.into_owned(),
        };
        let output = flow.output(raw, result, &context)?;
        let after = self.branch.last.clone();
        self.exit(output, pass.next, after)
    }

    /// `Succeed`: ends the machine with its input.
    pub(super) fn succeed(&mut self) -> Result<(), Failure> {
        let raw = std::mem::take(&mut self.branch.data);
        let context = self.context();
        let effective = self.effective_input(&raw, &context)?.into_owned();
        let output = self.state().flow.output_of(effective, &context)?;
        let after = self.branch.last.clone();
        self.exit(output, Next::End, after)
    }
}
