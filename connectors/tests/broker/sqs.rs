//! Messages to queues.

use std::time::Duration;

use super::*;

const URL: &str = "https://sqs.us-east-1.amazonaws.com/000000000000/orders";

async fn send(broker: &Arc<Broker>, parameters: Value) -> Result<Value, Failure> {
    run(&SqsConnector::new(broker.clone()), "sqs:sendMessage", parameters).await
}

async fn batch(broker: &Arc<Broker>, entries: Value) -> Result<Value, Failure> {
    let parameters = json!({"QueueUrl": URL, "Entries": entries});
    run(&SqsConnector::new(broker.clone()), "aws-sdk:sqs:sendMessageBatch", parameters).await
}

/// A message with these parameters changed.
async fn changed(change: Value) -> (Arc<Broker>, Result<Value, Failure>) {
    let broker = Arc::new(Broker::default());
    let mut parameters = json!({"QueueUrl": URL, "MessageBody": "hello"});
    for (name, value) in change.as_object().unwrap() {
        parameters[name] = value.clone();
    }
    let result = send(&broker, parameters).await;
    (broker, result)
}

#[tokio::test]
async fn a_message_is_sent_and_answered_as_on_aws() {
    let broker = Arc::new(Broker::default());
    let attributes = json!({
        "my_attribute_no_1": {"DataType": "String", "StringValue": "Hello"},
        "my_attribute_no_2": {"DataType": "String", "StringValue": "World"},
    });
    let body = json!({"order": 7, "lines": [{"tea": 1.0}]});
    let parameters =
        json!({"QueueUrl": URL, "MessageBody": body, "MessageAttributes": attributes, "DelaySeconds": 900});
    let result = send(&broker, parameters).await.unwrap();
    let (queue, message) = broker.only();
    assert_eq!((queue.as_str(), message.body.as_str()), ("orders", r#"{"order":7,"lines":[{"tea":1.0}]}"#));
    assert_eq!(message.headers["my_attribute_no_2"], "World");
    assert_eq!(message.delay, Some(Duration::from_secs(900)));
    let names: Vec<_> = result.as_object().unwrap().keys().collect();
    assert_eq!(
        names,
        ["MD5OfMessageAttributes", "MD5OfMessageBody", "MessageId", "SdkHttpMetadata", "SdkResponseMetadata"]
    );
    assert_eq!(result["MessageId"], json!(message.id.to_string()));
    let headers = &result["SdkHttpMetadata"]["HttpHeaders"];
    assert_eq!(headers["Content-Length"], "166");
    assert_eq!(headers["Content-Type"], "application/x-amz-json-1.0");
    assert_eq!(headers["x-amzn-RequestId"], result["SdkResponseMetadata"]["RequestId"]);
}

#[tokio::test]
async fn the_same_attempt_sends_the_same_message() {
    let broker = Arc::new(Broker::default());
    for _ in 0..2 {
        send(&broker, json!({"QueueUrl": URL, "MessageBody": "hello"})).await.unwrap();
    }
    let messages = broker.messages.lock().unwrap();
    assert_eq!(messages[0], messages[1]);
}

#[tokio::test]
async fn the_answer_of_the_sdk_has_no_wrapper() {
    let broker = Arc::new(Broker::default());
    let parameters = json!({"QueueUrl": "orders", "MessageBody": "test_message_body"});
    let result =
        run(&SqsConnector::new(broker.clone()), "aws-sdk:sqs:sendMessage", parameters).await.unwrap();
    let names: Vec<_> = result.as_object().unwrap().keys().collect();
    assert_eq!(names, ["MD5OfMessageBody", "MessageId"]);
    assert_eq!(broker.only().0, "orders");
}

#[tokio::test]
async fn what_sqs_would_refuse_is_refused() {
    let missing = "MissingParameter";
    let invalid = "InvalidParameterValue";
    let value = json!({"DataType": "Number", "StringValue": "many"});
    let cases = [
        (json!({"MessageBody": null}), missing, "The request must contain the parameter MessageBody."),
        (json!({"MessageBody": ""}), missing, "The request must contain the parameter MessageBody."),
        (json!({"QueueUrl": null}), missing, "The request must contain the parameter QueueUrl."),
        (
            json!({"QueueUrl": "http://h/orders.fifo"}),
            missing,
            "The request must contain the parameter MessageGroupId.",
        ),
        (
            json!({"DelaySeconds": 901}),
            invalid,
            "Value 901 for parameter DelaySeconds is invalid. Reason: DelaySeconds must be >= 0 and <= 900.",
        ),
        (
            json!({"DelaySeconds": -1}),
            invalid,
            "Value -1 for parameter DelaySeconds is invalid. Reason: DelaySeconds must be >= 0 and <= 900.",
        ),
        (
            json!({"MessageDeduplicationId": "d"}),
            invalid,
            "Value d for parameter MessageDeduplicationId is invalid. Reason: The request include parameter \
             that is not valid for this queue type.",
        ),
        (
            json!({"MessageBody": "x".repeat(262_145)}),
            invalid,
            "One or more parameters are invalid. Reason: Message must be shorter than 262144 bytes.",
        ),
        (
            json!({"MessageAttributes": {"a": value}}),
            invalid,
            "Can't cast the value of message attribute 'a' to a number.",
        ),
    ];
    for (change, code, message) in cases {
        let (broker, result) = changed(change).await;
        let cause = format!(
            "{message} (Service: AmazonSQS; Status Code: 400; Error Code: {code}; Request ID: <id>; Proxy: null)"
        );
        assert_eq!(error(result), ("SQS.AmazonSQSException".to_owned(), cause));
        assert!(broker.messages.lock().unwrap().is_empty());
    }
}

#[tokio::test]
async fn parameters_of_a_wrong_shape_are_all_reported() {
    let (_, result) = changed(json!({"DelaySeconds": "1", "MessageAttributes": [], "Queue": "q"})).await;
    let (error, cause) = error(result);
    assert_eq!(error, "States.Runtime");
    assert!(cause.ends_with(
        "could not be used to start the Task: [The field \"Queue\" is not supported by Step Functions, \
         The value of the field 'MessageAttributes' has an invalid format, \
         The value of the field 'DelaySeconds' has an invalid format]"
    ));
}

#[tokio::test]
async fn a_queue_that_is_none_is_told_in_the_words_of_the_integration() {
    for url in [URL, "https://h/0/results.0", "https://h/0/a b", "https://h/0/.fifo", "standard.0"] {
        let answers = [Err(Undelivered::NoDestination)];
        let broker = Broker::answering(&answers);
        let result = send(&broker, json!({"QueueUrl": url, "MessageBody": "hello"})).await;
        assert_eq!(
            error(result),
            (
                "SQS.QueueDoesNotExistException".to_owned(),
                "The specified queue does not exist. (Service: AmazonSQS; Status Code: 400; Error Code: \
                 AWS.SimpleQueueService.NonExistentQueue; Request ID: <id>; Proxy: null)"
                    .to_owned()
            ),
            "{url}"
        );
        let asked = broker.messages.lock().unwrap().len();
        assert_eq!(asked, usize::from(url == URL), "names that no queue can have are not looked for");
        let connector = SqsConnector::new(Broker::answering(&answers));
        let result =
            run(&connector, "aws-sdk:sqs:sendMessage", json!({"QueueUrl": url, "MessageBody": "hello"}))
                .await;
        assert_eq!(
            error(result),
            (
                "Sqs.QueueDoesNotExistException".to_owned(),
                "The specified queue does not exist. (Service: Sqs, Status Code: 400, Request ID: <id>) \
                 (SDK Attempt Count: 1)"
                    .to_owned()
            )
        );
    }
}

#[tokio::test]
async fn a_broker_that_is_away_is_a_failure_that_can_be_retried() {
    let failure = |reason: &str| {
        ("SQS.SdkClientException".to_owned(), format!("Unable to execute HTTP request: {reason}"))
    };
    let parameters = || json!({"QueueUrl": URL, "MessageBody": "hello"});
    let result = send(&Broker::answering(&[unavailable()]), parameters()).await;
    assert_eq!(error(result), failure("the broker is away"));
    let silent = Arc::new(Broker { forgetful: true, ..Broker::default() });
    let result = send(&silent, parameters()).await;
    assert_eq!(error(result), failure("the broker did not say whether it has the message"));
    // A URL that names no queue: on AWS its host would be asked (recorded).
    let result =
        send(&Broker::answering(&[]), json!({"QueueUrl": "http://no-such-queue-1", "MessageBody": "m"}))
            .await;
    assert_eq!(error(result), failure("no-such-queue-1: Name or service not known"));
}

#[tokio::test]
async fn a_queue_that_keeps_an_order_gives_numbers() {
    let change =
        json!({"QueueUrl": "http://h/0/orders.fifo", "MessageGroupId": "g", "MessageDeduplicationId": "d"});
    let (broker, result) = changed(change).await;
    let result = result.unwrap();
    let (queue, message) = broker.only();
    assert_eq!(queue, "orders.fifo");
    assert_eq!((message.group_id.as_deref(), message.deduplication_id.as_deref()), (Some("g"), Some("d")));
    assert_eq!(result["SequenceNumber"].as_str().unwrap().len(), 20);
    assert_eq!(result["SdkHttpMetadata"]["HttpHeaders"]["Content-Length"], "146");
    let last = result.as_object().unwrap().keys().next_back().unwrap();
    assert_eq!(last, "SequenceNumber");
}

#[tokio::test]
async fn each_message_of_a_batch_may_fail_alone() {
    let broker = Broker::answering(&[Ok(()), unavailable()]);
    let entries = json!([
        {"Id": "a", "MessageBody": "first"},
        {"Id": "b", "MessageBody": ""},
        {"Id": "c", "MessageBody": {"third": 3}},
    ]);
    let result = batch(&broker, entries).await.unwrap();
    let [first, third] = &broker.messages.lock().unwrap()[..] else { panic!("two are sent") };
    assert_ne!(first.1.id, third.1.id);
    assert_eq!(third.1.body, r#"{"third":3}"#);
    assert_eq!(
        result,
        json!({
            "Failed": [
                {
                    "Code": "MissingParameter",
                    "Id": "b",
                    "Message": "The request must contain the parameter MessageBody.",
                    "SenderFault": true,
                },
                {"Code": "InternalError", "Id": "c", "Message": "the broker is away", "SenderFault": false},
            ],
            "Successful": [{
                "Id": "a",
                "MD5OfMessageBody": "8b04d5e3775d298e78455efc5ca404d5",
                "MessageId": first.1.id.to_string(),
            }],
        })
    );
}

#[tokio::test]
async fn a_batch_that_cannot_be_taken_fails_as_a_whole() {
    let entry = |id: &str, body: &str| json!({"Id": id, "MessageBody": body});
    let cases = [
        (json!([]), "Sqs.EmptyBatchRequestException", "There should be at least one"),
        (
            Value::Array((0..11).map(|number| entry(&number.to_string(), "x")).collect()),
            "Sqs.TooManyEntriesInBatchRequestException",
            "Maximum number of entries per request are 10. You have sent 11.",
        ),
        (
            json!([entry("a", "x"), entry("a", "y")]),
            "Sqs.BatchEntryIdsNotDistinctException",
            "Id a repeated.",
        ),
        (json!([entry("a b", "x")]), "Sqs.InvalidBatchEntryIdException", "A batch entry id can only"),
        (
            json!([entry("a", &"x".repeat(200_000)), entry("b", &"y".repeat(62_145))]),
            "Sqs.BatchRequestTooLongException",
            "Batch requests cannot be longer than 262144 bytes. You have sent 262145 bytes.",
        ),
        (json!([{"Id": 1, "MessageBody": "x", "Other": 1}, 7]), "States.Runtime", "The Parameters '"),
        (json!("entries"), "States.Runtime", "The Parameters '"),
        (json!(null), "States.Runtime", "The Parameters '"),
    ];
    for (entries, name, says) in cases {
        let broker = Arc::new(Broker::default());
        let (error, cause) = error(batch(&broker, entries).await);
        assert_eq!(error, name);
        assert!(cause.starts_with(says), "{cause}");
        assert!(broker.messages.lock().unwrap().is_empty());
    }
    let two = || json!([entry("a", "x"), entry("b", "y")]);
    let gone = Broker::answering(&[Err(Undelivered::NoDestination), Err(Undelivered::NoDestination)]);
    assert_eq!(error(batch(&gone, two()).await).0, "Sqs.QueueDoesNotExistException");
    let away = Broker::answering(&[unavailable(), unavailable()]);
    assert_eq!(error(batch(&away, two()).await).0, "Sqs.SdkClientException");
}
