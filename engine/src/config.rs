//! Every setting, with its default and its unit.
//!
//! ```toml
//! [server]                          # where `warren dev` listens
//! host = "127.0.0.1"
//! port = 8083
//!
//! [data]
//! directory = "/var/lib/warren"     # unless given, everything is kept in memory
//!
//! [aws]                             # what ARNs say
//! region = "us-east-1"
//! account = "000000000000"
//!
//! [limits]
//! history_events_max = 25_000
//!
//! [functions]
//! default_url = "http://127.0.0.1:9001"    # a host of the Lambda Invoke API
//!
//! [functions.resize]                # by the function's name, or "name:qualifier"
//! command = ["python3", "resize.py"]
//! timeout_seconds = 60
//! ```
//!
//! A file comes first, environment variables (`WARREN__SERVER__PORT`) overrule it, flags overrule both. A
//! key that does not exist is an error, wherever it stands: a setting with a typing mistake would otherwise
//! be one without effect.

use std::num::{NonZeroU32, NonZeroU64, NonZeroUsize};
use std::path::{Path, PathBuf};

use connectors::lambda::{FunctionConfig, FunctionsConfig};
use figment::Figment;
use figment::error::Kind;
use figment::providers::{Format, Toml};
use figment::value::Dict;
use serde::{Deserialize, Deserializer};

use crate::arn::Home;
use variable::Variable;

mod variable;

/// The file that is read when none is named, in the working directory; it need not exist.
pub const FILE: &str = "warren.toml";

/// All settings.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// `[server]`.
    pub server: Server,
    /// `[data]`.
    pub data: Data,
    /// `[aws]`.
    pub aws: Aws,
    /// `[limits]`.
    pub limits: Limits,
    /// `[functions]`: `default_url` (none), `commands_max` (16), `output_bytes_max` (6 MiB), and a table for
    /// each function: `command` or `url`, and `timeout_seconds` (900).
    pub functions: FunctionsConfig,
}

/// Where the API listens.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Server {
    /// `host`: a name or address; `127.0.0.1`.
    pub host: String,
    /// `port`: 8083; 0 takes any that is free.
    pub port: u16,
}

impl Default for Server {
    fn default() -> Self {
        Server { host: "127.0.0.1".to_owned(), port: 8083 }
    }
}

/// Where state is kept.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Data {
    /// `directory`: made if it does not exist; absent, everything is kept in memory.
    pub directory: Option<PathBuf>,
}

/// What ARNs say.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Aws {
    /// `region`: `us-east-1`.
    pub region: String,
    /// `account`: twelve digits, as a text; `000000000000`.
    #[serde(deserialize_with = "account")]
    pub account: String,
}

impl Default for Aws {
    fn default() -> Self {
        let Home { region, account } = Home::default();
        Aws { region, account }
    }
}

/// What is refused, or ended, beyond which size.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// `payload_bytes_max`: input or output of a state, a task or an execution, in bytes; 262,144.
    pub payload_bytes_max: NonZeroUsize,
    /// `history_events_max`: events in the history of one Standard execution; 25,000.
    pub history_events_max: NonZeroU64,
    /// `map_concurrency`: iterations of an inline Map that run at a time where `MaxConcurrency` is 0 or
    /// absent; 40.
    pub map_concurrency: NonZeroU32,
    /// `open_executions_max`: executions that run at a time; a start beyond it is throttled; 1,000,000.
    pub open_executions_max: NonZeroU64,
}

impl Default for Limits {
    fn default() -> Self {
        use asl::limits::{HISTORY_EVENTS_MAX, MAP_CONCURRENCY_DEFAULT, PAYLOAD_BYTES_MAX};
        const { assert!(PAYLOAD_BYTES_MAX > 0 && HISTORY_EVENTS_MAX > 0 && MAP_CONCURRENCY_DEFAULT > 0) };
        Limits {
            payload_bytes_max: NonZeroUsize::new(PAYLOAD_BYTES_MAX).unwrap_or(NonZeroUsize::MAX),
            history_events_max: NonZeroU64::new(HISTORY_EVENTS_MAX).unwrap_or(NonZeroU64::MAX),
            map_concurrency: NonZeroU32::new(MAP_CONCURRENCY_DEFAULT).unwrap_or(NonZeroU32::MAX),
            open_executions_max: const { NonZeroU64::new(1_000_000).expect("not zero") },
        }
    }
}

/// A configuration that cannot be used. The text names the key and where it stands.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Error(String);

impl Config {
    /// Reads the settings: `file`, or else [`FILE`] if it is there, then the environment.
    pub fn load(file: Option<&Path>) -> Result<Self, Error> {
        let text = match file {
            Some(path) => read(path)?,
            None if Path::new(FILE).exists() => read(Path::new(FILE))?,
            None => String::new(),
        };
        Config::read(&text, file.unwrap_or(Path::new(FILE)), std::env::vars())
    }

