//! What a Distributed Map reads its items from.

use super::Quantity;

/// `ItemReader`: how the items are found in what it reads.
#[derive(Debug, Clone, PartialEq)]
pub struct ItemReader {
    /// How what it reads is written.
    pub format: ItemFormat,
    /// `MaxItems` or `MaxItemsPath`; 0 or absent means all.
    pub max_items: Option<Quantity<u32>>,
}

/// How items are written at their source: `InputType` and what belongs to it.
#[derive(Debug, Clone, PartialEq)]
pub enum ItemFormat {
    /// An array or object, and that is also what a listing of S3 gives.
    Json {
        /// `ItemsPointer`: a JSON Pointer to the items.
        pointer: Option<String>,
    },
    /// A JSON value in each line.
    JsonLines,
    /// An item in each row.
    Csv(Csv),
    /// Parquet, which is no text.
    Parquet,
    /// A list of the files that have the items.
    Manifest,
}

/// How a CSV file is written.
#[derive(Debug, Clone, PartialEq)]
pub struct Csv {
    /// `CSVHeaderLocation`.
    pub headers: CsvHeaders,
    /// `CSVDelimiter`.
    pub delimiter: u8,
}

/// Where the names of the columns are.
#[derive(Debug, Clone, PartialEq)]
pub enum CsvHeaders {
    /// In the file.
    FirstRow,
    /// In the definition (`CSVHeaders`).
    Given(Vec<String>),
}
