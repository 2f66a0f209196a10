//! Takes an object that a user wrote apart field by field, and collects what is wrong with it.

use std::fmt;

use serde_json::{Map, Value};

/// One thing that is wrong.
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

/// An object, and the problems of all that it belongs to.
pub struct Fields<'a, 'r> {
    object: &'a Map<String, Value>,
    /// `/from`; empty for the whole.
    place: &'a str,
    /// Those that were asked for.
    known: Vec<&'static str>,
    problems: &'r mut Vec<Problem>,
}

impl<'a, 'r> Fields<'a, 'r> {
    pub fn new(object: &'a Map<String, Value>, place: &'a str, problems: &'r mut Vec<Problem>) -> Self {
        Fields { object, place, known: Vec::new(), problems }
    }

    /// The problems so far, for what reads a field by itself.
    pub fn problems(&mut self) -> &mut Vec<Problem> {
        self.problems
    }

    /// The place of a field.
    pub fn place(&self, name: &str) -> String {
        format!("{}/{name}", self.place)
    }

    pub fn report(&mut self, name: &str, message: impl Into<String>) {
        let field = if name.is_empty() { self.place.to_owned() } else { self.place(name) };
        self.problems.push(Problem { field, message: message.into() });
    }

    pub fn has(&self, name: &str) -> bool {
        self.object.contains_key(name)
    }

    /// A field of any kind.
    pub fn any(&mut self, name: &'static str) -> Option<&'a Value> {
        self.known.push(name);
        self.object.get(name)
    }

    /// A field that is a text.
    pub fn text(&mut self, name: &'static str) -> Option<&'a str> {
        let value = self.any(name)?;
        if value.is_null() || !value.is_string() {
            self.report(name, "is not a text; write one, in quotes if it looks like something else");
        }
        value.as_str()
    }

    /// A text that must be there.
    pub fn required_text(&mut self, name: &'static str, what: &str) -> Option<&'a str> {
        if !self.has(name) {
            self.known.push(name);
            self.report(name, format!("is missing; write {what}"));
            return None;
        }
        self.text(name)
    }

    /// A field that is a text, read further.
    pub fn read<T, E: fmt::Display>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let text = self.text(name)?;
        self.note(name, read(text))
    }

    /// A result, its error reported.
    pub fn note<T, E: fmt::Display>(&mut self, name: &str, result: Result<T, E>) -> Option<T> {
        result.map_err(|error| self.report(name, error.to_string())).ok()
    }

    /// A field that is an object.
    pub fn object(&mut self, name: &'static str, what: &str) -> Option<&'a Map<String, Value>> {
        let value = self.any(name)?;
        if !value.is_object() {
            self.report(name, format!("is not an object; write {what}"));
        }
        value.as_object()
    }

    /// A field that is true or false.
    pub fn boolean(&mut self, name: &'static str) -> Option<bool> {
        let value = self.any(name)?;
        if !value.is_boolean() {
            self.report(name, "is neither true nor false");
        }
        value.as_bool()
    }

    /// A field that is a whole number within bounds.
    pub fn number(&mut self, name: &'static str, least: u32, most: u32) -> Option<u32> {
        let value = self.any(name)?;
        let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
        let number = number.filter(|number| (least..=most).contains(number));
        if number.is_none() {
            self.report(name, format!("is not a number from {least} to {most}"));
        }
        number
    }

    /// Reports the fields that nobody asked for.
    pub fn finish(mut self) {
        for name in self.object.keys() {
            if !self.known.contains(&name.as_str()) {
                let known = self.known.join(", ");
                let meant = nearest(name, self.known.iter().copied());
                let meant = meant.map(|meant| format!("; did you mean {meant}?")).unwrap_or_default();
                self.report(name, format!("is not a field here; the fields are {known}{meant}"));
            }
        }
    }
}

/// The one of these names that was probably meant by another: few letters are different, or only their case.
pub fn nearest<'n>(name: &str, known: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let distances =
        known.into_iter().map(|known| (distance(&name.to_lowercase(), &known.to_lowercase()), known));
    let allowed = (name.chars().count() / 2).clamp(1, 3);
    distances
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}

/// How many characters must be put in, taken out or replaced to make one text the other.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut costs: Vec<usize> = (0..=other.len()).collect();
    for (row, mine) in one.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut costs[0], row + 1);
        for (column, theirs) in other.iter().enumerate() {
            let replaced = diagonal + usize::from(mine != *theirs);
            diagonal = costs[column + 1];
            costs[column + 1] = replaced.min(diagonal + 1).min(costs[column] + 1);
        }
    }
    costs[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_is_understood() {
        let known = ["output", "output_contains", "path", "status"];
        let cases = [
            ("outptu", Some("output")),
            ("Status", Some("status")),
            ("paht", Some("path")),
            ("pat", Some("path")),
            ("output_contain", Some("output_contains")),
            ("colour", None),
            ("", None),
        ];
        for (name, expected) in cases {
            assert_eq!(nearest(name, known), expected, "{name}");
        }
    }
}