    /// Reads the settings from the text of a file and from environment variables.
    fn read(
        text: &str,
        file: &Path,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, Error> {
        let mut figment = Figment::from(Source { toml: Toml::string(text), file: file.to_owned() });
        for variable in variables.into_iter().filter_map(Variable::of) {
            figment = figment.merge(variable);
        }
        let sections: Sections = figment.extract().map_err(|error| Error::of(&figment, error))?;
        let Sections { server, data, aws, limits, functions } = sections;
        let mut functions = read_functions(&figment, &functions)?;
        functions.region.clone_from(&aws.region);
        functions.account.clone_from(&aws.account);
        Ok(Config { server, data, aws, limits, functions })
    }

    /// The region and account that this service answers for.
    pub fn home(&self) -> Home {
        Home { region: self.aws.region.clone(), account: self.aws.account.clone() }
    }
}

impl Limits {
    /// Those that the language knows.
    pub fn of_language(&self) -> asl::limits::Limits {
        asl::limits::Limits {
            payload_bytes_max: self.payload_bytes_max.get(),
            history_events_max: self.history_events_max.get(),
            map_concurrency_default: self.map_concurrency.get(),
            fused_states_max: 1,
        }
    }
}

/// The sections as they are written; that of functions is read key by key.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sections {
    #[serde(default)]
    server: Server,
    #[serde(default)]
    data: Data,
    #[serde(default)]
    aws: Aws,
    #[serde(default)]
    limits: Limits,
    #[serde(default)]
    functions: Dict,
}

/// Three keys and any number of tables: a key that is neither would pass for a function, so it is refused
/// here by name.
fn read_functions(figment: &Figment, written: &Dict) -> Result<FunctionsConfig, Error> {
    let mut functions = FunctionsConfig::default();
    for (name, value) in written {
        let key = format!("functions.{name}");
        let failed = |mut error: figment::Error| {
            // What leads to the inner value is put behind the path within it.
            error.path.rotate_right(2);
            Error::of(figment, error)
        };
        match name.as_str() {
            "default_url" => functions.default_url = figment.extract_inner(&key).map_err(failed)?,
            "commands_max" => functions.commands_max = figment.extract_inner(&key).map_err(failed)?,
            "output_bytes_max" => functions.output_bytes_max = figment.extract_inner(&key).map_err(failed)?,
            _ if value.as_dict().is_none() => {
                let place = place(figment, &key);
                return Err(Error(format!(
                    "unknown key `{key}` in {place}: the keys of [functions] are default_url, commands_max, \
                     output_bytes_max and a table for each function, [{key}]"
                )));
            }
            _ => {
                let function: FunctionConfig = figment.extract_inner(&key).map_err(failed)?;
                functions.functions.insert(name.clone(), function);
            }
        }
    }
    Ok(functions)
}

impl Error {
    fn of(figment: &Figment, error: figment::Error) -> Self {
        let key = error.path.join(".");
        match &error.kind {
            Kind::UnknownField(_, expected) => {
                let expected = expected.join(", ");
                let place = place(figment, &key);
                Error(format!("unknown key `{key}` in {place}: it can be {expected}"))
            }
            kind if key.is_empty() => {
                // Broken TOML: its own text says where.
                let place = error.metadata.as_ref().map(|metadata| metadata.name.as_ref());
                Error(format!("failed to read {}: {kind}", place.unwrap_or("the configuration")))
            }
            kind => Error(format!("wrong value of `{key}` in {}: {kind}", place(figment, &key))),
        }
    }
}

/// Where a key was given its value.
fn place(figment: &Figment, key: &str) -> String {
    let metadata = figment.find_metadata(key);
    metadata.map_or_else(|| "the configuration".to_owned(), |metadata| metadata.name.clone().into_owned())
}

fn read(path: &Path) -> Result<String, Error> {
    std::fs::read_to_string(path)
        .map_err(|error| Error(format!("failed to read {}: {error}", path.display())))
}

/// The file, under the name that the user knows it by.
struct Source {
    toml: figment::providers::Data<Toml>,
    file: PathBuf,
}

impl figment::Provider for Source {
    fn metadata(&self) -> figment::Metadata {
        figment::Metadata::named(self.file.display().to_string())
    }

    fn data(&self) -> Result<figment::value::Map<figment::Profile, Dict>, figment::Error> {
        self.toml.data()
    }
}

