//! The fields of a Distributed Map. It cannot run yet; what is wrong with it is told all the same.

use serde_json::Value;

use super::diagnostic::Code;
use super::fields::Object;
use super::machine::Surroundings;
use super::{Checker, WorkflowType};
use crate::data::expression::Uses;

/// Longest `Label`, in characters.
const LABEL_CHARACTERS_MAX: usize = 40;
/// Characters that a `Label` cannot have, beside blanks and control characters.
const LABEL_FORBIDDEN: &str = "?*<>{}[]:;,\\|^~$#%&`\"";
/// Largest `MaxItems` and `MaxItemsPerBatch`.
const ITEMS_MAX: u32 = 100_000_000;
/// Largest `MaxInputBytesPerBatch`: a whole payload.
const BATCH_BYTES_MAX: u32 = 262_144;

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
    pub(super) fn distributed_fields(&mut self, object: Object<'a, '_>) {
        for (name, check) in [
            ("ItemReader", Self::item_reader as fn(&mut Self, Object<'a, '_>)),
            ("ItemBatcher", Self::item_batcher),
            ("ResultWriter", Self::result_writer),
        ] {
            if let Some(fields) = self.object(object, name) {
                let place = object.place.field(name);
                check(self, Object { fields, place: &place, language: object.language });
                self.report.unsupported(&place, name);
            }
        }
        if let Some(label) = self.string(object, "Label") {
            self.label(object, label);
        }
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

    fn item_reader(&mut self, reader: Object<'a, '_>) {
        self.required(reader, &["Resource"]);
        self.only_in(reader, &["Resource", "ReaderConfig"], &["Parameters"], &["Arguments"]);
        let resource = self.s3_resource(reader, &["getObject", "listObjectsV2"]);
        self.service_input(reader);
        let Some(fields) = self.object(reader, "ReaderConfig") else {
            if resource == Some("getObject") {
                self.required(reader, &["ReaderConfig"]);
            }
            return;
        };
        let place = reader.place.field("ReaderConfig");
        self.reader_config(Object { fields, place: &place, language: reader.language }, resource);
    }

    fn reader_config(&mut self, config: Object<'a, '_>, resource: Option<&str>) {
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
        self.one_of(config, "CSVDelimiter", &["COMMA", "PIPE", "SEMICOLON", "SPACE", "TAB"]);
        self.string(config, "ItemsPointer");
        self.quantity(config, ["MaxItems", "MaxItemsPath"], 0, ITEMS_MAX);
        self.outside_of_context(config, &["MaxItemsPath"]);
        let reads_data = resource == Some("getObject") || transformation == Some("LOAD_AND_FLATTEN");
        if reads_data && !config.has("ManifestType") {
            self.required(config, &["InputType"]);
        }
        self.csv(config, input_type);
    }

    fn csv(&mut self, config: Object<'a, '_>, input_type: Option<&str>) {
        let location = self.one_of(config, "CSVHeaderLocation", &["FIRST_ROW", "GIVEN"]);
        if let Some(headers) = self.list(config, "CSVHeaders")
            && !headers.iter().all(Value::is_string)
        {
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
