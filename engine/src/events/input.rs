//! What an execution gets of the event that starts it.
//!
//! | input | is |
//! |---|---|
//! | [`Input::Whole`] | the event |
//! | [`Input::Constant`] | always the same |
//! | [`Input::Path`] | what a JSONPath finds in the event; `null` if nothing (EventBridge's `InputPath`) |
//! | [`Input::Template`] | JSON with `<placeholders>` in it (EventBridge's `InputTransformer`) |
//!
//! A template comes in two forms. As **text** it is EventBridge's `InputTemplate`: JSON in which a placeholder
//! stands for a value, or, inside the quotes of a string, for its text. As a **value**, which is how trigger
//! files give it, a string that is one placeholder and nothing else stands for the value, and a placeholder
//! among other text for its text.
//!
//! | placeholder | is |
//! |---|---|
//! | `<name>` | what the path of that name finds |
//! | `<aws.events.rule-name>`, `<aws.events.rule-arn>` | the trigger's |
//! | `<aws.events.event.ingestion-time>` | when the event arrived |
//! | `<aws.events.event>`, `<aws.events.event.json>` | the event without and with its detail |
//! | `<message.id>`, `<message.routing-key>`, `<message.headers.NAME>` | the message's that brought the event; not known to EventBridge |
//!
//! **What is not there** is no text where text is asked for. Where a value is asked for it is `""` in a text
//! template, as on EventBridge, and `null` elsewhere.
//!
//! Everything is compiled once; what can be wrong is found then, with its place, except for what becomes too
//! large.

use std::borrow::Cow;

use asl::data::json;
use asl::data::path::{Path, PathError, Root};
use asl::data::timestamp::Timestamp;
use serde_json::{Map, Value};

mod placeholder;
mod template;
mod text;

pub use placeholder::PATHS_MAX;
pub use template::Template;
pub use text::TEMPLATE_CHARACTERS_MAX;

/// Most bytes that one template may make: a large event that is asked for many times would otherwise take
/// memory out of proportion. What an execution may get is limited where it starts.
pub const INPUT_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Longest path, as of EventBridge.
pub const PATH_CHARACTERS_MAX: usize = 256;

/// What an execution gets.
///
/// ```
/// use engine::events::input::{Input, Subject, Template};
/// use asl::data::timestamp::Timestamp;
/// use serde_json::json;
///
/// let paths = [("order".to_owned(), "$.detail.id".to_owned())];
/// let template = Template::text(r#"{"id": <order>, "note": "from <aws.events.rule-name>"}"#, &paths).unwrap();
/// let event = json!({"detail": {"id": 7}});
/// let subject = Subject::of_event(&event, "orders", "", Timestamp::from_milliseconds(0));
/// let input = Input::Template(Box::new(template)).of(&subject)?;
/// assert_eq!(input, json!({"id": 7, "note": "from orders"}));
/// # Ok::<(), engine::events::input::InputError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Input {
    /// The event.
    #[default]
    Whole,
    /// Always this.
    Constant(Value),
    /// A part of the event.
    Path(Path),
    /// Made of parts of it.
    Template(Box<Template>),
}

/// What an input can be made of.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// The event.
    pub event: &'a Value,
    /// The trigger's name.
    pub rule_name: &'a str,
    /// The trigger's ARN.
    pub rule_arn: &'a str,
    /// When the event arrived.
    pub ingested_at: Timestamp,
    /// The message that brought it; absent for a schedule.
    pub message: Option<Message<'a>>,
}

/// A message on the broker, as far as an input can speak of it.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    /// Its `message_id`.
    pub id: Option<&'a str>,
    /// The key it was published with.
    pub routing_key: &'a str,
    /// Its headers as JSON.
    pub headers: &'a Map<String, Value>,
}

impl<'a> Subject<'a> {
    /// An event that no message brought.
    pub fn of_event(
        event: &'a Value,
        rule_name: &'a str,
        rule_arn: &'a str,
        ingested_at: Timestamp,
    ) -> Subject<'a> {
        Subject { event, rule_name, rule_arn, ingested_at, message: None }
    }
}

