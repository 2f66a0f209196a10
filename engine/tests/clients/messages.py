"""Messages to queues, topics and the bus, from state machines of both kinds."""

import hashlib
import json

from calls import CallTest, task
from mailboxes import HAS_BROKER, Mailbox, Topic

SEND = "arn:aws:states:::sqs:sendMessage"
PUBLISH = "arn:aws:states:::sns:publish"
PUT = "arn:aws:states:::events:putEvents"
SDK = "arn:aws:states:::aws-sdk:"


def md5(text):
    return hashlib.md5(text.encode()).hexdigest()


class Queues(CallTest):
    def test_a_message_arrives_as_it_was_sent(self):
        queue = Mailbox(self.addCleanup)
        parameters = {
            "QueueUrl": queue.url,
            "MessageBody": {"order.$": "$.order"},
            "MessageAttributes": {"colour": {"DataType": "String", "StringValue": "blue"}},
        }
        for output in self.both(task(SEND, parameters), {"order": 7}):
            self.assertEqual(output["MD5OfMessageBody"], md5('{"order":7}'))
            self.assertEqual(len(output["MD5OfMessageAttributes"]), 32)
            self.assertEqual(output["SdkHttpMetadata"]["HttpStatusCode"], 200)
            self.assertEqual(
                output["SdkResponseMetadata"]["RequestId"],
                output["SdkHttpMetadata"]["HttpHeaders"]["x-amzn-RequestId"],
            )
        if not HAS_BROKER:
            return
        sent = {output["MessageId"] for output in self.both(task(SEND, parameters | {"MessageBody": "text"}))}
        received = [queue.receive() for _ in range(4)]
        self.assertEqual([body for _, body in received], ['{"order":7}'] * 2 + ["text"] * 2)
        self.assertEqual({properties.message_id for properties, _ in received[2:]}, sent)
        for properties, _ in received:
            self.assertEqual((properties.headers, properties.delivery_mode), ({"colour": "blue"}, 2))
        kinds = [properties.content_type for properties, _ in received]
        self.assertEqual(kinds, ["application/json"] * 2 + ["text/plain; charset=utf-8"] * 2)

    def test_a_message_can_wait_before_it_is_delivered(self):
        queue = Mailbox(self.addCleanup)
        parameters = {"QueueUrl": queue.url, "MessageBody": "later", "DelaySeconds": 1}
        self.both(task(SEND, parameters))
        if HAS_BROKER:
            self.assertEqual([queue.receive()[1] for _ in range(2)], ["later", "later"])

    def test_the_sdk_sends_several_at_once_and_wraps_nothing(self):
        queue = Mailbox(self.addCleanup)
        entries = [{"Id": "a", "MessageBody": "1"}, {"Id": "b", "MessageBody": ""}]
        for output in self.both(task(f"{SDK}sqs:sendMessageBatch", {"QueueUrl": queue.url, "Entries": entries})):
            self.assertEqual(sorted(output), ["Failed", "Successful"])
            self.assertEqual([entry["Id"] for entry in output["Successful"]], ["a"])
            self.assertEqual([entry["Code"] for entry in output["Failed"]], ["MissingParameter"])

    def test_a_task_is_answered_by_who_gets_its_token(self):
        queue = Mailbox(self.addCleanup)
        body = {"token.$": "$$.Task.Token", "order.$": "$.order"}
        definition = task(SEND + ".waitForTaskToken", {"QueueUrl": queue.url, "MessageBody": body})
        execution = self.standard(definition, {"order": 7})
        submitted = json.loads(self.event(execution, "TaskSubmitted")["taskSubmittedEventDetails"]["output"])
        scheduled = self.event(execution, "TaskScheduled")["taskScheduledEventDetails"]
        message = json.loads(scheduled["parameters"])["MessageBody"]
        if HAS_BROKER:
            properties, text = queue.receive()
            self.assertEqual((properties.message_id, json.loads(text)), (submitted["MessageId"], message))
        self.assertEqual(message["order"], 7)
        self.sfn.send_task_success(taskToken=message["token"], output='{"done":true}')
        self.assertEqual(self.succeeds(execution), {"done": True})

    def test_what_sqs_would_not_take_fails_with_its_names(self):
        queue = Mailbox(self.addCleanup)
        parameters = {"QueueUrl": queue.url, "MessageBody": ""}
        missing = "The request must contain the parameter MessageBody."
        self.fails(task(SEND, parameters), "SQS.AmazonSQSException", missing, "Error Code: MissingParameter")
        self.fails(task(f"{SDK}sqs:sendMessage", parameters), "Sqs.SqsException", missing)
        self.fails(task(SEND, parameters | {"Priority": 1}), "States.Runtime", "Priority")
        self.fails(
            task(SEND, {"QueueUrl": "https://nowhere.example", "MessageBody": "x"}),
            "SQS.SdkClientException",
            "Unable to execute HTTP request: nowhere.example",
        )


