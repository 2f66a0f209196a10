//! Logging, tracing and encryption of a state machine: checked, kept with its revision, shown again.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::errors::{ApiError, corrupt};
use super::parameters::Parameters;

/// What a revision keeps in its `settings`. The default is what AWS shows of a machine made without any.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Settings {
    logging_configuration: Logging,
    tracing_configuration: Tracing,
    #[serde(skip_serializing_if = "Option::is_none")]
    encryption_configuration: Option<Encryption>,
    /// Of the machine, not of the revision: what came with its creation, to know a repeated one by. Carried from one
    /// revision to the next.
    #[serde(skip_serializing_if = "Option::is_none")]
    first_version: Option<FirstVersion>,
}

/// A machine was created with `publish`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
struct FirstVersion {
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
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

/// The logging level that needs no destination.
const OFF: &str = "OFF";
/// The encryption that is always there.
const OWNED_KEY: &str = "AWS_OWNED_KEY";

impl Settings {
    /// Of a new machine.
    pub fn read(parameters: &Parameters) -> Result<Self, ApiError> {
        let first_version = publishes(parameters)
            .then(|| FirstVersion { description: parameters.text("versionDescription").map(str::to_owned) });
        Settings { first_version, ..Settings::default() }.changed(parameters)
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

    /// Whether two machines were made alike.
    pub fn is_made_like(&self, other: &Settings) -> bool {
        self.is_like(other) && self.first_version == other.first_version
    }

    /// Whether two machines are set up alike.
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

/// Whether a request asks for a version of what it makes.
pub fn publishes(parameters: &Parameters) -> bool {
    parameters.flag("publish").unwrap_or_default()
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
            "publish": true,
            "versionDescription": "first",
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
    fn a_key_of_the_user_is_refused() {
        let encryption = json!({"type": "CUSTOMER_MANAGED_KMS_KEY", "kmsKeyId": "k"});
        let error = read(json!({"encryptionConfiguration": encryption})).unwrap_err();
        assert_eq!(error.code(), "InvalidEncryptionConfiguration");
        assert!(read(json!({"encryptionConfiguration": {"type": "AWS_OWNED_KEY"}})).is_ok());
    }

    #[test]
    fn tags_are_not_compared_and_versions_only_at_the_beginning() {
        let plain = read(json!({})).unwrap();
        assert!(plain.is_made_like(&read(json!({"tags": [{"key": "k"}]})).unwrap()));
        let published = read(json!({"publish": true})).unwrap();
        let described = read(json!({"publish": true, "versionDescription": "first"})).unwrap();
        assert!(plain.is_like(&published) && published.is_like(&described));
        assert!(!plain.is_made_like(&published) && !published.is_made_like(&described));
    }

    #[test]
    fn settings_of_the_last_release_are_read() {
        let stored = r#"{"loggingConfiguration": {"level": "OFF", "includeExecutionData": false},
                         "tracingConfiguration": {"enabled": true}, "tags": [{"key": "k", "value": "v"}]}"#;
        let settings = Settings::stored(stored).unwrap();
        assert!(settings.is_made_like(&read(json!({"tracingConfiguration": {"enabled": true}})).unwrap()));
    }
}
