"""RedriveExecution: what had failed, was stopped or timed out goes on where it stopped."""

import concurrent.futures
import datetime
import json

from support import PASS, WAIT, ServerTest, activity_arn, eventually, execution_arn, machine

FAIL = machine({"Before": {"Type": "Pass"}, "Fail": {"Type": "Fail", "Error": "Broken", "Cause": "it is"}})


def work(name, **more):
    return {"Type": "Task", "Resource": activity_arn(name), **more}


def parallel(*branches, **more):
    return {"Type": "Parallel", "Branches": [machine(branch) for branch in branches], **more}


def inline_map(processor, **more):
    return {"Type": "Map", "ItemProcessor": machine(processor), **more}


class Redrives(ServerTest):
    def activity(self):
        name = self.name()[:60]
        self.sfn.create_activity(name=name)
        return name

    def take(self, activity):
        """The next task: its token, and its input."""
        task = self.sfn.get_activity_task(activityArn=activity_arn(activity))
        return task["taskToken"], json.loads(task["input"])

    def fail(self, activity, error="Broken"):
        token, value = self.take(activity)
        self.sfn.send_task_failure(taskToken=token, error=error, cause="it is")
        return value

    def succeed(self, activity, output=None):
        token, value = self.take(activity)
        self.sfn.send_task_success(taskToken=token, output=json.dumps(value if output is None else output))
        return value

    def redrive(self, execution, **more):
        return self.sfn.redrive_execution(executionArn=execution, **more)["redriveDate"]

    def since_redrive(self, execution, count=1):
        """The events from the redrive on; the ids of all must be in a row."""
        history = self.history(execution)
        self.assertEqual([event["id"] for event in history], list(range(1, len(history) + 1)))
        for event in history:
            self.assertLess(event["previousEventId"], event["id"])
        redriven = [index for index, event in enumerate(history) if event["type"] == "ExecutionRedriven"]
        self.assertEqual(len(redriven), count)
        last = history[redriven[-1]]
        self.assertEqual(last["executionRedrivenEventDetails"], {"redriveCount": count})
        return history[redriven[-1]:]

    def kinds(self, execution, count=1):
        return [event["type"] for event in self.since_redrive(execution, count)]

    def test_a_task_that_failed_is_scheduled_anew(self):
        activity = self.activity()
        arn = self.create(machine({"Before": {"Type": "Pass", "ResultPath": "$.before", "Result": 1},
                                   "Work": work(activity), "After": {"Type": "Pass"}}))
        execution = self.start(arn, {"x": 1})
        self.assertEqual(self.fail(activity), {"x": 1, "before": 1})
        failed = self.ended(execution)
        self.assertEqual((failed["status"], failed["redriveCount"], failed["redriveStatus"]), ("FAILED", 0, "REDRIVABLE"))
        self.assertNotIn("redriveDate", failed)

        redriven = self.redrive(execution)
        running = self.sfn.describe_execution(executionArn=execution)
        self.assertEqual((running["status"], running["redriveCount"]), ("RUNNING", 1))
        self.assertEqual((running["redriveDate"], running["startDate"]), (redriven, failed["startDate"]))
        for gone in ("stopDate", "error", "cause", "output"):
            self.assertNotIn(gone, running)
        self.assertEqual(self.succeed(activity, {"y": 2}), {"x": 1, "before": 1})
        self.assertEqual(self.succeeds(execution), {"y": 2})
        events = self.since_redrive(execution)
        self.assertEqual([event["type"] for event in events], [
            "ExecutionRedriven", "ActivityScheduled", "ActivityStarted", "ActivitySucceeded", "TaskStateExited",
            "PassStateEntered", "PassStateExited", "ExecutionSucceeded",
        ])
        self.assertEqual(events[1]["previousEventId"], events[0]["id"])
        self.assertEqual(self.types(execution)[:8], [
            "ExecutionStarted", "PassStateEntered", "PassStateExited", "TaskStateEntered", "ActivityScheduled",
            "ActivityStarted", "ActivityFailed", "ExecutionFailed",
        ])
        succeeded = self.sfn.describe_execution(executionArn=execution)
        self.assertEqual((succeeded["redriveCount"], succeeded["redriveDate"]), (1, redriven))
        self.assertEqual(succeeded["redriveStatusReason"], "Execution is SUCCEEDED and cannot be redriven")
        listed = self.sfn.list_executions(stateMachineArn=arn)["executions"][0]
        self.assertEqual((listed["redriveCount"], listed["redriveDate"]), (1, redriven))

    def test_a_fail_state_fails_again_each_time(self):
        execution = self.start(self.create(FAIL))
        for count in (1, 2, 3):
            self.ended(execution)
            self.redrive(execution)
            ended = self.ended(execution)
            self.assertEqual((ended["status"], ended["error"], ended["redriveCount"]), ("FAILED", "Broken", count))
            self.assertEqual(self.kinds(execution, count), ["ExecutionRedriven", "ExecutionFailed"])

    def test_the_same_token_redrives_once(self):
        execution = self.start(self.create(FAIL))
        self.ended(execution)
        first = self.redrive(execution, clientToken="once")
        self.ended(execution)
        self.assertEqual(self.redrive(execution, clientToken="once"), first)
        self.assertEqual(self.ended(execution)["redriveCount"], 1)
        self.redrive(execution, clientToken="twice")
        self.assertEqual(self.ended(execution)["redriveCount"], 2)
        self.assertEqual(self.redrive(execution, clientToken="once"), first)
        with self.refused("ValidationException"):
            self.redrive(execution, clientToken="x" * 65)

    def test_of_many_redrives_at_once_one_counts(self):
        activity = self.activity()
        execution = self.start(self.create(machine({"Work": work(activity)})))
        self.fail(activity)
        self.ended(execution)

        def one(number):
            try:
                return self.redrive(execution, clientToken=f"t{number % 4}")
            except self.sfn.exceptions.ExecutionNotRedrivable as refused:
                self.assertIn("Execution is RUNNING and cannot be redriven", str(refused))
        with concurrent.futures.ThreadPoolExecutor(12) as pool:
            dates = set(pool.map(one, range(12)))
        self.assertEqual(len(dates - {None}), 1)
        self.succeed(activity)
        self.succeeds(execution)
        self.assertEqual(self.sfn.describe_execution(executionArn=execution)["redriveCount"], 1)
        self.since_redrive(execution)

    def test_an_execution_that_cannot_be_redriven_says_why(self):
        arn = self.create(WAIT)
        running = self.start(arn)
        with self.refused("ExecutionNotRedrivable", "Execution is RUNNING and cannot be redriven"):
            self.redrive(running)
        succeeded = self.start(self.create(PASS, name="succeeding"))
        self.succeeds(succeeded)
        with self.refused("ExecutionNotRedrivable", "Execution is SUCCEEDED and cannot be redriven"):
            self.redrive(succeeded)
        self.sfn.stop_execution(executionArn=running)
        self.assertEqual(self.ended(running)["redriveStatus"], "REDRIVABLE")
        self.sfn.delete_state_machine(stateMachineArn=arn)
        ended = self.ended(running)
        self.assertEqual(ended["redriveStatus"], "NOT_REDRIVABLE")
        self.assertEqual(ended["redriveStatusReason"], "State machine is in DELETING status")
        with self.refused("ExecutionNotRedrivable", "State machine is in DELETING status"):
            self.redrive(running)
        with self.refused("ExecutionDoesNotExist"):
            self.redrive(execution_arn("none", "such"))
        with self.refused("InvalidArn"):
            self.redrive(arn)

    def test_a_wait_goes_on_waiting_for_what_is_left(self):
        at = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=3)
        arn = self.create(machine({
            "Wait": {"Type": "Wait", "TimestampPath": "$.at"},
            "After": {"Type": "Pass", "Parameters": {"count.$": "$$.Execution.RedriveCount",
                                                     "time.$": "$$.Execution.RedriveTime"}},
        }))
        execution = self.start(arn, {"at": at.strftime("%Y-%m-%dT%H:%M:%SZ")})
        self.event(execution, "WaitStateEntered")
        self.sfn.stop_execution(executionArn=execution, error="Enough")
        redriven = self.redrive(execution)
        self.assertEqual(self.kinds(execution), ["ExecutionRedriven"])
        context = self.succeeds(execution)
        self.assertEqual(context["count"], 1)
        self.assertEqual(datetime.datetime.fromisoformat(context["time"].replace("Z", "+00:00")), redriven)
        self.assertEqual(self.kinds(execution), [
            "ExecutionRedriven", "WaitStateExited", "PassStateEntered", "PassStateExited", "ExecutionSucceeded",
        ])

    def test_a_wait_whose_time_has_passed_is_over(self):
        at = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=4)
        execution = self.start(
            self.create({**machine({"Wait": {"Type": "Wait", "TimestampPath": "$.at"}}), "TimeoutSeconds": 1}),
            {"at": at.strftime("%Y-%m-%dT%H:%M:%SZ")},
        )
        self.assertEqual(self.ended(execution)["status"], "TIMED_OUT")
        eventually(lambda: datetime.datetime.now(datetime.timezone.utc) > at)
        self.redrive(execution)
        self.succeeds(execution)
        self.assertEqual(self.kinds(execution), ["ExecutionRedriven", "WaitStateExited", "ExecutionSucceeded"])

    def test_the_time_of_machine_and_task_begins_anew(self):
        activity = self.activity()
        definition = {**machine({"Work": work(activity, TimeoutSeconds=1)}), "TimeoutSeconds": 60}
        execution = self.start(self.create(definition))
        self.assertEqual(self.ended(execution)["error"], "States.Timeout")
        self.redrive(execution)
        ended = self.ended(execution)
        self.assertEqual((ended["status"], ended["error"]), ("FAILED", "States.Timeout"))
        self.assertEqual(
            self.kinds(execution), ["ExecutionRedriven", "ActivityScheduled", "ActivityTimedOut", "ExecutionFailed"]
        )
        late = self.start(self.create({**machine({"Work": work(activity)}), "TimeoutSeconds": 2}, name="late"))
        self.assertEqual(self.ended(late)["status"], "TIMED_OUT")
        self.redrive(late)
        self.assertEqual(self.ended(late)["status"], "TIMED_OUT")
        self.assertEqual(self.kinds(late), ["ExecutionRedriven", "ActivityScheduled", "ExecutionTimedOut"])

    def test_attempts_are_counted_anew(self):
        activity = self.activity()
        retry = [{"ErrorEquals": ["Broken"], "IntervalSeconds": 1, "MaxAttempts": 1, "BackoffRate": 1}]
        state = work(activity, Retry=retry, Parameters={"retries.$": "$$.State.RetryCount"})
        execution = self.start(self.create(machine({"Work": state})))
        self.assertEqual([self.fail(activity)["retries"] for _ in range(2)], [0, 1])
        self.ended(execution)
        self.redrive(execution)
        self.assertEqual([self.fail(activity)["retries"], self.succeed(activity)["retries"]], [0, 1])
        self.succeeds(execution)

    def test_the_token_of_a_task_that_was_out_stays_dead(self):
        activity = self.activity()
        execution = self.start(self.create(machine({"Work": work(activity)})))
        token, _ = self.take(activity)
        self.sfn.stop_execution(executionArn=execution)
        self.redrive(execution)
        with self.refused("TaskTimedOut"):
            self.sfn.send_task_success(taskToken=token, output="{}")
        self.succeed(activity, {"new": True})
        self.assertEqual(self.succeeds(execution), {"new": True})

    def test_a_parallel_runs_only_the_branches_that_failed_or_were_aborted(self):
        good, bad = self.activity() + "-good", self.activity() + "-bad"
        self.sfn.create_activity(name=good)
        self.sfn.create_activity(name=bad)
        execution = self.start(self.create(machine({
            "All": parallel({"Good": work(good)}, {"Bad": work(bad)}, {"Wait": {"Type": "Wait", "Seconds": 2}}),
            "After": {"Type": "Pass"},
        })))
        self.succeed(good, "good")
        eventually(lambda: "ActivitySucceeded" in self.types(execution))
        self.fail(bad)
        self.assertEqual(self.ended(execution)["status"], "FAILED")
        self.redrive(execution)
        self.succeed(bad, "better")
        self.assertEqual(self.succeeds(execution)[:2], ["good", "better"])
        kinds = self.kinds(execution)
        self.assertEqual(kinds[0], "ExecutionRedriven")
        self.assertEqual(sorted(kinds[1:6]), [
            "ActivityScheduled", "ActivityStarted", "ActivitySucceeded", "TaskStateExited", "WaitStateExited",
        ])
        self.assertEqual(kinds[6:], [
            "ParallelStateSucceeded", "ParallelStateExited", "PassStateEntered", "PassStateExited", "ExecutionSucceeded",
        ])

    def test_a_map_runs_the_iterations_that_failed_and_begins_those_that_had_not(self):
        activity = self.activity()
        execution = self.start(self.create(machine({
            "Each": inline_map({"Work": work(activity)}, MaxConcurrency=2),
        })), [0, 1, 2, 3, 4])
        first, second = self.take(activity), self.take(activity)
        self.sfn.send_task_success(taskToken=first[0], output=json.dumps([first[1]]))
        third = self.take(activity)
        self.assertEqual(sorted([first[1], second[1]]) + [third[1]], [0, 1, 2])
        self.sfn.send_task_failure(taskToken=second[0], error="Broken")
        self.assertEqual(self.ended(execution)["status"], "FAILED")
        for count in (1, 2):
            self.redrive(execution)
            tokens = dict(reversed(self.take(activity)) for _ in range(2))
            self.assertEqual(set(tokens), {second[1], third[1]})
            if count == 1:
                self.sfn.send_task_failure(taskToken=tokens[third[1]], error="Broken")
                self.assertEqual(self.ended(execution)["status"], "FAILED")
        for item, token in tokens.items():
            self.sfn.send_task_success(taskToken=token, output=json.dumps([item]))
        self.assertEqual(sorted(self.succeed(activity) for _ in range(2)), [3, 4])
        self.assertEqual(self.succeeds(execution), [[0], [1], [2], 3, 4])
        kinds = self.kinds(execution, 2)
        self.assertEqual((kinds.count("MapIterationStarted"), kinds.count("MapIterationSucceeded")), (2, 4))
        self.assertEqual((kinds.count("TaskStateEntered"), kinds.count("TaskStateExited")), (2, 4))
        self.assertEqual(kinds.count("MapStateStarted"), 0)

    def test_forks_in_forks_go_on_where_each_part_stood(self):
        activity = self.activity()
        inner = inline_map({"Work": work(activity)}, ItemsPath="$.items")
        execution = self.start(self.create(machine({
            "Outer": inline_map({
                "Before": {"Type": "Pass"},
                "Both": parallel({"Inner": inner}, {"Quick": {"Type": "Pass", "Result": "quick"}}),
            }),
        })), [{"items": [1, 2]}, {"items": [3]}])
        tokens = dict(reversed(self.take(activity)) for _ in range(3))
        self.sfn.send_task_success(taskToken=tokens[1], output='"one"')
        eventually(lambda: self.types(execution).count("ActivitySucceeded") == 1)
        eventually(lambda: self.types(execution).count("PassStateExited") == 4)
        self.sfn.send_task_failure(taskToken=tokens[3], error="Broken")
        failed = self.ended(execution)
        self.assertEqual((failed["status"], failed["error"]), ("FAILED", "Broken"))
        self.redrive(execution)
        again = dict(reversed(self.take(activity)) for _ in range(2))
        self.assertEqual(set(again), {2, 3})
        self.sfn.stop_execution(executionArn=execution)
        self.redrive(execution)
        again = dict(reversed(self.take(activity)) for _ in range(2))
        self.assertEqual(set(again), {2, 3})
        for item, token in again.items():
            self.sfn.send_task_success(taskToken=token, output=json.dumps(item * 10))
        self.assertEqual(self.succeeds(execution), [[["one", 20], "quick"], [[30], "quick"]])
        kinds = self.kinds(execution, 2)
        self.assertEqual(kinds.count("PassStateEntered"), 0)
        self.assertEqual(kinds[-4:-2], ["MapIterationSucceeded", "MapStateSucceeded"])

    def test_what_was_too_large_together_is_made_anew(self):
        large = {"Type": "Pass", "Result": "x" * 150_000}
        execution = self.start(self.create(machine({"All": parallel({"Large": large}, {"Larger": large})})))
        self.assertEqual(self.ended(execution)["error"], "States.DataLimitExceeded")
        self.redrive(execution)
        self.assertEqual(self.ended(execution)["error"], "States.DataLimitExceeded")
        kinds = self.kinds(execution)
        self.assertEqual(kinds[1], "ParallelStateStarted")
        self.assertEqual(kinds.count("PassStateExited"), 2)

    def test_a_state_that_could_not_be_worked_is_worked_again(self):
        states = {"Before": {"Type": "Pass", "Assign": {"n": 7}},
                  "Choose": {"Type": "Choice", "Choices": [{"Variable": "$.x", "NumericEquals": 1, "Next": "Never"}]},
                  "Never": {"Type": "Succeed"}}
        definition = machine(states)
        execution = self.start(self.create(definition), {"x": 2})
        self.assertEqual(self.ended(execution)["error"], "States.Runtime")
        self.redrive(execution)
        self.assertEqual(self.ended(execution)["error"], "States.Runtime")
        self.assertEqual(self.kinds(execution), ["ExecutionRedriven", "ExecutionFailed"])

    def test_a_child_execution_is_started_anew(self):
        child = self.create(FAIL, name="child")
        execution = self.start(self.create(machine({"Child": {
            "Type": "Task", "Resource": "arn:aws:states:::states:startExecution.sync:2",
            "Parameters": {"StateMachineArn": child},
        }})))
        self.assertEqual(self.ended(execution)["status"], "FAILED")
        self.sfn.update_state_machine(stateMachineArn=child, definition=json.dumps(PASS))
        self.redrive(execution)
        self.succeeds(execution)
        children = self.sfn.list_executions(stateMachineArn=child)["executions"]
        self.assertEqual(sorted(one["status"] for one in children), ["FAILED", "SUCCEEDED"])
        self.assertEqual(self.kinds(execution)[:4], ["ExecutionRedriven", "TaskScheduled", "TaskStarted", "TaskSubmitted"])

    def test_the_definition_is_the_one_that_it_was_started_with(self):
        arn = self.create(FAIL)
        execution = self.start(arn)
        self.ended(execution)
        self.sfn.update_state_machine(stateMachineArn=arn, definition=json.dumps(PASS))
        self.redrive(execution)
        self.assertEqual(self.ended(execution)["status"], "FAILED")
