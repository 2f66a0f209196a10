"""Standard executions: started, described, listed, stopped, and their histories."""

import json

from support import PASS, ROLE, WAIT, ServerTest, activity_arn, execution_arn, machine, machine_arn

FAIL = machine({"Fail": {"Type": "Fail", "Error": "Broken", "Cause": "it is"}})
STEPS = machine({
    "First": {"Type": "Pass", "Result": {"n": 1}, "ResultPath": "$.first"},
    "Second": {"Type": "Choice", "Choices": [{"Variable": "$.first.n", "NumericEquals": 1, "Next": "Third"}]},
    "Third": {"Type": "Succeed"},
})


class Executions(ServerTest):
    def test_one_is_described_from_start_to_end(self):
        arn = self.create(WAIT)
        started = self.sfn.start_execution(stateMachineArn=arn, name="one", input='{"a": [1, 2.50]}')
        self.assertEqual(started["executionArn"], execution_arn(self.name(), "one"))
        running = self.sfn.describe_execution(executionArn=started["executionArn"])
        self.assertEqual((running["status"], running["input"]), ("RUNNING", '{"a": [1, 2.50]}'))
        self.assertEqual(running["startDate"], started["startDate"])
        self.assertEqual(running["inputDetails"], {"included": True})
        self.assertEqual(running["redriveStatus"], "NOT_REDRIVABLE")
        self.assertNotIn("stopDate", running)
        self.assertNotIn("output", running)

        stopped = self.sfn.stop_execution(executionArn=started["executionArn"], error="Enough", cause="of it")
        aborted = self.sfn.describe_execution(executionArn=started["executionArn"])
        self.assertEqual((aborted["status"], aborted["error"], aborted["cause"]), ("ABORTED", "Enough", "of it"))
        self.assertEqual(aborted["stopDate"], stopped["stopDate"])
        self.assertEqual(
            self.types(started["executionArn"]), ["ExecutionStarted", "WaitStateEntered", "ExecutionAborted"]
        )
        again = self.sfn.stop_execution(executionArn=started["executionArn"], error="Other")
        self.assertEqual(again["stopDate"], stopped["stopDate"])
        self.assertEqual(self.sfn.describe_execution(executionArn=started["executionArn"])["error"], "Enough")

    def test_each_ends_as_its_definition_says(self):
        succeeded = self.run_to_end(STEPS, {"x": "é\u0000"})
        self.assertEqual(json.loads(succeeded["output"]), {"x": "é\u0000", "first": {"n": 1}})
        failed = self.ended(self.start(self.create(FAIL, name="failing")))
        self.assertEqual((failed["status"], failed["error"], failed["cause"]), ("FAILED", "Broken", "it is"))
        self.assertNotIn("output", failed)
        late = self.ended(self.start(self.create({**WAIT, "TimeoutSeconds": 1}, name="late")))
        self.assertEqual(late["status"], "TIMED_OUT")
        self.assertNotIn("error", late)
        self.assertEqual(self.types(late["executionArn"])[-1], "ExecutionTimedOut")

    def test_an_input_that_is_left_out_is_an_empty_object(self):
        arn = self.create(PASS)
        self.assertEqual(self.succeeds(self.start(arn)), {})
        for value in (None, 0, "text", [], False):
            execution = self.sfn.start_execution(stateMachineArn=arn, input=json.dumps(value))["executionArn"]
            self.assertEqual(self.succeeds(execution), value)

    def test_payloads_are_left_out_where_only_metadata_is_asked_for(self):
        execution = self.start(self.create(PASS), {"secret": 1})
        self.succeeds(execution)
        described = self.sfn.describe_execution(executionArn=execution, includedData="METADATA_ONLY")
        self.assertNotIn("input", described)
        self.assertNotIn("output", described)
        self.assertEqual(described["outputDetails"], {"included": False})
        self.assertNotIn("secret", str(self.history(execution, includeExecutionData=False)))

    def test_a_name_starts_one_execution(self):
        arn = self.create(WAIT)
        first = self.sfn.start_execution(stateMachineArn=arn, name="n", input='{"a":1}')
        again = self.sfn.start_execution(stateMachineArn=arn, name="n", input='{"a":1}')
        self.assertEqual(
            (again["executionArn"], again["startDate"]), (first["executionArn"], first["startDate"])
        )
        self.assertEqual(len(self.sfn.list_executions(stateMachineArn=arn)["executions"]), 1)
        with self.refused("ExecutionAlreadyExists", first["executionArn"]):
            self.sfn.start_execution(stateMachineArn=arn, name="n", input='{"a":2}')
        self.sfn.stop_execution(executionArn=first["executionArn"])
        with self.refused("ExecutionAlreadyExists", first["executionArn"]):
            self.sfn.start_execution(stateMachineArn=arn, name="n", input='{"a":1}')
        self.start(self.create(WAIT, name="another"), name="n")

    def test_the_names_that_are_made_up_differ(self):
        arn = self.create(PASS)
        self.assertEqual(len({self.start(arn) for _ in range(20)}), 20)


