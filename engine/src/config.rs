//! Every setting, with its default and its unit.
//!
//! ```toml
//! [server]                          # where Warren listens
//! host = "127.0.0.1"
//! port = 8083
//!
//! [data]                            # `warren dev`
//! directory = "/var/lib/warren"     # unless given, everything is kept in memory
//!
//! [broker]                          # `warren serve`
//! url = "amqps://warren:password@rabbitmq.example/%2f"
//!
//! [store]
//! url = "postgres://warren:password@postgres.example/warren"
//!
//! [aws]                             # what ARNs say
//! region = "us-east-1"
//! account = "000000000000"
//!
//! [functions]
//! default_url = "http://127.0.0.1:9001"    # a host of the Lambda Invoke API
//!
//! [functions.resize]                # by the function's name, or "name:qualifier"
//! command = ["python3", "resize.py"]
//! timeout_seconds = 60
//!
//! [http]
//! egress.allow = ["10.1.0.0/16:*"]  # beside public hosts
//!
//! [connections.shop]                # by the name in the connection's ARN
//! basic = { username = "warren", password = "warren-sealed.1:…" }
//! ```
//!
//! All of them are listed in `docs/guides/configuration.md`. A file comes first, environment variables
//! (`WARREN__SERVER__PORT`) overrule it, flags overrule both. A key that does not exist is an error, wherever
//! it stands: a setting with a typing mistake would otherwise be one without effect.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use connectors::http::HttpConfig;
use connectors::lambda::{FunctionConfig, FunctionsConfig};
use figment::Figment;
use figment::error::Kind;
use figment::providers::{Format, Toml};
use figment::value::{Dict, Value};
use serde::Deserialize;

use crate::arn::Home;
use variable::Variable;

mod connections;
mod explain;
mod roles;
mod secret;
mod sections;
mod throttling;
mod variable;

pub use connections::{ConnectionConfig, NotOpened};
pub use explain::Setting;
pub use roles::{Role, Roles};
pub use secret::{Address, Key};
pub use sections::{
    Aws, Broker, Data, Engine, Events, Limits, Metrics, QueueType, Secrets, Server, Store, Tasks, Triggers,
};
pub use throttling::Throttling;

/// The file that is read when none is named, in the working directory; it need not exist.
pub const FILE: &str = "warren.toml";

/// All settings.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// `[server]`.
    pub server: Server,
    /// `[data]`.
    pub data: Data,
    /// `[broker]`.
    pub broker: Broker,
    /// `[store]`.
    pub store: Store,
    /// `[engine]`.
    pub engine: Engine,
    /// `[events]`.
    pub events: Events,
    /// `[tasks]`.
    pub tasks: Tasks,
    /// `[triggers]`.
    pub triggers: Triggers,
    /// `[aws]`.
    pub aws: Aws,
    /// `[limits]`.
    pub limits: Limits,
    /// `[throttling]`.
    pub throttling: Throttling,
    /// `[metrics]`.
    pub metrics: Metrics,
    /// `[functions]`: `default_url` (none), `commands_max` (16), `output_bytes_max` (6 MiB), and a table for
    /// each function: `command` or `url`, and `timeout_seconds` (900).
    pub functions: FunctionsConfig,
    /// `[http]`: `egress.allow` (nothing; with `warren dev`, this machine), `redirects_max` (3) and
    /// `timeout_seconds` (60).
    pub http: HttpConfig,
    /// `[connections.NAME]`.
    pub connections: BTreeMap<String, ConnectionConfig>,
    /// `[secrets]`.
    pub secrets: Secrets,
}

/// A setting given on the command line.
#[derive(Debug, Clone)]
pub struct Flag {
    /// `section.key`.
    pub key: &'static str,
    /// Its value.
    pub value: Value,
    /// The flag, with its dashes.
    pub name: &'static str,
}

/// What a command takes for granted unless somebody says otherwise.
#[derive(Debug, Clone)]
pub struct Granted {
    /// `section.key`.
    pub key: &'static str,
    /// Its value.
    pub value: Value,
}

/// A configuration that cannot be used. The text names the key and where it stands.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Error(String);

impl Config {
    /// Reads the settings: `file`, or else [`FILE`] if it is there, then the environment, then flags.
    pub fn load(file: Option<&Path>, flags: &[Flag]) -> Result<Self, Error> {
        Config::load_for(&[], file, flags)
    }