class MissingQueues(CallTest):
    toml = "[broker]\ndeclare_queues = false\n"

    def test_a_queue_or_topic_that_is_not_there_fails_the_task(self):
        queue = Mailbox(self.addCleanup, declared=False)
        parameters = {"QueueUrl": queue.url, "MessageBody": "x"}
        missing = "The specified queue does not exist."
        self.fails(task(SEND, parameters), "SQS.QueueDoesNotExistException", missing)
        self.fails(task(SEND, parameters | {"DelaySeconds": 5}), "SQS.QueueDoesNotExistException", missing)
        self.fails(task(f"{SDK}sqs:sendMessage", parameters), "Sqs.QueueDoesNotExistException", missing)
        topic = f"arn:aws:sns:us-east-1:000000000000:{queue.name}"
        self.fails(
            task(PUBLISH, {"TopicArn": topic, "Message": "x"}), "SNS.NotFoundException", "Topic does not exist"
        )

    def test_the_engines_own_queues_are_not_there(self):
        for name in ("poison", "dead", "standard.0", "tasks.sqs", "warren.poison"):
            with self.subTest(name):
                url = f"https://sqs.us-east-1.amazonaws.com/000000000000/{name}"
                definition = task(SEND, {"QueueUrl": url, "MessageBody": "x"})
                self.fails(definition, "SQS.QueueDoesNotExistException")


class MadeQueues(CallTest):
    toml = "[broker]\ndeclare_queues = true\n"

    def test_a_queue_that_is_not_there_is_made(self):
        queue = Mailbox(self.addCleanup, declared=False)
        self.both(task(SEND, {"QueueUrl": queue.url, "MessageBody": "first"}))
        if HAS_BROKER:
            self.assertEqual([queue.receive()[1] for _ in range(2)], ["first", "first"])
            # One that somebody has deleted is made again.
            queue.channel.queue_delete(queue.name)
            self.both(task(SEND, {"QueueUrl": queue.url, "MessageBody": "second"}))
            self.assertEqual([queue.receive()[1] for _ in range(2)], ["second", "second"])

    def test_a_topic_that_is_not_there_is_made(self):
        mailbox = Mailbox(self.addCleanup)
        definition = task(PUBLISH, {"TopicArn": f"arn:aws:sns:us-east-1:000000000000:{mailbox.name}", "Message": "x"})
        self.both(definition)
        if HAS_BROKER:
            self.addCleanup(lambda: mailbox.channel.exchange_delete(mailbox.name))
            mailbox.bind(mailbox.name, "#")
            self.both(definition)
            self.assertEqual(mailbox.receive()[1], "x")


