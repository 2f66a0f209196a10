//! Triggers.
//!
//! | request | does |
//! |---|---|
//! | `GET triggers` | lists all by name |
//! | `POST triggers` | makes one from its definition; with `?replace=true` it replaces one that a person made |
//! | `GET triggers/NAME` | shows one, with what waits for it |
//! | `DELETE triggers/NAME` | removes one, with what waits for it |
//! | `POST triggers/NAME/pause`, `…/resume` | tells one to rest, or to go on |
//! | `POST triggers/NAME/test` | tells what would become of an event: `{"event": …, "id": …, "routing_key": …, "headers": {…}}` |
//! | `POST triggers/test` | the same for a definition that is not kept: `{"definition": …, "event": …}` |

use axum::Router;
use axum::extract::{Path, Query, Request, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Answer, Problem, body, ready};
use crate::api::CoreCell;
use crate::ports::triggers::{KeptTrigger, Origin};
use crate::services::triggers::{Definition, Sample, TriggerError};
use crate::services::{Core, Unavailable};

pub(super) fn routes() -> Router<CoreCell> {
    Router::new()
        .route("/triggers", get(list).post(create))
        .route("/triggers/test", post(test_definition))
        .route("/triggers/{name}", get(show).delete(remove))
        .route("/triggers/{name}/pause", post(pause))
        .route("/triggers/{name}/resume", post(resume))
        .route("/triggers/{name}/test", post(test))
}

async fn list(State(core): State<CoreCell>) -> Answer {
    let list = async {
        let triggers = ready(&core)?.triggers.triggers().await.map_err(Unavailable::from)?;
        let items: Vec<Value> = triggers.iter().map(describe).collect();
        Ok((StatusCode::OK, json!({"triggers": items})))
    };
    Answer(list.await)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Creation {
    #[serde(default)]
    replace: bool,
}

async fn create(
    State(core): State<CoreCell>,
    Query(Creation { replace }): Query<Creation>,
    request: Request,
) -> Answer {
    let create = async {
        let core = ready(&core)?;
        let definition = definition(body(request).await?)?;
        let kept = match core.make_trigger(Origin::Command, &definition).await {
            Err(TriggerError::Taken(taken)) if replace => {
                check_is_a_persons(&taken)?;
                core.change_trigger(&taken, &definition).await
            }
            made => made,
        };
        Ok((StatusCode::CREATED, describe(&kept.map_err(refused)?)))
    };
    Answer(create.await)
}

async fn show(State(core): State<CoreCell>, Path(name): Path<String>) -> Answer {
    let show = async {
        let core = ready(&core)?;
        let kept = find(core, &name).await?;
        let backlog = core.trigger_backlog(&kept).await?;
        let mut shown = describe(&kept);
        if let Value::Object(fields) = &mut shown {
            fields.insert("waiting".to_owned(), json!(backlog.waiting));
            fields.insert("dead_letters".to_owned(), json!(backlog.dead_letters));
        }
        Ok((StatusCode::OK, shown))
    };
    Answer(show.await)
}

async fn remove(State(core): State<CoreCell>, Path(name): Path<String>) -> Answer {
    let remove = async {
        let core = ready(&core)?;
        let kept = find(core, &name).await?;
        check_is_a_persons(&kept)?;
        core.remove_trigger(&kept).await.map_err(refused)?;
        Ok((StatusCode::OK, json!({})))
    };
    Answer(remove.await)
}

async fn pause(State(core): State<CoreCell>, Path(name): Path<String>) -> Answer {
    Answer(rest(&core, &name, true).await)
}

async fn resume(State(core): State<CoreCell>, Path(name): Path<String>) -> Answer {
    Answer(rest(&core, &name, false).await)
}

async fn rest(core: &CoreCell, name: &str, paused: bool) -> Result<(StatusCode, Value), Problem> {
    let core = ready(core)?;
    let kept = find(core, name).await?;
    let told = core.rest_trigger(&kept, paused).await.map_err(refused)?;
    Ok((StatusCode::OK, describe(&told)))
}

async fn test(State(core): State<CoreCell>, Path(name): Path<String>, request: Request) -> Answer {
    let test = async {
        let core = ready(&core)?;
        let kept = find(core, &name).await?;
        let definition = Definition::from_json(&kept.definition)
            .map_err(|problems| refused(TriggerError::Invalid(problems)))?;
        verdict(core, &definition, body(request).await?)
    };
    Answer(test.await)
}

async fn test_definition(State(core): State<CoreCell>, request: Request) -> Answer {
    let test = async {
        let core = ready(&core)?;
        let mut body = body(request).await?;
        let given = body.get_mut("definition").map(Value::take).unwrap_or_default();
        verdict(core, &definition(given)?, body)
    };
    Answer(test.await)
}

fn verdict(core: &Core, definition: &Definition, body: Value) -> Result<(StatusCode, Value), Problem> {
    let sample: Sample =
        serde_json::from_value(body).map_err(|error| Problem::bad_request(error.to_string()))?;
    let verdicts = core.try_trigger(definition, &sample).map_err(refused)?;
    Ok((StatusCode::OK, json!({"verdicts": verdicts})))
}

fn definition(given: Value) -> Result<Definition, Problem> {
    Definition::of_trigger(&given).map_err(|problems| refused(TriggerError::Invalid(problems)))
}

async fn find(core: &Core, name: &str) -> Result<KeptTrigger, Problem> {
    let kept = core.triggers.trigger(name).await.map_err(Unavailable::from)?;
    kept.ok_or_else(|| Problem::not_found(format!("There is no trigger '{name}'")))
}

/// What a file or an API made is replaced by it, and never by hand.
fn check_is_a_persons(kept: &KeptTrigger) -> Result<(), Problem> {
    let by = match kept.origin {
        Origin::Command => return Ok(()),
        Origin::File => "a file; change the file",
        Origin::Api => "the EventBridge API; use `aws events`",
    };
    Err(Problem::conflict(format!("The trigger '{}' was made by {by}", kept.name)))
}

fn describe(kept: &KeptTrigger) -> Value {
    let origin = match kept.origin {
        Origin::File => "file",
        Origin::Command => "command",
        Origin::Api => "api",
    };
    let mut shown = Map::new();
    shown.insert("name".to_owned(), json!(kept.name));
    shown.insert("origin".to_owned(), json!(origin));
    shown.insert("paused".to_owned(), json!(kept.paused));
    shown.insert("revision".to_owned(), json!(kept.revision));
    shown.insert("created_at".to_owned(), json!(kept.created_at.to_string()));
    if let Some(tick) = kept.next_tick {
        shown.insert("next_tick".to_owned(), json!(tick.to_string()));
    }
    let definition = Definition::from_json(&kept.definition).map(|definition| definition.to_value());
    shown.insert("definition".to_owned(), definition.unwrap_or_default());
    Value::Object(shown)
}

fn refused(error: TriggerError) -> Problem {
    match error {
        TriggerError::Unavailable(error) => error.into(),
        TriggerError::Invalid(problems) => Problem::bad_request(problems.join("; ")),
        TriggerError::Taken(_) | TriggerError::Changed(_) => Problem::conflict(error.to_string()),
    }
}
