//! The fields of a Distributed Map. It cannot run yet; what is wrong with it is told all the same.

use serde_json::Value;

use super::diagnostic::Code;
use super::fields::Object;
use super::machine::Surroundings;
use super::{Checker, WorkflowType};
use crate::data::expression::Uses;
use crate::program::{Csv, CsvHeaders, ItemFormat, ItemReader};

/// Longest `Label`, in characters.
const LABEL_CHARACTERS_MAX: usize = 40;
/// Characters that a `Label` cannot have, beside blanks and control characters.
const LABEL_FORBIDDEN: &str = "?*<>{}[]:;,\\|^~$#%&`\"";
/// Largest `MaxItems` and `MaxItemsPerBatch`.
const ITEMS_MAX: u32 = 100_000_000;
/// Largest `MaxInputBytesPerBatch`: a whole payload.
const BATCH_BYTES_MAX: u32 = 262_144;
/// The values of `CSVDelimiter`; the first unless given.
const DELIMITERS: [(&str, u8); 5] =
    [("COMMA", b','), ("PIPE", b'|'), ("SEMICOLON", b';'), ("SPACE", b' '), ("TAB", b'\t')];

impl<'a> Checker<'a> {
    /// What makes a Map distributed as a whole.
    pub(super) fn distributed(&mut self, object: Object<'a, '_>, around: &Surroundings<'a, '_>) {
        if around.workflow == WorkflowType::Express {
            let message = "Express state machine does not support Distributed Map state";
            self.report.error(object.place, message);
        }
        self.report.unsupported(object.place, "Distributed Map");
    }

    /// The fields that only a Distributed Map uses. AWS does not say what they do to an inline one.
    pub(super) fn distributed_fields(&mut self, object: Object<'a, '_>) -> Option<ItemReader> {
        let reader = self.distributed_field(object, "ItemReader", Self::item_reader);
        self.distributed_field(object, "ItemBatcher", Self::item_batcher);
        self.distributed_field(object, "ResultWriter", Self::result_writer);
        if let Some(label) = self.string(object, "Label") {
            self.label(object, label);
        }
        reader
    }

    fn distributed_field<T>(
        &mut self,
        object: Object<'a, '_>,
        name: &str,
        check: fn(&mut Self, Object<'a, '_>) -> T,
    ) -> Option<T> {
        let fields = self.object(object, name)?;
        let place = object.place.field(name);
        let checked = check(self, Object { fields, place: &place, language: object.language });
        self.report.unsupported(&place, name);
        Some(checked)
    }

    fn label(&mut self, object: Object<'a, '_>, label: &'a str) {
        let place = object.place.field("Label");
        let forbidden = |character: char| {
            character.is_whitespace() || character.is_control() || LABEL_FORBIDDEN.contains(character)
        };
        let mut refuse = |why: String| {
            self.report.push_at(Code::InvalidLabelName, &place, format!("Invalid Label name: {why}"));
        };
        if label.chars().count() > LABEL_CHARACTERS_MAX {
            refuse(format!(
                "Label '{label}' exceeds the {LABEL_CHARACTERS_MAX}-character limit allowed by the service"
            ));
        } else if label.is_empty() || label.contains(forbidden) {
            refuse(label.to_owned());
        } else if !self.labels.insert(label) {
            self.report.push_at(Code::DuplicateLabelName, &place, format!("Duplicate Label name: {label}"));
        }
    }

    /// Of one with an error, anything: its definition is refused.
    fn item_reader(&mut self, reader: Object<'a, '_>) -> ItemReader {
        self.required(reader, &["Resource"]);
        self.only_in(reader, &["Resource", "ReaderConfig"], &["Parameters"], &["Arguments"]);
        let resource = self.s3_resource(reader, &["getObject", "listObjectsV2"]);
        self.service_input(reader);
        let Some(fields) = self.object(reader, "ReaderConfig") else {
            if resource == Some("getObject") {
                self.required(reader, &["ReaderConfig"]);
            }
            return ItemReader { format: ItemFormat::Json { pointer: None }, max_items: None };
        };
        let place = reader.place.field("ReaderConfig");
        self.reader_config(Object { fields, place: &place, language: reader.language }, resource)
    }

