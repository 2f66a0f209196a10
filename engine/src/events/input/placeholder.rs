//! `<placeholders>`: finding them in text, and what they stand for.

use std::borrow::Cow;

use asl::data::path::Path;
use serde_json::{Map, Value};

use super::{InputError, InputProblem, Subject, find, path};

/// Most paths of one template, as on EventBridge.
pub const PATHS_MAX: usize = 100;
/// Longest name of a path, as on EventBridge.
const NAME_CHARACTERS_MAX: usize = 256;

/// What a placeholder stands for.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Source {
    Path(Path),
    /// `<aws.events.event>`.
    EventWithoutDetail,
    /// `<aws.events.event.json>`.
    Event,
    RuleName,
    RuleArn,
    IngestionTime,
    MessageId,
    RoutingKey,
    Header(String),
}

impl Source {
    /// The value it stands for, if there is one.
    pub(super) fn find<'a>(&'a self, subject: &Subject<'a>) -> Result<Option<Cow<'a, Value>>, InputError> {
        let text = |text: &str| Some(Cow::Owned(Value::from(text)));
        let message = subject.message.as_ref();
        Ok(match self {
            Source::Path(path) => return find(path, subject.event),
            Source::Event => Some(Cow::Borrowed(subject.event)),
            Source::EventWithoutDetail => Some(Cow::Owned(without_detail(subject))),
            Source::RuleName => text(subject.rule_name),
            Source::RuleArn => text(subject.rule_arn),
            Source::IngestionTime => text(&subject.ingested_at.whole_second().to_string()),
            Source::MessageId => message.and_then(|message| message.id).and_then(text),
            Source::RoutingKey => message.and_then(|message| text(message.routing_key)),
            Source::Header(name) => message.and_then(|message| message.headers.get(name)).map(Cow::Borrowed),
        })
    }
}

/// The event as `<aws.events.event>` shows it: no detail, the type under another name, and the time at which
/// it arrived. Recorded from EventBridge, the order of the members, too.
fn without_detail(subject: &Subject<'_>) -> Value {
    let Some(event) = subject.event.as_object() else { return subject.event.clone() };
    let mut shown = Map::new();
    let order = [
        ("id", "id"),
        ("account", "account"),
        ("detail-type", "detailType"),
        ("time", "time"),
        ("source", "source"),
        ("region", "region"),
        ("resources", "resources"),
        ("version", "version"),
    ];
    for (name, shown_as) in order {
        if name == "time" {
            shown.insert(shown_as.to_owned(), subject.ingested_at.whole_second().to_string().into());
        } else if let Some(value) = event.get(name) {
            shown.insert(shown_as.to_owned(), value.clone());
        }
    }
    Value::Object(shown)
}

/// The names that a template may use.
pub(super) struct Names {
    paths: Vec<(String, Path)>,
}

impl Names {
    /// Reads the paths of a template, noting what is wrong with them.
    pub(super) fn read(paths: &[(String, String)], problems: &mut Vec<InputProblem>) -> Names {
        let mut report = |place: String, message: String| problems.push(InputProblem { place, message });
        if paths.len() > PATHS_MAX {
            report("/paths".to_owned(), format!("there are {}; at most {PATHS_MAX} may be", paths.len()));
        }
        let mut read = Vec::new();
        for (name, text) in paths.iter().take(PATHS_MAX) {
            let place = format!("/paths/{name}");
            if let Err(problem) = check_name(name) {
                report(place.clone(), problem);
            }
            match path(text) {
                Ok(path) => read.push((name.clone(), path)),
                Err(problem) => report(place, problem),
            }
        }
        Names { paths: read }
    }

    /// What a placeholder of this name stands for.
    fn source(&self, name: &str) -> Option<Source> {
        Some(match name {
            "aws.events.event" => Source::EventWithoutDetail,
            "aws.events.event.json" => Source::Event,
            "aws.events.event.ingestion-time" => Source::IngestionTime,
            "aws.events.rule-name" => Source::RuleName,
            "aws.events.rule-arn" => Source::RuleArn,
            "message.id" => Source::MessageId,
            "message.routing-key" => Source::RoutingKey,
            _ => match name.strip_prefix("message.headers.") {
                Some(header) => Source::Header(header.to_owned()),
                None => Source::Path(self.paths.iter().find(|(known, _)| known == name)?.1.clone()),
            },
        })
    }
}

/// As on EventBridge; so no path can hide what is there already.
fn check_name(name: &str) -> Result<(), String> {
    let usual = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if name.is_empty() || name.len() > NAME_CHARACTERS_MAX || !name.bytes().all(usual) {
        return Err(format!(
            "a name has 1 to {NAME_CHARACTERS_MAX} letters, digits, - and _; rename \"{name}\""
        ));
    }
    if name.get(..3).is_some_and(|begin| begin.eq_ignore_ascii_case("aws")) {
        return Err(format!("names that begin with AWS are reserved; rename \"{name}\""));
    }
    Ok(())
}

/// A part of a text.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Piece<'a> {
    /// As it stands there.
    Literal(&'a str),
    /// A placeholder.
    Slot(Source),
}

/// Cuts a text at its placeholders. `<` and `>` around anything else than a name are themselves; a name that
/// nothing has is told.
pub(super) fn cut<'a>(text: &'a str, names: &Names) -> Result<Vec<Piece<'a>>, String> {
    let mut pieces = Vec::new();
    let (mut literal, mut from) = (0, 0);
    while let Some(open) = text[from..].find('<').map(|at| from + at) {
        let Some(close) = text[open..].find('>').map(|at| open + at) else { break };
        let name = &text[open + 1..close];
        if !looks_like_name(name) {
            from = open + 1;
            continue;
        }
        let slot = names.source(name).ok_or_else(|| {
            format!("contains invalid placeholder {name}; name its path, or write one of message.id, message.routing-key, message.headers.NAME, aws.events.event, aws.events.event.json, aws.events.event.ingestion-time, aws.events.rule-name, aws.events.rule-arn")
        })?;
        pieces.extend((literal < open).then(|| Piece::Literal(&text[literal..open])));
        pieces.push(Piece::Slot(slot));
        (literal, from) = (close + 1, close + 1);
    }
    pieces.extend((literal < text.len()).then(|| Piece::Literal(&text[literal..])));
    Ok(pieces)
}

/// Names of headers may hold anything that a placeholder can.
fn looks_like_name(name: &str) -> bool {
    if name.strip_prefix("message.headers.").is_some_and(|header| !header.is_empty() && !header.contains('<'))
    {
        return true;
    }
    let usual = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    !name.is_empty() && name.bytes().all(usual)
}
