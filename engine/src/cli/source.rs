//! Definitions and values as the command line names them.

use std::fs::File;
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
    let bytes = read_some(path, DOCUMENT_BYTES_MAX + 1)?;
    if bytes.len() as u64 > DOCUMENT_BYTES_MAX {
        return Err(wrong(format!("it has more than {DOCUMENT_BYTES_MAX} bytes, the most that it may have")));
    }
    let text = utf8(path, bytes)?;
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
    utf8(path, read_some(path, u64::MAX)?)
}

/// The first bytes of a file, which may have no end.
fn read_some(path: &Path, most: u64) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let read = if is_stdin(path) {
        std::io::stdin().take(most).read_to_end(&mut bytes)
    } else {
        File::open(path).and_then(|file| file.take(most).read_to_end(&mut bytes))
    };
    read.map_err(|error| failed(path, &error))?;
    Ok(bytes)
}

fn utf8(path: &Path, bytes: Vec<u8>) -> Result<String, Error> {
    String::from_utf8(bytes).map_err(|error| failed(path, &error))
}

fn failed(path: &Path, error: &dyn std::fmt::Display) -> Error {
    Error::Usage(format!("failed to read {}: {error}", path.display()))
}

fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}
