//! `sendMessageBatch`: up to ten messages, each of which may fail alone.

use std::collections::BTreeSet;

use asl::data::Failure;
use serde_json::{Value, json};

use super::{Digests, Entry, QueueName, Refused, SqsConnector, known, unanswered, undelivered};
use crate::Request;
use crate::message::{BYTES_MAX, Message, Undelivered, sequence_number};
use crate::metadata::derived_uuid;
use crate::parameters::Parameters;
use crate::service::{Call, Refusal, object};

/// Messages in one request.
const ENTRIES_MAX: usize = 10;
/// Characters of the id of an entry.
const ID_CHARACTERS_MAX: usize = 80;

/// A message with the id that it has in its request.
struct Identified {
    id: String,
    entry: Entry,
}

/// An entry that was not sent.
struct Failed {
    id: String,
    code: &'static str,
    message: String,
    /// Whether the fault is the sender's, so that the same again would fail again.
    by_sender: bool,
}

impl SqsConnector {
    pub(super) async fn send_batch(&self, request: &Request, call: &Call) -> Result<Value, Failure> {
        let (url, entries) = read(&request.parameters)?;
        let queue = QueueName::of(url, call)?;
        check(&entries).map_err(|refusal| call.refused(&refusal))?;
        let mut failed = Vec::new();
        let (mut messages, mut taken) = (Vec::new(), Vec::new());
        for (index, Identified { id, entry }) in entries.into_iter().enumerate() {
            let message_id = derived_uuid(&format!("sqs:sendMessageBatch:{index}"), &request.id);
            match entry.message(message_id, &queue) {
                Ok((message, digests)) => {
                    messages.push(message);
                    taken.push((id, message_id.to_string(), digests));
                }
                Err(Refused { code, message }) => failed.push(Failed { id, code, message, by_sender: true }),
            }
        }
        let outcomes = self.outcomes(&queue, messages, call).await?;
        let mut successful = Vec::new();
        for (index, ((id, message_id, digests), outcome)) in taken.into_iter().zip(outcomes).enumerate() {
            match outcome {
                Ok(()) => {
                    let sequence = queue.fifo.then(|| sequence_number(index));
                    successful.push(success(&id, &message_id, &digests, sequence));
                }
                Err(error) => {
                    let message = error.to_string();
                    failed.push(Failed { id, code: "InternalError", message, by_sender: false });
                }
            }
        }
        let failed: Vec<Value> = failed.iter().map(Failed::shown).collect();
        Ok(call.answered(vec![("Failed", json!(failed)), ("Successful", json!(successful))]))
    }

    /// One outcome per message. Where none got through, the call as a whole failed.
    async fn outcomes(
        &self,
        queue: &QueueName,
        messages: Vec<Message>,
        call: &Call,
    ) -> Result<Vec<Result<(), Undelivered>>, Failure> {
        let count = messages.len();
        if count == 0 {
            return Ok(Vec::new());
        }
        let mut outcomes = self.queues.send(&queue.name, messages).await;
        outcomes.resize_with(count, unanswered);
        match outcomes.iter().all(Result::is_err).then(|| outcomes.swap_remove(0)) {
            Some(Err(error)) => Err(undelivered(&error, call)),
            Some(Ok(())) | None => Ok(outcomes),
        }
    }
}

fn read(written: &Value) -> Result<(&str, Vec<Identified>), Failure> {
    let mut parameters = Parameters::new(written, &["QueueUrl", "Entries"]);
    let url = parameters.text("QueueUrl").unwrap_or_default();
    parameters.require("Entries");
    let list = parameters.value("Entries").map(Value::as_array);
    if list == Some(None) {
        parameters.refuse("Entries");
    }
    let mut entries = Vec::new();
    for entry in list.flatten().into_iter().flatten() {
        let mut part = Parameters::new(entry, &known(&["Id"]));
        if !entry.is_object() {
            part.refuse("Entries");
        }
        let id = part.text("Id").unwrap_or_default().to_owned();
        entries.push(Identified { id, entry: Entry::read(&mut part) });
        parameters.include(part);
    }
    parameters.check()?;
    Ok((url, entries))
}

/// What SQS refuses a whole request for.
fn check(entries: &[Identified]) -> Result<(), Refusal> {
    let refusal = |code: &'static str, exception: &'static str, message: String| Refusal {
        exception: Some(exception),
        ..Refusal::bad_request(code, message)
    };
    if entries.is_empty() {
        return Err(refusal(
            "AWS.SimpleQueueService.EmptyBatchRequest",
            "EmptyBatchRequestException",
            "There should be at least one SendMessageBatchRequestEntry in the request.".to_owned(),
        ));
    }
    if entries.len() > ENTRIES_MAX {
        return Err(refusal(
            "AWS.SimpleQueueService.TooManyEntriesInBatchRequest",
            "TooManyEntriesInBatchRequestException",
            format!(
                "Maximum number of entries per request are {ENTRIES_MAX}. You have sent {}.",
                entries.len()
            ),
        ));
    }
    let mut ids = BTreeSet::new();
    for Identified { id, .. } in entries {
        let usable = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        if id.is_empty() || id.len() > ID_CHARACTERS_MAX || !id.bytes().all(usable) {
            return Err(refusal(
                "AWS.SimpleQueueService.InvalidBatchEntryId",
                "InvalidBatchEntryIdException",
                format!(
                    "A batch entry id can only contain alphanumeric characters, hyphens and underscores. It \
                     can be at most {ID_CHARACTERS_MAX} letters long."
                ),
            ));
        }
        if !ids.insert(id) {
            return Err(refusal(
                "AWS.SimpleQueueService.BatchEntryIdsNotDistinct",
                "BatchEntryIdsNotDistinctException",
                format!("Id {id} repeated."),
            ));
        }
    }
    let bytes: usize = entries.iter().map(|identified| identified.entry.bytes()).sum();
    if bytes > BYTES_MAX {
        return Err(refusal(
            "AWS.SimpleQueueService.BatchRequestTooLong",
            "BatchRequestTooLongException",
            format!("Batch requests cannot be longer than {BYTES_MAX} bytes. You have sent {bytes} bytes."),
        ));
    }
    Ok(())
}

fn success(id: &str, message_id: &str, digests: &Digests, sequence: Option<String>) -> Value {
    let mut members = vec![("Id", json!(id)), ("MessageId", json!(message_id))];
    members.extend(digests.members());
    members.extend(sequence.map(|number| ("SequenceNumber", json!(number))));
    members.sort_by_key(|(name, _)| *name);
    object(&members)
}

impl Failed {
    fn shown(&self) -> Value {
        json!({
            "Code": self.code,
            "Id": self.id,
            "Message": self.message,
            "SenderFault": self.by_sender,
        })
    }
}
