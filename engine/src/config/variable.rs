//! One environment variable, as a source of one setting.

use figment::value::{Dict, Map, Value};
use figment::{Error, Metadata, Profile, Provider};

const PREFIX: &str = "WARREN__";

/// `WARREN__SECTION__KEY` and its value.
pub(super) struct Variable {
    name: String,
    value: String,
}

impl Variable {
    /// A variable of the environment, if it is meant for us.
    pub(super) fn of((name, value): (String, String)) -> Option<Self> {
        name.starts_with(PREFIX).then_some(Variable { name, value })
    }

    /// The key, from the outside in. Case does not matter but in the name of a function.
    fn path(&self) -> Vec<String> {
        let words: Vec<&str> = self.name[PREFIX.len()..].split("__").collect();
        let is_function = words.len() > 2 && words[0].eq_ignore_ascii_case("functions");
        let keeps_case = |index| is_function && index == 1;
        let word = |(index, word): (usize, &&str)| {
            if keeps_case(index) { (*word).to_owned() } else { word.to_ascii_lowercase() }
        };
        words.iter().enumerate().map(word).collect()
    }

    /// Only quantities are numbers: an account of digits is a text.
    fn value(&self, key: &str) -> Value {
        let quantity =
            key == "port" || ["_max", "_seconds", "_concurrency"].iter().any(|end| key.ends_with(end));
        match self.value.trim().parse::<u64>() {
            Ok(number) if quantity => Value::from(number),
            Ok(_) | Err(_) => Value::from(self.value.clone()),
        }
    }
}

impl Provider for Variable {
    fn metadata(&self) -> Metadata {
        Metadata::named(format!("the environment variable {}", self.name))
    }

    fn data(&self) -> Result<Map<Profile, Dict>, Error> {
        let path = self.path();
        let Some((key, sections)) = path.split_last() else { return Ok(Map::new()) };
        let innermost = Dict::from([(key.clone(), self.value(key))]);
        let nested = sections
            .iter()
            .rev()
            .fold(innermost, |inner, section| Dict::from([(section.clone(), Value::from(inner))]));
        Ok(Map::from([(Profile::Default, nested)]))
    }
}
