"""What cannot be served is refused in AWS's words; the server stays up, and executions next to it go on."""

import base64
import http.client
import json
import socket

from support import PASS, ROLE, ServerTest, execution_arn, machine, machine_arn

TARGET = "AWSStepFunctions."


class BesideAnExecution(ServerTest):
    """Each test runs beside an execution, which must not notice."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        activity = cls.sfn.create_activity(name="beside")["activityArn"]
        definition = machine({
            "Before": {"Type": "Pass"},
            "Work": {"Type": "Task", "Resource": activity, "HeartbeatSeconds": 600},
            "After": {"Type": "Pass"},
        })
        arn = cls.sfn.create_state_machine(name="beside", definition=json.dumps(definition), roleArn=ROLE)
        cls.beside = cls.sfn.start_execution(stateMachineArn=arn["stateMachineArn"])["executionArn"]
        cls.token = cls.sfn.get_activity_task(activityArn=activity)["taskToken"]

    @classmethod
    def tearDownClass(cls):
        cls.sfn.send_task_success(taskToken=cls.token, output='"done"')
        case = cls()
        output = case.succeeds(cls.beside)
        types = case.types(cls.beside)
        super().tearDownClass()
        expected = [
            "ExecutionStarted", "PassStateEntered", "PassStateExited", "TaskStateEntered", "ActivityScheduled",
            "ActivityStarted", "ActivitySucceeded", "TaskStateExited", "PassStateEntered", "PassStateExited",
            "ExecutionSucceeded",
        ]
        if (output, types) != ("done", expected):
            raise AssertionError(f"the execution beside was disturbed: {types}")

    def tearDown(self):
        self.assertTrue(self.server.healthy())
        self.assertIsNone(self.server.child.poll(), self.server.printed())
        self.sfn.send_task_heartbeat(taskToken=self.token)

    def post(self, body, target=TARGET + "ListStateMachines", **headers):
        """Status, code and message of an answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=60)
        if target is not None:
            headers["X-Amz-Target"] = target
        connection.request("POST", "/", body, {"Content-Type": "application/x-amz-json-1.0", **headers})
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        told = json.loads(text)
        self.assertEqual(answer.headers["Content-Type"], "application/x-amz-json-1.0")
        self.assertTrue(answer.headers["x-amzn-RequestId"])
        return answer.status, told.get("__type", "").rsplit("#", 1)[-1], told.get("message", "")

    def check(self, body, code, *says, status=400, **request):
        body = body if isinstance(body, (bytes, str)) else json.dumps(body)
        answer = self.post(body, **request)
        self.assertEqual(answer[:2], (status, code), f"{body[:200]!r}: {answer}")
        for text in says:
            self.assertIn(text, answer[2], body[:200])


class Protocol(BesideAnExecution):
    def test_a_body_must_be_a_json_object(self):
        for body in ("{", "[]", "1", "null", "not json", b"\xff\xfe", '{"a":1}}', "{'a': 1}", "[" * 10_000):
            self.check(body, "SerializationException", "The request's body")

    def test_an_action_must_exist(self):
        self.check({}, "UnknownOperationException", "AWSStepFunctions.Fly", target=TARGET + "Fly")
        self.check({}, "UnknownOperationException", "X-Amz-Target is missing", target=None)
        for target in ("ListStateMachines", "DynamoDB_20120810.ListTables", "AWSStepFunctions", "", "." * 5000):
            self.check({}, "UnknownOperationException", "There is no operation", target=target)

    def test_members_must_have_their_types(self):
        self.check({"maxResults": "10"}, "SerializationException", "'maxResults' must be a whole number, not a string")
        self.check(
            {"stateMachineArn": {}}, "SerializationException", "'stateMachineArn' must be a string, not an object",
            target=TARGET + "StartExecution",
        )
        self.check({"maxResults": 1001}, "ValidationException", "less than or equal to 1000")
        self.check({}, "ValidationException", "'stateMachineArn'", "must not be null", target=TARGET + "StartExecution")
        self.check({"name": "x" * 81}, "ValidationException", "equal to 80", target=TARGET + "CreateActivity")

    def test_unknown_members_are_left_alone_as_on_aws(self):
        self.assertEqual(self.post(json.dumps({"maxResults": 1, "unknown": {"a": [1]}}))[0], 200)
        self.assertEqual(self.post("")[0], 200, "an empty body is an empty object")

    def test_what_is_no_http_is_answered_or_closed(self):
        for garbage in (
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),
            b"hello\r\n\r\n",
            b"POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            b"GET / HTTP/1.1\r\n" + b"X: " + b"x" * 1_000_000 + b"\r\n\r\n",
            bytes(range(256)) * 100,
        ):
            with socket.create_connection(("127.0.0.1", self.server.port), timeout=60) as connection:
                answer = b""
                try:
                    connection.sendall(garbage)
                    connection.shutdown(socket.SHUT_WR)
                    while chunk := connection.recv(65536):
                        answer += chunk
                except OSError:
                    pass  # It may close before it has read all.
                self.assertNotIn(b" 200 ", answer[:20], garbage[:40])

    def test_a_body_that_never_comes_holds_nobody_up(self):
        half = f"POST / HTTP/1.1\r\nHost: a\r\nX-Amz-Target: {TARGET}ListActivities\r\nContent-Length: 100\r\n\r\n{{"
        with socket.create_connection(("127.0.0.1", self.server.port)) as connection:
            connection.sendall(half.encode())
            self.assertEqual(self.post("{}")[0], 200)

    def test_other_methods_and_paths_are_not_served(self):
        cases = (("GET", "/", 405), ("PUT", "/", 405), ("POST", "/x", 404), ("GET", "/../etc", 404))
        for method, path, status in cases:
            connection = http.client.HTTPConnection("127.0.0.1", self.server.port)
            connection.request(method, path)
            self.assertEqual(connection.getresponse().status, status, (method, path))
            connection.close()


