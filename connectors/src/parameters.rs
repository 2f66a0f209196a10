//! Reads the `Parameters` of a task and reports all that is wrong with them at once, in AWS's words.

use asl::data::Failure;
use serde_json::Value;

/// The parameters of one task, and what was found wrong with them so far.
///
/// ```
/// use connectors::parameters::Parameters;
///
/// let written = serde_json::json!({"Delay": "soon", "Queue": "q"});
/// let mut parameters = Parameters::new(&written, &["Name", "Delay"]);
/// let (name, delay) = (parameters.required_text("Name"), parameters.integer("Delay"));
/// assert_eq!((name, delay), ("", None));
/// let cause = parameters.check().unwrap_err().cause.unwrap();
/// assert!(cause.ends_with(
///     "[The field \"Queue\" is not supported by Step Functions, \
///      The field 'Name' is required but was missing, \
///      The value of the field 'Delay' has an invalid format]"
/// ));
/// ```
pub struct Parameters<'a> {
    all: &'a Value,
    problems: Vec<String>,
}

impl<'a> Parameters<'a> {
    /// Of a call that knows these fields. A field that is `null` counts as absent, as on AWS.
    pub fn new(all: &'a Value, known: &[&str]) -> Self {
        let written = all.as_object().into_iter().flat_map(|fields| fields.keys());
        let unknown: Vec<_> = written.filter(|name| !known.contains(&name.as_str())).collect();
        let mut parameters = Parameters { all, problems: Vec::new() };
        for name in unknown {
            parameters.unsupported(name);
        }
        parameters
    }

    /// A field of any type.
    pub fn value(&self, name: &str) -> Option<&'a Value> {
        self.all.get(name).filter(|value| !value.is_null())
    }

    /// A field that must be a string where it is given.
    pub fn text(&mut self, name: &str) -> Option<&'a str> {
        let value = self.value(name)?;
        if !value.is_string() {
            self.refuse(name);
        }
        value.as_str()
    }

    /// A string that must be given; empty, and a problem, if it is not.
    pub fn required_text(&mut self, name: &str) -> &'a str {
        self.require(name);
        self.text(name).unwrap_or_default()
    }

    /// Notes that a field is missing, if it is.
    pub fn require(&mut self, name: &str) {
        if self.value(name).is_none() {
            self.problems.push(format!("The field '{name}' is required but was missing"));
        }
    }

    /// A field that must be an integer where it is given.
    pub fn integer(&mut self, name: &str) -> Option<i64> {
        let value = self.value(name)?;
        let integer = value.as_i64();
        if integer.is_none() {
            self.refuse(name);
        }
        integer
    }

    /// A field that must be an object where it is given, itself with these fields only. What is found wrong
    /// with it comes back by [`include`](Self::include).
    pub fn object(&mut self, name: &str, known: &[&str]) -> Option<Parameters<'a>> {
        let value = self.value(name)?;
        if !value.is_object() {
            self.refuse(name);
            return None;
        }
        Some(Parameters::new(value, known))
    }

    /// Takes over what was found wrong with a part.
    pub fn include(&mut self, part: Parameters<'_>) {
        self.problems.extend(part.problems);
    }

    /// Notes that a field cannot be given.
    pub fn unsupported(&mut self, name: &str) {
        self.problems.push(format!("The field \"{name}\" is not supported by Step Functions"));
    }

    /// Notes that the value of a field cannot be used.
    pub fn refuse(&mut self, name: &str) {
        self.problems.push(format!("The value of the field '{name}' has an invalid format"));
    }

    /// `States.Runtime` with every problem found, if there is one.
    pub fn check(self) -> Result<(), Failure> {
        if self.problems.is_empty() {
            return Ok(());
        }
        Err(Failure::runtime(format!(
            "The Parameters '{}' could not be used to start the Task: [{}]",
            self.all,
            self.problems.join(", ")
        )))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(parameters: Value, problems: &str) {
        let mut read = Parameters::new(&parameters, &["Name", "Note"]);
        read.required_text("Name");
        read.text("Note");
        let cause =
            format!("The Parameters '{parameters}' could not be used to start the Task: [{problems}]");
        assert_eq!(read.check(), Err(Failure::runtime(cause)));
    }

    #[test]
    fn every_problem_is_reported() {
        check(json!({}), "The field 'Name' is required but was missing");
        check(json!([1]), "The field 'Name' is required but was missing");
        check(json!({"Name": null}), "The field 'Name' is required but was missing");
        check(json!({"Name": 1}), "The value of the field 'Name' has an invalid format");
        check(
            json!({"name": "n", "Note": {}}),
            "The field \"name\" is not supported by Step Functions, \
             The field 'Name' is required but was missing, \
             The value of the field 'Note' has an invalid format",
        );
    }

    #[test]
    fn good_parameters_are_read() {
        let parameters = json!({"Name": "n", "Note": null});
        let mut read = Parameters::new(&parameters, &["Name", "Note"]);
        assert_eq!((read.required_text("Name"), read.text("Note")), ("n", None));
        assert_eq!(read.check(), Ok(()));
    }
}
