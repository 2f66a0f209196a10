//! JSON Schemas of the project, as far as they go; any keyword that is not checked is an error.

use std::path::{Path, PathBuf};

use engine::messages::decode;
use serde_json::Value;

/// A schema, and where `#` refers to.
pub struct Schema {
    path: PathBuf,
    rules: Value,
}

impl Schema {
    /// A file below `schemas/`: `messages/nudge.1.schema.json`.
    pub fn read(path: &str) -> Self {
        let project = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        Schema::at(&project.join("schemas").join(path))
    }

    fn at(path: &Path) -> Self {
        let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Schema { path: path.to_owned(), rules: decode(&bytes).unwrap() }
    }

    /// What it says.
    pub fn rules(&self) -> &Value {
        &self.rules
    }

    /// Why a value does not fit; `None` if it does.
    pub fn problem(&self, value: &Value) -> Option<String> {
        self.problem_with(&self.rules, value)
    }

    fn problem_with(&self, schema: &Value, value: &Value) -> Option<String> {
        let rules = schema.as_object().unwrap().iter();
        rules.filter_map(|(word, rule)| self.breaks(schema, word, rule, value)).next()
    }

    fn breaks(&self, schema: &Value, word: &str, rule: &Value, value: &Value) -> Option<String> {
        let unless = |fits: bool| (!fits).then(|| format!("{value} is not of {word} {rule}"));
        match word {
            "$schema" | "$defs" | "title" | "description" => None,
            "$ref" => self.refers(rule.as_str().unwrap(), value),
            "const" => unless(value == rule),
            "enum" => unless(rule.as_array().unwrap().contains(value)),
            "minimum" => unless(value.as_f64() >= rule.as_f64()),
            "type" => unless(is_of(rule.as_str().unwrap(), value)),
            "oneOf" => {
                let all = rule.as_array().unwrap();
                let fitting = all.iter().filter(|one| self.problem_with(one, value).is_none());
                unless(fitting.count() == 1)
            }
            "items" => value.as_array()?.iter().find_map(|item| self.problem_with(rule, item)),
            "prefixItems" => {
                let mut pairs = rule.as_array().unwrap().iter().zip(value.as_array()?);
                pairs.find_map(|(rule, item)| self.problem_with(rule, item))
            }
            "properties" => {
                let members = value.as_object()?;
                members.iter().find_map(|(name, member)| self.problem_with(rule.get(name)?, member))
            }
            "required" => {
                let has = |name: &Value| value.get(name.as_str().unwrap()).is_some();
                unless(rule.as_array().unwrap().iter().all(has))
            }
            "additionalProperties" => {
                let known = |name: &String| schema["properties"].get(name).is_some();
                unless(value.as_object()?.keys().all(known))
            }
            other => panic!("{}: the keyword {other} is not checked", self.path.display()),
        }
    }

    fn refers(&self, place: &str, value: &Value) -> Option<String> {
        let (file, pointer) = place.split_once('#').unwrap();
        let path = if file.is_empty() { self.path.clone() } else { self.path.with_file_name(file) };
        let schema = Schema::at(&path);
        let rules = schema.rules.pointer(pointer).unwrap().clone();
        schema.problem_with(&rules, value)
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
