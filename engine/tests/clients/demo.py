"""`warren demo`, and `warren run` with functions: what a newcomer tries first."""

import json
import pathlib
import signal
import sys
import unittest

from support import PASS, WARREN, Process, ServerTest, eventually, function, machine, temporary_directory


class Demo(ServerTest):
    def warren(self, *arguments, **variables):
        process = Process([WARREN, *arguments], self.place, **variables)
        self.addCleanup(process.end)
        return process

    def test_an_order_goes_through(self):
        demo = self.warren("demo")
        self.assertEqual(demo.wait(), 0, demo.printed())
        told = "".join(demo.stdout)
        busy = ("failed (StockServiceBusy", "attempt 2")
        for text in ("Order 12345678", "Domain-Driven Design", *busy, "SUCCEEDED after", "warren dev"):
            self.assertIn(text, told)
        self.assertNotIn("\x1b", told, "colours are for terminals")
        self.assertEqual(demo.stderr, [])

    def test_it_shows_the_same_on_a_server_that_runs(self):
        demo = self.warren("demo", "--endpoint", self.server.endpoint, "--json")
        self.assertEqual(demo.wait(), 0, demo.printed())
        shown = json.loads("".join(demo.stdout))
        self.assertEqual(shown["status"], "SUCCEEDED")
        self.assertEqual(self.succeeds(shown["executionArn"]), shown["output"])
        self.assertEqual(self.types(shown["executionArn"]), [event["type"] for event in shown["history"]])
        names = [activity["name"] for activity in self.sfn.list_activities()["activities"]]
        self.assertEqual([name for name in names if name.startswith("order-")], [], "it cleans up")

    def test_it_is_told_as_it_happens_and_ctrl_c_ends_it(self):
        # A machine that is busy may show the first line after the last: then there was nothing to end.
        for _ in range(5):
            demo = self.warren("demo")
            eventually(lambda: any("is received" in line for line in list(demo.stdout)))
            code = demo.end(signal.SIGINT)
            if code != 0:
                break
        self.assertEqual(code, -signal.SIGINT, demo.printed())
        self.assertNotIn("SUCCEEDED", demo.printed())

    def test_a_server_that_is_away_is_named(self):
        demo = self.warren("demo", "--endpoint", "http://127.0.0.1:9")
        self.assertEqual(demo.wait(), 1)
        self.assertIn("failed to reach http://127.0.0.1:9", demo.printed())


class Run(unittest.TestCase):
    def setUp(self):
        place = temporary_directory()
        self.addCleanup(place.cleanup)
        self.place = pathlib.Path(place.name)

    def run_definition(self, definition, *arguments, toml=""):
        (self.place / "warren.toml").write_text(toml)
        (self.place / "machine.json").write_text(json.dumps(definition))
        process = Process([WARREN, "run", "machine.json", *arguments], self.place)
        self.addCleanup(process.end)
        return process.wait(), process

    def test_a_function_of_the_configuration_is_called(self):
        add = [sys.executable, "-c", "import json, sys; print(json.load(sys.stdin) + 1)"]
        toml = f"[functions.add]\ncommand = {json.dumps(add)}\n"
        each = machine({"Add": {"Type": "Task", "Resource": function("add", region="eu-north-1")}})
        definition = machine({"Each": {"Type": "Map", "ItemProcessor": each}})
        code, process = self.run_definition(definition, "--input", "[1, 2, 3]", toml=toml)
        self.assertEqual(code, 0, process.printed())
        self.assertEqual(process.stdout[-1].strip(), "[2,3,4]")

    def test_a_function_that_fails_fails_the_run(self):
        toml = "[functions.f]\ncommand = \"echo broken >&2; exit 9\"\n"
        code, process = self.run_definition(machine({"F": {"Type": "Task", "Resource": function("f")}}), toml=toml)
        self.assertEqual(code, 1)
        self.assertIn("Lambda.Unknown", process.printed())
        self.assertIn("broken", process.printed())

    def test_an_unknown_key_is_wrong_usage(self):
        code, process = self.run_definition(PASS, toml="[functions.f]\ncomand = \"cat\"\n")
        self.assertEqual(code, 2)
        self.assertIn("unknown key `functions.f.comand` in warren.toml: it can be command, url", process.printed())
