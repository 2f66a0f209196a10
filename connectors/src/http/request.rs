//! From what a task says to the request that goes out (user guide, "Call HTTPS APIs in Step Functions").

use asl::data::Failure;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use reqwest::header::{
    AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RANGE, USER_AGENT,
};
use serde_json::{Map, Value, json};
use url::Url;

use super::client::{Outgoing, Secrets};
use super::connection::{Additions, Connection, Secret};
use super::encoding::{ArrayFormat, Pair, encode, pairs, scalar};
use crate::parameters::Parameters;

const KNOWN: [&str; 8] = [
    "ApiEndpoint",
    "Method",
    "Authentication",
    "InvocationConfig",
    "Headers",
    "QueryParameters",
    "RequestBody",
    "Transform",
];
const METHODS: [&str; 7] = ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"];
/// Headers that a state machine may not set.
const REFUSED: [&str; 32] = [
    "a-im",
    "accept-charset",
    "accept-datetime",
    "accept-encoding",
    "authorization",
    "cache-control",
    "connection",
    "content-encoding",
    "content-md5",
    "date",
    "expect",
    "forwarded",
    "from",
    "host",
    "http2-settings",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "max-forwards",
    "origin",
    "pragma",
    "proxy-authorization",
    "referer",
    "server",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
    "warning",
];
const REFUSED_PREFIXES: [&str; 3] = ["x-forwarded-", "x-amz-", "x-amzn-"];
/// Headers of the exchange itself, which not even a connection sets.
const FRAMING: [&str; 8] = [
    "connection",
    "content-length",
    "host",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
/// The first 256 KiB and a byte more: what a task can hold.
const RANGE_SENT: &str = "bytes=0-262144";
const JSON: &str = "application/json; charset=UTF-8";
const FORM: &str = "application/x-www-form-urlencoded";

/// What a task says.
#[derive(Debug)]
pub(super) struct Call {
    endpoint: Url,
    method: Method,
    headers: HeaderMap,
    query: Vec<Pair>,
    body: Option<Value>,
    /// How the body is written as a form, if it is.
    form: Option<ArrayFormat>,
    /// The ARN of the connection, where there is one.
    pub(super) connection: Option<String>,
}

impl Call {
    /// Reads the parameters of a task, all problems reported.
    pub(super) fn read(written: &Value) -> Result<Self, Failure> {
        let mut parameters = Parameters::new(written, &KNOWN);
        let endpoint = Url::parse(parameters.required_text("ApiEndpoint"));
        let usable = endpoint.as_ref().is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
        if !usable && parameters.value("ApiEndpoint").is_some_and(Value::is_string) {
            parameters.refuse("ApiEndpoint");
        }
        let method = parameters.required_text("Method");
        if !METHODS.contains(&method) && parameters.value("Method").is_some_and(Value::is_string) {
            parameters.refuse("Method");
        }
        let method = Method::from_bytes(method.as_bytes()).unwrap_or_default();
        let connection = connection_arn(&mut parameters);
        let headers = headers(&mut parameters);
        let query = query(&mut parameters);
        let form = form(&mut parameters);
        let body = parameters.value("RequestBody").cloned();
        if form.is_some() && body.as_ref().is_some_and(|body| !body.is_object() && !body.is_string()) {
            parameters.refuse("RequestBody");
        }
        parameters.check()?;
        let endpoint = endpoint.map_err(|error| Failure::runtime(error.to_string()))?;
        Ok(Call { endpoint, method, headers, query, body, form, connection })
    }

    /// What is done there.
    pub(super) fn method(&self) -> &Method {
        &self.method
    }

    /// Where it goes.
    pub(super) fn endpoint(&self) -> &Url {
        &self.endpoint
    }

    /// The request, with what a connection adds to it.
    pub(super) fn outgoing(
        &self,
        region: &str,
        connection: Option<&Connection>,
    ) -> Result<Outgoing, Failure> {
        let mut secrets = Secrets::default();
        let mut headers = self.headers.clone();
        let (mut url, mut query) = (self.endpoint.clone(), Vec::new());
        query.extend(
            self.query.iter().map(|pair| Pair { name: pair.name.clone(), values: pair.values.clone() }),
        );
        let mut body = self.body.clone();
        if let Some(connection) = connection {
            let Additions { headers: added, query: pairs, body: members } = &connection.additions;
            secrets.headers = add_headers(&mut headers, added, connection)?;
            add_query(&mut url, &mut query, pairs);
            secrets.in_body = add_members(&mut body, members)?;
        }
        if !query.is_empty() {
            let own = url.query().filter(|own| !own.is_empty()).map(|own| format!("{own}&"));
            url.set_query(Some(&(own.unwrap_or_default() + &encode(&query))));
        }
        headers.remove(CONTENT_LENGTH);
        headers.insert(USER_AGENT, value_of(&format!("Amazon|StepFunctions|HttpInvoke|{region}"))?);
        headers.insert(RANGE, HeaderValue::from_static(RANGE_SENT));
        let body = body.as_ref().map(|body| self.written(body));
        if body.is_some() {
            let default = if self.form.is_some() { FORM } else { JSON };
            headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static(default));
        }
        Ok(Outgoing { method: self.method.clone(), url, headers, body, secrets })
    }

    fn written(&self, body: &Value) -> String {
        match (body, self.form) {
            (Value::String(text), _) => text.clone(),
            (Value::Object(members), Some(format)) => encode(&pairs(members, format)),
            (body, _) => body.to_string(),
        }
    }
}

