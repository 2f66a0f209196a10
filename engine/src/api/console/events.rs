//! `GET /console/api/events`: what happens, as it happens, as server-sent events.
//!
//! | parameter | is |
//! | --- | --- |
//! | `machine` | a state machine, by its name or ARN |
//! | `execution` | an execution, by its name or ARN |
//! | `status` | `RUNNING`, `SUCCEEDED`, …: of status changes, those alone |
//! | `transitions` | `true` to see transitions too, where the server shows them |
//!
//! | event | data |
//! | --- | --- |
//! | `status` | a status event, `schemas/events/status-change.json` |
//! | `transition` | a transition, `schemas/events/transition.json` |
//! | `lagged` | `{"missed": n}`: so many were dropped, as they were read too slowly; `null` if nobody knows how many |
//!
//! Nothing is kept for who is not there. A comment comes now and then to show that the connection lives.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::{RawQuery, State};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::stream::unfold;
use serde_json::json;

use super::{Problem, flag, parameters, ready};
use crate::api::CoreCell;
use crate::arn::Home;
use crate::ports::store::ExecutionStatus;
use crate::services::onlookers::{Interest, Refused, Seen};

/// Between two signs of life.
const SIGN_OF_LIFE: Duration = Duration::from_secs(15);

/// Answers with a stream that ends when the process stops or the client goes.
pub(super) async fn watch(
    State(core): State<CoreCell>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let core = ready(&core)?;
    let interest = interest(query.as_deref(), &core.home)?;
    let onlooker = core.look_on(interest).await?;
    let seen = unfold(onlooker, |mut onlooker| async {
        let seen = onlooker.next().await?;
        Some((Ok::<_, Infallible>(told(seen)), onlooker))
    });
    let sign_of_life = KeepAlive::new().interval(SIGN_OF_LIFE);
    Ok(Sse::new(seen).keep_alive(sign_of_life).into_response())
}

impl From<Refused> for Problem {
    fn from(error: Refused) -> Self {
        Problem::unavailable(error.to_string())
    }
}

fn interest(query: Option<&str>, home: &Home) -> Result<Interest, Problem> {
    let mut interest = Interest::default();
    for (name, value) in parameters(query, &["machine", "execution", "status", "transitions"])? {
        match &*name {
            "machine" if value.starts_with("arn:") => interest.machine = Some(value.into_owned()),
            "machine" => interest.machine = Some(home.state_machine(&value)),
            "execution" => interest.execution = Some(value.into_owned()),
            "status" => interest.status = Some(status(&value)?),
            _ => interest.transitions = flag(&name, &value)?,
        }
    }
    Ok(interest)
}

fn status(word: &str) -> Result<ExecutionStatus, Problem> {
    let wrong = || {
        let words = ExecutionStatus::ALL.map(ExecutionStatus::as_str).join(", ");
        Problem::bad_request(format!("There is no status '{word}'; there are {words}"))
    };
    ExecutionStatus::ALL.into_iter().find(|status| status.as_str() == word).ok_or_else(wrong)
}

fn told(seen: Seen) -> Event {
    match seen {
        Seen::Status(id, body) => Event::default().event("status").id(id).data(text(&body)),
        Seen::Transition(id, body) => Event::default().event("transition").id(id).data(text(&body)),
        Seen::Missed(count) => Event::default().event("lagged").data(json!({ "missed": count }).to_string()),
    }
}

fn text(body: &Bytes) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(query: &str, expected: Result<Interest, &str>) {
        let read = interest(Some(query), &Home::default()).map_err(|problem| problem.message);
        assert_eq!(read, expected.map_err(str::to_owned), "{query}");
    }

    #[test]
    fn a_query_says_what_is_of_interest() {
        let machine = || Some("arn:aws:states:us-east-1:000000000000:stateMachine:a b".to_owned());
        check("", Ok(Interest::default()));
        check("machine=a%20b", Ok(Interest { machine: machine(), ..Interest::default() }));
        check(
            &format!("machine={}", machine().unwrap().replace(' ', "+")),
            Ok(Interest { machine: machine(), ..Interest::default() }),
        );
        let all = Interest {
            machine: None,
            execution: Some("first".to_owned()),
            status: Some(ExecutionStatus::TimedOut),
            transitions: true,
        };
        check("execution=first&status=TIMED_OUT&transitions=true", Ok(all));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        check(
            "state=x",
            Err("There is no parameter 'state'; there are machine, execution, status, transitions"),
        );
        check("machine=a&machine=b", Err("Give 'machine' once"));
        check("transitions=1", Err("'transitions' is true or false, not '1'"));
        check(
            "status=running",
            Err("There is no status 'running'; there are RUNNING, SUCCEEDED, FAILED, TIMED_OUT, ABORTED"),
        );
    }
}
