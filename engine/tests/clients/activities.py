"""Activities: made, listed, worked, with heartbeats and time-outs."""

import json
import threading
import time

import botocore.exceptions

from support import ServerTest, activity_arn, machine


def task(activity, **fields):
    return machine({"Work": {"Type": "Task", "Resource": activity, **fields}})


class Activities(ServerTest):
    def test_one_is_made_once_described_and_deleted(self):
        first = self.sfn.create_activity(name="once")
        again = self.sfn.create_activity(name="once", tags=[{"key": "k", "value": "v"}])
        self.assertEqual(first["activityArn"], activity_arn("once"))
        self.assertEqual(
            (again["activityArn"], again["creationDate"]), (first["activityArn"], first["creationDate"])
        )
        described = self.sfn.describe_activity(activityArn=first["activityArn"])
        self.assertEqual((described["name"], described["creationDate"]), ("once", first["creationDate"]))
        for _ in range(2):
            self.sfn.delete_activity(activityArn=first["activityArn"])
        with self.refused("ActivityDoesNotExist", first["activityArn"]):
            self.sfn.describe_activity(activityArn=first["activityArn"])
        with self.refused("ActivityDoesNotExist", first["activityArn"]):
            self.sfn.get_activity_task(activityArn=first["activityArn"])
        with self.refused("InvalidName", "no/name"):
            self.sfn.create_activity(name="no/name")

    def test_they_are_listed_page_by_page(self):
        created = [self.sfn.create_activity(name=f"listed{number}")["activityArn"] for number in range(5)]
        whole = self.sfn.list_activities()["activities"]
        self.assertLessEqual(set(created), {item["activityArn"] for item in whole})
        self.assertEqual({"activityArn", "name", "creationDate"}, set(whole[0]))
        pages = self.sfn.get_paginator("list_activities").paginate(PaginationConfig={"PageSize": 2})
        listed = [item for page in pages for item in page["activities"]]
        self.assertLessEqual(set(created), {item["activityArn"] for item in listed})
        self.assertEqual(len(listed), len({item["activityArn"] for item in listed}), "none is listed twice")