impl Outgoing {
    /// Adds a header that shows who the caller is.
    pub(super) fn authorize(&mut self, name: HeaderName, mut value: HeaderValue) {
        value.set_sensitive(true);
        self.headers.insert(name.clone(), value);
        self.secrets.headers.push(name);
    }

    /// Whether it shows who the caller is by `Authorization`.
    pub(super) fn is_authorized(&self) -> bool {
        self.headers.contains_key(AUTHORIZATION)
    }
}

/// `Basic …` (RFC 7617).
pub(super) fn basic(user: &str, password: &Secret) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{}", password.reveal())))
}

fn value_of(text: &str) -> Result<HeaderValue, Failure> {
    HeaderValue::from_str(text)
        .map_err(|_| Failure::runtime("The region of the configuration cannot be sent in a header"))
}

/// The one place that names the connection: `InvocationConfig` or, the older way, `Authentication`.
fn connection_arn(parameters: &mut Parameters<'_>) -> Option<String> {
    let mut arns = Vec::new();
    for name in ["Authentication", "InvocationConfig"] {
        if let Some(mut part) = parameters.object(name, &["ConnectionArn"]) {
            arns.push(part.required_text("ConnectionArn").to_owned());
            parameters.include(part);
        }
    }
    if arns.len() > 1 {
        parameters.refuse("InvocationConfig");
    }
    arns.into_iter().next()
}

fn headers(parameters: &mut Parameters<'_>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let Some(written) = parameters.value("Headers") else { return headers };
    let mut usable = written.is_object();
    for (name, value) in written.as_object().into_iter().flatten() {
        let lower = name.to_ascii_lowercase();
        if REFUSED.contains(&lower.as_str())
            || REFUSED_PREFIXES.iter().any(|prefix| lower.starts_with(prefix))
        {
            parameters.unsupported(name);
            continue;
        }
        let values = match value {
            Value::Array(values) => values.iter().collect(),
            value => vec![value],
        };
        let Ok(name) = HeaderName::from_bytes(lower.as_bytes()) else {
            usable = false;
            continue;
        };
        for value in values {
            match HeaderValue::from_str(&scalar(value)) {
                Ok(header) if !value.is_array() && !value.is_object() => {
                    headers.append(name.clone(), header);
                }
                Ok(_) | Err(_) => usable = false,
            }
        }
    }
    if !usable {
        parameters.refuse("Headers");
    }
    headers
}

fn query(parameters: &mut Parameters<'_>) -> Vec<Pair> {
    match parameters.value("QueryParameters") {
        None => Vec::new(),
        Some(Value::Object(members)) => pairs(members, ArrayFormat::Repeat),
        Some(_) => {
            parameters.refuse("QueryParameters");
            Vec::new()
        }
    }
}

