"""`warren dev` as a process: started, stopped, started again on the same data, refused."""

import json
import os
import pathlib
import signal
import socket
import subprocess
import unittest

from support import (
    PASS, PATIENCE, ROLE, SERVES, WARREN, Process, Questions, Server, client, environment, free_port, function, machine,
    temporary_directory,
)

ACTIVITY_TASK = {"Type": "Task", "HeartbeatSeconds": 600}


class ServersTest(Questions, unittest.TestCase):
    """Each test starts servers of its own, in a directory of its own."""

    def setUp(self):
        place = temporary_directory()
        self.addCleanup(place.cleanup)
        self.place = pathlib.Path(place.name)

    def serve(self, *arguments, **more):
        """A server. It is the one that is asked from now on."""
        server = Server(self.place, *arguments, **more)
        self.addCleanup(server.end)
        self.sfn = server.client()
        return server

    def does_not_start(self, *arguments, **variables):
        """The exit code of a server that does not start, and what it prints."""
        process = Process([WARREN, "dev", *arguments], self.place, **variables)
        self.addCleanup(process.end)
        code = process.wait()
        return code, process.printed()


class Restarts(ServersTest):
    def check_a_token_across(self, signal_number):
        server = self.serve("--data", "data")
        activity = self.sfn.create_activity(name="a")["activityArn"]
        arn = self.create(machine({"Work": {**ACTIVITY_TASK, "Resource": activity}, "After": {"Type": "Pass"}}))
        executions = [self.start(arn, number) for number in range(2)]
        taken = [self.sfn.get_activity_task(activityArn=activity) for _ in executions]
        self.sfn.send_task_success(taskToken=taken[0]["taskToken"], output='"answered"')
        self.assertEqual(server.end(signal_number), 0 if signal_number == signal.SIGTERM else -signal_number)

        server = self.serve("--data", "data")
        self.sfn.send_task_heartbeat(taskToken=taken[1]["taskToken"])
        self.sfn.send_task_success(taskToken=taken[1]["taskToken"], output='"later"')
        with self.refused("TaskTimedOut"):
            self.sfn.send_task_success(taskToken=taken[0]["taskToken"], output='"again"')
        answers = {json.loads(taken[0]["input"]): "answered", json.loads(taken[1]["input"]): "later"}
        self.assertEqual({number: self.succeeds(execution) for number, execution in enumerate(executions)}, answers)
        for execution in executions:
            self.assertEqual(self.types(execution).count("ActivityStarted"), 1)
        self.assertEqual(server.end(signal.SIGTERM), 0)

    def test_a_token_is_good_after_a_stop(self):
        self.check_a_token_across(signal.SIGTERM)

    def test_a_token_is_good_after_a_kill(self):
        self.check_a_token_across(signal.SIGKILL)

    def test_a_token_of_another_server_is_invalid(self):
        self.serve("--data", "data")
        activity = self.sfn.create_activity(name="a")["activityArn"]
        self.start(self.create(machine({"Work": {**ACTIVITY_TASK, "Resource": activity}})))
        token = self.sfn.get_activity_task(activityArn=activity)["taskToken"]
        self.serve("--data", "other")
        with self.refused("InvalidToken", "Invalid token"):
            self.sfn.send_task_success(taskToken=token, output="1")

    def test_in_memory_everything_ends_with_the_process(self):
        server = self.serve()
        self.create(PASS)
        self.assertIn("gone with this process", server.says("data in memory"))
        self.assertEqual(server.end(signal.SIGTERM), 0)
        self.serve()
        self.assertEqual(self.sfn.list_state_machines()["stateMachines"], [])


