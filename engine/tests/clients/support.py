"""The real binary as a process, and clients that speak to it.

`$WARREN` is the binary (`.ci/clients` sets it). Nothing here waits for a time to pass: what must become true is
asked for again until a deadline, and the deadlines are far away, as the machine may be busy.
"""

import contextlib
import json
import os
import pathlib
import signal
import socket
import subprocess
import tempfile
import threading
import time
import unittest
import urllib.error
import urllib.request

import boto3
import botocore.config
import botocore.exceptions

from own_names import Names

ROOT = pathlib.Path(__file__).resolve().parents[3]
WARREN = os.environ.get("WARREN", str(ROOT / "target/debug/warren"))
REGION, ACCOUNT = "us-east-1", "000000000000"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/any"
# What is tested: `dev`, or `serve` on the real servers.
KIND = os.environ.get("WARREN_CLIENTS_SERVER", "dev")
SERVES = "Warren serves the AWS Step Functions API on "
# Many servers share one broker and one database.
SMALL = {
    "WARREN__STORE__COMMIT_CONNECTIONS": "2",
    "WARREN__STORE__READ_CONNECTIONS": "4",
    "WARREN__BROKER__QUEUES": "2",
}
# Seconds after which what should have happened is taken for something that does not.
PATIENCE = 60
ENDS = ("ExecutionSucceeded", "ExecutionFailed", "ExecutionAborted", "ExecutionTimedOut")


def eventually(ask, within=PATIENCE, every=0.02):
    """The first answer of `ask` that is something."""
    deadline = time.monotonic() + within
    while not (answer := ask()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within} s")
        time.sleep(every)
    return answer


def environment(**more):
    """That of a new process: without settings of Warren and AWS that are of this machine."""
    ours = ("WARREN__", "AWS_", "RUST_LOG")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return {**kept, "AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any", "AWS_DEFAULT_REGION": REGION, **more}


def client(endpoint, **options):
    """A client as boto3 makes it, that does not try again by itself."""
    usual = {"inject_host_prefix": False, "read_timeout": 70, "max_pool_connections": 50}
    config = botocore.config.Config(**{**usual, "retries": {"total_max_attempts": 1}, **options})
    return boto3.client(
        "stepfunctions", endpoint_url=endpoint, region_name=REGION, config=config,
        aws_access_key_id="any", aws_secret_access_key="any",
    )


def free_port():
    """A port that nobody listens on, out of the range from which ports are given away."""
    for port in range(10_000 + os.getpid() % 5_000, 20_000):
        with socket.socket() as candidate:
            try:
                candidate.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise AssertionError("no port is free")