/// `Transform`: how arrays are written, if the body is to be a form.
fn form(parameters: &mut Parameters<'_>) -> Option<ArrayFormat> {
    let mut transform = parameters.object("Transform", &["RequestBodyEncoding", "RequestEncodingOptions"])?;
    let encoded = match transform.text("RequestBodyEncoding") {
        Some("URL_ENCODED") => true,
        None | Some("NONE") => false,
        Some(_) => {
            transform.refuse("RequestBodyEncoding");
            false
        }
    };
    let mut format = ArrayFormat::Indices;
    if let Some(mut options) = transform.object("RequestEncodingOptions", &["ArrayFormat"]) {
        match options.text("ArrayFormat").map(ArrayFormat::named) {
            Some(Some(named)) => format = named,
            Some(None) => options.refuse("ArrayFormat"),
            None => {}
        }
        transform.include(options);
    }
    parameters.include(transform);
    encoded.then_some(format)
}

/// Sets the headers of a connection. Answers which they are.
fn add_headers(
    headers: &mut HeaderMap,
    added: &[(String, Secret)],
    connection: &Connection,
) -> Result<Vec<HeaderName>, Failure> {
    let mut names = Vec::new();
    for (name, value) in added {
        let (name, value) = header(name, value.reveal(), connection)?;
        headers.insert(name.clone(), value);
        names.push(name);
    }
    Ok(names)
}

/// A header of a connection. The failure does not show its value.
pub(super) fn header(
    name: &str,
    value: &str,
    connection: &Connection,
) -> Result<(HeaderName, HeaderValue), Failure> {
    let unusable = || {
        Failure::new(
            "Events.ConnectionResource.InvalidConnectionState",
            format!("The connection '{}' adds the header '{name}', which cannot be sent", connection.name),
        )
    };
    let read = HeaderName::from_bytes(name.as_bytes()).map_err(|_| unusable())?;
    if FRAMING.contains(&read.as_str()) {
        return Err(unusable());
    }
    let mut value = HeaderValue::from_str(value).map_err(|_| unusable())?;
    value.set_sensitive(true);
    Ok((read, value))
}

/// Adds the query of a connection, which wins over a task's of the same name, in its URL or beside it.
pub(super) fn add_query(url: &mut Url, query: &mut Vec<Pair>, added: &[(String, Secret)]) {
    let is_added = |name: &str| added.iter().any(|(own, _)| own == name);
    if url.query_pairs().any(|(name, _)| is_added(&name)) {
        let kept: Vec<Pair> = url
            .query_pairs()
            .filter(|(name, _)| !is_added(name))
            .map(|(name, value)| Pair::new(name, value))
            .collect();
        url.set_query((!kept.is_empty()).then(|| encode(&kept)).as_deref());
    }
    query.retain(|pair| !is_added(&pair.name));
    query.extend(added.iter().map(|(name, value)| Pair::new(name, value.reveal())));
}

