//! Messages to topics.

use super::*;

const TOPIC: &str = "arn:aws:sns:us-east-1:000000000000:orders";

/// Publishes with these parameters changed.
async fn publish(broker: &Arc<Broker>, change: Value) -> Result<Value, Failure> {
    let mut parameters = json!({"TopicArn": TOPIC, "Message": "hello"});
    for (name, value) in change.as_object().unwrap() {
        parameters[name] = value.clone();
    }
    run(&SnsConnector::new(broker.clone()), "sns:publish", parameters).await
}

#[tokio::test]
async fn a_message_is_published_and_answered_as_on_aws() {
    let broker = Arc::new(Broker::default());
    let attributes = json!({"kind": {"DataType": "String", "StringValue": "new"}});
    let change = json!({
        "TopicArn": null,
        "TargetArn": TOPIC,
        "Message": {"order": 7},
        "Subject": "Order 7",
        "MessageAttributes": attributes,
    });
    let result = publish(&broker, change).await.unwrap();
    let (topic, message) = broker.only();
    assert_eq!((topic.as_str(), message.body.as_str()), ("orders", r#"{"order":7}"#));
    assert_eq!(message.headers["kind"], "new");
    assert_eq!(*broker.subjects.lock().unwrap(), [Some("Order 7".to_owned())]);
    let names: Vec<_> = result.as_object().unwrap().keys().collect();
    assert_eq!(names, ["MessageId", "SdkHttpMetadata", "SdkResponseMetadata"]);
    assert_eq!(result["MessageId"], json!(message.id.to_string()));
    let headers = &result["SdkHttpMetadata"]["HttpHeaders"];
    assert_eq!((&headers["Content-Length"], &headers["Content-Type"]), (&json!("294"), &json!("text/xml")));
}

#[tokio::test]
async fn a_topic_that_keeps_an_order_gives_numbers() {
    let broker = Arc::new(Broker::default());
    let change = json!({
        "TopicArn": format!("{TOPIC}.fifo"),
        "MessageGroupId": "a-group",
        "MessageDeduplicationId": "dedup-1",
    });
    let result = publish(&broker, change).await.unwrap();
    assert_eq!(broker.only().1.group_id.as_deref(), Some("a-group"));
    assert_eq!(result["SequenceNumber"].as_str().unwrap().len(), 20);
    assert_eq!(result["SdkHttpMetadata"]["HttpHeaders"]["Content-Length"], "352");
}

#[tokio::test]
async fn of_a_text_for_each_protocol_listeners_get_theirs() {
    for (message, body) in [
        (json!({"default": "d", "sqs": "s", "email": "e"}), "s"),
        (json!({"default": "d", "email": "e"}), "d"),
        (json!(r#"{"default": "d"}"#), "d"),
    ] {
        let broker = Arc::new(Broker::default());
        publish(&broker, json!({"Message": message, "MessageStructure": "json"})).await.unwrap();
        assert_eq!(broker.only().1.body, body);
    }
}

#[tokio::test]
async fn what_sns_would_refuse_is_refused() {
    let cases = [
        (json!({"TopicArn": null}), "TopicArn or TargetArn Reason: no value for required parameter"),
        (json!({"TargetArn": TOPIC}), "Only one of TopicArn or TargetArn can be specified"),
        (json!({"TopicArn": "orders"}), "TopicArn"),
        (
            json!({"TopicArn": null, "PhoneNumber": "+4912345"}),
            "PhoneNumber Reason: Warren sends no text messages; publish to a TopicArn",
        ),
        (json!({"Message": null}), "Empty message"),
        (json!({"Subject": "a\nb"}), "Subject"),
        (json!({"Message": "x".repeat(262_145)}), "Message too long"),
        (
            json!({"TopicArn": format!("{TOPIC}.fifo")}),
            "The MessageGroupId parameter is required for FIFO topics",
        ),
        (json!({"MessageStructure": "xml"}), "MessageStructure"),
        (json!({"MessageStructure": "json"}), "Message Structure - JSON message body failed to parse"),
        (
            json!({"MessageStructure": "json", "Message": {"sqs": "s"}}),
            "Message Structure - No default entry in JSON message body",
        ),
    ];
    for (change, what) in cases {
        let broker = Arc::new(Broker::default());
        let cause = format!(
            "Invalid parameter: {what} (Service: AmazonSNS; Status Code: 400; Error Code: InvalidParameter; \
             Request ID: <id>; Proxy: null)"
        );
        let result = publish(&broker, change).await;
        assert_eq!(error(result), ("SNS.InvalidParameterException".to_owned(), cause));
        assert!(broker.messages.lock().unwrap().is_empty());
    }
    let unusable = json!({"a": {"DataType": "String", "StringValue": ""}});
    let result = publish(&Arc::default(), json!({"MessageAttributes": unusable})).await;
    assert_eq!(error(result).0, "SNS.InvalidParameterValueException");
    let result = publish(&Arc::default(), json!({"Subject": 7, "Topic": "t"})).await;
    assert_eq!(error(result).0, "States.Runtime");
}

#[tokio::test]
async fn a_topic_that_is_none_and_a_broker_that_is_away_are_told_apart() {
    let gone = [Err(Undelivered::NoDestination)];
    assert_eq!(
        error(publish(&Broker::answering(&gone), json!({})).await),
        (
            "SNS.NotFoundException".to_owned(),
            "Topic does not exist (Service: AmazonSNS; Status Code: 404; Error Code: NotFound; \
             Request ID: <id>; Proxy: null)"
                .to_owned()
        )
    );
    let connector = SnsConnector::new(Broker::answering(&gone));
    let parameters = json!({"TopicArn": TOPIC, "Message": "hello"});
    assert_eq!(
        error(run(&connector, "aws-sdk:sns:publish", parameters).await),
        (
            "Sns.NotFoundException".to_owned(),
            "Topic does not exist (Service: Sns, Status Code: 404, Request ID: <id>) (SDK Attempt Count: 1)"
                .to_owned()
        )
    );
    assert_eq!(
        error(publish(&Broker::answering(&[unavailable()]), json!({})).await),
        (
            "SNS.SdkClientException".to_owned(),
            "Unable to execute HTTP request: the broker is away".to_owned()
        )
    );
}
