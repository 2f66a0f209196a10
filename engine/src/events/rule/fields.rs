//! Takes an object apart field by field, and collects what is wrong with it.

use std::fmt;

use serde_json::{Map, Value};

/// One thing wrong with a trigger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Which field: `/from/queue`; empty when it is about the whole.
    pub field: String,
    /// What is wrong, and what to write.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.field.as_str() {
            "" => f.write_str(&self.message),
            field => write!(f, "{field}: {}", self.message),
        }
    }
}

/// A trigger that cannot be read: every problem it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidTrigger {
    /// Where it was read; empty when it was no file.
    pub file: String,
    /// At least one.
    pub problems: Vec<Problem>,
}

impl InvalidTrigger {
    /// What is wrong is the text itself.
    pub(super) fn whole(file: &str, message: String) -> Self {
        let problems = vec![Problem { field: String::new(), message }];
        InvalidTrigger { file: file.to_owned(), problems }
    }
}

impl fmt::Display for InvalidTrigger {
    /// A line, and one for each problem where there are several.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("failed to read the trigger")?;
        if !self.file.is_empty() {
            write!(f, " in {}", self.file)?;
        }
        match &self.problems[..] {
            [problem] => write!(f, ": {problem}"),
            problems => {
                f.write_str(":")?;
                problems.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
            }
        }
    }
}

impl std::error::Error for InvalidTrigger {}

/// An object of a trigger, and the problems of all of it.
pub(super) struct Fields<'a, 'r> {
    object: &'a Map<String, Value>,
    /// `/from`; empty for the trigger itself.
    place: &'a str,
    /// Those that were asked for.
    known: Vec<&'static str>,
    problems: &'r mut Vec<Problem>,
}

impl<'a, 'r> Fields<'a, 'r> {
    pub(super) fn new(
        object: &'a Map<String, Value>,
        place: &'a str,
        problems: &'r mut Vec<Problem>,
    ) -> Self {
        Fields { object, place, known: Vec::new(), problems }
    }

    /// The problems so far, for what reads a field by itself.
    pub(super) fn problems(&mut self) -> &mut Vec<Problem> {
        self.problems
    }

    /// The place of a field.
    pub(super) fn place(&self, name: &str) -> String {
        format!("{}/{name}", self.place)
    }

    pub(super) fn report(&mut self, name: &str, message: impl Into<String>) {
        let field = if name.is_empty() { self.place.to_owned() } else { self.place(name) };
        self.problems.push(Problem { field, message: message.into() });
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.object.contains_key(name)
    }

    /// A field of any kind.
    pub(super) fn any(&mut self, name: &'static str) -> Option<&'a Value> {
        self.known.push(name);
        self.object.get(name)
    }

    /// A field that is a text.
    pub(super) fn text(&mut self, name: &'static str) -> Option<&'a str> {
        let value = self.any(name)?;
        if value.is_null() || !value.is_string() {
            self.report(name, "is not a text; write one, in quotes if it looks like something else");
        }
        value.as_str()
    }

    /// A text that must be there.
    pub(super) fn required_text(&mut self, name: &'static str, what: &str) -> Option<&'a str> {
        if !self.has(name) {
            self.known.push(name);
            self.report(name, format!("is missing; write {what}"));
            return None;
        }
        self.text(name)
    }

    /// A field that is a text, read further.
    pub(super) fn read<T, E: fmt::Display>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let text = self.text(name)?;
        self.note(name, read(text))
    }

    /// A result, its error reported.
    pub(super) fn note<T, E: fmt::Display>(&mut self, name: &str, result: Result<T, E>) -> Option<T> {
        result.map_err(|error| self.report(name, error.to_string())).ok()
    }

    /// A field that is an object.
    pub(super) fn object(&mut self, name: &'static str, what: &str) -> Option<&'a Map<String, Value>> {
        let value = self.any(name)?;
        if !value.is_object() {
            self.report(name, format!("is not an object; write {what}"));
        }
        value.as_object()
    }

    /// A field that is true or false.
    pub(super) fn boolean(&mut self, name: &'static str) -> Option<bool> {
        let value = self.any(name)?;
        if !value.is_boolean() {
            self.report(name, "is neither true nor false");
        }
        value.as_bool()
    }

    /// A field that is a whole number within bounds.
    pub(super) fn number(&mut self, name: &'static str, least: u32, most: u32) -> Option<u32> {
        let value = self.any(name)?;
        let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
        let number = number.filter(|number| (least..=most).contains(number));
        if number.is_none() {
            self.report(name, format!("is not a number from {least} to {most}"));
        }
        number
    }

    /// Reports the fields that nobody asked for.
    pub(super) fn finish(mut self) {
        for name in self.object.keys() {
            if !self.known.contains(&name.as_str()) {
                let known = self.known.join(", ");
                self.report(name, format!("is not a field here; the fields are {known}"));
            }
        }
    }
}
