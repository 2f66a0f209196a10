"""Versions of state machines: published, shown, run, listed, deleted."""

import json

from support import PASS, ROLE, WAIT, ServerTest, machine, machine_arn


def result(value):
    return machine({"Pass": {"Type": "Pass", "Result": value}})


class Versions(ServerTest):
    settings = {"WARREN__LIMITS__VERSIONS_MAX": "3"}

    def publish(self, arn, **more):
        return self.sfn.publish_state_machine_version(stateMachineArn=arn, **more)["stateMachineVersionArn"]

    def change(self, arn, definition, **more):
        return self.sfn.update_state_machine(stateMachineArn=arn, definition=json.dumps(definition), **more)

    def listed(self, arn):
        versions = self.sfn.list_state_machine_versions(stateMachineArn=arn)["stateMachineVersions"]
        return [version["stateMachineVersionArn"] for version in versions]

    def test_a_revision_is_published_once(self):
        arn = self.create(PASS)
        first = self.sfn.publish_state_machine_version(stateMachineArn=arn, description="first")
        self.assertEqual(first["stateMachineVersionArn"], f"{arn}:1")
        again = self.sfn.publish_state_machine_version(stateMachineArn=arn, description="again")
        self.assertEqual(
            (again["stateMachineVersionArn"], again["creationDate"]), (f"{arn}:1", first["creationDate"])
        )
        described = self.sfn.describe_state_machine(stateMachineArn=f"{arn}:1")
        self.assertEqual((described["stateMachineArn"], described["name"]), (f"{arn}:1", self.name()))
        self.assertEqual((described["description"], described["creationDate"]), ("first", first["creationDate"]))
        self.assertNotIn("revisionId", described)

    def test_a_version_stays_as_it_was(self):
        arn = self.create(result(1))
        self.publish(arn)
        changed = self.change(arn, result(2), publish=True, versionDescription="second")
        self.assertEqual(changed["stateMachineVersionArn"], f"{arn}:2")
        second = self.sfn.describe_state_machine(stateMachineArn=f"{arn}:2")
        self.assertEqual((second["revisionId"], second["description"]), (changed["revisionId"], "second"))
        self.change(arn, result(3))
        for number in (1, 2):
            described = self.sfn.describe_state_machine(stateMachineArn=f"{arn}:{number}")
            self.assertEqual(json.loads(described["definition"]), result(number))
            self.assertEqual(self.succeeds(self.start(f"{arn}:{number}")), number)
        self.assertEqual(self.succeeds(self.start(arn)), 3)

    def test_one_is_published_with_its_machine(self):
        request = {"name": self.name(), "definition": json.dumps(PASS), "roleArn": ROLE}
        with self.refused("ValidationException", "Version description can only be set when publish is true"):
            self.sfn.create_state_machine(**request, versionDescription="first")
        first = self.sfn.create_state_machine(**request, publish=True, versionDescription="first")
        again = self.sfn.create_state_machine(**request, publish=True, versionDescription="first")
        self.assertEqual(first["stateMachineVersionArn"], machine_arn(self.name()) + ":1")
        self.assertEqual(again["stateMachineVersionArn"], first["stateMachineVersionArn"])
        for other in ({}, {"publish": True}, {"publish": True, "versionDescription": "other"}):
            with self.subTest(other), self.refused("StateMachineAlreadyExists"):
                self.sfn.create_state_machine(**request, **other)

    def test_only_the_revision_that_is_meant_is_published(self):
        arn = self.create(PASS)
        self.assertEqual(self.publish(arn, revisionId="INITIAL"), f"{arn}:1")
        revision = self.change(arn, WAIT)["revisionId"]
        for stale in ("INITIAL", "00000000-0000-4000-8000-000000000000"):
            with self.refused("ConflictException", stale, revision) as refused:
                self.publish(arn, revisionId=stale)
            self.assertEqual(refused.exception.response["ResponseMetadata"]["HTTPStatusCode"], 409)
        self.assertEqual(self.publish(arn, revisionId=revision), f"{arn}:2")

    def test_a_number_is_given_once_and_there_are_so_many(self):
        arn = self.create(result(1))
        for number in (1, 2, 3):
            self.change(arn, result(number + 10), publish=True)
        self.assertEqual(self.listed(arn), [f"{arn}:{number}" for number in (3, 2, 1)])
        self.change(arn, result(20))
        with self.refused("ServiceQuotaExceededException", arn) as refused:
            self.publish(arn)
        self.assertEqual(refused.exception.response["ResponseMetadata"]["HTTPStatusCode"], 402)
        for _ in range(2):
            self.sfn.delete_state_machine_version(stateMachineVersionArn=f"{arn}:3")
        self.assertEqual(self.publish(arn), f"{arn}:4")
        self.assertEqual(self.listed(arn), [f"{arn}:{number}" for number in (4, 2, 1)])
        page = self.sfn.list_state_machine_versions(stateMachineArn=arn, maxResults=2)
        self.assertEqual(len(page["stateMachineVersions"]), 2)
        rest = self.sfn.list_state_machine_versions(stateMachineArn=arn, nextToken=page["nextToken"])
        self.assertEqual([item["stateMachineVersionArn"] for item in rest["stateMachineVersions"]], [f"{arn}:1"])
        self.assertNotIn("nextToken", rest)
        with self.refused("InvalidToken"):
            self.sfn.list_state_machines(nextToken=page["nextToken"])

    def test_an_execution_says_which_version_it_runs(self):
        arn = self.create(WAIT)
        version = self.publish(arn)
        execution = self.start(version, name="versioned")
        plain = self.start(arn)
        described = self.sfn.describe_execution(executionArn=execution)
        self.assertEqual(
            (described["stateMachineArn"], described["stateMachineVersionArn"]), (arn, version)
        )
        self.assertNotIn("stateMachineAliasArn", described)
        self.assertNotIn("stateMachineVersionArn", self.sfn.describe_execution(executionArn=plain))
        listed = self.sfn.list_executions(stateMachineArn=version)["executions"]
        self.assertEqual([(item["executionArn"], item["stateMachineVersionArn"]) for item in listed], [(execution, version)])
        self.assertEqual(len(self.sfn.list_executions(stateMachineArn=arn)["executions"]), 2)
        started = self.history(execution)[0]["executionStartedEventDetails"]
        self.assertEqual(started["stateMachineVersionArn"], version)
        for_execution = self.sfn.describe_state_machine_for_execution(executionArn=execution)
        self.assertEqual(for_execution["stateMachineArn"], arn)

        self.change(arn, PASS)
        self.sfn.delete_state_machine_version(stateMachineVersionArn=version)
        with self.refused("StateMachineDoesNotExist", version):
            self.start(version)
        described = self.sfn.describe_execution(executionArn=execution)
        self.assertEqual((described["status"], described["stateMachineVersionArn"]), ("RUNNING", version))
        for_execution = self.sfn.describe_state_machine_for_execution(executionArn=execution)
        self.assertEqual(json.loads(for_execution["definition"]), WAIT)
        for running in (execution, plain):
            self.sfn.stop_execution(executionArn=running)

    def test_express_machines_have_versions(self):
        arn = self.create(result(1), "EXPRESS")
        version = self.publish(arn)
        self.change(arn, result(2))
        self.assertEqual(self.sfn.start_sync_execution(stateMachineArn=version)["output"], "1")
        self.assertEqual(self.sfn.start_sync_execution(stateMachineArn=arn)["output"], "2")
        self.sfn.start_execution(stateMachineArn=version)

    def test_a_version_is_not_a_machine(self):
        arn = self.create(PASS)
        version = self.publish(arn)
        with self.refused("StateMachineDoesNotExist", version):
            self.change(version, WAIT)
        with self.refused("ValidationException"):
            self.sfn.delete_state_machine(stateMachineArn=version)
        with self.refused("ValidationException"):
            self.sfn.delete_state_machine_version(stateMachineVersionArn=arn)
        for missing in (f"{arn}:2", f"{arn}:01", f"{arn}:99999999999"):
            with self.refused("StateMachineDoesNotExist", missing):
                self.sfn.describe_state_machine(stateMachineArn=missing)
        with self.refused("StateMachineDoesNotExist"):
            self.publish(arn + "_")
        with self.refused("InvalidArn", "Invalid ARN prefix: nothing"):
            self.publish("nothing")
        self.assertEqual(self.listed(arn + "_"), [])

    def test_versions_go_with_their_machine(self):
        arn = self.create(PASS)
        self.publish(arn)
        self.sfn.delete_state_machine(stateMachineArn=arn)
        self.assertEqual(self.listed(arn), [])
        with self.refused("StateMachineDoesNotExist"):
            self.start(f"{arn}:1")
        self.create(PASS)
        self.assertEqual(self.publish(arn), f"{arn}:1")

    def test_a_task_starts_a_version(self):
        arn = self.create(result(1), name="inner")
        version = self.publish(arn)
        self.change(arn, result(2))
        outer = machine({"Call": {
            "Type": "Task", "Resource": "arn:aws:states:::states:startExecution.sync:2",
            "Parameters": {"StateMachineArn": version}, "OutputPath": "$.Output",
        }})
        self.assertEqual(self.succeeds(self.start(self.create(outer))), 1)