class Sizes(BesideAnExecution):
    def test_a_definition_has_at_most_a_mebibyte(self):
        comment = "x" * (2 * 1024 * 1024)
        self.check(
            {"name": "large", "roleArn": ROLE, "definition": json.dumps({**PASS, "Comment": comment})},
            "ValidationException", "'definition'", "less than or equal to 1048576",
            target=TARGET + "CreateStateMachine",
        )
        told = self.post(json.dumps({"definition": comment}), TARGET + "CreateStateMachine")[2]
        self.assertLess(len(told), 1_000, "it is not repeated")
        fits = json.dumps({**PASS, "Comment": "x" * 1_048_000})
        self.create(fits)

    def test_a_request_has_at_most_eight_mebibytes(self):
        self.check(b" " * (9 * 1024 * 1024), "ValidationException", "too large", "8388608")

    def test_a_payload_has_at_most_256_kibibytes(self):
        large, fits = json.dumps("x" * 300_000), json.dumps("x" * (262_144 - 2))
        arn = self.create(PASS)
        with self.refused("InvalidExecutionInput", "at most 262144"):
            self.sfn.start_execution(stateMachineArn=arn, input=large)
        execution = self.sfn.start_execution(stateMachineArn=arn, input=fits)["executionArn"]
        self.assertEqual(self.succeeds(execution), json.loads(fits))
        with self.refused("InvalidOutput", "at most 262144"):
            self.sfn.send_task_success(taskToken=self.token, output=large)

    def test_a_state_that_grows_over_it_fails(self):
        doubled = machine({"Double": {"Type": "Pass", "Parameters": {"a.$": "$", "b.$": "$"}}})
        ended = self.ended(self.start(self.create(doubled), "x" * 200_000))
        self.assertEqual((ended["status"], ended["error"]), ("FAILED", "States.DataLimitExceeded"))
        self.assertLess(len(ended["cause"]), 1_000)

    def test_deep_json_is_refused(self):
        arn = self.create(PASS)
        with self.refused("InvalidExecutionInput", "Invalid State Machine Execution Input"):
            self.sfn.start_execution(stateMachineArn=arn, input="[" * 100_000)
        with self.refused("InvalidDefinition", "INVALID_JSON_DESCRIPTION"):
            self.create('{"StartAt":' * 50_000, name="deep")


class Values(BesideAnExecution):
    def test_an_input_must_be_json(self):
        arn = self.create(PASS)
        for text, says in (
            ("not json", "Unrecognized token 'not'"),
            ("{'a': 1}", "was expecting double-quote to start field name"),
            ("", "Invalid execution input."),
            ("{", "Unexpected end-of-input"),
            ('{"a":1} x', "Unexpected character ('x' (code 120))"),
        ):
            with self.refused("InvalidExecutionInput", "Invalid State Machine Execution Input", says):
                self.sfn.start_execution(stateMachineArn=arn, input=text)
        with self.refused("InvalidName", "a/b"):
            self.sfn.start_execution(stateMachineArn=arn, name="a/b")

    def test_a_token_that_was_never_given_is_invalid(self):
        answers = (
            lambda token: self.sfn.send_task_success(taskToken=token, output="{}"),
            lambda token: self.sfn.send_task_failure(taskToken=token, error="E"),
            lambda token: self.sfn.send_task_heartbeat(taskToken=token),
        )
        made_up = ("x", "a token", "AAAA" * 30, "é", self.token * 2, self.token.swapcase())
        for token in (*self.forged(self.token), *made_up):
            for answer in answers:
                with self.refused("InvalidToken", "Invalid Token: 'Invalid token'"):
                    answer(token)

    def forged(self, token):
        """The token with one bit of each byte turned, and with an end cut off."""
        padding = "=" * (-len(token) % 4)
        bytes_ = base64.urlsafe_b64decode(token + padding)
        for index in range(0, len(bytes_), 7):
            changed = bytearray(bytes_)
            changed[index] ^= 1
            yield base64.urlsafe_b64encode(bytes(changed)).decode().rstrip("=") + padding
        yield token[:-4]
        yield token[4:]

    def test_arns_must_be_arns_and_name_something(self):
        here = "us-east-1:000000000000"
        control = f"arn:aws:states:{here}:stateMachine:a\0b"
        for arn in ("x", "arn:", f"arn:aws:states:{here}:stateMachine", f"arn:aws:sqs:{here}:q", control, control + ":1"):
            with self.refused("InvalidArn", "Invalid Arn: "):
                self.sfn.start_execution(stateMachineArn=arn)
        with self.refused("StateMachineDoesNotExist", "State Machine Does Not Exist: '" + machine_arn("none")):
            self.sfn.start_execution(stateMachineArn=machine_arn("none"))
        with self.refused("ExecutionDoesNotExist", "Execution Does Not Exist: '" + execution_arn("beside", "none")):
            self.sfn.get_execution_history(executionArn=execution_arn("beside", "none"))
        with self.refused("InvalidArn", "Invalid Arn: "):
            self.sfn.get_activity_task(activityArn=machine_arn("beside"))

    def test_what_is_not_offered_yet_is_said(self):
        config = {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}
        each = {"Type": "Map", "ItemProcessor": {**PASS, "ProcessorConfig": config}, "End": True}
        with self.refused("InvalidDefinition", "yet"):
            self.create({"StartAt": "Each", "States": {"Each": each}})