/// Something wrong with an input as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputProblem {
    /// Where: `/paths/order`, `/template/items[0]`.
    pub place: String,
    /// What, and what to do.
    pub message: String,
}

/// Why an event has no input.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InputError {
    /// A path takes too much work on this event, or a function in it has nothing to work on.
    #[error("failed to read {path} in the event: {error}")]
    Path {
        /// As written.
        path: String,
        /// What happened.
        error: PathError,
    },
    /// See [`INPUT_BYTES_MAX`].
    #[error("failed to make the input: it has more than {INPUT_BYTES_MAX} bytes")]
    TooLarge,
    /// The event nests so deep that the input around it would nest deeper than the language reads.
    #[error("failed to make the input: {0}")]
    TooDeep(String),
}

impl Input {
    /// Reads the text of a constant, EventBridge's `Input`; the error is in AWS's words.
    pub fn constant(text: &str) -> Result<Input, String> {
        json::parse(text).map(Input::Constant).map_err(|error| error.to_string())
    }

    /// Compiles the `Path` variant.
    pub fn path(text: &str) -> Result<Input, String> {
        Ok(Input::Path(path(text)?))
    }

    /// The input for one event.
    pub fn of(&self, subject: &Subject<'_>) -> Result<Value, InputError> {
        match self {
            Input::Whole => Ok(subject.event.clone()),
            Input::Constant(value) => Ok(value.clone()),
            Input::Path(path) => Ok(find(path, subject.event)?.map(Cow::into_owned).unwrap_or_default()),
            Input::Template(template) => template.of(subject),
        }
    }

    /// The input for a batch: the inputs of its events, in order.
    pub fn of_batch<'a>(
        &self,
        subjects: impl IntoIterator<Item = &'a Subject<'a>>,
    ) -> Result<Value, InputError> {
        subjects.into_iter().map(|subject| self.of(subject)).collect()
    }
}

/// Reads a path into the event.
pub(super) fn path(text: &str) -> Result<Path, String> {
    if text.chars().count() > PATH_CHARACTERS_MAX {
        return Err(format!("a path has at most {PATH_CHARACTERS_MAX} characters"));
    }
    let path = Path::parse(text).map_err(|error| format!("{text} is not a JSONPath: {error}"))?;
    match path.root() {
        Root::Input => Ok(path),
        Root::Context | Root::Variable(_) => {
            Err(format!("{text} must begin with $. as it leads into the event"))
        }
    }
}

