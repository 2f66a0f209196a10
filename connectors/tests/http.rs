//! HTTP calls as tasks see them, against hosts on this machine.

#![expect(clippy::unwrap_used, reason = "helpers of tests panic like the tests themselves")]

use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use asl::data::Failure;
use asl::program::{Pattern, Resource, ServiceResource};
use async_trait::async_trait;
use connectors::http::{
    Additions, Authorization, ClientCredentials, Connection, Connections, HttpConfig, HttpConnector,
    Resolver, Secret, TokenMethod, Unavailable,
};
use connectors::{Connector, Request, Submission};
use serde_json::{Value, json};

#[path = "http/host.rs"]
mod host;

use host::{Host, answer};

/// Nothing takes this long unless it hangs.
const HANGS: Duration = Duration::from_secs(30);

struct NoSubmission;

#[async_trait]
impl Submission for NoSubmission {
    async fn submitted(&self, output: Value) {
        panic!("a call is not submitted: {output}");
    }
}

/// Knows one connection, or cannot say.
struct Known(Result<Option<Connection>, Unavailable>);

#[async_trait]
impl Connections for Known {
    async fn find(&self, arn_or_name: &str) -> Result<Option<Arc<Connection>>, Unavailable> {
        let found = self.0.clone()?;
        Ok(found.filter(|connection| arn_or_name.contains(&connection.name)).map(Arc::new))
    }
}

