//! Which function is served by what: the section `[functions]` of the configuration.

use std::collections::BTreeMap;
use std::num::{NonZeroU64, NonZeroUsize};
use std::time::Duration;

use reqwest::Url;
use serde::Deserialize;

/// How long a function may run unless it says otherwise, in seconds: AWS's maximum.
const TIMEOUT_SECONDS: NonZeroU64 = NonZeroU64::new(900).expect("not zero");
/// How many commands run at a time unless configured.
const COMMANDS_MAX: NonZeroUsize = NonZeroUsize::new(16).expect("not zero");
/// How large an answer may be unless configured, in bytes: AWS's quota for a synchronous answer, 6 MiB.
const OUTPUT_BYTES_MAX: NonZeroUsize = NonZeroUsize::new(6 * 1024 * 1024).expect("not zero");

/// Where functions are.
///
/// ```
/// let config: connectors::lambda::FunctionsConfig = serde_json::from_value(serde_json::json!({
///     "default_url": "http://127.0.0.1:9901",
///     "resize": {"command": ["python3", "resize.py"], "timeout_seconds": 60},
///     "greet": {"command": "jq '{hello: .name}'"},
/// })).unwrap();
/// assert_eq!(config.functions.len(), 2);
/// ```
#[derive(Debug, Clone, Deserialize)]
pub struct FunctionsConfig {
    /// A host of the Lambda Invoke API, asked for every function without a mapping of its own.
    #[serde(default)]
    pub default_url: Option<FunctionUrl>,
    /// How many commands run at a time; further calls wait.
    #[serde(default = "commands_max")]
    pub commands_max: NonZeroUsize,
    /// The largest answer that is taken from a function, in bytes.
    #[serde(default = "output_bytes_max")]
    pub output_bytes_max: NonZeroUsize,
    /// The region of functions named without one. Not read from this section.
    #[serde(skip, default = "region")]
    pub region: String,
    /// The account of functions named without one. Not read from this section.
    #[serde(skip, default = "account")]
    pub account: String,
    /// By name, or by `name:qualifier` for one version or alias: the tables `[functions.NAME]`.
    #[serde(flatten)]
    pub functions: BTreeMap<String, FunctionConfig>,
}

impl Default for FunctionsConfig {
    fn default() -> Self {
        FunctionsConfig {
            default_url: None,
            commands_max: COMMANDS_MAX,
            output_bytes_max: OUTPUT_BYTES_MAX,
            region: region(),
            account: account(),
            functions: BTreeMap::new(),
        }
    }
}

fn commands_max() -> NonZeroUsize {
    COMMANDS_MAX
}

fn output_bytes_max() -> NonZeroUsize {
    OUTPUT_BYTES_MAX
}

fn region() -> String {
    "us-east-1".to_owned()
}

fn account() -> String {
    "000000000000".to_owned()
}

/// One function: `command = …` or `url = …`, and `timeout_seconds`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Table")]
pub struct FunctionConfig {
    /// What serves it.
    pub target: Target,
    /// How long one call may take.
    pub timeout: Duration,
}

/// What serves a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A process: JSON on standard input, JSON on standard output.
    Command(Command),
    /// A host of the Lambda Invoke API.
    Url(FunctionUrl),
}

/// A process to start.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged, expecting = "a command is a line for the shell or a list of a program and its arguments")]
pub enum Command {
    /// A line for `sh -c`.
    Shell(String),
    /// A program and its arguments, started without a shell.
    Program(Vec<String>),
}

/// The URL of a host of the Lambda Invoke API, to which `/2015-03-31/functions/NAME/invocations` is added;
/// or the whole URL of one function, which ends in `/invocations`, as the runtime interface emulator has it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct FunctionUrl(Url);

impl FunctionUrl {
    /// Where to send a call of a function.
    pub(super) fn invocations(&self, function: &str) -> Url {
        let mut url = self.0.clone();
        if url.path().trim_end_matches('/').ends_with("/invocations") {
            return url;
        }
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(["2015-03-31", "functions", function, "invocations"]);
        }
        url
    }
}

