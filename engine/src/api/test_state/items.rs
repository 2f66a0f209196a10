//! What an `ItemReader` would have read, from the text as it stands at its source.

use std::collections::BTreeSet;

use asl::data::json;
use asl::limits::FORK_BYTES_MAX;
use asl::program::{Csv, CsvHeaders, ItemFormat, ItemReader};
use csv::{ReaderBuilder, StringRecord};
use serde_json::{Map, Value};

/// Longest headers of a CSV file, as on AWS.
const HEADERS_BYTES_MAX: usize = 10_240;
/// What a cell takes beside its texts, so that short rows below many headers are not free.
const CELL_BYTES: usize = 64;

/// The items, an array or object.
pub fn read(reader: &ItemReader, text: &str) -> Result<Value, String> {
    match &reader.format {
        ItemFormat::Json { pointer } => whole(text, pointer.as_deref()),
        ItemFormat::JsonLines => lines(text),
        ItemFormat::Csv(csv) => rows(text, csv),
        ItemFormat::Parquet => Err("items of InputType PARQUET cannot be given as a text".to_owned()),
        ItemFormat::Manifest => Err("items that a manifest lists cannot be given as a text".to_owned()),
    }
}

fn whole(text: &str, pointer: Option<&str>) -> Result<Value, String> {
    let mut value = json::parse(text).map_err(|error| error.with_location())?;
    let items = match pointer {
        None => value,
        Some(pointer) => match value.pointer_mut(pointer) {
            Some(items) => items.take(),
            None => return Err(format!("the ItemsPointer '{pointer}' leads to nothing in it")),
        },
    };
    if items.is_array() || items.is_object() {
        return Ok(items);
    }
    Err("Attempting to map over non-iterable node.".to_owned())
}

fn lines(text: &str) -> Result<Value, String> {
    let item = |(place, line): (usize, &str)| {
        json::parse(line).map_err(|error| format!("line {}: {}", place + 1, error.message()))
    };
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines.map(item).collect::<Result<_, _>>().map(Value::Array)
}

/// An object for each row. Cells that are missing are empty, those beyond the headers are left out, as on AWS.
fn rows(text: &str, csv: &Csv) -> Result<Value, String> {
    let mut reader = ReaderBuilder::new();
    reader.has_headers(false).flexible(true).delimiter(csv.delimiter);
    let mut reader = reader.from_reader(text.as_bytes());
    let mut rows = reader.records().map(|row| row.map_err(|error| error.to_string()));
    let headers = match &csv.headers {
        CsvHeaders::Given(headers) => StringRecord::from(headers.as_slice()),
        CsvHeaders::FirstRow => rows.next().transpose()?.unwrap_or_default(),
    };
    if headers.iter().collect::<BTreeSet<_>>().len() < headers.len() {
        return Err("CSV headers cannot contain duplicates.".to_owned());
    }
    if headers.as_slice().len() > HEADERS_BYTES_MAX {
        return Err(format!("CSV headers cannot be longer than {HEADERS_BYTES_MAX} bytes"));
    }
    let mut items = Vec::new();
    let mut bytes = 0;
    for row in rows {
        let row = row?;
        bytes += headers.as_slice().len() + row.as_slice().len() + CELL_BYTES * headers.len();
        if bytes > FORK_BYTES_MAX {
            return Err(format!("its items take more than {FORK_BYTES_MAX} bytes"));
        }
        let cell =
            |(place, header): (usize, &str)| (header.to_owned(), row.get(place).unwrap_or_default().into());
        items.push(headers.iter().enumerate().map(cell).collect::<Map<_, _>>().into());
    }
    Ok(Value::Array(items))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read_as(format: ItemFormat, text: &str) -> Result<Value, String> {
        read(&ItemReader { format, max_items: None }, text)
    }

    fn csv(headers: CsvHeaders, delimiter: u8) -> ItemFormat {
        ItemFormat::Csv(Csv { headers, delimiter })
    }

    #[test]
    fn each_format_is_read_as_it_is_written() {
        let given = || CsvHeaders::Given(vec!["a".to_owned(), "b".to_owned()]);
        let at = |pointer: &str| ItemFormat::Json { pointer: Some(pointer.to_owned()) };
        let cases = [
            (ItemFormat::Json { pointer: None }, "[1, {}]", json!([1, {}])),
            (ItemFormat::Json { pointer: None }, r#"{"k": 1}"#, json!({"k": 1})),
            (at("/x~1y/0"), r#"{"x/y": [[7]]}"#, json!([7])),
            (ItemFormat::JsonLines, "{\"a\": 1}\r\n\n2\n", json!([{"a": 1}, 2])),
            (ItemFormat::JsonLines, "[1, 2]", json!([[1, 2]])),
            (
                csv(CsvHeaders::FirstRow, b','),
                "\u{feff}a,b\r\n1,\"x, \"\"y\"\"\nz\"\r\n\n2\n3,4,5\n",
                json!([{"a": "1", "b": "x, \"y\"\nz"}, {"a": "2", "b": ""}, {"a": "3", "b": "4"}]),
            ),
            (csv(given(), b';'), "a;b\n1,5;2", json!([{"a": "a", "b": "b"}, {"a": "1,5", "b": "2"}])),
            (csv(given(), b'\t'), "1\t2", json!([{"a": "1", "b": "2"}])),
            (csv(CsvHeaders::FirstRow, b','), "", json!([])),
        ];
        for (format, text, items) in cases {
            assert_eq!(read_as(format, text), Ok(items), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_told() {
        let many: Vec<String> = (0..2000).map(|header| header.to_string()).collect();
        let cases = [
            (ItemFormat::Json { pointer: None }, "3".to_owned(), "Attempting to map over non-iterable node."),
            (ItemFormat::Json { pointer: Some("/a".into()) }, "{\"a\": 1}".to_owned(), "non-iterable node."),
            (
                ItemFormat::Json { pointer: Some("/b".into()) },
                "{\"a\": 1}".to_owned(),
                "'/b' leads to nothing",
            ),
            (ItemFormat::Json { pointer: None }, "1\n2".to_owned(), "line: 2"),
            (ItemFormat::JsonLines, "1\n\nx".to_owned(), "line 3: "),
            (
                csv(CsvHeaders::FirstRow, b','),
                "a,a\n1,2".to_owned(),
                "CSV headers cannot contain duplicates.",
            ),
            (csv(CsvHeaders::FirstRow, b','), "a".repeat(10_241), "longer than 10240 bytes"),
            (csv(CsvHeaders::Given(many), b','), "1\n".repeat(100_000), "its items take more than"),
            (ItemFormat::Parquet, "PAR1".to_owned(), "PARQUET cannot be given"),
            (ItemFormat::Manifest, "{}".to_owned(), "a manifest lists"),
        ];
        for (format, text, says) in cases {
            let error = read_as(format, &text).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
    }
}