class Starts(ServersTest):
    def test_it_says_where_it_serves_and_what_to_try(self):
        server = self.serve(settings={"WARREN__AWS__REGION": "eu-west-1", "WARREN__AWS__ACCOUNT": "123456789012"})
        self.assertTrue(server.healthy())
        self.assertIn("region eu-west-1, account 123456789012", server.says("region"))
        self.assertIn(server.endpoint, server.says("try: aws stepfunctions list-state-machines"))
        created = self.sfn.create_state_machine(name="m", definition=json.dumps(PASS), roleArn=ROLE)
        self.assertEqual(created["stateMachineArn"], "arn:aws:states:eu-west-1:123456789012:stateMachine:m")
        self.assertEqual(server.stdout, [], "results go to standard output, and there is none")

    def test_a_signal_ends_it_well(self):
        for signal_number in (signal.SIGTERM, signal.SIGINT):
            server = self.serve()
            activity = self.sfn.create_activity(name="a")["activityArn"]
            poll = socket.create_connection(("127.0.0.1", server.port))
            self.addCleanup(poll.close)
            body = json.dumps({"activityArn": activity})
            poll.sendall((
                "POST / HTTP/1.1\r\nHost: localhost\r\nX-Amz-Target: AWSStepFunctions.GetActivityTask\r\n"
                f"Content-Length: {len(body)}\r\n\r\n{body}"
            ).encode())
            self.assertTrue(server.healthy())
            # A long poll does not hold it up for its minute.
            self.assertEqual(server.end(signal_number), 0, signal_number)
            self.assertIn("Warren stops", server.printed())

    def test_a_log_that_nobody_reads_any_more_stops_nothing(self):
        # As in `warren dev 2>&1 | head -1`.
        reader, writer = os.pipe()
        port = free_port()
        with open(writer, "w") as log:
            command = [WARREN, "dev", "--port", str(port)]
            child = subprocess.Popen(command, cwd=self.place, env=environment(), stderr=log)
        self.addCleanup(child.kill)
        with open(reader) as log:
            self.assertTrue(log.readline().startswith(SERVES))
        self.sfn = client(f"http://127.0.0.1:{port}")
        # It warns in the log of a function that nothing serves.
        arn = self.create(machine({"Call": {"Type": "Task", "Resource": function("none")}}))
        self.assertEqual(self.ended(self.start(arn))["error"], "Lambda.ResourceNotFoundException")
        child.terminate()
        self.assertEqual(child.wait(PATIENCE), 0)

    def test_a_data_directory_has_one_server(self):
        first = self.serve("--data", "data")
        code, said = self.does_not_start("--port", "0", "--data", "data")
        self.assertEqual(code, 1, said)
        self.assertIn("data directory data: another Warren uses it", said)
        self.assertIn("stop that one or name another directory", said)
        self.assertTrue(first.healthy())
        first.end()
        self.assertTrue(self.serve("--data", "data").healthy())

    def test_a_port_has_one_server(self):
        first = self.serve()
        code, said = self.does_not_start("--port", str(first.port))
        self.assertEqual(code, 1, said)
        self.assertIn(f"failed to listen on 127.0.0.1:{first.port}", said)
        self.assertIn("choose another port with --port", said)
        self.assertNotIn(SERVES, said)
        self.assertTrue(first.healthy())

    def test_an_address_that_is_not_of_this_machine_is_named(self):
        code, said = self.does_not_start("--listen", "192.0.2.1", "--port", "0")
        self.assertEqual(code, 1, said)
        self.assertIn("failed to listen on 192.0.2.1:0", said)
        self.assertIn("choose another address with --listen", said)

    def test_a_directory_that_cannot_be_used_is_named(self):
        (self.place / "file").write_text("")
        code, said = self.does_not_start("--port", "0", "--data", "file/data")
        self.assertEqual(code, 1, said)
        self.assertIn("failed to use the data directory file/data", said)
        (self.place / "strange").mkdir()
        (self.place / "strange/warren.db").write_text("This is no database. " * 100)
        code, said = self.does_not_start("--port", "0", "--data", "strange")
        self.assertEqual(code, 1, said)
        self.assertIn("failed to", said)

    def test_settings_that_do_not_exist_are_named(self):
        for variable, key in (
            ("WARREN__SERVER__PROT", "server.prot"),
            ("WARREN__LIMITS__HISTORY", "limits.history"),
            ("WARREN__SEVER__PORT", "sever"),
        ):
            code, said = self.does_not_start("--port", "0", **{variable: "1"})
            self.assertEqual(code, 2, said)
            self.assertIn(f"unknown key `{key}` in the environment variable {variable}: it can be", said)
        for text, says in (
            ("[server]\nprot = 1", "unknown key `server.prot` in warren.toml: it can be host, port"),
            ("[server]\nport = 'x'", "wrong value of `server.port` in warren.toml"),
            ("[server", "failed to read warren.toml"),
            ("[functions.f]\ncommand = []", "functions.f"),
        ):
            (self.place / "warren.toml").write_text(text)
            code, said = self.does_not_start("--port", "0")
            self.assertEqual(code, 2, said)
            self.assertIn(says, said)
