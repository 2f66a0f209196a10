//! Logging, tracing, encryption and tags of a state machine: checked, kept with its revision, shown again.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::errors::{ApiError, corrupt};
use super::parameters::Parameters;

/// Most tags of a resource (AWS quota).
const TAGS_MAX: usize = 50;

/// What a revision keeps in its `settings`. The default is what AWS shows of a machine made without any.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Settings {
    logging_configuration: Logging,
    tracing_configuration: Tracing,
    #[serde(skip_serializing_if = "Option::is_none")]
    encryption_configuration: Option<Encryption>,
    /// Of the machine, not of the revision: carried from one to the next, and never compared.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tags: Vec<Tag>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Logging {
    level: String,
    include_execution_data: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    destinations: Option<Vec<Destination>>,
}

impl Default for Logging {
    fn default() -> Self {
        Logging { level: OFF.to_owned(), include_execution_data: false, destinations: None }
    }
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Destination {
    cloud_watch_logs_log_group: LogGroup,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct LogGroup {
    log_group_arn: String,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
struct Tracing {
    enabled: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Encryption {
    r#type: String,
}

impl Default for Encryption {
    fn default() -> Self {
        Encryption { r#type: OWNED_KEY.to_owned() }
    }
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
struct Tag {
    key: String,
    value: String,
}

/// The logging level that needs no destination.
const OFF: &str = "OFF";
/// The encryption that is always there.
const OWNED_KEY: &str = "AWS_OWNED_KEY";

impl Settings {
    /// Of a new machine.
    pub fn read(parameters: &Parameters) -> Result<Self, ApiError> {
        check_tags(parameters)?;
        let tags = parameters.value("tags").map(typed).transpose()?.unwrap_or_default();
        Settings { tags, ..Settings::default() }.changed(parameters)
    }

    /// The same with what a request gives.
    pub fn changed(mut self, parameters: &Parameters) -> Result<Self, ApiError> {
        if let Some(logging) = parameters.value("loggingConfiguration") {
            self.logging_configuration = typed(logging)?;
            self.logging_configuration.check()?;
        }
        if let Some(tracing) = parameters.value("tracingConfiguration") {
            self.tracing_configuration = typed(tracing)?;
        }
        check_encryption(parameters)?;
        if let Some(encryption) = parameters.value("encryptionConfiguration") {
            self.encryption_configuration = Some(typed(encryption)?);
        }
        Ok(self)
    }

    /// From a revision.
    pub fn stored(text: &str) -> Result<Self, ApiError> {
        serde_json::from_str(text).map_err(|error| corrupt(&error))
    }

    /// For a revision.
    pub fn to_stored(&self) -> String {
        json!(self).to_string()
    }

    /// Whether two machines are set up alike. Tags do not matter.
    pub fn is_like(&self, other: &Settings) -> bool {
        self.logging_configuration == other.logging_configuration
            && self.tracing_configuration == other.tracing_configuration
            && self.encryption_configuration == other.encryption_configuration
    }

    /// Adds the members that a description shows.
    pub fn describe(&self, answer: &mut Map<String, Value>) {
        answer.insert("loggingConfiguration".into(), json!(self.logging_configuration));
        answer.insert("tracingConfiguration".into(), json!(self.tracing_configuration));
        // As recorded, a machine that nobody set a key for says nothing of encryption.
        if let Some(encryption) = &self.encryption_configuration {
            answer.insert("encryptionConfiguration".into(), json!(encryption));
        }
    }
}

impl Logging {
    fn check(&self) -> Result<(), ApiError> {
        let invalid = |why: &str| {
            let message = format!("Invalid Logging Configuration: {why}");
            Err(ApiError::new("InvalidLoggingConfiguration", message))
        };
        let destinations = self.destinations.as_deref().unwrap_or_default();
        if destinations.len() > 1 || destinations.is_empty() && self.level != OFF {
            return invalid("Must specify exactly one Log Destination.");
        }
        let misnamed = |destination: &Destination| {
            let arn = &destination.cloud_watch_logs_log_group.log_group_arn;
            !(arn.starts_with("arn:") && arn.ends_with(":*"))
        };
        if destinations.iter().any(misnamed) {
            return invalid("Log Destination not found. Its logGroupArn must be an ARN that ends with ':*'.");
        }
        Ok(())
    }
}

/// `tags` of a request: at most [`TAGS_MAX`].
pub fn check_tags(parameters: &Parameters) -> Result<(), ApiError> {
    match parameters.value("tags").and_then(Value::as_array) {
        Some(tags) if tags.len() > TAGS_MAX => {
            let message = format!("Too many tags: {}; a resource has at most {TAGS_MAX}", tags.len());
            Err(ApiError::new("TooManyTags", message))
        }
        _ => Ok(()),
    }
}

/// `encryptionConfiguration` of a request: to promise encryption with a key that is never used would be
/// worse than to refuse it.
pub fn check_encryption(parameters: &Parameters) -> Result<(), ApiError> {
    let given = parameters.value("encryptionConfiguration");
    match given.and_then(|given| given["type"].as_str()) {
        None | Some(OWNED_KEY) => Ok(()),
        Some(other) => Err(ApiError::new(
            "InvalidEncryptionConfiguration",
            format!(
                "Invalid Encryption Configuration: Warren does not encrypt with keys of its users ({other}); \
                 use {OWNED_KEY}, and encrypt the database's volume"
            ),
        )),
    }
}

/// Reads what the model has checked.
fn typed<T: serde::de::DeserializeOwned>(value: &Value) -> Result<T, ApiError> {
    serde_json::from_value(value.clone()).map_err(|error| ApiError::serialization(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::super::parameters::Action;
    use super::*;

    fn read(mut members: Value) -> Result<Settings, ApiError> {
        members["name"] = json!("m");
        members["definition"] = json!("{}");
        members["roleArn"] = json!("r");
        let Value::Object(fields) = members else { panic!("a request is an object") };
        Settings::read(&Parameters::check(Action::CreateStateMachine.members(), fields)?)
    }

    fn destination(arn: &str) -> Value {
        json!({"cloudWatchLogsLogGroup": {"logGroupArn": arn}})
    }

    const GROUP: &str = "arn:aws:logs:us-east-1:000000000000:log-group:g:*";

    fn check(members: Value, code: &str, message: &str) {
        let error = read(members).unwrap_err();
        assert_eq!((error.code(), error.to_json()["message"].as_str().unwrap()), (code, message));
    }

    #[test]
    fn what_was_not_given_is_shown_as_aws_shows_it() {
        for members in [json!({}), json!({"loggingConfiguration": {}})] {
            let mut shown = Map::new();
            read(members).unwrap().describe(&mut shown);
            let expected = json!({
                "loggingConfiguration": {"level": "OFF", "includeExecutionData": false},
                "tracingConfiguration": {"enabled": false},
            });
            assert_eq!(Value::Object(shown), expected);
        }
    }

    #[test]
    fn what_was_given_is_shown_again() {
        let logging =
            json!({"level": "ALL", "includeExecutionData": true, "destinations": [destination(GROUP)]});
        let settings = read(json!({
            "loggingConfiguration": logging,
            "tracingConfiguration": {"enabled": true},
            "tags": [{"key": "k", "value": "v"}, {"key": "empty"}],
        }))
        .unwrap();
        let stored = Settings::stored(&settings.to_stored()).unwrap();
        assert_eq!(stored, settings);
        let mut shown = Map::new();
        stored.describe(&mut shown);
        assert_eq!(shown["loggingConfiguration"], logging);
        assert_eq!(shown["tracingConfiguration"], json!({"enabled": true}));
    }

    #[test]
    fn an_empty_list_of_destinations_is_kept() {
        let mut shown = Map::new();
        read(json!({"loggingConfiguration": {"destinations": []}})).unwrap().describe(&mut shown);
        let expected = json!({"level": "OFF", "includeExecutionData": false, "destinations": []});
        assert_eq!(shown["loggingConfiguration"], expected);
    }

    #[test]
    fn logging_needs_exactly_one_destination() {
        let code = "InvalidLoggingConfiguration";
        let one = "Invalid Logging Configuration: Must specify exactly one Log Destination.";
        check(json!({"loggingConfiguration": {"level": "ALL"}}), code, one);
        let two = json!([destination(GROUP), destination(GROUP)]);
        check(json!({"loggingConfiguration": {"level": "ALL", "destinations": two}}), code, one);
        let wrong = json!([destination("g")]);
        let message = "Invalid Logging Configuration: Log Destination not found. \
                       Its logGroupArn must be an ARN that ends with ':*'.";
        check(json!({"loggingConfiguration": {"level": "ALL", "destinations": wrong}}), code, message);
    }

    #[test]
    fn a_resource_has_at_most_fifty_tags() {
        let tags: Vec<Value> = (0..51).map(|index| json!({"key": index.to_string(), "value": ""})).collect();
        check(json!({"tags": tags}), "TooManyTags", "Too many tags: 51; a resource has at most 50");
        assert!(read(json!({"tags": tags[..50]})).is_ok());
    }

    #[test]
    fn a_key_of_the_user_is_refused() {
        let encryption = json!({"type": "CUSTOMER_MANAGED_KMS_KEY", "kmsKeyId": "k"});
        let error = read(json!({"encryptionConfiguration": encryption})).unwrap_err();
        assert_eq!(error.code(), "InvalidEncryptionConfiguration");
        assert!(read(json!({"encryptionConfiguration": {"type": "AWS_OWNED_KEY"}})).is_ok());
    }

    #[test]
    fn tags_are_not_compared() {
        let (plain, tagged) = (read(json!({})), read(json!({"tags": [{"key": "k"}]})));
        assert!(plain.unwrap().is_like(&tagged.unwrap()));
    }
}
