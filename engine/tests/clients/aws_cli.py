"""The AWS CLI, told where Warren is by an option or by variables."""

import json
import pathlib
import subprocess
import sys

from support import ACCOUNT, PASS, ROLE, ServerTest, environment, execution_arn, machine, machine_arn

AWS = pathlib.Path(sys.executable).parent / "aws"
WORK = machine({"Work": {
    "Type": "Task", "Resource": f"arn:aws:states:us-east-1:{ACCOUNT}:activity:work", "ResultPath": "$.done",
}})


class AwsCli(ServerTest):
    def aws(self, action, *arguments, code=0, **variables):
        """What `aws stepfunctions ACTION` answers; what it says, if it is to fail."""
        endpoint = [] if variables else ["--endpoint-url", self.server.endpoint]
        command = [sys.executable, AWS, "stepfunctions", action, *endpoint, *arguments]
        ran = subprocess.run(
            list(map(str, command)), cwd=self.place, env=environment(AWS_PAGER="", **variables),
            capture_output=True, text=True, timeout=300,
        )
        self.assertEqual(ran.returncode, code, ran.stderr)
        if code:
            return ran.stderr
        return json.loads(ran.stdout) if ran.stdout.strip() else None

    def test_the_story_from_definition_to_history(self):
        (self.place / "work.json").write_text(json.dumps(WORK))
        activity = self.aws("create-activity", "--name", "work")["activityArn"]
        created = self.aws(
            "create-state-machine", "--name", "m", "--role-arn", ROLE, "--definition", "file://work.json",
        )
        self.assertEqual(created["stateMachineArn"], machine_arn("m"))
        execution = self.aws(
            "start-execution", "--state-machine-arn", machine_arn("m"), "--name", "e", "--input", '{"n": 1}',
        )["executionArn"]
        self.assertEqual(execution, execution_arn("m", "e"))
        taken = self.aws("get-activity-task", "--activity-arn", activity, "--worker-name", "cli")
        self.assertEqual(json.loads(taken["input"]), {"n": 1})
        self.aws("send-task-success", "--task-token", taken["taskToken"], "--task-output", '"yes"')
        self.assertEqual(self.succeeds(execution), {"n": 1, "done": "yes"})

        described = self.aws("describe-execution", "--execution-arn", execution)
        self.assertEqual((described["status"], json.loads(described["output"])), ("SUCCEEDED", {"n": 1, "done": "yes"}))
        # One event per request: the CLI puts the pages together.
        history = self.aws("get-execution-history", "--execution-arn", execution, "--page-size", "1")["events"]
        self.assertEqual([event["id"] for event in history], list(range(1, 8)))
        listed = self.aws("list-executions", "--state-machine-arn", machine_arn("m"), "--status-filter", "SUCCEEDED")
        self.assertEqual([item["name"] for item in listed["executions"]], ["e"])
        self.aws("delete-state-machine", "--state-machine-arn", machine_arn("m"))
        said = self.aws("describe-state-machine", "--state-machine-arn", machine_arn("m"), code=255)
        self.assertIn("(StateMachineDoesNotExist)", said)

    def test_variables_say_where_warren_is_and_that_it_has_one_name(self):
        arn = self.create(PASS, "EXPRESS")
        where = {"AWS_ENDPOINT_URL_SFN": self.server.endpoint, "AWS_DISABLE_HOST_PREFIX_INJECTION": "true"}
        ended = self.aws("start-sync-execution", "--state-machine-arn", arn, "--input", "[1]", **where)
        self.assertEqual((ended["status"], ended["output"]), ("SUCCEEDED", "[1]"))