    fn reader_config(&mut self, config: Object<'a, '_>, resource: Option<&str>) -> ItemReader {
        const FIELDS: &[&str] = &[
            "InputType",
            "Transformation",
            "ManifestType",
            "CSVHeaderLocation",
            "CSVHeaders",
            "CSVDelimiter",
            "ItemsPointer",
            "MaxItems",
        ];
        self.only_in(config, FIELDS, &["MaxItemsPath"], &[]);
        let input_type = self.one_of(config, "InputType", &["CSV", "JSON", "JSONL", "PARQUET", "MANIFEST"]);
        let transformation = self.one_of(config, "Transformation", &["NONE", "LOAD_AND_FLATTEN"]);
        self.one_of(config, "ManifestType", &["S3_INVENTORY", "ATHENA_DATA"]);
        let delimiter = self.one_of(config, "CSVDelimiter", &DELIMITERS.map(|(name, _)| name));
        let pointer = self.string(config, "ItemsPointer").map(str::to_owned);
        let max_items = self.quantity(config, ["MaxItems", "MaxItemsPath"], 0, ITEMS_MAX);
        self.outside_of_context(config, &["MaxItemsPath"]);
        let reads_data = resource == Some("getObject") || transformation == Some("LOAD_AND_FLATTEN");
        if reads_data && !config.has("ManifestType") {
            self.required(config, &["InputType"]);
        }
        let headers = self.csv_headers(config, input_type);
        let format = match input_type {
            _ if config.has("ManifestType") => ItemFormat::Manifest,
            Some("MANIFEST") => ItemFormat::Manifest,
            Some("PARQUET") => ItemFormat::Parquet,
            Some("JSONL") => ItemFormat::JsonLines,
            Some("CSV") => {
                let known = DELIMITERS.iter().find(|(name, _)| Some(*name) == delimiter);
                ItemFormat::Csv(Csv { headers, delimiter: known.map_or(b',', |(_, delimiter)| *delimiter) })
            }
            Some(_) | None => ItemFormat::Json { pointer },
        };
        ItemReader { format, max_items }
    }

    fn csv_headers(&mut self, config: Object<'a, '_>, input_type: Option<&str>) -> CsvHeaders {
        let location = self.one_of(config, "CSVHeaderLocation", &["FIRST_ROW", "GIVEN"]);
        let given = self.list(config, "CSVHeaders").map_or(&[][..], Vec::as_slice);
        if !given.iter().all(Value::is_string) {
            self.report.error(&config.place.field("CSVHeaders"), "Expected value of type [STRING]");
        }
        if location == Some("GIVEN") {
            self.required(config, &["CSVHeaders"]);
        }
        match input_type {
            Some("CSV") if !config.has("CSVHeaderLocation") && !config.has("ManifestType") => {
                self.report.error(config.place, "The field 'CSVHeaderLocation' is required");
            }
            Some("JSON" | "JSONL" | "PARQUET") if config.has("CSVHeaderLocation") => {
                self.report.error(config.place, "Field 'CSVHeaderLocation' is not supported");
            }
            _ => {}
        }
        match location {
            Some("GIVEN") => {
                CsvHeaders::Given(given.iter().filter_map(Value::as_str).map(str::to_owned).collect())
            }
            Some(_) | None => CsvHeaders::FirstRow,
        }
    }

    fn item_batcher(&mut self, batcher: Object<'a, '_>) {
        const LIMITS: [&str; 4] = [
            "MaxItemsPerBatch",
            "MaxItemsPerBatchPath",
            "MaxInputBytesPerBatch",
            "MaxInputBytesPerBatchPath",
        ];
        self.only_in(batcher, &["BatchInput", LIMITS[0], LIMITS[2]], &[LIMITS[1], LIMITS[3]], &[]);
        self.payload(batcher, "BatchInput", Uses::Input);
        self.quantity(batcher, [LIMITS[0], LIMITS[1]], 1, ITEMS_MAX);
        self.quantity(batcher, [LIMITS[2], LIMITS[3]], 1, BATCH_BYTES_MAX);
        self.outside_of_context(batcher, &[LIMITS[1], LIMITS[3]]);
    }

    fn result_writer(&mut self, writer: Object<'a, '_>) {
        if !writer.has("WriterConfig") {
            self.required(writer, &["Resource"]);
        }
        self.only_in(writer, &["Resource", "WriterConfig"], &["Parameters"], &["Arguments"]);
        self.s3_resource(writer, &["putObject"]);
        self.service_input(writer);
        if let Some(fields) = self.object(writer, "WriterConfig") {
            let place = writer.place.field("WriterConfig");
            let config = Object { fields, place: &place, language: writer.language };
            self.only(config, &["Transformation", "OutputType"]);
            self.one_of(config, "Transformation", &["NONE", "COMPACT", "FLATTEN"]);
            self.one_of(config, "OutputType", &["JSON", "JSONL"]);
        }
    }

    /// `Parameters` or `Arguments` of a reader or writer.
    fn service_input(&mut self, object: Object<'a, '_>) {
        if object.is_jsonata() {
            self.payload(object, "Arguments", Uses::Input);
        } else {
            self.template(object, "Parameters");
        }
    }

    /// `arn:PARTITION:states:::s3:ACTION`. Answers the action.
    fn s3_resource(&mut self, object: Object<'a, '_>, actions: &[&str]) -> Option<&'a str> {
        let resource = self.string(object, "Resource")?;
        let action = resource
            .strip_prefix("arn:")
            .and_then(|rest| rest.split_once(':'))
            .and_then(|(_, rest)| rest.strip_prefix("states:::s3:"))
            .filter(|action| actions.contains(action));
        if action.is_none() {
            let examples: Vec<String> =
                actions.iter().map(|action| format!("arn:<partition>:states:::s3:{action}")).collect();
            let message = format!(
                "The field 'Resource' does not match any of the allowed values. Examples: [{}]",
                examples.join(", ")
            );
            self.report.error(&object.place.field("Resource"), message);
        }
        action
    }
}