    /// As [`load`](Config::load), for a command with defaults of its own.
    pub fn load_for(granted: &[Granted], file: Option<&Path>, flags: &[Flag]) -> Result<Self, Error> {
        let given = gather(file, flags)?;
        Config::of(&granted.iter().fold(given, |figment, granted| figment.join(granted)))
    }

    /// What [`load`](Config::load) would read: each setting with its value and where that comes from.
    pub fn explain(file: Option<&Path>, flags: &[Flag]) -> Result<Vec<Setting>, Error> {
        let figment = gather(file, flags)?;
        Config::of(&figment)?;
        Ok(explain::settings(&figment))
    }

    fn of(figment: &Figment) -> Result<Self, Error> {
        let sections: Sections = figment.extract().map_err(|error| Error::of(figment, error))?;
        let Sections { server, data, broker, store, engine, events, tasks, triggers, .. } = sections;
        let Sections { aws, limits, throttling, metrics, functions, mut http, connections, secrets, .. } =
            sections;
        let mut functions = read_functions(figment, &functions)?;
        functions.region.clone_from(&aws.region);
        functions.account.clone_from(&aws.account);
        http.region.clone_from(&aws.region);
        if let Some(name) = connections.keys().find(|name| !connections::is_name(name)) {
            let place = place(figment, &format!("connections.{name}"));
            return Err(Error(format!(
                "wrong name of a connection, {name:?}, in {place}: it has 1 to 64 letters, digits, dots, \
                 hyphens and underscores"
            )));
        }
        Ok(Config {
            server,
            data,
            broker,
            store,
            engine,
            events,
            tasks,
            triggers,
            aws,
            limits,
            throttling,
            metrics,
            functions,
            http,
            connections,
            secrets,
        })
    }

    /// The region and account that this service answers for.
    pub fn home(&self) -> Home {
        Home { region: self.aws.region.clone(), account: self.aws.account.clone() }
    }
}

/// All sources, the later overruling the earlier.
fn gather(file: Option<&Path>, flags: &[Flag]) -> Result<Figment, Error> {
    let text = match file {
        Some(path) => read(path)?,
        None if Path::new(FILE).exists() => read(Path::new(FILE))?,
        None => String::new(),
    };
    let written = figment(&text, file.unwrap_or(Path::new(FILE)), std::env::vars(), &[]);
    // A wrong value is told, even where a flag stands in for it.
    Config::of(&written)?;
    Ok(flags.iter().fold(written, |figment, flag| figment.merge(flag)))
}