class Topics(CallTest):
    def test_a_message_comes_to_those_who_listen(self):
        topic, other = Topic(self.addCleanup, "order.*"), Mailbox(self.addCleanup)
        other.bind(topic.topic, "refund.*")
        parameters = {
            "TopicArn": topic.arn,
            "Subject": "order.placed",
            "Message": {"order.$": "$.order"},
            "MessageAttributes": {"n": {"DataType": "Number", "StringValue": "1"}},
        }
        for output in self.both(task(PUBLISH, parameters), {"order": 7}):
            self.assertEqual(sorted(output), ["MessageId", "SdkHttpMetadata", "SdkResponseMetadata"])
        if HAS_BROKER:
            properties, body = topic.receive()
            self.assertEqual(body, '{"order":7}')
            self.assertEqual(properties.headers, {"n": "1", "warren-subject": "order.placed"})
            self.assertEqual(other.channel.basic_get(other.name)[0], None)

    def test_a_task_is_answered_by_who_gets_its_token(self):
        topic = Topic(self.addCleanup)
        parameters = {"TopicArn": topic.arn, "Message": {"token.$": "$$.Task.Token"}}
        execution = self.standard(task(PUBLISH + ".waitForTaskToken", parameters))
        self.event(execution, "TaskSubmitted")
        scheduled = self.event(execution, "TaskScheduled")["taskScheduledEventDetails"]
        message = json.loads(scheduled["parameters"])["Message"]
        if HAS_BROKER:
            self.assertEqual(json.loads(topic.receive()[1]), message)
        self.sfn.send_task_failure(taskToken=message["token"], error="Denied", cause="no")
        self.assertEqual(self.ended(execution)["error"], "Denied")

    def test_what_sns_would_not_take_fails_with_its_names(self):
        topic = Topic(self.addCleanup)
        self.fails(
            task(PUBLISH, {"TopicArn": topic.arn, "Message": ""}),
            "SNS.InvalidParameterException",
            "Invalid parameter: Empty message",
        )
        self.fails(
            task(f"{SDK}sns:publish", {"PhoneNumber": "+1", "Message": "x"}), "Sns.InvalidParameterException"
        )


class Bus(CallTest):
    def entry(self, **changes):
        return {
            "Source": "shop.orders", "DetailType": "Order Placed", "Detail": {"order.$": "$.order"}, **changes,
        }

    def test_an_event_is_on_the_bus_in_its_envelope(self):
        listener = Mailbox(self.addCleanup)
        if HAS_BROKER:
            listener.bind(f"{self.server.names.prefix}triggers", "shop.orders.#")
        entry = self.entry(Resources=["arn:x"], Time="2026-01-02T03:04:05.678Z")
        for output in self.both(task(PUT, {"Entries": [entry]}), {"order": 7}):
            self.assertEqual(output["FailedEntryCount"], 0)
            self.assertEqual(len(output["Entries"]), 1)
        if not HAS_BROKER:
            return
        definition = task(f"{SDK}eventbridge:putEvents", {"Entries": [self.entry()]})
        output = self.succeeds(self.standard(definition, {"order": 8}))
        received = [listener.receive() for _ in range(3)]
        event = json.loads(received[0][1])
        self.assertEqual(
            (event["source"], event["detail-type"], event["detail"]), ("shop.orders", "Order Placed", {"order": 7})
        )
        self.assertEqual((event["version"], event["time"]), ("0", "2026-01-02T03:04:05Z"))
        self.assertEqual((event["account"], event["region"]), ("000000000000", "us-east-1"))
        self.assertEqual((len(event["resources"]), event["resources"][0]), (3, "arn:x"))
        self.assertEqual(received[0][0].message_id, event["id"])
        last = json.loads(received[2][1])
        self.assertEqual((last["id"], last["resources"]), (output["Entries"][0]["EventId"], []))

    def test_an_entry_that_is_no_event_fails_the_task(self):
        definition = task(PUT, {"Entries": [self.entry(Detail={}), self.entry(Detail="no json")]})
        self.fails(definition, "EventBridge.FailedEntry", '"ErrorCode":"MalformedDetail"', '"FailedEntryCount":1')
        definition = task(f"{SDK}eventbridge:putEvents", {"Entries": [self.entry(Detail="no json")]})
        for output in self.both(definition):
            self.assertEqual(output["FailedEntryCount"], 1)
