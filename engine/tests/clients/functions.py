"""Functions that are commands: called, failing, called back, stopped."""

import json
import sys

from support import ServerTest, eventually, function, is_running, machine, machine_arn

FUNCTIONS = """
[functions.add]
command = ["{python}", "-c", "import json, sys; print(json.load(sys.stdin) + 1)"]

[functions.fail]
command = "echo '{{\\"errorType\\": \\"Broken\\", \\"errorMessage\\": \\"it is\\"}}'; exit 1"

[functions.crash]
command = "echo what happened >&2; exit 3"

[functions.slow]
command = "exec sleep 3600"
timeout_seconds = 1

[functions.keep]
command = "cd {place}; cat > kept.new; mv kept.new kept"

[functions.family]
command = "cd {place}; sleep 3600 & echo $! $$ > family.new; mv family.new family; wait"

[functions.who]
command = "printf '\\"%s\\"' $AWS_LAMBDA_FUNCTION_NAME:$AWS_LAMBDA_FUNCTION_VERSION"
"""


def call(resource, **fields):
    return machine({"Call": {"Type": "Task", "Resource": resource, **fields}})


def invoke(name, payload=None, pattern="", **fields):
    parameters = {"FunctionName": name, **(payload or {})}
    return call(f"arn:aws:states:::lambda:invoke{pattern}", Parameters=parameters, **fields)


class Functions(ServerTest):
    @classmethod
    def configuration(cls):
        return FUNCTIONS.format(python=sys.executable, place=cls.place)

    def test_a_function_arn_is_called_with_the_input(self):
        execution = self.start(self.create(call(function("add"))), 41)
        self.assertEqual(self.succeeds(execution), 42)
        self.assertEqual(self.types(execution), [
            "ExecutionStarted", "TaskStateEntered", "LambdaFunctionScheduled", "LambdaFunctionStarted",
            "LambdaFunctionSucceeded", "TaskStateExited", "ExecutionSucceeded",
        ])

    def test_its_region_and_account_do_not_matter(self):
        both = {"region": "ap-south-1", "account": "1" * 12}
        places = ({"region": "eu-central-1"}, {"account": "123456789012"}, both)
        for number, place in enumerate(places):
            with self.subTest(place):
                arn = self.create(call(function("add", **place)), name=f"place{number}")
                self.assertEqual(self.succeeds(self.start(arn, 1)), 2)
        arn = self.create(invoke(function("who", region="eu-west-3") + ":live"))
        self.assertEqual(self.succeeds(self.start(arn))["Payload"], "who:live")

    def test_invoke_wraps_the_answer(self):
        execution = self.start(self.create(invoke("add", {"Payload.$": "$.n"})), {"n": 1})
        output = self.succeeds(execution)
        self.assertEqual((output["Payload"], output["StatusCode"]), (2, 200))
        self.assertEqual(output["ExecutedVersion"], "$LATEST")
        scheduled = self.event(execution, "TaskScheduled")["taskScheduledEventDetails"]
        self.assertEqual((scheduled["resourceType"], scheduled["resource"]), ("lambda", "invoke"))

    def test_a_failure_has_the_functions_own_name(self):
        for number, definition in enumerate((call(function("fail")), invoke("fail"))):
            ended = self.ended(self.start(self.create(definition, name=f"fail{number}")))
            self.assertEqual((ended["status"], ended["error"]), ("FAILED", "Broken"))
            self.assertEqual(json.loads(ended["cause"])["errorMessage"], "it is")

    def test_a_crash_tells_what_was_said(self):
        ended = self.run_to_end(call(function("crash")))
        self.assertEqual(ended["error"], "Lambda.Unknown")
        self.assertIn("what happened", ended["cause"])
        self.assertIn("exit status: 3", ended["cause"])

    def test_one_that_takes_too_long_is_killed(self):
        self.assertEqual(self.run_to_end(call(function("slow")))["error"], "Sandbox.Timedout")

    def test_a_function_that_nothing_serves_fails_as_on_aws_and_the_log_names_the_fix(self):
        ended = self.run_to_end(call(function("absent")))
        self.assertEqual((ended["status"], ended["error"]), ("FAILED", "Lambda.ResourceNotFoundException"))
        self.assertIn("Function not found: " + function("absent"), ended["cause"])
        self.assertIn("WARREN__FUNCTIONS__DEFAULT_URL", self.server.says("[functions.absent]"))


class Callbacks(ServerTest):
    @classmethod
    def configuration(cls):
        return FUNCTIONS.format(python=sys.executable, place=cls.place)

    def ask(self, **fields):
        """An execution that has given its token to a function, and the token."""
        kept = self.place / "kept"
        kept.unlink(missing_ok=True)
        definition = invoke("keep", {"Payload": {"token.$": "$$.Task.Token"}}, ".waitForTaskToken", **fields)
        execution = self.start(self.create(definition))
        self.event(execution, "TaskSubmitted")
        return execution, json.loads(kept.read_text())["token"]

    def test_success_is_the_result(self):
        execution, token = self.ask()
        self.sfn.send_task_heartbeat(taskToken=token)
        self.sfn.send_task_success(taskToken=token, output='{"approved":true}')
        self.assertEqual(self.succeeds(execution), {"approved": True})
        self.assertEqual(self.types(execution), [
            "ExecutionStarted", "TaskStateEntered", "TaskScheduled", "TaskStarted", "TaskSubmitted", "TaskSucceeded",
            "TaskStateExited", "ExecutionSucceeded",
        ])

    def test_failure_is_the_error(self):
        execution, token = self.ask()
        self.sfn.send_task_failure(taskToken=token, error="Denied", cause="by the boss")
        ended = self.ended(execution)
        self.assertEqual((ended["status"], ended["error"], ended["cause"]), ("FAILED", "Denied", "by the boss"))

    def test_silence_times_out(self):
        execution, token = self.ask(HeartbeatSeconds=1)
        self.assertEqual(self.ended(execution)["error"], "States.Timeout")
        with self.refused("TaskTimedOut", "does not exist anymore"):
            self.sfn.send_task_success(taskToken=token, output="1")

    def test_the_token_of_a_stopped_execution_is_over(self):
        execution, token = self.ask()
        self.sfn.stop_execution(executionArn=execution)
        with self.refused("TaskTimedOut", "does not exist anymore"):
            self.sfn.send_task_success(taskToken=token, output="1")


class Processes(ServerTest):
    @classmethod
    def configuration(cls):
        return FUNCTIONS.format(python=sys.executable, place=cls.place)

    def family(self, **more):
        """An execution that runs a process with a child, and both."""
        file = self.place / "family"
        file.unlink(missing_ok=True)
        execution = self.start(self.create({**call(function("family")), **more}))
        eventually(file.exists)
        pids = [int(pid) for pid in file.read_text().split()]
        self.assertEqual([is_running(pid) for pid in pids], [True, True])
        return execution, pids

    def test_a_stop_ends_all_that_a_task_has_started(self):
        execution, pids = self.family()
        self.sfn.stop_execution(executionArn=execution)
        eventually(lambda: not any(map(is_running, pids)))

    def test_so_does_a_time_out(self):
        execution, pids = self.family(TimeoutSeconds=1)
        self.assertEqual(self.ended(execution)["status"], "TIMED_OUT")
        eventually(lambda: not any(map(is_running, pids)))

    def test_so_does_a_deleted_state_machine(self):
        execution, pids = self.family()
        self.sfn.delete_state_machine(stateMachineArn=machine_arn(self.name()))
        eventually(lambda: not any(map(is_running, pids)))