fn figment(
    text: &str,
    file: &Path,
    variables: impl IntoIterator<Item = (String, String)>,
    flags: &[Flag],
) -> Figment {
    let mut figment = Figment::from(Source { toml: Toml::string(text), file: file.to_owned() });
    for variable in variables.into_iter().filter_map(Variable::of) {
        figment = figment.merge(variable);
    }
    flags.iter().fold(figment, |figment, flag| figment.merge(flag))
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
    broker: Broker,
    #[serde(default)]
    store: Store,
    #[serde(default)]
    engine: Engine,
    #[serde(default)]
    events: Events,
    #[serde(default)]
    tasks: Tasks,
    #[serde(default)]
    triggers: Triggers,
    #[serde(default)]
    aws: Aws,
    #[serde(default)]
    limits: Limits,
    #[serde(default)]
    throttling: Throttling,
    #[serde(default)]
    metrics: Metrics,
    #[serde(default)]
    functions: Dict,
    #[serde(default)]
    http: HttpConfig,
    #[serde(default)]
    connections: BTreeMap<String, ConnectionConfig>,
    #[serde(default)]
    secrets: Secrets,
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
            Kind::InvalidType(_, expected) | Kind::InvalidValue(_, expected) if explain::is_secret(&key) => {
                Error(format!("wrong value of `{key}` in {}: expected {expected}", place(figment, &key)))
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

impl figment::Provider for &Granted {
    fn metadata(&self) -> figment::Metadata {
        figment::Metadata::named("the defaults of the command")
    }

    fn data(&self) -> Result<figment::value::Map<figment::Profile, Dict>, figment::Error> {
        let path: Vec<&str> = self.key.split('.').collect();
        Ok(variable::nested(&path, self.value.clone()))
    }
}

impl figment::Provider for &Flag {
    fn metadata(&self) -> figment::Metadata {
        figment::Metadata::named(format!("the flag {}", self.name))
    }

    fn data(&self) -> Result<figment::value::Map<figment::Profile, Dict>, figment::Error> {
        let path: Vec<&str> = self.key.split('.').collect();
        Ok(variable::nested(&path, self.value.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, variables: &[(&str, &str)]) -> Result<Config, String> {
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Config::of(&figment(text, Path::new("warren.toml"), variables, &[]))
            .map_err(|error| error.to_string())
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
        check(
            "[server]\nprot = 1",
            &[],
            "unknown key `server.prot` in warren.toml: it can be host, port, roles, drain_seconds",
        );
        check(
            "[sever]\nport = 1",
            &[],
            "unknown key `sever` in warren.toml: it can be server, data, broker, store, engine, events, tasks, \
             triggers, aws, limits, throttling, metrics, functions, http, connections, secrets",
        );
        check(
            "[server]\nport = 1",
            &[("WARREN__SERVER__PROT", "1")],
            "unknown key `server.prot` in the environment variable WARREN__SERVER__PROT: it can be host, port, roles, \
             drain_seconds",
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

    /// The schema of a table names the keys that it can have, and so for the tables in it.
    fn check_keys(section: &str, content: &serde_json::Value) {
        let properties = content["properties"].as_object().unwrap();
        let named: Vec<&String> = properties.keys().collect();
        assert_eq!(named, keys(section).iter().collect::<Vec<_>>(), "[{section}]");
        for (key, property) in properties.iter().filter(|(_, property)| property["properties"].is_object()) {
            check_keys(&format!("{section}.{key}"), property);
        }
    }

    #[test]
    fn the_schema_names_every_key_and_its_default() {
        let schema = include_str!("../../schemas/config/warren.schema.json");
        let schema: serde_json::Value = serde_json::from_str(schema).unwrap();
        let sections = schema["properties"].as_object().unwrap();
        let mut defaults = String::new();
        for (section, content) in sections {
            let properties = content["properties"].as_object().unwrap();
            if !["functions", "connections"].contains(&section.as_str()) {
                check_keys(section, content);
            }
            defaults += &format!("[{section}]\n");
            for (key, property) in properties.iter().filter(|(_, property)| !property["default"].is_null()) {
                // A JSON text or number is one of TOML as well.
                defaults += &format!("{key} = {}\n", property["default"]);
            }
        }
        for section in ["functions", "connections"] {
            check_keys(&format!("{section}.f"), &sections[section]["additionalProperties"]);
        }
        let written = read(&defaults, &[]).unwrap();
        assert_eq!(format!("{written:?}"), format!("{:?}", Config::default()));
    }

    #[test]
    fn every_default_can_be_given_by_a_variable() {
        let schema = include_str!("../../schemas/config/warren.schema.json");
        let schema: serde_json::Value = serde_json::from_str(schema).unwrap();
        for (section, content) in schema["properties"].as_object().unwrap() {
            for (key, property) in content["properties"].as_object().unwrap() {
                let name = format!("WARREN__{section}__{key}").to_uppercase();
                let text = match &property["default"] {
                    serde_json::Value::Null => continue,
                    serde_json::Value::String(text) => text.clone(),
                    other => other.to_string(),
                };
                let read = read("", &[(&name, &text)]).unwrap();
                assert_eq!(format!("{read:?}"), format!("{:?}", Config::default()), "{name}");
            }
        }
    }

    #[test]
    fn the_guide_lists_every_key_as_the_schema_does() {
        let schema = include_str!("../../schemas/config/warren.schema.json");
        let schema: serde_json::Value = serde_json::from_str(schema).unwrap();
        // Read and not taken in: the build of the program needs no documents.
        let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/guides/configuration.md");
        let guide = std::fs::read_to_string(guide).unwrap();
        let listed: Vec<&str> = guide.lines().filter(|line| line.starts_with("| `")).collect();
        let mut expected = Vec::new();
        for (section, content) in schema["properties"].as_object().unwrap() {
            expected.extend(rows(section, content));
        }
        assert_eq!(listed, expected);
    }

    /// The rows of the guide for one table of the schema.
    fn rows(section: &str, content: &serde_json::Value) -> Vec<String> {
        let mut rows = Vec::new();
        for (key, property) in content["properties"].as_object().unwrap() {
            let key = format!("{section}.{key}");
            if property["properties"].is_object() {
                rows.extend(self::rows(&key, property));
                continue;
            }
            let default = match &property["default"] {
                serde_json::Value::Null => "not set".to_owned(),
                serde_json::Value::String(text) => format!("`{text}`"),
                other => format!("`{other}`"),
            };
            let variable = format!("WARREN__{}", key.replace('.', "__")).to_uppercase();
            let meaning = property["description"].as_str().unwrap();
            rows.push(format!("| `{key}` | `{variable}` | {default} | {meaning} |"));
        }
        rows
    }

    #[test]
    fn http_and_connections_are_read_from_the_file_and_the_environment() {
        let file = "[http]\nredirects_max = 0\n[connections.shop]\nbound_to = 'api.example'\n\
                    basic = { username = 'u', password = 'p' }";
        let variables = [
            ("WARREN__HTTP__EGRESS__ALLOW", "http://127.0.0.1:*, 10.0.0.0/8"),
            ("WARREN__HTTP__TIMEOUT_SECONDS", "5"),
            ("WARREN__BROKER__DECLARE_QUEUES", "true"),
            ("WARREN__CONNECTIONS__Shop.2__API_KEY__NAME", "x-key"),
            ("WARREN__CONNECTIONS__Shop.2__API_KEY__VALUE", "7"),
            ("WARREN__CONNECTIONS__Shop.2__HEADERS__X-Tenant", "8"),
            ("WARREN__CONNECTIONS__shop__BASIC__PASSWORD", "secret"),
            ("WARREN__SECRETS__KEY", &"07".repeat(32)),
        ];
        let config = read(file, &variables).unwrap();
        assert_eq!((config.http.egress.allow.len(), config.http.redirects_max), (2, 0));
        assert_eq!((config.http.timeout.as_secs(), config.broker.declare_queues), (5, true));
        assert_eq!(config.secrets.read_key().unwrap(), Some(Key([7; 32])));
        let shop = config.connections["Shop.2"].open("Shop.2", None).unwrap();
        assert_eq!(shop.additions.headers[0].0, "X-Tenant");
        assert!(!format!("{:?}", config.connections).contains("secret"));
    }

    #[test]
    fn a_connection_that_cannot_be_is_told_without_its_secrets() {
        for (text, says) in [
            (
                "[connections.c]",
                "wrong value of `connections.c` in warren.toml: a connection needs one of `basic`, `api_key` and \
                 `oauth`",
            ),
            (
                "[connections.c]\nbasic = 'u:secret'",
                "wrong value of `connections.c.basic` in warren.toml: expected struct Basic",
            ),
            (
                "[connections.c.basic]\nusername = 'u'\npassword = 1234",
                "wrong value of `connections.c.basic.password` in warren.toml: expected a string",
            ),
            (
                "[connections.c.basic]\nuser = 'u'",
                "unknown key `connections.c.basic.user` in warren.toml: it can be username, password",
            ),
            (
                "[connections.'a/b'.api_key]\nname = 'n'\nvalue = 'v'",
                "wrong name of a connection, \"a/b\", in warren.toml: it has 1 to 64 letters, digits, dots, \
                 hyphens and underscores",
            ),
            (
                "[http]\nredirects_max = 4",
                "wrong value of `http.redirects_max` in warren.toml: at most 3 redirects can be followed",
            ),
        ] {
            check(text, &[], says);
        }
    }

    #[test]
    fn what_a_command_takes_for_granted_is_overruled_by_all_else() {
        let granted = Granted { key: "http.egress.allow", value: vec![Value::from("127.0.0.1")].into() };
        let read = |text: &str| {
            let given = figment(text, Path::new("warren.toml"), [], &[]);
            Config::of(&given.join(&granted)).unwrap().http
        };
        assert_eq!(read("").egress.allow.len(), 1);
        assert_eq!(read("[http]\nredirects_max = 1").egress.allow.len(), 1);
        assert_eq!(read("[http.egress]\nallow = []").egress.allow.len(), 0);
    }
}