class Histories(ServerTest):
    def test_events_are_chained_and_carry_what_happened(self):
        execution = self.start(self.create(STEPS), {"x": 1})
        self.succeeds(execution)
        history = self.history(execution)
        self.assertEqual([event["type"] for event in history], [
            "ExecutionStarted", "PassStateEntered", "PassStateExited", "ChoiceStateEntered", "ChoiceStateExited",
            "SucceedStateEntered", "SucceedStateExited", "ExecutionSucceeded",
        ])
        self.assertEqual([event["id"] for event in history], list(range(1, 9)))
        self.assertEqual([event["previousEventId"] for event in history], [0, 0, 2, 3, 4, 5, 6, 7])
        times = [event["timestamp"] for event in history]
        self.assertEqual(times, sorted(times))
        self.assertEqual(history[0]["executionStartedEventDetails"]["roleArn"], ROLE)
        self.assertEqual(history[0]["executionStartedEventDetails"]["input"], '{"x": 1}')
        self.assertEqual(history[2]["stateExitedEventDetails"], {
            "name": "First", "output": '{"x":1,"first":{"n":1}}', "outputDetails": {"truncated": False},
        })

    def test_pages_of_either_direction_are_the_whole(self):
        execution = self.start(self.create(STEPS))
        self.succeeds(execution)
        whole = self.sfn.get_execution_history(executionArn=execution)["events"]
        for size in (1, 3, 8, 1000):
            for backwards in (False, True):
                pages = self.sfn.get_paginator("get_execution_history").paginate(
                    executionArn=execution, reverseOrder=backwards, PaginationConfig={"PageSize": size}
                )
                paged = [event for page in pages for event in page["events"]]
                self.assertEqual(paged, whole[::-1] if backwards else whole, (size, backwards))

    def test_a_token_leads_on_in_its_own_history_and_direction(self):
        executions = [self.start(self.create(STEPS)) for _ in range(2)]
        for execution in executions:
            self.succeeds(execution)
        page = {"executionArn": executions[0], "maxResults": 3}
        token = self.sfn.get_execution_history(**page)["nextToken"]
        for wrong in (
            {**page, "executionArn": executions[1], "nextToken": token},
            {**page, "reverseOrder": True, "nextToken": token},
            {**page, "nextToken": token[:-1]},
        ):
            with self.refused("InvalidToken", "Invalid Token"):
                self.sfn.get_execution_history(**wrong)