/// What a path finds in the event, if anything.
fn find<'a>(path: &Path, event: &'a Value) -> Result<Option<Cow<'a, Value>>, InputError> {
    match path.evaluate(event) {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(InputError::Path { path: path.text().to_owned(), error }),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const RULE_ARN: &str = "arn:aws:events:us-east-1:000000000000:rule/bus/orders";

    fn event() -> Value {
        json!({
            "version": "0", "id": "1", "detail-type": "OrderPlaced", "source": "shop",
            "account": "000000000000", "time": "2026-11-21T10:00:00Z", "region": "us-east-1", "resources": [],
            "detail": {
                "id": "i-7", "total": 12.5, "none": null, "ok": true, "items": [{"n": 1}, {"n": 2}],
                "said": "a \"b\"\n\\", "tags": ["x", "y"],
            },
        })
    }

    fn with_subject<T>(work: impl FnOnce(&Subject<'_>) -> T) -> T {
        let (event, headers) = (event(), json!({"tenant": "acme", "x y": 3, "table": {"a": 1}}));
        let message =
            Message { id: Some("m-1"), routing_key: "order.placed", headers: headers.as_object().unwrap() };
        let ingested_at = Timestamp::from_milliseconds(1_795_255_201_500);
        work(&Subject {
            event: &event,
            rule_name: "orders",
            rule_arn: RULE_ARN,
            ingested_at,
            message: Some(message),
        })
    }

    fn paths() -> Vec<(String, String)> {
        let paths = [
            ("id", "$.detail.id"),
            ("total", "$.detail.total"),
            ("none", "$.detail.none"),
            ("ok", "$.detail.ok"),
            ("items", "$.detail.items"),
            ("numbers", "$.detail.items[*].n"),
            ("said", "$.detail.said"),
            ("tags", "$.detail.tags"),
            ("missing", "$.detail.missing.further"),
            ("detail-type", "$.detail-type"),
        ];
        paths.map(|(name, path)| (name.to_owned(), path.to_owned())).into()
    }

    fn check_text(template: &str, expected: Value) {
        let compiled =
            Template::text(template, &paths()).unwrap_or_else(|error| panic!("{template}: {error:?}"));
        let input = with_subject(|subject| Input::Template(Box::new(compiled)).of(subject));
        assert_eq!(input, Ok(expected), "{template}");
    }

    fn check_value(template: Value, expected: Value) {
        let compiled =
            Template::value(&template, &paths()).unwrap_or_else(|error| panic!("{template}: {error:?}"));
        assert_eq!(compiled.source(), &template);
        let input = with_subject(|subject| Input::Template(Box::new(compiled)).of(subject));
        assert_eq!(input, Ok(expected), "{template}");
    }

    #[test]
    fn an_input_is_the_event_a_part_of_it_or_always_the_same() {
        with_subject(|subject| {
            assert_eq!(Input::Whole.of(subject), Ok(event()));
            assert_eq!(Input::constant("[1]").unwrap().of(subject), Ok(json!([1])));
            assert!(Input::constant("[1").is_err());
            for (path, expected) in [
                ("$", event()),
                ("$.detail.id", json!("i-7")),
                ("$['detail-type']", json!("OrderPlaced")),
                ("$.detail.items[1].n", json!(2)),
                ("$.detail.items[*].n", json!([1, 2])),
                ("$.detail.nothing", json!(null)),
            ] {
                assert_eq!(Input::path(path).unwrap().of(subject), Ok(expected), "{path}");
            }
            let batch = Input::path("$.detail.id").unwrap().of_batch([subject, subject]);
            assert_eq!(batch, Ok(json!(["i-7", "i-7"])));
            assert_eq!(Input::Whole.of_batch([]), Ok(json!([])));
        });
    }

    #[test]
    fn a_path_leads_into_the_event() {
        for (path, told) in [
            ("detail", "detail is not a JSONPath"),
            ("$.", "$. is not a JSONPath"),
            ("$$.Execution", "$$.Execution must begin with $."),
            ("$name", "$name must begin with $."),
        ] {
            let error = Input::path(path).unwrap_err();
            assert!(error.contains(told), "{error}");
        }
        assert!(Input::path(&format!("$.{}", "a".repeat(255))).is_err());
        let error = with_subject(|subject| Input::path("$.detail.id.nope()").unwrap().of(subject));
        assert!(
            error.unwrap_err().to_string().starts_with("failed to read $.detail.id.nope() in the event:")
        );
    }

    /// Recorded from EventBridge, or examples of its user guide.
    #[test]
    fn a_text_template_becomes_what_eventbridge_makes_of_it() {
        check_text(
            r#""Event of <detail-type> type, info <id>""#,
            json!("Event of OrderPlaced type, info i-7"),
        );
        check_text(r#""Event of <detail-type>, info <missing>""#, json!("Event of OrderPlaced, info "));
        check_text(
            r#""{[/Check with special characters of <detail-type>""#,
            json!("{[/Check with special characters of OrderPlaced"),
        );
        check_text(r#"{"a": <id>,  "b": <missing>}"#, json!({"a": "i-7", "b": ""}));
        check_text(r#""instance \"<id>\" is in <ok>""#, json!("instance \"i-7\" is in true"));
        check_text(
            r#"{"a": <id>, "b": "<id>", "c": "x \"<id>\" y", "d": [9, <ok>, true], "e": <total>}"#,
            json!({"a": "i-7", "b": "i-7", "c": "x \"i-7\" y", "d": [9, true, true], "e": 12.5}),
        );
        check_text(
            "\"all <aws.events.rule-arn> <aws.events.rule-name> <aws.events.event.ingestion-time>\"",
            json!(format!("all {RULE_ARN} orders 2026-11-21T10:00:01Z")),
        );
        let without_detail = json!({
            "id": "1", "account": "000000000000", "detailType": "OrderPlaced", "time": "2026-11-21T10:00:01Z",
            "source": "shop", "region": "us-east-1", "resources": [], "version": "0",
        });
        check_text(
            r#"{"a": <aws.events.event>, "b": <aws.events.event.json>}"#,
            json!({"a": without_detail, "b": event()}),
        );
        check_text(r#""tags <tags>, items <items>""#, json!("tags [x,y], items [{n:1},{n:2}]"));
    }

    #[test]
    fn placeholders_stand_for_values_or_for_text() {
        check_text("<items>", json!([{"n": 1}, {"n": 2}]));
        check_text("<numbers>", json!([1, 2]));
        check_text("[<none>, <ok>, <total>]", json!([null, true, 12.5]));
        check_text(r#"["<none>", "<ok>", "<total>"]"#, json!(["", "true", "12.5"]));
        check_text(
            r#"{"said": <said>, "quoted": "<said>!"}"#,
            json!({"said": "a \"b\"\n\\", "quoted": "a \"b\"\n\\!"}),
        );
        check_text(r#"{"text": "<items>"}"#, json!({"text": "[{\"n\":1},{\"n\":2}]"}));
        check_text(
            r#"{"m": <message.id>, "k": "<message.routing-key>", "h": <message.headers.tenant>, "n": <message.headers.x y>, "o": <message.headers.none>}"#,
            json!({"m": "m-1", "k": "order.placed", "h": "acme", "n": 3, "o": ""}),
        );
        check_text(
            r#"{"a": "1 < 2 > 1", "b": "<>", "c": "< id>", "d": "<id"}"#,
            json!({"a": "1 < 2 > 1", "b": "<>", "c": "< id>", "d": "<id"}),
        );
        check_text(r#"{"<id>": 1}"#, json!({"i-7": 1}));
    }

    #[test]
    fn a_value_template_keeps_the_types_of_what_it_finds() {
        check_value(
            json!({"id": "<id>", "all": ["<items>", "<ok>", "<total>", "<none>", "<missing>"], "n": 1, "x": {}}),
            json!({"id": "i-7", "all": [[{"n": 1}, {"n": 2}], true, 12.5, null, null], "n": 1, "x": {}}),
        );
        check_value(
            json!({"t": "order <id>: <total>, <tags>, <missing><none>.", "<id>": "1 < 2"}),
            json!({"t": "order i-7: 12.5, [\"x\",\"y\"], .", "<id>": "1 < 2"}),
        );
        check_value(
            json!([
                "<message.id>",
                "<message.headers.table>",
                "<message.headers.none>",
                "<aws.events.rule-name>",
                "<said>"
            ]),
            json!(["m-1", {"a": 1}, null, "orders", "a \"b\"\n\\"]),
        );
        check_value(json!(7), json!(7));
        // A string is the text of a template.
        check_value(json!("{\"a\": <id>}"), json!({"a": "i-7"}));
    }

    #[test]
    fn without_a_message_there_is_nothing_of_it() {
        let event = json!({});
        let subject = Subject::of_event(&event, "r", "", Timestamp::from_milliseconds(0));
        let template =
            json!({"a": "<message.id>", "b": "key <message.routing-key>", "c": "<message.headers.x>"});
        let template = Template::value(&template, &[]).unwrap();
        let input = Input::Template(Box::new(template)).of(&subject);
        assert_eq!(input, Ok(json!({"a": null, "b": "key ", "c": null})));
    }

    #[test]
    fn every_problem_of_a_template_is_told_with_its_place() {
        let path = |name: &str, path: &str| (name.to_owned(), path.to_owned());
        let paths =
            [path("ok", "$.a"), path("bad", "$["), path("a b", "$"), path("AwsX", "$"), path("", "$$")];
        let problems = Template::value(&json!({"x": ["<nope>", "a <ok> <nope2>"]}), &paths).unwrap_err();
        let told: Vec<(&str, &str)> = problems
            .iter()
            .map(|problem| (problem.place.as_str(), problem.message.split([';', ':']).next().unwrap()))
            .collect();
        let expected = [
            ("/paths/bad", "$[ is not a JSONPath"),
            ("/paths/a b", "a name has 1 to 256 letters, digits, - and _"),
            ("/paths/AwsX", "names that begin with AWS are reserved"),
            ("/paths/", "a name has 1 to 256 letters, digits, - and _"),
            ("/paths/", "$$ must begin with $. as it leads into the event"),
            ("/template/x[0]", "contains invalid placeholder nope"),
            ("/template/x[1]", "contains invalid placeholder nope2"),
        ];
        assert_eq!(told, expected);
        let many: Vec<_> = (0..101).map(|index| path(&format!("p{index}"), "$")).collect();
        let problems = Template::value(&json!({}), &many).unwrap_err();
        assert_eq!(problems[0].message, "there are 101; at most 100 may be");
    }

    #[test]
    fn a_text_that_can_be_no_json_is_refused() {
        for (template, told) in [
            ("", "has 0 characters"),
            ("Order <id>", "is not JSON, whatever the event"),
            ("{\"a\": <id><id>}", "is not JSON"),
            ("{<id>: 1}", "no placeholder can be the name of a member"),
            ("{\"a\": <id>", "is not JSON"),
            ("\"<id>", "is not JSON"),
            ("\"<notdefinedkey>\"", "contains invalid placeholder notdefinedkey"),
        ] {
            let problems = Template::text(template, &paths()).unwrap_err();
            assert!(problems.len() == 1 && problems[0].message.contains(told), "{template}: {problems:?}");
        }
        assert!(Template::text(&format!("\"{}\"", "x".repeat(8_190)), &[]).is_ok());
        assert!(Template::text(&format!("\"{}\"", "x".repeat(8_191)), &[]).is_err());
    }

    #[test]
    fn a_value_in_an_event_cannot_leave_its_place() {
        let event = json!({"name": "x\", \"admin\": true, \"y\": \"", "control": "\u{0}\u{1f}\u{2028}<id>"});
        let paths = ["name", "control"].map(|name| (name.to_owned(), format!("$.{name}")));
        let subject = Subject::of_event(&event, "r", "", Timestamp::from_milliseconds(0));
        let template =
            Template::text(r#"{"name": "<name>", "control": "<control>", "admin": false}"#, &paths).unwrap();
        let input = Input::Template(Box::new(template)).of(&subject).unwrap();
        assert_eq!(input, json!({"name": event["name"], "control": event["control"], "admin": false}));
    }

    #[test]
    fn what_grows_too_large_or_deep_is_refused() {
        let event = json!({"text": "x".repeat(1024 * 1024)});
        let subject = Subject::of_event(&event, "r", "", Timestamp::from_milliseconds(0));
        let paths = [("t".to_owned(), "$.text".to_owned())];
        let slots = vec![json!("<t>"); 17];
        let of = |template: Template| Input::Template(Box::new(template)).of(&subject);
        assert_eq!(of(Template::value(&json!(slots), &paths).unwrap()), Err(InputError::TooLarge));
        assert_eq!(
            of(Template::value(&json!(["<t>".repeat(17)]), &paths).unwrap()),
            Err(InputError::TooLarge)
        );
        let text = format!("\"{}\"", "<t>".repeat(17));
        assert_eq!(of(Template::text(&text, &paths).unwrap()), Err(InputError::TooLarge));
        let deep = (0..126).fold(json!(1), |value, _| Value::Array(vec![value]));
        let deep = Value::Object([("d".to_owned(), deep)].into_iter().collect());
        let subject = Subject::of_event(&deep, "r", "", Timestamp::from_milliseconds(0));
        let template = Template::text("[[[<aws.events.event.json>]]]", &[]).unwrap();
        let error = Input::Template(Box::new(template)).of(&subject).unwrap_err();
        assert!(matches!(error, InputError::TooDeep(_)), "{error}");
    }

    proptest! {
        #[test]
        fn whatever_is_found_a_template_makes_json(found in ".{0,20}", template in "[\"<>a{}:\\[\\],\\\\ ]{0,12}") {
            let event = json!({"a": found});
            let subject = Subject::of_event(&event, "r", "", Timestamp::from_milliseconds(0));
            if let Ok(template) = Template::text(&template, &[("a".to_owned(), "$.a".to_owned())]) {
                prop_assert!(Input::Template(Box::new(template)).of(&subject).is_ok());
            }
        }
    }
}