/// Adds the members of a connection to a body, where they win. Answers whether there are any.
fn add_members(body: &mut Option<Value>, added: &[(String, Secret)]) -> Result<bool, Failure> {
    if added.is_empty() {
        return Ok(false);
    }
    match body.get_or_insert_with(|| Value::Object(Map::new())) {
        Value::Object(members) => {
            members.extend(added.iter().map(|(name, value)| (name.clone(), json!(value.reveal()))));
            Ok(true)
        }
        _ => Err(Failure::runtime(
            "The request body is no JSON object and cannot be merged with the body parameters of the \
             connection",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::super::connection::Authorization;
    use super::*;

    fn connection(headers: &[(&str, &str)], query: &[(&str, &str)], body: &[(&str, &str)]) -> Connection {
        let all = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), Secret::new(*value))).collect()
        };
        Connection {
            name: "shop".to_owned(),
            bound_to: None,
            authorization: Authorization::ApiKey { name: "X-Key".to_owned(), value: Secret::new("key") },
            additions: Additions { headers: all(headers), query: all(query), body: all(body) },
        }
    }

    /// The parameters of a call, with some more or others.
    fn parameters(change: Value) -> Value {
        let mut all = json!({"ApiEndpoint": "https://a.example/p?u=1", "Method": "POST"});
        for (name, value) in change.as_object().unwrap() {
            all[name] = value.clone();
        }
        all
    }

    fn outgoing(change: Value, connection: Option<&Connection>) -> Outgoing {
        Call::read(&parameters(change)).unwrap().outgoing("eu-west-1", connection).unwrap()
    }

    fn header<'a>(outgoing: &'a Outgoing, name: &str) -> Vec<&'a str> {
        outgoing.headers.get_all(name).iter().map(|value| value.to_str().unwrap()).collect()
    }

    fn check_problems(change: Value, expected: &[&str]) {
        let written = parameters(change);
        let cause = Call::read(&written).unwrap_err().cause.unwrap();
        let prefix = format!("The Parameters '{written}' could not be used to start the Task: ");
        assert_eq!(cause.strip_prefix(&prefix).unwrap(), format!("[{}]", expected.join(", ")));
    }

    #[test]
    fn every_problem_is_reported() {
        let invalid = |name: &str| format!("The value of the field '{name}' has an invalid format");
        check_problems(
            json!({"ApiEndpoint": null, "Method": null, "Body": 1}),
            &[
                "The field \"Body\" is not supported by Step Functions",
                "The field 'ApiEndpoint' is required but was missing",
                "The field 'Method' is required but was missing",
            ],
        );
        for (name, value) in [
            ("ApiEndpoint", json!("a.example/p")),
            ("ApiEndpoint", json!("ftp://a.example")),
            ("ApiEndpoint", json!(1)),
            ("Method", json!("get")),
            ("Method", json!("TRACE")),
            ("Method", json!(["GET"])),
            ("Authentication", json!("arn")),
            ("Headers", json!("X-A: 1")),
            ("Headers", json!({"X A": "1"})),
            ("Headers", json!({"X-A": "1\r\nX-B: 2"})),
            ("Headers", json!({"X-A": {"b": 1}})),
            ("QueryParameters", json!("a=b")),
            ("Transform", json!("URL_ENCODED")),
        ] {
            check_problems(json!({name: value}), &[&invalid(name)]);
        }
        check_problems(
            json!({"Transform": {"RequestBodyEncoding": "XML", "RequestEncodingOptions": {"ArrayFormat": "X"}}}),
            &[&invalid("RequestBodyEncoding"), &invalid("ArrayFormat")],
        );
        check_problems(
            json!({"Transform": {"RequestBodyEncoding": "URL_ENCODED"}, "RequestBody": [1]}),
            &[&invalid("RequestBody")],
        );
        check_problems(
            json!({"Authentication": {"ConnectionArn": "a"}, "InvocationConfig": {"ConnectionArn": "b"}}),
            &[&invalid("InvocationConfig")],
        );
        check_problems(
            json!({"InvocationConfig": {}}),
            &["The field 'ConnectionArn' is required but was missing"],
        );
    }

    #[test]
    fn headers_of_the_exchange_are_not_a_tasks() {
        for name in ["Authorization", "HOST", "Cookie2", "x-forwarded-for", "X-Amz-Date", "x-amzn-y", "Te"] {
            let refused = name != "Cookie2";
            let read = Call::read(&parameters(json!({"Headers": {name: "x"}})));
            assert_eq!(read.is_err(), refused, "{name}");
            if refused {
                let says = format!("The field \"{name}\" is not supported by Step Functions");
                check_problems(json!({"Headers": {name: "x"}}), &[&says]);
            }
        }
    }

    #[test]
    fn what_is_always_sent_cannot_be_changed() {
        let headers =
            json!({"User-Agent": "me", "Range": "bytes=0-1", "Content-Length": "7", "X-A": ["1", 2]});
        let sent = outgoing(json!({"Headers": headers}), None);
        assert_eq!(header(&sent, "user-agent"), ["Amazon|StepFunctions|HttpInvoke|eu-west-1"]);
        assert_eq!(header(&sent, "range"), ["bytes=0-262144"]);
        assert_eq!(header(&sent, "x-a"), ["1", "2"]);
        assert!(header(&sent, "content-length").is_empty());
        // Without a body there is no type of one.
        assert!(header(&sent, "content-type").is_empty());
    }

    #[test]
    fn bodies_are_json_text_or_forms() {
        let form = || json!({"RequestBodyEncoding": "URL_ENCODED"});
        let cases = [
            (json!({"RequestBody": {"b": 1, "a": "x"}}), r#"{"b":1,"a":"x"}"#, JSON),
            (json!({"RequestBody": "text"}), "text", JSON),
            (json!({"RequestBody": [1, null]}), "[1,null]", JSON),
            (json!({"RequestBody": {"a": ["x y"]}, "Transform": form()}), "a%5B0%5D=x%20y", FORM),
            (json!({"RequestBody": "a=b", "Transform": form()}), "a=b", FORM),
            (json!({"RequestBody": 1, "Headers": {"Content-Type": "text/plain"}}), "1", "text/plain"),
        ];
        for (change, body, content_type) in cases {
            let sent = outgoing(change.clone(), None);
            assert_eq!(sent.body.as_deref(), Some(body), "{change}");
            assert_eq!(header(&sent, "content-type"), [content_type], "{change}");
        }
        assert_eq!(outgoing(json!({}), None).body, None);
    }

    #[test]
    fn queries_are_added_and_those_of_the_connection_win() {
        let query = json!({"a": ["x", "y"], "b": {"c": 1}, "key": "mine"});
        let sent = outgoing(json!({"QueryParameters": query}), None);
        assert_eq!(sent.url.query(), Some("u=1&a=x&a=y&b%5Bc%5D=1&key=mine"));
        let added = connection(&[], &[("key", "its own"), ("u", "2")], &[]);
        let sent = outgoing(json!({"QueryParameters": query}), Some(&added));
        assert_eq!(sent.url.query(), Some("a=x&a=y&b%5Bc%5D=1&key=its%20own&u=2"));
        assert_eq!(outgoing(json!({}), None).url.query(), Some("u=1"));
    }

    #[test]
    fn headers_and_bodies_of_the_connection_win() {
        let added = connection(&[("X-A", "own"), ("Content-Type", "text/own")], &[], &[("m", "own")]);
        let change = json!({"Headers": {"x-a": ["1", "2"], "X-B": "3"}, "RequestBody": {"m": 1, "n": 2}});
        let sent = outgoing(change, Some(&added));
        assert_eq!((header(&sent, "x-a"), header(&sent, "x-b")), (vec!["own"], vec!["3"]));
        assert_eq!(header(&sent, "content-type"), ["text/own"]);
        assert_eq!(sent.body.as_deref(), Some(r#"{"m":"own","n":2}"#));
        assert!(sent.secrets.in_body);
        assert_eq!(sent.secrets.headers, ["x-a", "content-type"]);
        let sent = outgoing(json!({}), Some(&added));
        assert_eq!(sent.body.as_deref(), Some(r#"{"m":"own"}"#));
        for body in [json!("text"), json!([1])] {
            let call = Call::read(&parameters(json!({"RequestBody": body}))).unwrap();
            let failure = call.outgoing("r", Some(&added)).unwrap_err();
            assert!(failure.is("States.Runtime"));
        }
    }

    #[test]
    fn a_connection_cannot_break_the_exchange_and_does_not_show_its_secrets() {
        for (name, value) in [("Host", "h"), ("Content-Length", "9"), ("X A", "x"), ("X-A", "sec\nret")] {
            let added = connection(&[(name, value)], &[], &[]);
            let failure =
                Call::read(&parameters(json!({}))).unwrap().outgoing("r", Some(&added)).unwrap_err();
            assert!(failure.is("Events.ConnectionResource.InvalidConnectionState"));
            assert!(!failure.cause.unwrap().contains("sec"));
        }
        let sent = outgoing(json!({}), Some(&connection(&[("X-A", "secret")], &[], &[])));
        assert!(!format!("{:?}", sent.headers).contains("secret"));
    }
}