/// Answers the same addresses for each name, one list after the other.
struct Names(Mutex<Vec<Vec<&'static str>>>);

#[async_trait]
impl Resolver for Names {
    async fn resolve(&self, _name: &str) -> std::io::Result<Vec<IpAddr>> {
        let mut answers = self.0.lock().unwrap();
        assert!(!answers.is_empty(), "a name is resolved once per call");
        Ok(answers.remove(0).iter().map(|address| address.parse().unwrap()).collect())
    }
}

/// A connector that may call these, and what else there is to know.
fn connector(allow: &[String], known: Option<Connection>) -> HttpConnector {
    connector_within(HANGS, allow, known)
}

fn connector_within(timeout: Duration, allow: &[String], known: Option<Connection>) -> HttpConnector {
    let egress = serde_json::from_value(json!({"allow": allow})).unwrap();
    let config = HttpConfig { egress, timeout, ..HttpConfig::default() };
    HttpConnector::new(config, Arc::new(Known(Ok(known)))).unwrap()
}

fn request(parameters: Value) -> Request {
    Request {
        id: "attempt-1".to_owned(),
        resource: Resource::Service(ServiceResource {
            arn: "arn:aws:states:::http:invoke".to_owned(),
            service: "http".to_owned(),
            action: "invoke".to_owned(),
            pattern: Pattern::RequestResponse,
        }),
        parameters,
        execution_arn: "arn:aws:states:us-east-1:000000000000:execution:m:e".to_owned(),
        timeout: None,
        again: false,
    }
}

async fn invoke(connector: &HttpConnector, parameters: Value) -> Result<Value, Failure> {
    tokio::time::timeout(HANGS, connector.run(request(parameters), &NoSubmission)).await.unwrap()
}

async fn get(connector: &HttpConnector, url: &str) -> Result<Value, Failure> {
    invoke(connector, json!({"ApiEndpoint": url, "Method": "GET"})).await
}

/// A call with the connection `shop`.
async fn get_with(connector: &HttpConnector, url: &str) -> Result<Value, Failure> {
    let connection = json!({"ConnectionArn": "arn:aws:events:r:a:connection/shop/id"});
    invoke(connector, json!({"ApiEndpoint": url, "Method": "GET", "InvocationConfig": connection})).await
}

fn error(result: Result<Value, Failure>) -> (String, String) {
    let failure = result.unwrap_err();
    (failure.error.unwrap_or_default(), failure.cause.unwrap_or_default())
}

fn shop(authorization: Authorization) -> Connection {
    Connection { name: "shop".to_owned(), bound_to: None, authorization, additions: Additions::default() }
}

fn api_key() -> Authorization {
    Authorization::ApiKey { name: "X-Key".to_owned(), value: Secret::new("s3cret") }
}

#[tokio::test]
async fn a_call_goes_out_and_its_answer_comes_back() {
    let host = Host::start(|_, _| {
        answer(
            "201 Created",
            &[("content-type", "application/json"), ("x-a", "1"), ("x-a", "2")],
            r#"{"id":7}"#,
        )
    })
    .await;
    let connector = connector(&[host.rule()], None);
    let parameters = json!({
        "ApiEndpoint": host.url("/orders?x=1"),
        "Method": "POST",
        "Headers": {"X-Trace": "t"},
        "QueryParameters": {"q": "a b"},
        "RequestBody": {"item": "tea"},
    });
    let result = invoke(&connector, parameters).await.unwrap();
    assert_eq!(
        result,
        json!({
            "Headers": {"content-length": ["8"], "content-type": ["application/json"], "x-a": ["1", "2"]},
            "ResponseBody": {"id": 7},
            "StatusCode": 201,
            "StatusText": "Created",
        })
    );
    let [sent] = &host.requests()[..] else { panic!("one request is sent") };
    assert_eq!(sent.line, "POST /orders?x=1&q=a%20b HTTP/1.1");
    assert_eq!(sent.body, r#"{"item":"tea"}"#);
    for (name, value) in [
        ("host", host.address.to_string().as_str()),
        ("user-agent", "Amazon|StepFunctions|HttpInvoke|us-east-1"),
        ("range", "bytes=0-262144"),
        ("content-type", "application/json; charset=UTF-8"),
        ("content-length", "14"),
        ("x-trace", "t"),
    ] {
        assert_eq!(sent.header(name), Some(value), "{name}");
    }
    assert_eq!(sent.header("accept-encoding"), None);
    assert_eq!(sent.header("referer"), None);
}

#[tokio::test]
async fn a_status_that_is_no_success_is_a_failure() {
    let host = Host::start(|_, _| answer("404 Not Found", &[], "no such order")).await;
    let result = get(&connector(&[host.rule()], None), &host.url("/")).await;
    assert_eq!(result, Err(Failure::new("States.Http.StatusCode.404", "no such order")));
}

#[tokio::test]
async fn nothing_inside_is_called_unless_it_is_allowed() {
    let host = Host::start(|_, _| answer("200 OK", &[], "secret of the inside")).await;
    let port = host.address.port();
    let connector = connector(&["http://10.0.0.0/8:*".to_owned()], None);
    for url in [
        host.url("/"),
        format!("http://localhost:{port}/"),
        format!("http://2130706433:{port}/"),
        format!("http://0x7f.1:{port}/"),
        format!("https://127.0.0.1:{port}/"),
        "http://169.254.169.254/latest/meta-data/".to_owned(),
    ] {
        let (error, cause) = error(get(&connector, &url).await);
        assert_eq!(error, "States.Permissions", "{url}: {cause}");
    }
    assert!(host.requests().is_empty());
}

#[tokio::test]
async fn only_addresses_that_were_checked_are_connected_to() {
    let host = Host::start(|_, _| answer("200 OK", &[], "hello")).await;
    let url = format!("http://shop.example:{}/", host.address.port());
    let names = |answers: Vec<Vec<&'static str>>| Arc::new(Names(Mutex::new(answers)));
    // The address is allowed, not the name: the second answer, of which there is none, would be asked for
    // if the name were resolved again to connect.
    let by_address = connector(&[host.rule()], None).resolving(names(vec![vec!["127.0.0.1"]]));
    assert_eq!(get(&by_address, &url).await.unwrap()["ResponseBody"], json!("hello"));
    assert_eq!(
        host.requests()[0].header("host"),
        Some(url.trim_start_matches("http://").trim_end_matches('/'))
    );
    // Of several addresses those that may be are tried.
    let mixed = names(vec![vec!["169.254.169.254", "::1", "127.0.0.1"]]);
    let by_address = connector(&[host.rule()], None).resolving(mixed);
    assert!(get(&by_address, &url).await.is_ok());
    // A name that turns to the inside gets nobody there, however public it was before.
    let turning = names(vec![vec!["10.0.0.1"], vec!["127.0.0.1", "::1"], vec!["::ffff:169.254.169.254"]]);
    let rule = format!("http://8.8.8.8:{}", host.address.port());
    let connector = connector(&[rule], None).resolving(turning);
    for _ in 0..3 {
        assert_eq!(error(get(&connector, &url).await).0, "States.Permissions");
    }
    assert_eq!(host.requests().len(), 2);
}

#[tokio::test]
async fn a_name_that_is_none_is_a_failure_that_can_be_retried() {
    let nobody = Arc::new(Names(Mutex::new(vec![Vec::new()])));
    let connector = connector(&[], None).resolving(nobody);
    assert_eq!(
        error(get(&connector, "https://nobody.example/").await),
        ("States.Http.Socket".to_owned(), "nobody.example: Name or service not known".to_owned())
    );
}

#[tokio::test]
async fn hosts_that_take_their_time_are_cut_off() {
    let silent = Host::start(|_, _| host::Behaviour::Silence).await;
    let dripping = Host::start(|_, _| host::Behaviour::Drip).await;
    let timeout = Duration::from_millis(200);
    let connector = connector_within(timeout, &[silent.rule(), dripping.rule()], None);
    for host in [&silent, &dripping] {
        let (error, cause) = error(get(&connector, &host.url("/")).await);
        assert_eq!(
            (error.as_str(), cause.as_str()),
            ("States.Http.Socket", "The call timed out after 0.2 seconds")
        );
        // The connection is closed, too.
        host.closed().await;
    }
}

#[tokio::test]
async fn more_than_a_state_can_hold_is_not_taken() {
    let large = "x".repeat(262_145);
    let said = large.clone();
    let announced = Host::start(move |_, _| answer("200 OK", &[], &said)).await;
    let endless = Host::start(|_, _| host::Behaviour::Endless).await;
    let just = large[..262_144].to_owned();
    let fitting = Host::start(move |_, _| answer("200 OK", &[], &just)).await;
    let connector = connector(&[announced.rule(), endless.rule(), fitting.rule()], None);
    for host in [&announced, &endless] {
        let (error, cause) = error(get(&connector, &host.url("/")).await);
        assert_eq!(error, "States.DataLimitExceeded");
        assert!(cause.starts_with("The state/task 'http' returned a result with a size exceeding"));
    }
    endless.closed().await;
    assert!(get(&connector, &fitting.url("/")).await.is_ok());
}

#[tokio::test]
async fn of_a_long_failure_the_begin_is_told() {
    let body = "x".repeat(300_000);
    let host = Host::start(move |_, _| answer("500 Internal Server Error", &[], &body)).await;
    let (error, cause) = error(get(&connector(&[host.rule()], None), &host.url("/")).await);
    assert_eq!((error.as_str(), cause.len()), ("States.Http.StatusCode.500", 32_768));
}

#[tokio::test]
async fn an_answer_without_its_body_may_announce_any_length() {
    let host = Host::start(|_, _| {
        host::Behaviour::Raw(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n".to_vec())
    })
    .await;
    let connector = connector(&[host.rule()], None);
    let result = invoke(&connector, json!({"ApiEndpoint": host.url("/"), "Method": "HEAD"})).await.unwrap();
    assert_eq!((&result["ResponseBody"], &result["StatusCode"]), (&json!(""), &json!(200)));
    assert_eq!(host.requests()[0].line, "HEAD / HTTP/1.1");
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_a_socket_failure() {
    let host = Host::start(|_, _| {
        host::Behaviour::Raw(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf".to_vec())
    })
    .await;
    let connector = connector(&[host.rule()], None);
    assert_eq!(error(get(&connector, &host.url("/")).await).0, "States.Http.Socket");
}

#[tokio::test]
async fn a_host_that_speaks_something_else_is_a_socket_failure() {
    let host = Host::start(|_, _| host::Behaviour::Raw(b"220 smtp ready\r\n".to_vec())).await;
    let connector = connector(&[host.rule()], None);
    assert_eq!(error(get(&connector, &host.url("/")).await).0, "States.Http.Socket");
    let https = host.url("/?key=in+the+url").replace("http:", "https:");
    let (error, cause) = error(get(&connector, &https).await);
    assert_eq!(error, "States.Http.Socket");
    assert!(!cause.contains("in+the+url"), "{cause}");
}

#[tokio::test]
async fn redirects_are_followed_hop_by_hop_and_judged() {
    let inside = Host::start(|_, _| answer("200 OK", &[], "secret of the inside")).await;
    let target = inside.url("/").replace("127.0.0.1", "127.0.0.1.");
    let host = Host::start(move |_, request| match request.path() {
        "/once" => answer("302 Found", &[("location", "/twice")], ""),
        "/twice" => answer("307 Temporary Redirect", &[("location", "here")], ""),
        "/here" => answer("200 OK", &[], "arrived"),
        "/for-ever" => answer("302 Found", &[("location", "/for-ever")], "again"),
        "/inside" => answer("302 Found", &[("location", &target)], ""),
        "/metadata" => answer("302 Found", &[("location", "http://169.254.169.254/")], ""),
        "/user" => answer("302 Found", &[("location", "https://u:p@example.com/")], ""),
        _ => answer("302 Found", &[("location", "gopher://127.0.0.1/")], ""),
    })
    .await;
    let connector = connector(&[host.rule()], None);
    assert_eq!(get(&connector, &host.url("/once")).await.unwrap()["ResponseBody"], json!("arrived"));
    let before = host.requests().len();
    let result = get(&connector, &host.url("/for-ever")).await;
    assert_eq!(result, Err(Failure::new("States.Http.StatusCode.302", "again")));
    assert_eq!(host.requests().len() - before, 4);
    for path in ["/inside", "/metadata", "/user", "/scheme"] {
        assert_eq!(error(get(&connector, &host.url(path)).await).0, "States.Permissions", "{path}");
    }
    assert!(inside.requests().is_empty());
}

#[tokio::test]
async fn redirects_can_be_left_alone() {
    let host = Host::start(|_, _| answer("302 Found", &[("location", "/x")], "moved")).await;
    let config = json!({"egress": {"allow": [host.rule()]}, "redirects_max": 0});
    let connector =
        HttpConnector::new(serde_json::from_value(config).unwrap(), Arc::new(Known(Ok(None)))).unwrap();
    let result = get(&connector, &host.url("/")).await;
    assert_eq!(result, Err(Failure::new("States.Http.StatusCode.302", "moved")));
}

#[tokio::test]
async fn credentials_are_for_the_host_they_were_sent_to() {
    let other = Host::start(|_, _| answer("200 OK", &[], "")).await;
    let target = other.url("/");
    let host = Host::start(move |_, request| match request.path() {
        "/away" => answer("302 Found", &[("location", &target)], ""),
        _ => answer("302 Found", &[("location", "/away")], ""),
    })
    .await;
    let connection = Connection {
        additions: Additions {
            headers: vec![("X-Tenant".to_owned(), Secret::new("t"))],
            ..Additions::default()
        },
        ..shop(api_key())
    };
    let connector = connector(&[host.rule(), other.rule()], Some(connection));
    get_with(&connector, &host.url("/")).await.unwrap();
    for request in host.requests() {
        assert_eq!((request.header("x-key"), request.header("x-tenant")), (Some("s3cret"), Some("t")));
    }
    let [request] = &other.requests()[..] else { panic!("the other host is asked once") };
    assert_eq!((request.header("x-key"), request.header("x-tenant")), (None, None));
}

#[tokio::test]
async fn a_connection_shows_who_the_caller_is() {
    let host = Host::start(|_, _| answer("200 OK", &[], "")).await;
    let basic = Authorization::Basic { username: "user".to_owned(), password: Secret::new("pass:word") };
    let bound = Connection { bound_to: Some(host.rule().try_into().unwrap()), ..shop(basic) };
    let connector = connector(&[host.rule()], Some(bound));
    get_with(&connector, &host.url("/")).await.unwrap();
    assert_eq!(host.requests()[0].header("authorization"), Some("Basic dXNlcjpwYXNzOndvcmQ="));
}

#[tokio::test]
async fn connections_that_cannot_be_used_fail_under_their_names() {
    let host = Host::start(|_, _| answer("200 OK", &[], "")).await;
    let url = host.url("/");
    let prefix = "Events.ConnectionResource.";
    let none = connector(&[host.rule()], None);
    let (name, cause) = error(get_with(&none, &url).await);
    assert_eq!(name, format!("{prefix}ResourceNotFound"));
    assert_eq!(cause, "Connection 'arn:aws:events:r:a:connection/shop/id' does not exist.");
    let bound =
        Connection { bound_to: Some("api.example.com".to_owned().try_into().unwrap()), ..shop(api_key()) };
    let (name, cause) = error(get_with(&connector(&[host.rule()], Some(bound)), &url).await);
    assert_eq!(name, format!("{prefix}AccessDenied"));
    assert_eq!(cause, "The connection 'shop' may not be used for 127.0.0.1");
    let away = Known(Err(Unavailable("the key of the connections is not set".to_owned())));
    let config = HttpConfig {
        egress: serde_json::from_value(json!({"allow": [host.rule()]})).unwrap(),
        ..HttpConfig::default()
    };
    let away = HttpConnector::new(config, Arc::new(away)).unwrap();
    let (name, cause) = error(get_with(&away, &url).await);
    assert_eq!(
        (name, cause.as_str()),
        (format!("{prefix}InternalError"), "the key of the connections is not set")
    );
    assert!(host.requests().is_empty());
}

/// A connection whose tokens this host gives.
fn oauth(host: &Host, method: TokenMethod) -> Connection {
    let scope = vec![("scope".to_owned(), Secret::new("orders read"))];
    shop(Authorization::ClientCredentials(ClientCredentials {
        endpoint: host.url("/token").parse().unwrap(),
        method,
        client_id: "client".to_owned(),
        client_secret: Secret::new("c s"),
        additions: Additions { body: scope, ..Additions::default() },
    }))
}

#[tokio::test]
async fn a_token_is_asked_for_once_and_again_when_it_is_refused() {
    let giver = Host::start(|count, _| {
        let token = format!(r#"{{"access_token":"t{count}","token_type":"bearer","expires_in":3600}}"#);
        answer("200 OK", &[("content-type", "application/json")], &token)
    })
    .await;
    // The first token is good until it has been used twice.
    let host = Host::start(|count, request| match request.header("authorization") {
        Some("Bearer t0") if count < 2 => answer("200 OK", &[], ""),
        Some("Bearer t1") => answer("200 OK", &[], ""),
        _ => answer("401 Unauthorized", &[], "who are you"),
    })
    .await;
    let connector = connector(&[giver.rule(), host.rule()], Some(oauth(&giver, TokenMethod::Post)));
    for _ in 0..4 {
        get_with(&connector, &host.url("/")).await.unwrap();
    }
    let tokens: Vec<_> =
        host.requests().iter().map(|sent| sent.header("authorization").unwrap().to_owned()).collect();
    assert_eq!(tokens, ["Bearer t0", "Bearer t0", "Bearer t0", "Bearer t1", "Bearer t1"]);
    let asked = giver.requests();
    assert_eq!(asked.len(), 2);
    assert_eq!(asked[0].line, "POST /token HTTP/1.1");
    assert_eq!(asked[0].header("authorization"), Some("Basic Y2xpZW50OmMrcw=="));
    assert_eq!(asked[0].body, "grant_type=client_credentials&scope=orders%20read");
}

#[tokio::test]
async fn a_token_that_is_about_to_expire_is_not_kept() {
    let giver = Host::start(|_, _| answer("200 OK", &[], r#"{"access_token":"t","expires_in":"20"}"#)).await;
    let host = Host::start(|_, _| answer("200 OK", &[], "")).await;
    let connector = connector(&[giver.rule(), host.rule()], Some(oauth(&giver, TokenMethod::Put)));
    for _ in 0..2 {
        get_with(&connector, &host.url("/")).await.unwrap();
    }
    assert_eq!(giver.requests().len(), 2);
    assert_eq!(giver.requests()[0].line, "PUT /token HTTP/1.1");
}

#[tokio::test]
async fn a_host_that_refuses_every_token_is_asked_twice() {
    let giver = Host::start(|_, _| answer("200 OK", &[], r#"{"access_token":"t","expires_in":3600}"#)).await;
    let host = Host::start(|_, _| answer("401 Unauthorized", &[], "no")).await;
    let connector = connector(&[giver.rule(), host.rule()], Some(oauth(&giver, TokenMethod::Get)));
    let result = get_with(&connector, &host.url("/")).await;
    assert_eq!(result, Err(Failure::new("States.Http.StatusCode.401", "no")));
    assert_eq!((host.requests().len(), giver.requests().len()), (2, 2));
    assert_eq!(
        giver.requests()[0].line,
        "GET /token?grant_type=client_credentials&scope=orders%20read HTTP/1.1"
    );
}

#[tokio::test]
async fn tokens_that_are_not_given_are_failures_of_the_connection() {
    let cases = [
        ("401 Unauthorized", "c s is wrong", "InvalidConnectionState", "answered 401 Unauthorized"),
        ("200 OK", "{}", "InvalidConnectionState", "gave no token"),
        ("200 OK", r#"{"access_token":"a\nb"}"#, "InvalidConnectionState", "cannot be sent in a header"),
        ("302 Found", "", "InvalidConnectionState", "answered 302 Found"),
        ("503 Service Unavailable", "", "InternalError", "answered 503 Service Unavailable"),
    ];
    for (status, body, name, says) in cases {
        let giver = Host::start(move |_, _| answer(status, &[("location", "/elsewhere")], body)).await;
        let host = Host::start(|_, _| answer("200 OK", &[], "")).await;
        let connector = connector(&[giver.rule(), host.rule()], Some(oauth(&giver, TokenMethod::Post)));
        let (error, cause) = error(get_with(&connector, &host.url("/")).await);
        assert_eq!(error, format!("Events.ConnectionResource.{name}"), "{status}");
        assert!(cause.contains(says) && !cause.contains("c s"), "{cause}");
        assert!(host.requests().is_empty());
        // The egress rules hold for who gives tokens as for anybody.
        let closed = self::connector(&[host.rule()], Some(oauth(&giver, TokenMethod::Post)));
        let asked = giver.requests().len();
        let (error, _) = self::error(get_with(&closed, &host.url("/")).await);
        assert_eq!(error, "Events.ConnectionResource.InternalError");
        assert_eq!(giver.requests().len(), asked);
    }
}
