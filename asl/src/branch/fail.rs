//! `Fail`.

use super::BranchFailure;
use super::turn::Turn;
use crate::data::template::{evaluate_intrinsic, read_field};
use crate::data::{Failure, Problem, Scope};
use crate::program::{Fail, Text};

impl Turn<'_> {
    /// Ends the machine with the error that the state says.
    pub(super) fn fail_state(&mut self, fail: &Fail) -> Result<(), Problem> {
        self.run.program.state(self.branch.state).flow.note_input(&self.branch.data, &mut self.steps);
        let error = self.text(fail.error.as_ref(), "ErrorPath")?;
        let cause = self.text(fail.cause.as_ref(), "CausePath")?;
        self.end_failed(BranchFailure { failure: Failure { error, cause }, state: None });
        Ok(())
    }

    fn text(&mut self, text: Option<&Text>, field: &str) -> Result<Option<String>, Problem> {
        let context = self.context();
        let scope = Scope::new(&self.branch.data, &context);
        let value = match text {
            None => return Ok(None),
            Some(Text::Literal(text)) => return Ok(Some(text.clone())),
            Some(Text::Path(path)) => read_field(path, field, scope)?,
            Some(Text::Intrinsic(call)) => evaluate_intrinsic(call, scope, &mut self.random)?,
            Some(Text::Expression(expression)) => {
                let value = expression.evaluate(scope, &mut self.random)?;
                let text = value.as_str().map(str::to_owned);
                return text.map(Some).ok_or_else(|| expression.unexpected("string", &value));
            }
        };
        value.as_str().map(|text| Some(text.to_owned())).ok_or_else(|| {
            Failure::runtime(format!("The {field} field must refer to a string, but was: {value}")).into()
        })
    }
}