class Process:
    """A process with a directory to work in. What it prints is collected, and the last of it shown if it fails."""

    def __init__(self, arguments, directory, **variables):
        self.directory = pathlib.Path(directory)
        self.child = subprocess.Popen(
            [str(argument) for argument in arguments],
            cwd=directory, env=environment(**variables), text=True, errors="replace",
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            # Of a shell's background job it is ignored, and that is inherited.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        self.stdout, self.stderr = [], []
        self.readers = [
            threading.Thread(target=lambda pipe, lines: lines.extend(iter(pipe.readline, "")), args=pair, daemon=True)
            for pair in ((self.child.stdout, self.stdout), (self.child.stderr, self.stderr))
        ]
        for reader in self.readers:
            reader.start()

    def says(self, text, within=PATIENCE):
        """Waits for a line on standard error that holds this, and answers it."""
        def said():
            found = next((line for line in list(self.stderr) if text in line), None)
            if found is None and self.child.poll() is not None and not self.readers[1].is_alive():
                raise AssertionError(f"it ended without saying {text!r}: {self.printed()}")
            return found
        return eventually(said, within)

    def wait(self, within=PATIENCE):
        """Waits for the end and answers the exit code."""
        try:
            self.child.wait(within)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it does not end: {self.printed()}") from None
        for reader in self.readers:
            reader.join()
        return self.child.returncode

    def send(self, signal_number):
        self.child.send_signal(signal_number)

    def end(self, signal_number=signal.SIGKILL):
        """Ends it, if it has not ended, and answers the exit code."""
        if self.child.poll() is None:
            self.child.send_signal(signal_number)
        code = self.wait()
        self.child.stdout.close()
        self.child.stderr.close()
        return code

    def printed(self):
        return "".join(self.stdout[-50:] + self.stderr[-50:])


class Server(Process):
    """`warren dev`, or `$WARREN_CLIENTS_SERVER`, on any free port. `toml` is its configuration, `settings` are
    environment variables."""

    def __init__(self, directory, *arguments, toml="", settings=None):
        (pathlib.Path(directory) / "warren.toml").write_text(toml)
        self.names = Names() if KIND == "serve" else None
        settings = {**({**self.names.variables(), **SMALL} if self.names else {}), **(settings or {})}
        super().__init__([WARREN, KIND, "--port", "0", *arguments], directory, RUST_LOG="warn", **settings)
        self.endpoint = self.says(SERVES).removeprefix(SERVES).strip()
        eventually(self.ready)

    def end(self, signal_number=signal.SIGKILL):
        code = super().end(signal_number)
        if self.names:
            self.names.remove()
            self.names = None
        return code

    def ready(self):
        try:
            with urllib.request.urlopen(f"{self.endpoint}/readyz", timeout=PATIENCE) as answer:
                return json.load(answer) == {"status": "ready"}
        except urllib.error.HTTPError as error:
            error.close()
            return False

    @property
    def port(self):
        return int(self.endpoint.rsplit(":", 1)[1])

    def client(self, **options):
        return client(self.endpoint, **options)

    def call(self, action, service="AWSStepFunctions", **request):
        """What the API answers, as it is: much faster than a client that reads every member."""
        headers = {"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": f"{service}.{action}"}
        question = urllib.request.Request(self.endpoint, json.dumps(request).encode(), headers)
        with urllib.request.urlopen(question, timeout=PATIENCE) as answer:
            return json.load(answer)

    def processor_seconds(self):
        """What the process has used of the processor (Linux)."""
        fields = pathlib.Path(f"/proc/{self.child.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def healthy(self):
        with urllib.request.urlopen(f"{self.endpoint}/healthz", timeout=PATIENCE) as answer:
            return json.load(answer) == {"status": "ok"}


def temporary_directory():
    return tempfile.TemporaryDirectory(prefix="warren-clients-", ignore_cleanup_errors=True)


class Questions:
    """What a test asks of the server that `self.sfn` speaks to."""

    sfn = None

    def create(self, definition, workflow="STANDARD", name=None):
        """A state machine's ARN; named after the test unless it is given a name."""
        text = definition if isinstance(definition, str) else json.dumps(definition)
        name = name or self.name()
        return self.sfn.create_state_machine(name=name, definition=text, roleArn=ROLE, type=workflow)["stateMachineArn"]

    def name(self):
        """The name of this test, short enough for everything."""
        return self.id().rsplit(".", 1)[1].removeprefix("test_")[:70]

    def start(self, machine, value=None, **more):
        """An execution's ARN."""
        if value is not None:
            more["input"] = json.dumps(value)
        return self.sfn.start_execution(stateMachineArn=machine, **more)["executionArn"]

    def ended(self, execution, within=PATIENCE, every=0.02):
        """The description of an execution that is over."""
        def closed():
            described = self.sfn.describe_execution(executionArn=execution)
            return described if described["status"] != "RUNNING" else None
        return eventually(closed, within, every)

    def run_to_end(self, definition, value=None):
        return self.ended(self.start(self.create(definition), value))

    def succeeds(self, execution):
        """Its output."""
        ended = self.ended(execution)
        self.assertEqual(ended["status"], "SUCCEEDED", f"{ended.get('error')}: {ended.get('cause')}")
        return json.loads(ended["output"])

    def history(self, execution, **more):
        """All events."""
        config = {"PageSize": 1000}
        pages = self.sfn.get_paginator("get_execution_history").paginate(
            executionArn=execution, PaginationConfig=config, **more
        )
        return [event for page in pages for event in page["events"]]

    def types(self, execution):
        return [event["type"] for event in self.history(execution)]

    def event(self, execution, kind):
        """Waits for the first history event of this type."""
        def there():
            history = self.history(execution)
            found = next((event for event in history if event["type"] == kind), None)
            if found is None and history[-1]["type"] in ENDS:
                raise AssertionError(f"it ended without {kind}: {history[-1]}")
            return found
        return eventually(there)

    @contextlib.contextmanager
    def refused(self, code, *says):
        """What is in here must be refused with this code, and the message must say this."""
        with self.assertRaises(botocore.exceptions.ClientError) as caught:
            yield caught
        error = caught.exception.response["Error"]
        self.assertEqual(error["Code"], code, error)
        for text in says:
            self.assertIn(text, error["Message"])


class ServerTest(Questions, unittest.TestCase):
    """Tests that share a server. It must end well when they are done."""

    toml = ""
    settings = {}

    @classmethod
    def setUpClass(cls):
        place = temporary_directory()
        cls.addClassCleanup(place.cleanup)
        cls.place = pathlib.Path(place.name)
        cls.server = Server(cls.place, toml=cls.configuration(), settings=cls.settings)
        cls.addClassCleanup(cls.server.end)
        cls.sfn = cls.server.client()

    @classmethod
    def configuration(cls):
        """The text of `warren.toml`; `cls.place` is there already."""
        return cls.toml

    @classmethod
    def tearDownClass(cls):
        code = cls.server.end(signal.SIGTERM)
        if code != 0:
            raise AssertionError(f"the server ended with {code}: {cls.server.printed()}")


def machine(states):
    """States in a row: each goes on to the next, the last one ends."""
    states = {name: dict(state) for name, state in states.items()}
    names = list(states)
    for name, following in zip(names, [*names[1:], None]):
        if states[name]["Type"] in ("Succeed", "Fail", "Choice"):
            continue
        states[name].update({"Next": following} if following else {"End": True})
    return {"StartAt": names[0], "States": states}


PASS = machine({"Pass": {"Type": "Pass"}})
WAIT = machine({"Wait": {"Type": "Wait", "Seconds": 3600}})


def is_running(pid):
    """Whether a process of this machine is there and not just waiting to be buried (Linux)."""
    try:
        state = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state not in "ZX"


def function(name, region=REGION, account=ACCOUNT):
    return f"arn:aws:lambda:{region}:{account}:function:{name}"


def machine_arn(name, region=REGION, account=ACCOUNT):
    return f"arn:aws:states:{region}:{account}:stateMachine:{name}"


def execution_arn(machine_name, name, region=REGION, account=ACCOUNT):
    return f"arn:aws:states:{region}:{account}:execution:{machine_name}:{name}"


def activity_arn(name, region=REGION, account=ACCOUNT):
    return f"arn:aws:states:{region}:{account}:activity:{name}"