class Lists(ServerTest):
    def test_executions_are_listed_newest_first_by_status_and_page(self):
        arn = self.create(machine({
            "Choose": {"Type": "Choice", "Choices": [
                {"Variable": "$.do", "StringEquals": "fail", "Next": "Fail"},
                {"Variable": "$.do", "StringEquals": "wait", "Next": "Wait"},
            ], "Default": "Done"},
            "Wait": {"Type": "Wait", "Seconds": 3600},
            "Done": {"Type": "Succeed"},
            "Fail": {"Type": "Fail"},
        }))
        do = {"SUCCEEDED": "succeed", "FAILED": "fail", "RUNNING": "wait", "ABORTED": "wait"}
        started = {status: [] for status in do}
        for status, what in do.items():
            for _ in range(3):
                execution = self.start(arn, {"do": what})
                started[status].append(execution)
                if status == "ABORTED":
                    self.sfn.stop_execution(executionArn=execution)
                elif status != "RUNNING":
                    self.ended(execution)
        paginate = self.sfn.get_paginator("list_executions").paginate
        for status, expected in {**started, "TIMED_OUT": []}.items():
            pages = paginate(stateMachineArn=arn, statusFilter=status, PaginationConfig={"PageSize": 2})
            listed = [item for page in pages for item in page["executions"]]
            self.assertEqual([item["executionArn"] for item in listed], expected[::-1], status)
            self.assertLessEqual({item["status"] for item in listed}, {status})
        everything = self.sfn.list_executions(stateMachineArn=arn)["executions"]
        self.assertEqual(len(everything), 12)
        self.assertEqual(everything[0]["stateMachineArn"], arn)
        for item in everything:
            self.assertEqual("stopDate" in item, item["status"] != "RUNNING")
        for size in (1, 5):
            pages = paginate(stateMachineArn=arn, PaginationConfig={"PageSize": size})
            self.assertEqual([item for page in pages for item in page["executions"]], everything)

    def test_what_a_list_needs_is_told(self):
        arn = self.create(PASS)
        with self.refused("ValidationException", "'stateMachineArn' or 'mapRunArn'"):
            self.sfn.list_executions()
        with self.refused("ValidationException", "'mapRunArn'"):
            self.sfn.list_executions(stateMachineArn=arn, statusFilter="PENDING_REDRIVE")
        with self.refused("StateMachineTypeNotSupported"):
            self.sfn.list_executions(stateMachineArn=self.create(PASS, "EXPRESS", name="express"))


class Arns(ServerTest):
    def test_what_is_elsewhere_does_not_exist_here(self):
        self.start(self.create(PASS, name="m"), name="e")
        self.sfn.create_activity(name="a")
        for place in ({"region": "eu-west-1"}, {"account": "111111111111"}):
            with self.refused("StateMachineDoesNotExist", machine_arn("m", **place)):
                self.sfn.describe_state_machine(stateMachineArn=machine_arn("m", **place))
            with self.refused("StateMachineDoesNotExist", machine_arn("m", **place)):
                self.start(machine_arn("m", **place))
            with self.refused("ExecutionDoesNotExist", execution_arn("m", "e", **place)):
                self.sfn.describe_execution(executionArn=execution_arn("m", "e", **place))
            with self.refused("ExecutionDoesNotExist", execution_arn("m", "e", **place)):
                self.sfn.get_execution_history(executionArn=execution_arn("m", "e", **place))
            with self.refused("ActivityDoesNotExist", activity_arn("a", **place)):
                self.sfn.describe_activity(activityArn=activity_arn("a", **place))

    def test_an_arn_of_another_kind_is_refused(self):
        machine_here = self.create(PASS)
        with self.refused("InvalidArn", "Resource type not valid in this context"):
            self.sfn.describe_execution(executionArn=machine_here)
        with self.refused("InvalidArn", "Resource type not valid in this context"):
            self.sfn.describe_state_machine(stateMachineArn=execution_arn("m", "e"))
        for wrong in ("m", "arn:aws:states", "arn:aws:s3:::bucket", "arn:aws:states:us-east-1:000000000000:machine:m"):
            with self.refused("InvalidArn", "Invalid Arn"):
                self.sfn.describe_state_machine(stateMachineArn=wrong)
        with self.refused("ExecutionDoesNotExist", "none"):
            self.sfn.stop_execution(executionArn=execution_arn("m", "none"))
