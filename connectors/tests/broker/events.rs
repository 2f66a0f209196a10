//! Events for the bus.

use super::*;

async fn put(broker: &Arc<Broker>, entries: Value) -> Result<Value, Failure> {
    run(&EventsConnector::new(broker.clone()), "events:putEvents", json!({"Entries": entries})).await
}

fn entry() -> Value {
    json!({"Source": "shop", "DetailType": "Ordered", "Detail": {"id": 7}})
}

#[tokio::test]
async fn events_are_put_with_the_arns_of_their_execution() {
    let broker = Arc::new(Broker::default());
    let mut second = entry();
    second["Detail"] = json!(r#"{"id": 8}"#);
    second["Resources"] = json!(["arn:own"]);
    second["Time"] = json!("2026-01-02T03:04:05Z");
    second["TraceHeader"] = json!("Root=1");
    let result = put(&broker, json!([entry(), second])).await.unwrap();
    let machine = "arn:aws:states:us-east-1:000000000000:stateMachine:shop";
    let [first, second] = &broker.entries.lock().unwrap()[..] else { panic!("two are put") };
    assert_eq!((first.detail.as_str(), second.detail.as_str()), (r#"{"id":7}"#, r#"{"id": 8}"#));
    assert_eq!(first.resources, [EXECUTION, machine]);
    assert_eq!(second.resources, ["arn:own", EXECUTION, machine]);
    assert_eq!((first.time, second.time), (None, Some(1_767_323_045_000)));
    assert_eq!(second.trace_header.as_deref(), Some("Root=1"));
    assert_ne!(first.id, second.id);
    let ids = [first, second].map(|entry| json!({"EventId": entry.id.to_string()}));
    assert_eq!(result, json!({"Entries": ids, "FailedEntryCount": 0}));
    assert_eq!(result.as_object().unwrap().keys().next().unwrap(), "Entries");
}

#[tokio::test]
async fn the_same_attempt_puts_the_same_events() {
    let broker = Arc::new(Broker::default());
    for _ in 0..2 {
        put(&broker, json!([entry()])).await.unwrap();
    }
    let entries = broker.entries.lock().unwrap();
    assert_eq!(entries[0], entries[1]);
}

#[tokio::test]
async fn one_entry_that_is_no_event_fails_the_task_and_the_others_are_put() {
    let broker = Arc::new(Broker::default());
    let without = json!({"DetailType": "Ordered", "Detail": {"id": 8}});
    let (error, cause) = error(put(&broker, json!([entry(), without, entry()])).await);
    assert_eq!(error, "EventBridge.FailedEntry");
    let ids: Vec<_> = broker.entries.lock().unwrap().iter().map(|entry| entry.id.to_string()).collect();
    assert_eq!(
        cause,
        format!(
            "{{\"Entries\":[{{\"EventId\":\"{}\"}},{{\"ErrorCode\":\"InvalidArgument\",\"ErrorMessage\":\
             \"Parameter Source is not valid. Reason: Source is a required argument.\"}},\
             {{\"EventId\":\"{}\"}}],\"FailedEntryCount\":1}}",
            ids[0], ids[1]
        )
    );
}

#[tokio::test]
async fn the_sdk_leaves_failed_entries_and_resources_to_its_caller() {
    let broker = Arc::new(Broker::default());
    let malformed = json!({"Source": "shop", "DetailType": "Ordered", "Detail": "\"text\""});
    let connector = EventsConnector::new(broker.clone());
    let parameters = json!({"Entries": [malformed, entry()]});
    let result = run(&connector, "aws-sdk:eventbridge:putEvents", parameters).await.unwrap();
    assert_eq!(result["FailedEntryCount"], 1);
    assert_eq!(
        result["Entries"][0],
        json!({"ErrorCode": "MalformedDetail", "ErrorMessage": "Detail is malformed."})
    );
    assert!(broker.entries.lock().unwrap()[0].resources.is_empty());
}

#[tokio::test]
async fn a_broker_that_is_away_is_a_failure_that_can_be_retried() {
    let away = Broker::answering(&[unavailable(), unavailable()]);
    assert_eq!(
        error(put(&away, json!([entry(), entry()])).await),
        (
            "EventBridge.SdkClientException".to_owned(),
            "Unable to execute HTTP request: the broker is away".to_owned()
        )
    );
    let half = Broker::answering(&[unavailable(), Ok(())]);
    let (name, cause) = error(put(&half, json!([entry(), entry()])).await);
    assert_eq!(name, "EventBridge.FailedEntry");
    assert!(cause.starts_with(
        "{\"Entries\":[{\"ErrorCode\":\"InternalFailure\",\"ErrorMessage\":\"the broker is away\"},{\"EventId\""
    ));
    let forgetful = Arc::new(Broker { forgetful: true, ..Broker::default() });
    assert_eq!(error(put(&forgetful, json!([entry(), entry()])).await).0, "EventBridge.FailedEntry");
}

#[tokio::test]
async fn a_request_that_cannot_be_taken_fails_as_a_whole() {
    let mut large = entry();
    large["Detail"] = json!({"text": "x".repeat(262_144)});
    let runtime = "States.Runtime";
    let generic = "EventBridge.AmazonEventBridgeException";
    let cases = [
        (json!(null), runtime, "The Parameters '"),
        (json!({}), runtime, "The Parameters '"),
        (json!([7]), runtime, "The Parameters '"),
        (json!([{"source": "shop"}]), runtime, "The Parameters '"),
        (json!([]), generic, "1 validation error detected: Value at 'entries'"),
        (Value::Array(vec![entry(); 11]), generic, "1 validation error detected: Value at 'entries'"),
        (json!([large]), generic, "Total size of the entries in the request is over the limit. (Service"),
    ];
    for (entries, name, says) in cases {
        let broker = Arc::new(Broker::default());
        let (error, cause) = error(put(&broker, entries).await);
        assert_eq!(error, name);
        assert!(cause.starts_with(says), "{cause}");
        assert!(broker.entries.lock().unwrap().is_empty());
    }
}
