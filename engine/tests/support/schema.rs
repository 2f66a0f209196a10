//! Whether a value fits a JSON Schema of `schemas/`.

use std::path::{Path, PathBuf};

use regex::Regex;
use serde_json::Value;

/// The root of the project.
pub fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// A schema, by its path below `schemas/`.
pub fn read(file: &str) -> Value {
    let text = std::fs::read_to_string(project().join("schemas").join(file)).unwrap();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// Why a value does not fit a schema; `None` if it does.
pub fn problem(file: &str, value: &Value) -> Option<String> {
    Schemas { file }.problem(&read(file), value)
}

/// As much of JSON Schema as the schemas use; any other keyword is an error.
struct Schemas<'a> {
    /// Where `#` refers to.
    file: &'a str,
}

impl Schemas<'_> {
    fn problem(&self, schema: &Value, value: &Value) -> Option<String> {
        if let Value::Bool(fits) = schema {
            return (!fits).then(|| format!("{value} may not be here"));
        }
        let rules = schema.as_object().unwrap().iter();
        rules.filter_map(|(word, rule)| self.breaks(schema, word, rule, value)).next()
    }

    fn breaks(&self, schema: &Value, word: &str, rule: &Value, value: &Value) -> Option<String> {
        let unless = |fits: bool| (!fits).then(|| format!("{value} is not of {word} {rule}"));
        match word {
            "$schema" | "$id" | "$defs" | "title" | "description" | "default" | "examples" => None,
            "$ref" => self.refers(rule.as_str().unwrap(), value),
            "const" => unless(value == rule),
            "enum" => unless(rule.as_array().unwrap().contains(value)),
            "minimum" => unless(value.as_f64() >= rule.as_f64()),
            "maximum" => unless(value.as_f64() <= rule.as_f64()),
            "minLength" => unless(value.as_str()?.chars().count() as u64 >= rule.as_u64().unwrap()),
            "maxLength" => unless(value.as_str()?.chars().count() as u64 <= rule.as_u64().unwrap()),
            "pattern" => unless(Regex::new(rule.as_str().unwrap()).unwrap().is_match(value.as_str()?)),
            "minItems" => unless(value.as_array()?.len() as u64 >= rule.as_u64().unwrap()),
            "minProperties" => unless(value.as_object()?.len() as u64 >= rule.as_u64().unwrap()),
            "maxProperties" => unless(value.as_object()?.len() as u64 <= rule.as_u64().unwrap()),
            "type" => unless(is_of(rule.as_str().unwrap(), value)),
            "oneOf" => {
                let fitting =
                    rule.as_array().unwrap().iter().filter(|one| self.problem(one, value).is_none());
                unless(fitting.count() == 1)
            }
            "allOf" => rule.as_array().unwrap().iter().find_map(|one| self.problem(one, value)),
            "if" if self.problem(rule, value).is_none() => self.problem(&schema["then"], value),
            "if" | "then" => None,
            "items" => value.as_array()?.iter().find_map(|item| self.problem(rule, item)),
            "prefixItems" => {
                let mut pairs = rule.as_array().unwrap().iter().zip(value.as_array()?);
                pairs.find_map(|(rule, item)| self.problem(rule, item))
            }
            "properties" => {
                let members = value.as_object()?;
                members.iter().find_map(|(name, member)| self.problem(rule.get(name)?, member))
            }
            "propertyNames" => {
                value.as_object()?.keys().find_map(|name| self.problem(rule, &Value::from(name.as_str())))
            }
            "required" => {
                let has = |name: &Value| value.get(name.as_str().unwrap()).is_some();
                unless(rule.as_array().unwrap().iter().all(has))
            }
            "additionalProperties" => {
                let known = |name: &String| schema["properties"].get(name).is_some();
                let mut others = value.as_object()?.iter().filter(|(name, _)| !known(name));
                others.find_map(|(_, member)| self.problem(rule, member))
            }
            other => panic!("{}: the keyword {other} is not checked", self.file),
        }
    }

    /// `#/$defs/x` of this file, or `other.json#/$defs/x` of its folder.
    fn refers(&self, place: &str, value: &Value) -> Option<String> {
        let (file, pointer) = place.split_once('#').unwrap();
        let beside = Path::new(self.file).with_file_name(file);
        let file = if file.is_empty() { self.file } else { beside.to_str().unwrap() };
        Schemas { file }.problem(read(file).pointer(pointer).unwrap(), value)
    }
}

fn is_of(kind: &str, value: &Value) -> bool {
    match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        other => panic!("the type {other} is not checked"),
    }
}
