//! Definitions and values as the command line names them.

use std::io::Read;
use std::path::Path;

use asl::data::json;
use serde_json::Value;

use super::Error;
use crate::yaml;

/// Longest file of tests or mocks (16 MiB).
pub(super) const DOCUMENT_BYTES_MAX: u64 = 16_777_216;
/// Most values in such a file that is YAML, those that aliases repeat included.
const YAML_NODES_MAX: usize = 500_000;

/// The text of a definition and the name to show it under; `-` is standard input.
pub(super) fn definition(path: &Path) -> Result<(String, String), Error> {
    let name = if is_stdin(path) { "standard input".to_owned() } else { path.display().to_string() };
    let text = read(path)?;
    if is_yaml(path) && !text.trim_start().starts_with('{') {
        return Err(Error::Usage(format!(
            "{name}: definitions in YAML are not supported; convert it to JSON, the form that \
             CreateStateMachine takes"
        )));
    }
    Ok((name, text))
}

/// A value given as JSON, as `@FILE`, or as `-` for standard input; with its text.
pub(super) fn value(option: &str, argument: &str) -> Result<(Value, String), Error> {
    let text = match argument.strip_prefix('@') {
        Some(file) => read(Path::new(file))?,
        None if argument == "-" => read(Path::new("-"))?,
        None => argument.to_owned(),
    };
    let value = json::parse(&text)
        .map_err(|error| Error::Usage(format!("{option} is not JSON: {}", error.with_location())))?;
    Ok((value, text))
}

/// A document of tests or mocks: YAML if its name says so, else JSON.
pub(super) fn document(path: &Path) -> Result<Value, Error> {
    let wrong = |message: String| Error::Usage(format!("{}: {message}", path.display()));
    let bound = |bytes: u64| {
        let text = format!("it has {bytes} bytes; such a file may have {DOCUMENT_BYTES_MAX}");
        if bytes > DOCUMENT_BYTES_MAX { Err(wrong(text)) } else { Ok(()) }
    };
    // What is no file has no length before it is read.
    bound(std::fs::metadata(path).map_or(0, |metadata| metadata.len()))?;
    let text = read(path)?;
    bound(text.len() as u64)?;
    if is_yaml(path) {
        return yaml::read(&text, YAML_NODES_MAX).map_err(wrong);
    }
    json::parse(&text).map_err(|error| wrong(error.with_location()))
}

fn is_yaml(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml")
}

/// The text of a file; `-` is standard input.
pub(super) fn read(path: &Path) -> Result<String, Error> {
    let mut bytes = Vec::new();
    let read = if is_stdin(path) {
        std::io::stdin().read_to_end(&mut bytes).map(|_| ())
    } else {
        std::fs::read(path).map(|read| bytes = read)
    };
    let failed =
        |error: &dyn std::fmt::Display| Error::Usage(format!("failed to read {}: {error}", path.display()));
    read.map_err(|error| failed(&error))?;
    String::from_utf8(bytes).map_err(|error| failed(&error))
}

fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}
