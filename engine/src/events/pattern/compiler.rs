//! From the text of a pattern to its tree of fields.
//!
//! The pattern is read from front to back, as event-ruler reads it. At any point there is a list of
//! combinations, each saying what it asks of which field; a list of alternatives adds a field to all of them,
//! an `$or` makes a copy of each for each of its branches. Fields are named by their path with dots, so
//! `{"a.b": …}` and `{"a": {"b": …}}` are the same field; a field named again is asked for anew.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::combinations::COMBINATIONS_MAX;
use super::condition::Condition;
use super::error::PatternError;
use super::expression;
use super::source::Source;
use super::tree::Tree;

/// Most names with dots between them in the path of one field.
const SEGMENTS_MAX: usize = 64;

const OR: &str = "$or";

/// Names that cannot stand for fields inside `$or`, so that a misplaced test is not taken for a field
/// (event-ruler, `RESERVED_FIELD_NAMES_IN_OR_RELATIONSHIP`).
const RESERVED_IN_OR: [&str; 24] = [
    "exactly",
    "equals-ignore-case",
    "prefix",
    "suffix",
    "anything-but",
    "exists",
    "wildcard",
    "numeric",
    "cidr",
    "=",
    "<",
    "<=",
    ">",
    ">=",
    "regex",
    "not-wildcard",
    "not-equals-ignore-case",
    "date-after",
    "date-on-or-after",
    "date-before",
    "date-on-or-before",
    "in-date-range",
    "ip-address-in-range",
    "ip-address-not-in-range",
];

/// What one combination asks of each field, by path: the number of its condition.
pub(super) type Combination = BTreeMap<Rc<str>, usize>;

/// What has been read so far.
#[derive(Default)]
pub(super) struct Compiled {
    pub(super) conditions: Vec<Condition>,
    pub(super) combinations: Vec<Combination>,
}

/// Where the compiler is.
#[derive(Clone)]
struct Here {
    /// The field's path, with dots; absent for the pattern itself.
    path: Option<String>,
    /// The place in the text: `/detail/$or[1]`.
    place: String,
    inside_or: bool,
}

impl Here {
    fn field(&self, name: &str) -> Here {
        let path = match &self.path {
            Some(path) => format!("{path}.{name}"),
            None => name.to_owned(),
        };
        Here { path: Some(path), place: format!("{}/{name}", self.place), inside_or: self.inside_or }
    }

    fn branch(&self, index: usize) -> Here {
        let place = format!("{}/{OR}[{index}]", self.place);
        Here { path: self.path.clone(), place, inside_or: true }
    }

    fn error(&self, reason: impl Into<String>) -> PatternError {
        PatternError::new(reason).at(&self.place)
    }
}

/// Compiles a whole pattern.
pub(super) fn compile(source: &Source) -> Result<Tree, PatternError> {
    let here = Here { path: None, place: String::new(), inside_or: false };
    let Source::Object(members) = source else {
        return Err(here.error("Filter is not an object"));
    };
    let mut compiled = Compiled { conditions: Vec::new(), combinations: vec![Combination::new()] };
    compiled.object(members, &here)?;
    Ok(Tree::of(&compiled))
}

impl Compiled {
    /// Adds what an object asks for to each of the combinations.
    fn object(&mut self, members: &[(String, Source)], here: &Here) -> Result<(), PatternError> {
        if members.is_empty() {
            return Err(here.error("Empty objects are not allowed"));
        }
        for (name, member) in members {
            if name == OR {
                self.either(member, here)?;
                continue;
            }
            if here.inside_or && RESERVED_IN_OR.contains(&name.as_str()) {
                let reason = format!("{name} is Ruler reserved fieldName which cannot be used inside {OR}.");
                return Err(here.error(reason));
            }
            let field = here.field(name);
            match member {
                Source::Object(members) => self.object(members, &field)?,
                Source::Array(elements) => self.list(elements, &field)?,
                _ => return Err(field.error(format!("\"{name}\" must be an object or an array"))),
            }
        }
        Ok(())
    }

    /// `$or`: each branch on its own copy of the combinations so far.
    fn either(&mut self, source: &Source, here: &Here) -> Result<(), PatternError> {
        let Source::Array(branches) = source else {
            return Err(here.error(format!("It must be an Array followed with {OR}.")));
        };
        let before = std::mem::take(&mut self.combinations);
        let mut all = Vec::new();
        for (index, branch) in branches.iter().enumerate() {
            let within = here.branch(index);
            let Source::Object(members) = branch else {
                let reason = format!("Only JSON object is allowed in array of {OR} relationship.");
                return Err(within.error(reason));
            };
            self.combinations.clone_from(&before);
            self.object(members, &within)?;
            all.append(&mut self.combinations);
            if all.len() > COMBINATIONS_MAX {
                let reason = format!("There are more than {COMBINATIONS_MAX} combinations of {OR}");
                return Err(here.error(reason));
            }
        }
        if branches.len() < 2 {
            return Err(here.error(format!("There must have at least 2 Objects in {OR} relationship.")));
        }
        self.combinations = all;
        Ok(())
    }

    /// A list of alternatives: what the field must be.
    fn list(&mut self, elements: &[Source], field: &Here) -> Result<(), PatternError> {
        let mut condition = Condition::default();
        for (index, element) in elements.iter().enumerate() {
            let alternative = expression::alternative(element)
                .map_err(|error| error.at(&format!("{}[{index}]", field.place)))?;
            condition.add(alternative);
        }
        if elements.is_empty() {
            return Err(field.error("Empty arrays are not allowed"));
        }
        let path: Rc<str> = field.path.as_deref().unwrap_or_default().into();
        if path.split('.').count() > SEGMENTS_MAX {
            return Err(field.error(format!("The path has more than {SEGMENTS_MAX} names")));
        }
        for combination in &mut self.combinations {
            combination.insert(path.clone(), self.conditions.len());
        }
        self.conditions.push(condition);
        Ok(())
    }
}
