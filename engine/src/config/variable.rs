//! One environment variable, as a source of one setting.

use figment::value::{Dict, Map, Value};
use figment::{Error, Metadata, Profile, Provider};

const PREFIX: &str = "WARREN__";
/// Keys whose values are numbers, by their names or by how these end.
const QUANTITIES: [&str; 2] = ["port", "queues"];
const QUANTITY_ENDS: [&str; 5] = ["_max", "_seconds", "_days", "_connections", "_concurrency"];
/// Keys whose values are true or false.
const SWITCHES: [&str; 7] =
    ["migrate_at_start", "fuse", "declare_queues", "enabled", "status_changes", "transitions", "aws_quotas"];
/// Keys whose values are lists, with commas between.
const LISTS: [&str; 2] = ["allow", "requests"];
/// Sections of tables whose names are the user's own.
const TABLES: [&str; 2] = ["functions", "connections"];
/// Tables in those whose keys are the user's own.
const NAMED: [&str; 3] = ["headers", "query", "body"];

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

    /// The key, from the outside in. Case does not matter but in names of the user's own.
    fn path(&self) -> Vec<String> {
        let words: Vec<&str> = self.name[PREFIX.len()..].split("__").collect();
        let is = |index: usize, names: &[&str]| {
            words.get(index).is_some_and(|word| names.iter().any(|name| name.eq_ignore_ascii_case(word)))
        };
        let is_table = words.len() > 2 && is(0, &TABLES);
        let keeps_case = |index: usize| is_table && (index == 1 || index > 2 && is(index - 1, &NAMED));
        let word = |(index, word): (usize, &&str)| {
            if keeps_case(index) { (*word).to_owned() } else { word.to_ascii_lowercase() }
        };
        words.iter().enumerate().map(word).collect()
    }

    /// Only quantities are numbers, and only switches true or false: an account of digits is a text, and so is
    /// all that a connection has.
    fn value(&self, path: &[String]) -> Value {
        let text = self.value.trim();
        let key = match path {
            [section, .., key] if section != "connections" => key.as_str(),
            _ => return Value::from(self.value.clone()),
        };
        if LISTS.contains(&key) {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            return Value::from(items.map(Value::from).collect::<Vec<_>>());
        }
        let is_quantity = QUANTITIES.contains(&key) || QUANTITY_ENDS.iter().any(|end| key.ends_with(end));
        match (text.parse::<u64>(), text.parse::<bool>()) {
            (Ok(number), _) if is_quantity => Value::from(number),
            (_, Ok(switch)) if SWITCHES.contains(&key) => Value::from(switch),
            _ => Value::from(self.value.clone()),
        }
    }
}

/// One value under its path.
pub(super) fn nested(path: &[impl ToString], value: Value) -> Map<Profile, Dict> {
    let Some((key, sections)) = path.split_last() else { return Map::new() };
    let innermost = Dict::from([(key.to_string(), value)]);
    let nested = sections
        .iter()
        .rev()
        .fold(innermost, |inner, section| Dict::from([(section.to_string(), Value::from(inner))]));
    Map::from([(Profile::Default, nested)])
}

impl Provider for Variable {
    fn metadata(&self) -> Metadata {
        Metadata::named(format!("the environment variable {}", self.name))
    }

    fn data(&self) -> Result<Map<Profile, Dict>, Error> {
        let path = self.path();
        Ok(nested(&path, self.value(&path)))
    }
}
