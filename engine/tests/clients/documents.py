"""What the documents tell to type works.

A block `sh` is run as it stands; of a block `console`, the lines that begin with `$ `. All blocks of a document
run one after the other in one shell, each from the document's own directory. Not run are blocks of any other
kind: `text` for what a test cannot do. Of a block `toml`, Warren must understand every key.

So that it works anywhere and changes nothing, the port 8083 is another one, and `cargo` builds nothing: what it
would run is `$WARREN`.
"""

import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time
import unittest

from support import PASS, ROOT, WARREN, Process, Questions, client, environment, free_port, temporary_directory

PORT = 8083
BLOCK = re.compile(r"^( *)```(\w+)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
CARGO = """#!/bin/sh -e
case "$*" in
"run"*" -p engine -- "*)
    while [ "$1" != -- ]; do shift; done
    shift
    exec warren "$@" ;;
"install --path "*) grep -q 'name = "warren"' "$3/Cargo.toml" ;;
*) echo "documents.py does not know: cargo $*" >&2; exit 1 ;;
esac
"""
# Beside the port it listens on, a worker needs to know that of its server.
SHIM = """#!/bin/sh
case $1 in
worker) shift; exec {warren} worker --endpoint http://127.0.0.1:{port} "$@" ;;
*) exec {warren} "$@" ;;
esac
"""


def documents():
    found = [ROOT / "README.md", *ROOT.glob("examples/*/README.md"), *ROOT.glob("docs/**/*.md")]
    return sorted(found)


def blocks(document, *kinds):
    for indent, kind, text in BLOCK.findall(document.read_text()):
        if kind in kinds:
            yield kind, "".join(line.removeprefix(indent) for line in text.splitlines(keepends=True))


def commands(kind, text):
    """What is to be typed of a block."""
    if kind == "sh":
        return text
    typed, goes_on = [], False
    for line in text.splitlines():
        if line.startswith("$ ") or goes_on:
            typed.append(line.removeprefix("$ "))
            goes_on = line.endswith("\\")
    return "\n".join(typed) + "\n"


class Shell:
    """Runs a script and keeps what it leaves in the background until it is ended."""

    def __init__(self, script, directory, port):
        for name, text in (("cargo", CARGO), ("warren", SHIM.format(warren=WARREN, port=port))):
            (directory / name).write_text(text)
            (directory / name).chmod(0o755)
        path = os.pathsep.join([str(directory), str(pathlib.Path(sys.executable).parent), os.environ["PATH"]])
        variables = environment(PATH=path, WARREN__SERVER__PORT=str(port), AWS_PAGER="", RUST_LOG="warn")
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"):
            del variables[name]
        # Neither the settings nor the keys of whoever runs this.
        variables["HOME"] = str(directory)
        self.log = directory / "log"
        with self.log.open("w") as log:
            self.child = subprocess.Popen(
                ["bash", "-exc", script], cwd=ROOT, env=variables, start_new_session=True,
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
            )

    def end(self):
        """Ends the script and all that it has started."""
        for signal_number in (signal.SIGTERM, signal.SIGKILL):
            deadline = time.monotonic() + 10
            while time.monotonic() < deadline:
                try:
                    os.killpg(self.child.pid, signal_number)
                except ProcessLookupError:
                    return
                self.child.poll()
                time.sleep(0.1)


class Documents(Questions, unittest.TestCase):
    def run_document(self, document):
        text = "".join(
            f"cd {document.parent}\n{commands(*block)}" for block in blocks(document, "sh", "console")
        )
        if not text:
            return
        with temporary_directory() as place:
            port = free_port()
            shell = Shell(text.replace(str(PORT), str(port)), pathlib.Path(place), port)
            try:
                code = shell.child.wait(240)
                self.assertEqual(code, 0, shell.log.read_text()[-5_000:])
                if "warren dev" in text:
                    self.executions_succeed(port)
            finally:
                shell.end()

    def executions_succeed(self, port):
        """All that was started succeeds, be it when the commands are through."""
        self.sfn = client(f"http://127.0.0.1:{port}")
        for item in self.sfn.list_state_machines()["stateMachines"]:
            for execution in self.sfn.list_executions(stateMachineArn=item["stateMachineArn"])["executions"]:
                self.succeeds(execution["executionArn"])

    def test_settings_are_understood(self):
        for document in documents():
            for _, text in blocks(document, "toml"):
                with self.subTest(document=document.name), temporary_directory() as place:
                    (pathlib.Path(place) / "warren.toml").write_text(text)
                    (pathlib.Path(place) / "pass.json").write_text(json.dumps(PASS))
                    process = Process([WARREN, "run", "pass.json"], place)
                    self.addCleanup(process.end)
                    self.assertEqual(process.wait(), 0, process.printed())


def add_tests():
    """A test for each document, so that one that fails does not hide the others."""
    for document in documents():
        if (document.parent / "run").exists():
            # What it tells to type is run by examples.py, which reads what is printed.
            continue
        name = re.sub(r"\W+", "_", str(document.relative_to(ROOT)))
        test = lambda self, document=document: self.run_document(document)
        setattr(Documents, f"test_the_commands_of_{name}_work", test)


add_tests()
