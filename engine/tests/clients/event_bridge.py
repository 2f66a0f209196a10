"""The bus by the EventBridge API: rules and targets, events, patterns."""

import json
import pathlib
import subprocess
import sys

import boto3
import botocore.config

from support import ACCOUNT, PASS, REGION, ServerTest, eventually, environment, function

PATTERN = {"source": ["shop"], "detail": {"total": [{"numeric": [">", 100]}]}}
BUS_RULE = f"arn:aws:events:{REGION}:{ACCOUNT}:rule"


def matching(total, **more):
    return {"Source": "shop", "DetailType": "Order", "Detail": json.dumps({"total": total, **more})}


class EventBridge(ServerTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        config = botocore.config.Config(retries={"total_max_attempts": 1})
        cls.events = boto3.client(
            "events", endpoint_url=cls.server.endpoint, region_name=REGION, config=config,
            aws_access_key_id="any", aws_secret_access_key="any",
        )

    def rule(self, *targets, **more):
        """A rule of this test's own name."""
        name = self.name()[:60]
        self.events.put_rule(Name=name, **({"EventPattern": json.dumps(PATTERN)} | more))
        if targets:
            answer = self.events.put_targets(Rule=name, Targets=list(targets))
            self.assertEqual(answer["FailedEntryCount"], 0, answer)
        return name

    def inputs(self, machine, count):
        """The inputs of executions, once there are so many that have ended."""
        def there():
            executions = self.sfn.list_executions(stateMachineArn=machine)["executions"]
            return executions if len(executions) >= count else None
        executions = eventually(there)
        self.assertEqual(len(executions), count)
        return [json.loads(self.ended(each["executionArn"])["input"]) for each in executions]

    def test_a_rule_starts_versions_and_aliases(self):
        machine = self.create(PASS)
        version = self.sfn.publish_state_machine_version(stateMachineArn=machine)["stateMachineVersionArn"]
        routes = [{"stateMachineVersionArn": version, "weight": 100}]
        alias = self.sfn.create_state_machine_alias(name="live", routingConfiguration=routes)["stateMachineAliasArn"]
        self.rule({"Id": "version", "Arn": version}, {"Id": "alias", "Arn": alias}, EventPattern='{"source": ["aliases"]}')
        self.put({"Source": "aliases", "DetailType": "Order", "Detail": "{}"})
        self.assertEqual(len(self.inputs(version, 2)), 2)
        self.assertEqual(len(self.inputs(alias, 1)), 1)

    def put(self, *entries):
        answer = self.events.put_events(Entries=list(entries))
        self.assertEqual(answer["FailedEntryCount"], 0, answer)
        return [entry["EventId"] for entry in answer["Entries"]]

    def test_an_event_that_matches_starts_the_targets_of_a_rule(self):
        machine = self.create(PASS)
        transformer = {
            "InputPathsMap": {"total": "$.detail.total"},
            "InputTemplate": '{"total": <total>, "said": "<total> by <aws.events.rule-name>"}',
        }
        rule = self.rule(
            {"Id": "whole", "Arn": machine},
            {"Id": "path", "Arn": machine, "InputPath": "$.detail"},
            {"Id": "constant", "Arn": machine, "Input": '{"always": "this"}'},
            {"Id": "made", "Arn": machine, "InputTransformer": transformer},
        )
        [event, _] = self.put(matching(120), matching(99))
        inputs = self.inputs(machine, 4)
        [whole] = [each for each in inputs if "version" in each]
        self.assertEqual(
            (whole["id"], whole["source"], whole["detail-type"], whole["account"], whole["region"], whole["detail"]),
            (event, "shop", "Order", ACCOUNT, REGION, {"total": 120}),
        )
        for expected in ({"total": 120}, {"always": "this"}, {"total": 120, "said": f"120 by {rule}"}):
            self.assertIn(expected, inputs)

    def test_an_express_machine_is_a_target(self):
        # Its end is told by a Standard one.
        told = self.create(PASS, name="told_by_express")
        start = {
            "Type": "Task", "End": True, "Resource": "arn:aws:states:::states:startExecution",
            "Parameters": {"StateMachineArn": told, "Input.$": "$"},
        }
        express = self.create({"StartAt": "Tell", "States": {"Tell": start}}, "EXPRESS")
        self.rule({"Id": "1", "Arn": express, "InputPath": "$.detail"})
        self.put(matching(101))
        self.assertEqual(self.inputs(told, 1), [{"total": 101}])

    def test_a_rule_that_is_disabled_starts_nothing_until_it_is_enabled(self):
        machine = self.create(PASS)
        rule = self.rule({"Id": "1", "Arn": machine, "InputPath": "$.detail"})
        self.events.disable_rule(Name=rule)
        self.assertEqual(self.events.describe_rule(Name=rule)["State"], "DISABLED")
        self.events.enable_rule(Name=rule)
        self.assertEqual(self.events.describe_rule(Name=rule)["State"], "ENABLED")
        self.put(matching(200))
        self.assertEqual(self.inputs(machine, 1), [{"total": 200}])

    def test_rules_and_targets_are_shown_as_they_were_put(self):
        machine = self.create(PASS)
        rule = self.rule(Description="what it is for", RoleArn=f"arn:aws:iam::{ACCOUNT}:role/any")
        described = self.events.describe_rule(Name=rule)
        described.pop("ResponseMetadata")
        self.assertEqual(described, {
            "Name": rule, "Arn": f"{BUS_RULE}/{rule}", "EventPattern": json.dumps(PATTERN), "State": "ENABLED",
            "Description": "what it is for", "RoleArn": f"arn:aws:iam::{ACCOUNT}:role/any",
            "EventBusName": "default", "CreatedBy": ACCOUNT,
        })
        targets = [{"Id": f"t{number}", "Arn": machine, "Input": str(number)} for number in range(3)]
        self.events.put_targets(Rule=rule, Targets=targets)
        pages = [self.events.list_targets_by_rule(Rule=rule, Limit=2)]
        pages.append(self.events.list_targets_by_rule(Rule=rule, Limit=2, NextToken=pages[0]["NextToken"]))
        self.assertEqual([target for page in pages for target in page["Targets"]], targets)
        self.assertIn(rule, [each["Name"] for each in self.events.list_rules(NamePrefix=rule[:20])["Rules"]])
        with self.refused("ValidationException", "since it has targets"):
            self.events.delete_rule(Name=rule)
        removed = self.events.remove_targets(Rule=rule, Ids=["t0", "t1", "t2", "t9"])
        self.assertEqual([failed["TargetId"] for failed in removed["FailedEntries"]], ["t9"])
        for _ in range(2):
            self.events.delete_rule(Name=rule)
        with self.refused("ResourceNotFoundException", f"Rule {rule} does not exist on EventBus default."):
            self.events.describe_rule(Name=rule)

    def test_what_cannot_be_is_refused(self):
        with self.refused("InvalidEventPatternException", "Event pattern is not valid. Reason:"):
            self.events.put_rule(Name="bad", EventPattern='{"source": "shop"}')
        with self.refused("ValidationException", "Parameter(s) EventPattern or ScheduleExpression must be specified."):
            self.events.put_rule(Name="bad")
        with self.refused("ValidationException", "Parameter ScheduleExpression is not valid."):
            self.events.put_rule(Name="bad", ScheduleExpression="rate(1 minutes)")
        with self.refused("ResourceNotFoundException", "Event bus other does not exist."):
            self.events.put_rule(Name="bad", EventBusName="other", EventPattern=json.dumps(PATTERN))
        with self.refused("ResourceNotFoundException"):
            self.events.put_targets(Rule="none", Targets=[{"Id": "1", "Arn": self.create(PASS)}])
        rule = self.rule()
        answer = self.events.put_targets(Rule=rule, Targets=[{"Id": "1", "Arn": function("f")}])
        self.assertEqual(answer["FailedEntryCount"], 1)
        answer = self.events.put_events(Entries=[matching(1), {**matching(2), "Detail": "no JSON"}])
        self.assertEqual(answer["FailedEntryCount"], 1)
        self.assertEqual(answer["Entries"][1]["ErrorCode"], "MalformedDetail")

    def test_a_pattern_is_tried_on_an_event(self):
        event = {
            "id": "1", "account": ACCOUNT, "source": "shop", "time": "2026-11-21T10:00:00Z", "region": REGION,
            "resources": [], "detail-type": "Order", "detail": {"total": 120},
        }
        for pattern, expected in ((PATTERN, True), ({"source": ["bank"]}, False)):
            tried = self.events.test_event_pattern(EventPattern=json.dumps(pattern), Event=json.dumps(event))
            self.assertEqual(tried["Result"], expected)
        with self.refused("ValidationException", "Parameter Event is not valid."):
            self.events.test_event_pattern(EventPattern=json.dumps(PATTERN), Event="{}")

    def test_the_aws_command_line_speaks_to_the_same_endpoint(self):
        aws = pathlib.Path(sys.executable).with_name("aws")
        entries = json.dumps([matching(1)])
        command = [aws, "events", "put-events", "--entries", entries, "--endpoint-url", self.server.endpoint]
        said = subprocess.run(command, env=environment(), capture_output=True, text=True, check=True)
        self.assertEqual(json.loads(said.stdout)["FailedEntryCount"], 0)
