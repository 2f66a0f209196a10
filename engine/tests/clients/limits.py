"""What is refused when there is too much of it, and requests that come too fast."""

import json
import threading
import time

import botocore.exceptions

from support import PASS, ROLE, WAIT, ServerTest, activity_arn, eventually


class Limits(ServerTest):
    settings = {
        "WARREN__LIMITS__STATE_MACHINES_MAX": "2",
        "WARREN__LIMITS__ACTIVITIES_MAX": "1",
        "WARREN__LIMITS__ACTIVITY_WORKERS_MAX": "1",
        "WARREN__LIMITS__OPEN_EXECUTIONS_MAX": "1",
    }

    def test_there_are_so_many_of_each(self):
        waits = self.create(WAIT, name="first")
        self.create(PASS, name="second")
        with self.refused("StateMachineLimitExceeded", "2"):
            self.create(PASS, name="third")
        self.create(PASS, name="second")
        self.sfn.delete_state_machine(stateMachineArn=self.create(PASS, name="second"))
        self.create(PASS, name="third")

        self.sfn.create_activity(name="paint")
        with self.refused("ActivityLimitExceeded", "1"):
            self.sfn.create_activity(name="dry")
        self.sfn.create_activity(name="paint")

        def refuses_a_worker():
            try:
                self.sfn.get_activity_task(activityArn=activity_arn("paint"))
            except self.sfn.exceptions.ActivityWorkerLimitExceeded as error:
                return error.response["Error"]["Message"]
            return None

        def poll():
            try:
                self.server.client(read_timeout=10).get_activity_task(activityArn=activity_arn("paint"))
            except (botocore.exceptions.ReadTimeoutError, self.sfn.exceptions.ActivityWorkerLimitExceeded):
                pass

        worker = threading.Thread(target=poll)
        worker.start()
        time.sleep(1)
        text = "The maximum number of workers concurrently polling for activity tasks has been reached."
        self.assertEqual(eventually(refuses_a_worker), text)
        worker.join()

        first = self.start(waits)

        def is_full():
            try:
                self.sfn.stop_execution(executionArn=self.start(waits))
            except self.sfn.exceptions.ExecutionLimitExceeded:
                return True
            return False

        eventually(is_full)
        self.sfn.stop_execution(executionArn=first)


class Throttling(ServerTest):
    settings = {"WARREN__THROTTLING__REQUESTS": "ListActivities=3/1, DescribeStateMachine = 1/1000"}

    def test_a_bucket_empties_and_fills_again(self):
        def refused():
            try:
                self.sfn.list_activities()
            except botocore.exceptions.ClientError as error:
                return error.response["Error"]
            return None

        for _ in range(3):
            self.sfn.list_activities()
        self.assertEqual(eventually(refused, every=0), {"Code": "ThrottlingException", "Message": "Rate exceeded"})
        self.sfn.list_state_machines()
        eventually(lambda: not refused(), every=0.2)

    def test_a_client_that_tries_again_gets_through(self):
        arn = self.create(PASS)
        patient = self.server.client(retries={"mode": "standard", "total_max_attempts": 10})
        for _ in range(20):
            patient.describe_state_machine(stateMachineArn=arn)


class AsAws(ServerTest):
    settings = {"WARREN__THROTTLING__AWS_QUOTAS": "true"}

    def test_aws_quotas_are_asked_for_by_a_switch(self):
        request = {"definition": json.dumps(PASS)}
        with self.refused("ThrottlingException", "Rate exceeded"):
            for _ in range(2_000):
                self.sfn.validate_state_machine_definition(**request)
        self.sfn.create_state_machine(name=self.name(), roleArn=ROLE, **request)