class Work(ServerTest):
    def activity(self):
        return self.sfn.create_activity(name=self.name())["activityArn"]

    def take(self, activity, **more):
        """A task; the poll waits for it."""
        taken = self.sfn.get_activity_task(activityArn=activity, **more)
        self.assertTrue(taken.get("taskToken"), "a task is there")
        return taken

    def test_a_worker_takes_a_task_and_answers_it(self):
        activity = self.activity()
        execution = self.start(self.create(task(activity)), {"n": 20})
        taken = self.take(activity, workerName="a worker")
        self.assertEqual(json.loads(taken["input"]), {"n": 20})
        self.sfn.send_task_success(taskToken=taken["taskToken"], output='{"n":21}')
        self.assertEqual(self.succeeds(execution), {"n": 21})
        history = self.history(execution)
        self.assertEqual([event["type"] for event in history], [
            "ExecutionStarted", "TaskStateEntered", "ActivityScheduled", "ActivityStarted", "ActivitySucceeded",
            "TaskStateExited", "ExecutionSucceeded",
        ])
        self.assertEqual(history[2]["activityScheduledEventDetails"]["resource"], activity)
        self.assertEqual(history[3]["activityStartedEventDetails"], {"workerName": "a worker"})

    def test_a_poll_that_waits_gets_the_task_when_it_comes(self):
        activity, taken = self.activity(), []
        polls = [threading.Thread(target=lambda: taken.append(self.take(activity))) for _ in range(3)]
        for poll in polls:
            poll.start()
        arn = self.create(task(activity))
        executions = [self.start(arn, number) for number in range(3)]
        for poll in polls:
            poll.join()
        self.assertEqual(sorted(json.loads(one["input"]) for one in taken), [0, 1, 2])
        self.assertEqual(len({one["taskToken"] for one in taken}), 3)
        for one in taken:
            self.sfn.send_task_success(taskToken=one["taskToken"], output=one["input"])
        self.assertEqual([self.succeeds(execution) for execution in executions], [0, 1, 2])

    def test_a_worker_says_why_it_fails(self):
        activity = self.activity()
        arn = self.create(task(activity))
        for error in ({"error": "Broken", "cause": "it is"}, {"error": "Broken"}, {}):
            with self.subTest(error):
                execution = self.start(arn)
                self.sfn.send_task_failure(taskToken=self.take(activity)["taskToken"], **error)
                ended = self.ended(execution)
                self.assertEqual(ended["status"], "FAILED")
                self.assertEqual({key: ended[key] for key in ("error", "cause") if key in ended}, error)
                self.assertEqual(self.types(execution)[-2:], ["ActivityFailed", "ExecutionFailed"])

    def test_a_failed_task_is_tried_again_with_another_token(self):
        activity = self.activity()
        retry = {"ErrorEquals": ["Busy"], "IntervalSeconds": 1, "MaxAttempts": 1}
        execution = self.start(self.create(task(activity, Retry=[retry])))
        first = self.take(activity)["taskToken"]
        self.sfn.send_task_failure(taskToken=first, error="Busy")
        second = self.take(activity)["taskToken"]
        with self.refused("TaskTimedOut", "does not exist anymore"):
            self.sfn.send_task_success(taskToken=first, output="1")
        self.sfn.send_task_success(taskToken=second, output="2")
        self.assertEqual(self.succeeds(execution), 2)
        self.assertEqual(self.types(execution).count("ActivityScheduled"), 2)

    def test_a_token_is_good_for_one_answer(self):
        activity = self.activity()
        execution = self.start(self.create(task(activity)))
        token = self.take(activity)["taskToken"]
        with self.refused("InvalidOutput", "Invalid Output"):
            self.sfn.send_task_success(taskToken=token, output="{")
        self.sfn.send_task_success(taskToken=token, output="1")
        for answer in (
            lambda: self.sfn.send_task_success(taskToken=token, output="2"),
            lambda: self.sfn.send_task_failure(taskToken=token),
            lambda: self.sfn.send_task_heartbeat(taskToken=token),
        ):
            with self.refused("TaskTimedOut", "does not exist anymore"):
                answer()
        self.assertEqual(self.succeeds(execution), 1)

    def test_a_task_that_nobody_takes_times_out(self):
        activity = self.activity()
        ended = self.run_to_end(task(activity, TimeoutSeconds=1))
        self.assertEqual((ended["status"], ended["error"]), ("FAILED", "States.Timeout"))
        self.assertEqual(self.types(ended["executionArn"])[-3:], [
            "ActivityScheduled", "ActivityTimedOut", "ExecutionFailed",
        ])

    def test_a_silent_worker_times_out_and_beats_keep_a_task(self):
        activity = self.activity()
        definition = task(activity, HeartbeatSeconds=2, TimeoutSeconds=60, Catch=[
            {"ErrorEquals": ["States.HeartbeatTimeout"], "Next": "Silent"},
        ])
        definition["States"]["Silent"] = {"Type": "Pass", "Result": "silent", "End": True}
        execution = self.start(self.create(definition))
        token = self.take(activity)["taskToken"]
        began = time.monotonic()
        # More than twice the time that it may be silent.
        while time.monotonic() - began < 4.5:
            self.sfn.send_task_heartbeat(taskToken=token)
            time.sleep(0.2)
        self.assertEqual(self.sfn.describe_execution(executionArn=execution)["status"], "RUNNING")
        self.assertEqual(self.succeeds(execution), "silent")
        self.assertIn("ActivityTimedOut", self.types(execution))
        with self.refused("TaskTimedOut", "does not exist anymore"):
            self.sfn.send_task_heartbeat(taskToken=token)

    def test_a_stopped_execution_leaves_no_task(self):
        activity = self.activity()
        arn = self.create(task(activity))
        stopped = self.start(arn, "stopped")
        self.event(stopped, "ActivityScheduled")
        self.sfn.stop_execution(executionArn=stopped)
        self.start(arn, "next")
        self.assertEqual(self.take(activity)["input"], '"next"')

    def test_a_vanished_poll_takes_no_task_along(self):
        activity = self.activity()
        impatient = self.server.client(read_timeout=1)
        with self.assertRaises(botocore.exceptions.ReadTimeoutError):
            impatient.get_activity_task(activityArn=activity)
        execution = self.start(self.create(task(activity)))
        token = self.take(activity)["taskToken"]
        self.sfn.send_task_success(taskToken=token, output="1")
        self.assertEqual(self.succeeds(execution), 1)
        self.assertEqual(self.types(execution).count("ActivityStarted"), 1)
