//! What holds of AWS, row by row: `compatibility/rows.txt` has one for every action, error, field of a state and
//! function, each with the test that shows it, and `docs/compatibility.md` tells them.
//!
//! `BLESS=1 cargo test -p engine --test compatibility` writes the rows into the document.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a failure here is the result of a test")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use regex::Regex;

/// `TITLE`, then `NAME | same, different: HOW or absent: WHY | FILE TEST`; a case of the corpus is a file alone.
const ROWS: &str = include_str!("compatibility/rows.txt");
/// The service model: each action with its errors.
const MODEL: &str = include_str!("compatibility/model.txt");
/// Errors of every action, which the model does not name.
const COMMON: [&str; 5] = [
    "AccessDeniedException",
    "InternalServerException",
    "SerializationException",
    "ThrottlingException",
    "UnknownOperationException",
];

const ACTIONS: &str = "Actions";
const ERRORS: &str = "Errors";
const FIELDS: &str = "Fields of states";
const INTRINSICS: &str = "Intrinsic functions";
const ADDED: &str = "Functions that AWS adds to JSONata";

const BEGIN: &str = "<!-- rows: written by engine/tests/compatibility.rs -->\n";
const END: &str = "<!-- end of rows -->\n";

struct Row {
    name: &'static str,
    /// `same`, `different` or `absent`.
    holds: &'static str,
    /// How, or why.
    how: &'static str,
    file: &'static str,
    test: Option<&'static str>,
}

impl Row {
    fn read(line: &'static str) -> Self {
        let parts: Vec<&str> = line.split(" | ").collect();
        let [name, holds, shown] = parts[..] else { panic!("three parts: {line}") };
        let (holds, how) = holds.split_once(": ").unwrap_or((holds, ""));
        assert!(["same", "different", "absent"].contains(&holds), "{line}");
        assert_eq!(how.is_empty(), holds == "same", "what is not the same says how: {line}");
        let (file, test) = shown.split_once(' ').map_or((shown, None), |(file, test)| (file, Some(test)));
        Row { name, holds, how, file, test }
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The sections of [`ROWS`], in their order.
fn sections() -> Vec<(&'static str, Vec<Row>)> {
    let sections = ROWS.split("# ").filter(|section| !section.is_empty()).map(|section| {
        let (title, rows) = section.split_once('\n').expect("a title");
        (title, rows.lines().filter(|line| !line.is_empty()).map(Row::read).collect())
    });
    sections.collect()
}

fn rows(title: &str) -> Vec<Row> {
    sections().into_iter().find(|(of, _)| *of == title).map(|(_, rows)| rows).expect("the section is there")
}

fn model() -> BTreeMap<&'static str, Vec<&'static str>> {
    let actions = MODEL.lines().map(|line| line.split_once(": ").expect("an action and its errors"));
    actions.map(|(action, errors)| (action, errors.split(' ').collect())).collect()
}

/// What stands at the group of a pattern in a source.
fn found(path: &str, pattern: &str) -> BTreeSet<String> {
    let pattern = Regex::new(pattern).unwrap();
    let found: BTreeSet<String> =
        pattern.captures_iter(&read(path)).map(|captures| captures[1].to_owned()).collect();
    assert!(!found.is_empty(), "{path} has nothing like {pattern}");
    found
}

/// Asserts that a section has a row for each name, and no other.
fn covers(title: &str, names: impl IntoIterator<Item = impl Into<String>>) {
    let names: BTreeSet<String> = names.into_iter().map(Into::into).collect();
    let told: Vec<String> = rows(title).iter().map(|row| row.name.to_owned()).collect();
    assert_eq!(told.len(), told.iter().collect::<BTreeSet<_>>().len(), "{title}: a name is there twice");
    assert_eq!(told.into_iter().collect::<BTreeSet<_>>(), names, "{title}");
}

#[test]
fn every_action_has_a_row() {
    let model = model();
    assert_eq!(model.len(), 37);
    covers(ACTIONS, model.into_keys());
    let offered = found("engine/src/api/parameters/members.rs", r#"\(\s*"(\w+)",\s*Action::"#);
    for row in rows(ACTIONS) {
        assert_eq!(offered.contains(row.name), row.holds != "absent", "{}", row.name);
    }
}

#[test]
fn every_error_has_a_row() {
    covers(ERRORS, model().into_values().flatten().chain(COMMON));
    let mut api = String::new();
    for entry in std::fs::read_dir(root().join("engine/src/api")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            api += &std::fs::read_to_string(path).unwrap();
        }
    }
    for row in rows(ERRORS) {
        assert_eq!(api.contains(&format!("\"{}\"", row.name)), row.holds != "absent", "{}", row.name);
    }
}

#[test]
fn every_field_of_a_state_has_a_row() {
    let pattern = r#"(?m)^    \("(\w+)", (?:Both|JsonPathOnly|JsonataOnly),"#;
    covers(FIELDS, found("asl/src/definition/fields.rs", pattern));
}

#[test]
fn every_function_has_a_row() {
    covers(INTRINSICS, found("asl/src/data/intrinsic/function.rs", r#"Self::\w+ => "(States\.\w+)""#));
    let added = found("asl/src/data/expression/host.rs", r#"Own::\w+ => "(\w+)""#);
    covers(ADDED, added.into_iter().map(|name| format!("${name}")));
}

#[test]
fn every_row_names_a_test_about_it() {
    for (_, rows) in sections() {
        for row in rows {
            let text = read(row.file);
            match row.test {
                Some(test) => {
                    let marks = [format!("fn {test}()"), format!("def {test}(self)")];
                    assert!(marks.iter().any(|mark| text.contains(mark)), "{} has no {test}", row.file);
                }
                None => assert!(row.file.starts_with("asl/tests/corpus/"), "{}: which test?", row.name),
            }
            let names = [row.name.to_owned(), snake_case(row.name)];
            let is_about = row.holds == "absent" || names.iter().any(|name| text.contains(name));
            assert!(is_about, "{} does not name {}", row.file, row.name);
        }
    }
}

fn snake_case(name: &str) -> String {
    let mut written = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !written.is_empty() {
            written.push('_');
        }
        written.push(letter.to_ascii_lowercase());
    }
    written
}

#[test]
fn the_document_tells_the_rows() {
    let document = read("docs/compatibility.md");
    let (before, rest) = document.split_once(BEGIN).expect("the document has the first mark");
    let (_, behind) = rest.split_once(END).expect("the document has the second mark");
    let told = format!("{before}{BEGIN}{}{END}{behind}", tables());
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(root().join("docs/compatibility.md"), &told).unwrap();
        return;
    }
    assert!(
        document == told,
        "docs/compatibility.md is old: BLESS=1 cargo test -p engine --test compatibility"
    );
}

fn tables() -> String {
    let mut text = String::new();
    for (title, rows) in sections() {
        text += &format!("\n### {title}\n\n| name | as on AWS | shown by |\n| --- | --- | --- |\n");
        for Row { name, holds, how, file, test } in &rows {
            let holds = if how.is_empty() { (*holds).to_owned() } else { format!("**{holds}**: {how}") };
            let short = ["engine/tests/", "engine/src/", "asl/tests/"];
            let file = short.iter().find_map(|folder| file.strip_prefix(folder)).unwrap_or(file);
            let shown = test.map_or(format!("`{file}`"), |test| format!("`{test}` in `{file}`"));
            text += &format!("| `{name}` | {holds} | {shown} |\n");
        }
    }
    text + "\n"
}