fn account<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(text);
    }
    Err(serde::de::Error::custom(format!("an account has twelve digits, {text:?} has not")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, variables: &[(&str, &str)]) -> Result<Config, String> {
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Config::read(text, Path::new("warren.toml"), variables).map_err(|error| error.to_string())
    }

    fn check(text: &str, variables: &[(&str, &str)], error: &str) {
        assert_eq!(read(text, variables).map(|_| ()), Err(error.to_owned()));
    }

    #[test]
    fn the_environment_overrules_the_file_and_the_file_the_defaults() {
        let file = "[server]\nport = 1\n[aws]\nregion = 'eu-west-1'\n[limits]\nmap_concurrency = 3";
        let variables = [
            ("WARREN__SERVER__PORT", "2"),
            ("WARREN__AWS__ACCOUNT", "012345678901"),
            ("WARREN__FUNCTIONS__DEFAULT_URL", "http://127.0.0.1:9"),
            ("WARREN__FUNCTIONS__Resize__COMMAND", "cat"),
            ("WARREN__FUNCTIONS__Resize__TIMEOUT_SECONDS", "5"),
            ("WARREN__DATA__DIRECTORY", "7"),
            ("WARREN_REQUEST_ID", "no setting"),
        ];
        let config = read(file, &variables).unwrap();
        assert_eq!((config.server.host.as_str(), config.server.port), ("127.0.0.1", 2));
        assert_eq!((config.aws.region.as_str(), config.aws.account.as_str()), ("eu-west-1", "012345678901"));
        assert_eq!(config.limits.of_language().map_concurrency_default, 3);
        assert_eq!(config.functions.functions["Resize"].timeout.as_secs(), 5);
        assert!(config.functions.default_url.is_some());
        assert_eq!(config.functions.region, "eu-west-1");
        assert_eq!(config.data.directory, Some(PathBuf::from("7")));
    }

    #[test]
    fn an_unknown_key_is_named_with_its_place() {
        check("[server]\nprot = 1", &[], "unknown key `server.prot` in warren.toml: it can be host, port");
        check(
            "[sever]\nport = 1",
            &[],
            "unknown key `sever` in warren.toml: it can be server, data, aws, limits, functions",
        );
        check(
            "[server]\nport = 1",
            &[("WARREN__SERVER__PROT", "1")],
            "unknown key `server.prot` in the environment variable WARREN__SERVER__PROT: it can be host, port",
        );
        check(
            "",
            &[("WARREN__FUNCTIONS__DEFAULT", "http://h")],
            "unknown key `functions.default` in the environment variable WARREN__FUNCTIONS__DEFAULT: the keys of \
             [functions] are default_url, commands_max, output_bytes_max and a table for each function, \
             [functions.default]",
        );
        check(
            "[functions.f]\ncommand = 'c'\ntimeout = 3",
            &[],
            "unknown key `functions.f.timeout` in warren.toml: it can be command, url, timeout_seconds",
        );
    }

    #[test]
    fn a_wrong_value_is_named_with_its_place() {
        check(
            "[server]\nport = 70000",
            &[],
            "wrong value of `server.port` in warren.toml: invalid value signed int `70000`, expected u16",
        );
        check(
            "",
            &[("WARREN__SERVER__PORT", "x")],
            "wrong value of `server.port` in the environment variable WARREN__SERVER__PORT: invalid type: found \
             string \"x\", expected u16",
        );
        check(
            "[aws]\naccount = '1'",
            &[],
            "wrong value of `aws.account` in warren.toml: an account has twelve digits, \"1\" has not",
        );
        check(
            "[functions.f]",
            &[],
            "wrong value of `functions.f` in warren.toml: a function needs `command` or `url`",
        );
        let error = read("[server", &[]).map(|_| ()).unwrap_err();
        assert!(error.starts_with("failed to read warren.toml: "), "{error}");
    }

    /// The keys that an unknown one is told of, by section.
    fn keys(section: &str) -> Vec<String> {
        let error = read(&format!("[{section}]\nunknown = 1"), &[]).map(|_| ()).unwrap_err();
        let (_, keys) = error.rsplit_once(": it can be ").unwrap();
        keys.split(", ").map(str::to_owned).collect()
    }

    #[test]
    fn the_schema_names_every_key_and_its_default() {
        let schema = include_str!("../../schemas/config/warren.schema.json");
        let schema: serde_json::Value = serde_json::from_str(schema).unwrap();
        let sections = schema["properties"].as_object().unwrap();
        let mut defaults = String::new();
        for (section, content) in sections {
            let properties = content["properties"].as_object().unwrap();
            if section != "functions" {
                let named: Vec<&String> = properties.keys().collect();
                assert_eq!(named, keys(section).iter().collect::<Vec<_>>(), "[{section}]");
            }
            defaults += &format!("[{section}]\n");
            for (key, property) in properties.iter().filter(|(_, property)| !property["default"].is_null()) {
                // A JSON text or number is one of TOML as well.
                defaults += &format!("{key} = {}\n", property["default"]);
            }
        }
        let function = schema["properties"]["functions"]["additionalProperties"]["properties"].as_object();
        assert_eq!(
            function.unwrap().keys().collect::<Vec<_>>(),
            keys("functions.f").iter().collect::<Vec<_>>()
        );
        let written = read(&defaults, &[]).unwrap();
        assert_eq!(format!("{written:?}"), format!("{:?}", Config::default()));
    }
}
