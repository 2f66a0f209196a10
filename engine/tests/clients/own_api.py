"""Warren's own API from inside of state machines: `aws-sdk:sfn`."""

import json

from calls import CallTest, task
from support import PASS, WAIT, machine, machine_arn

SFN = "arn:aws:states:::aws-sdk:sfn:"


class OwnApi(CallTest):
    def test_an_execution_is_started_and_described(self):
        child = self.made(PASS)
        definition = machine({
            "Start": {
                "Type": "Task", "Resource": SFN + "startExecution",
                "Parameters": {"StateMachineArn": child, "Input": {"n.$": "$.n"}},
            },
            "Pause": {"Type": "Wait", "Seconds": 1},
            "Describe": {
                "Type": "Task", "Resource": SFN + "describeExecution",
                "Parameters": {"ExecutionArn.$": "$.ExecutionArn"},
                "Retry": [{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 1}],
            },
        })
        for output in self.both(definition, {"n": 1}):
            self.assertEqual((output["Status"], output["Output"]), ("SUCCEEDED", '{"n":1}'))
            self.assertEqual((output["StateMachineArn"], output["RedriveCount"]), (child, 0))
            self.assertRegex(output["StartDate"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$")
        self.assertEqual(len(self.sfn.list_executions(stateMachineArn=child)["executions"]), 2)

    def test_a_synchronous_execution_is_awaited(self):
        child = self.made(PASS, "EXPRESS")
        definition = task(SFN + "startSyncExecution", {"StateMachineArn": child, "Input": {"n": 1}})
        for output in self.both(definition):
            self.assertEqual((output["Status"], output["Output"]), ("SUCCEEDED", '{"n":1}'))

    def test_an_activity_is_worked_and_answered_by_a_state_machine(self):
        activity = self.sfn.create_activity(name=self.name())["activityArn"]
        asks = self.start(self.made(machine({"Ask": {"Type": "Task", "Resource": activity}})), {"n": 1})
        works = machine({
            "Take": {
                "Type": "Task", "Resource": SFN + "getActivityTask",
                "Parameters": {"ActivityArn": activity, "WorkerName": "machine"},
            },
            "Answer": {
                "Type": "Task", "Resource": SFN + "sendTaskSuccess",
                "Parameters": {"TaskToken.$": "$.TaskToken", "Output": {"taken.$": "States.StringToJson($.Input)"}},
            },
        })
        self.assertEqual(self.succeeds(self.standard(works)), {})
        self.assertEqual(self.succeeds(asks), {"taken": {"n": 1}})

    def test_what_the_api_refuses_fails_with_the_names_of_the_sdk(self):
        missing = machine_arn("nowhere")
        self.fails(
            task(SFN + "startExecution", {"StateMachineArn": missing}),
            "Sfn.StateMachineDoesNotExistException",
            f"State Machine Does Not Exist: '{missing}' (Service: Sfn, Status Code: 400, Request ID: ",
        )
        self.fails(
            task(SFN + "describeExecution", {"ExecutionArn": "nonsense"}), "Sfn.InvalidArnException"
        )
        self.fails(
            task(SFN + "listExecutions", {"StateMachineArn": missing, "MaxResults": 5_000}),
            "Sfn.ValidationException",
        )
        self.fails(task(SFN + "startExecution", {"Name": "x"}), "States.Runtime", "StateMachineArn")
        self.fails(task(SFN + "fly", {}), "States.Runtime", "is not recognized")

    def test_a_name_that_is_taken_is_told(self):
        child = self.made(WAIT)
        self.start(child, {}, name="mine")
        definition = task(SFN + "startExecution", {"StateMachineArn": child, "Name": "mine", "Input": {"other": 1}})
        self.fails(definition, "Sfn.ExecutionAlreadyExistsException")
        stop = task(SFN + "stopExecution", {"ExecutionArn.$": "$.arn", "Error": "Enough", "Cause": {"why": 1}})
        arn = child.replace(":stateMachine:", ":execution:") + ":mine"
        self.assertIn("StopDate", self.succeeds(self.standard(stop, {"arn": arn})))
        ended = self.ended(arn)
        self.assertEqual((ended["error"], json.loads(ended["cause"])), ("Enough", {"why": 1}))