impl TryFrom<String> for FunctionUrl {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let url = Url::parse(&text).map_err(|error| format!("{text:?} is not a URL: {error}"))?;
        match url.scheme() {
            "http" | "https" => Ok(FunctionUrl(url)),
            scheme => Err(format!("{text:?} is not a URL of a function: http or https, not {scheme}")),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a function is a table with `command` or `url`")]
struct Table {
    command: Option<Command>,
    url: Option<FunctionUrl>,
    timeout_seconds: Option<NonZeroU64>,
}

impl TryFrom<Table> for FunctionConfig {
    type Error = &'static str;

    fn try_from(table: Table) -> Result<Self, &'static str> {
        let target = match (table.command, table.url) {
            (Some(Command::Shell(line)), None) if line.trim().is_empty() => {
                return Err("the command of a function is empty");
            }
            (Some(Command::Program(words)), None) if words.is_empty() => {
                return Err("the command of a function is empty");
            }
            (Some(command), None) => Target::Command(command),
            (None, Some(url)) => Target::Url(url),
            (Some(_), Some(_)) => return Err("a function has `command` or `url`, not both"),
            (None, None) => return Err("a function needs `command` or `url`"),
        };
        let timeout = Duration::from_secs(table.timeout_seconds.unwrap_or(TIMEOUT_SECONDS).get());
        Ok(FunctionConfig { target, timeout })
    }
}

impl FunctionsConfig {
    /// What serves a function, and how long it may take: its own mapping, or the default URL.
    pub(super) fn target(&self, name: &str, qualifier: Option<&str>) -> Option<FunctionConfig> {
        if let Some(function) = self.own_target(name, qualifier) {
            return Some(function.clone());
        }
        let url = self.default_url.clone()?;
        Some(FunctionConfig { target: Target::Url(url), timeout: Duration::from_secs(TIMEOUT_SECONDS.get()) })
    }

    /// The function's own mapping.
    pub(super) fn own_target(&self, name: &str, qualifier: Option<&str>) -> Option<&FunctionConfig> {
        let qualified = qualifier.and_then(|qualifier| self.functions.get(&format!("{name}:{qualifier}")));
        qualified.or_else(|| self.functions.get(name))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn check(config: Value, says: &str) {
        let error = serde_json::from_value::<FunctionsConfig>(config).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }

    #[test]
    fn a_wrong_section_is_reported_clearly() {
        check(json!({"f": {}}), "a function needs `command` or `url`");
        check(
            json!({"f": {"command": "c", "url": "http://h"}}),
            "a function has `command` or `url`, not both",
        );
        check(json!({"f": {"command": []}}), "the command of a function is empty");
        check(json!({"f": {"command": " "}}), "the command of a function is empty");
        check(json!({"f": {"command": 1}}), "a line for the shell or a list of a program and its arguments");
        check(json!({"f": {"url": "localhost:9000"}}), "http or https, not localhost");
        check(json!({"f": {"url": "/x"}}), "\"/x\" is not a URL: relative URL without a base");
        check(json!({"f": {"command": "c", "timeout": 3}}), "unknown field `timeout`");
        check(json!({"f": {"command": "c", "timeout_seconds": 0}}), "nonzero");
        check(json!({"default": "http://h"}), "a function is a table with `command` or `url`");
        check(json!({"commands_max": 0}), "nonzero");
    }

    #[test]
    fn a_functions_own_mapping_comes_first() {
        let config: FunctionsConfig = serde_json::from_value(json!({
            "default_url": "http://h/base/",
            "f": {"command": "c"},
            "f:PROD": {"url": "http://e:8080/2015-03-31/functions/function/invocations", "timeout_seconds": 3},
        }))
        .unwrap();
        let target = |name, qualifier| config.target(name, qualifier).unwrap();
        let shell = Target::Command(Command::Shell("c".to_owned()));
        assert_eq!(
            target("f", None),
            FunctionConfig { target: shell.clone(), timeout: Duration::from_secs(900) }
        );
        assert_eq!(target("f", Some("1")).target, shell);
        assert_eq!(target("f", Some("PROD")).timeout, Duration::from_secs(3));
        let Target::Url(own) = target("f", Some("PROD")).target else { panic!("a URL is a URL") };
        assert_eq!(own.invocations("f").as_str(), "http://e:8080/2015-03-31/functions/function/invocations");
        let Target::Url(other) = target("g", None).target else { panic!("the default is a URL") };
        assert_eq!(other.invocations("g:1").as_str(), "http://h/base/2015-03-31/functions/g:1/invocations");
        assert_eq!(FunctionsConfig::default().target("g", None), None);
    }
}
