"""Executions that start executions, in all four ways."""

import json
import sys

from support import PASS, WAIT, ServerTest, eventually, machine

START = "arn:aws:states:::states:startExecution"
STARTED_BY = {"AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID.$": "$$.Execution.Id"}


def parent(child, pattern="", **parameters):
    parameters = {"StateMachineArn": child, **parameters}
    return machine({"Child": {"Type": "Task", "Resource": START + pattern, "Parameters": parameters}})


class ChildExecutions(ServerTest):
    def children(self, arn):
        return self.sfn.list_executions(stateMachineArn=arn)["executions"]

    def child(self, definition):
        return self.create(definition, name=self.name()[:60] + "_child")

    def test_a_plain_start_goes_on_at_once(self):
        child = self.child(WAIT)
        execution = self.start(self.create(parent(child, **{"Input": {"n": 1, **STARTED_BY}, "Name": "mine"})))
        output = self.succeeds(execution)
        started = self.sfn.describe_execution(executionArn=output["ExecutionArn"])
        self.assertEqual((started["status"], started["name"]), ("RUNNING", "mine"))
        self.assertEqual(
            json.loads(started["input"]), {"n": 1, "AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID": execution}
        )
        self.assertEqual(output["SdkHttpMetadata"]["HttpStatusCode"], 200)
        self.assertEqual(self.types(execution)[2:5], ["TaskScheduled", "TaskStarted", "TaskSucceeded"])

    def test_a_synchronous_one_answers_with_the_childs_end(self):
        child = self.child(PASS)
        for pattern, output in ((".sync", '{"n":1}'), (".sync:2", {"n": 1})):
            with self.subTest(pattern):
                definition = parent(child, pattern, Input={"n": 1})
                execution = self.start(self.create(definition, name="parent" + pattern.replace(":", "")))
                answer = self.succeeds(execution)
                self.assertEqual((answer["Status"], answer["Output"]), ("SUCCEEDED", output))
                self.assertEqual(answer["Input"], output)
                self.assertEqual(answer["StateMachineArn"], child)
                self.assertEqual(
                    self.types(execution)[2:6], ["TaskScheduled", "TaskStarted", "TaskSubmitted", "TaskSucceeded"]
                )

    def test_a_childs_failure_is_the_parents(self):
        child = self.child(machine({"Fail": {"Type": "Fail", "Error": "Broken", "Cause": "it is"}}))
        ended = self.run_to_end(parent(child, ".sync:2"))
        self.assertEqual((ended["status"], ended["error"]), ("FAILED", "States.TaskFailed"))
        cause = json.loads(ended["cause"])
        self.assertEqual((cause["Status"], cause["Error"], cause["Cause"]), ("FAILED", "Broken", "it is"))

    def test_a_child_that_is_stopped_fails_the_parent(self):
        child = self.child(WAIT)
        execution = self.start(self.create(parent(child, ".sync")))
        started = eventually(lambda: self.children(child))[0]
        self.sfn.stop_execution(executionArn=started["executionArn"])
        self.assertEqual(json.loads(self.ended(execution)["cause"])["Status"], "ABORTED")

    def test_a_stopped_parent_stops_the_child_it_waits_for(self):
        child = self.child(WAIT)
        execution = self.start(self.create(parent(child, ".sync:2")))
        self.event(execution, "TaskSubmitted")
        self.sfn.stop_execution(executionArn=execution)
        self.assertEqual(self.ended(self.children(child)[0]["executionArn"])["status"], "ABORTED")

    def test_a_machine_that_does_not_exist_fails_the_task(self):
        ended = self.run_to_end(parent(self.child(PASS) + "_"))
        self.assertEqual(ended["status"], "FAILED")
        self.assertEqual(ended["error"], "StepFunctions.StateMachineDoesNotExistException")
        self.assertIn("State Machine Does Not Exist", ended["cause"])


class Callbacks(ServerTest):
    @classmethod
    def configuration(cls):
        keep = f"import pathlib, sys; pathlib.Path('{cls.place}/token').write_text(sys.stdin.read())"
        return f'[functions.keep]\ncommand = [{json.dumps(sys.executable)}, "-c", {json.dumps(keep)}]\n'

    def test_a_child_hands_on_the_token_of_its_parent(self):
        keep = {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke",
                "Parameters": {"FunctionName": "keep", "Payload.$": "$"}}
        child = self.create(machine({"Keep": keep}), name="child")
        execution = self.start(self.create(
            parent(child, ".waitForTaskToken", Input={"token.$": "$$.Task.Token"}), name="parent"
        ))
        file = self.place / "token"
        started = eventually(lambda: self.sfn.list_executions(stateMachineArn=child)["executions"])[0]
        self.assertEqual(self.ended(started["executionArn"])["status"], "SUCCEEDED")
        self.assertEqual(self.sfn.describe_execution(executionArn=execution)["status"], "RUNNING")
        self.sfn.send_task_success(taskToken=json.loads(file.read_text())["token"], output='"approved"')
        self.assertEqual(self.succeeds(execution), "approved")
        self.assertEqual(self.types(execution)[4:6], ["TaskSubmitted", "TaskSucceeded"])
