"""Triggers: from files and from the command line, over events and schedules."""

import json
import os

from support import PASS, WARREN, Process, ServerTest, eventually

ORDERS = """
name: {name}
machine: {name}
from: {{exchange: warren.triggers}}
pattern: {{source: [{name}]}}
input: {{path: $.detail}}
"""


class Triggers(ServerTest):
    toml = "[triggers]\ndirectory = 'rules'\n"

    @classmethod
    def configuration(cls):
        (cls.place / "rules").mkdir()
        return cls.toml

    def warren(self, *arguments, code=0):
        """What a command prints."""
        process = Process([WARREN, *arguments, "--endpoint", self.server.endpoint], self.place)
        self.addCleanup(process.end)
        self.assertEqual(process.wait(), code, process.printed())
        return "".join(process.stdout)

    def file(self, text, name="trigger.yaml"):
        path = self.place / f"{self.name()}-{name}"
        path.write_text(text)
        return path

    def publish(self, number=1, source=None):
        entry = {"Source": source or self.name(), "DetailType": "any", "Detail": json.dumps({"number": number})}
        return self.server.call("PutEvents", service="AWSEvents", Entries=[entry])

    def inputs(self, machine, count):
        def there():
            executions = self.sfn.list_executions(stateMachineArn=machine)["executions"]
            return executions if len(executions) >= count else None
        return [json.loads(self.ended(each["executionArn"])["input"]) for each in eventually(there)]

    def test_one_starts_an_alias(self):
        machine, name = self.create(PASS), self.name()
        version = self.sfn.publish_state_machine_version(stateMachineArn=machine)["stateMachineVersionArn"]
        routes = [{"stateMachineVersionArn": version, "weight": 100}]
        alias = self.sfn.create_state_machine_alias(name="live", routingConfiguration=routes)["stateMachineAliasArn"]
        file = self.file(ORDERS.format(name=name).replace(f"machine: {name}", f"machine: {alias}"))
        self.warren("trigger", "create", file)
        self.publish(7)
        self.assertEqual(self.inputs(alias, 1), [{"number": 7}])
        self.warren("trigger", "delete", name)

    def test_one_is_made_tried_paused_and_removed(self):
        machine, name = self.create(PASS), self.name()
        file = self.file(ORDERS.format(name=name))
        self.warren("trigger", "create", file)
        self.assertIn(f"there is one of that name", self.warren_fails("trigger", "create", file))
        self.warren("trigger", "create", "--replace", file)
        shown = json.loads(self.warren("trigger", "show", name, "--json"))
        self.assertEqual((shown["origin"], shown["paused"], shown["waiting"]), ("command", False, 0))
        self.assertIn(name, self.warren("trigger", "list"))
        event = json.dumps({"source": name, "detail": {"number": 7}})
        tried = json.loads(self.warren("trigger", "test", name, "--event", event, "--id", "m-1", "--json"))
        self.assertEqual(
            tried["verdicts"], [{"starts": True, "machine": name, "name": "m-1", "input": {"number": 7}}]
        )
        self.warren("trigger", "test", file, "--event", "{}", code=1)
        self.publish(1)
        self.assertEqual(self.inputs(machine, 1), [{"number": 1}])
        self.warren("trigger", "pause", name)
        published = [1]

        def one_waits():
            # What is published before all have heard of the pause starts an execution yet.
            published.append(len(published) + 1)
            self.publish(published[-1])
            return json.loads(self.warren("trigger", "show", name, "--json"))["waiting"]

        eventually(one_waits, every=0.2)
        self.warren("trigger", "resume", name)
        started = self.inputs(machine, len(published))
        self.assertEqual(sorted(each["number"] for each in started), published)
        self.warren("trigger", "delete", name)
        self.assertIn("There is no trigger", self.warren_fails("trigger", "show", name))

    def test_what_was_not_started_goes_back_when_a_trigger_is_told_to_rest(self):
        machine, name = self.create(PASS), self.name()
        self.warren("trigger", "create", self.file(ORDERS.format(name=name) + "rate_per_second: 1\n"))
        for number in range(30):
            self.publish(number)
        self.inputs(machine, 1)
        self.warren("trigger", "pause", name)
        # At one a second it would take half a minute more to start all that was taken.
        waiting = lambda: json.loads(self.warren("trigger", "show", name, "--json"))["waiting"]
        eventually(lambda: waiting() > 15, within=12)
        # Another way of working leaves it resting, and its events waiting.
        self.warren("trigger", "create", "--replace", self.file(ORDERS.format(name=name)))
        shown = json.loads(self.warren("trigger", "show", name, "--json"))
        self.assertTrue(shown["paused"] and shown["waiting"] > 15, shown)
        self.warren("trigger", "resume", name)
        started = self.inputs(machine, 30)
        self.assertEqual(sorted(each["number"] for each in started), list(range(30)))

    def test_queues_of_warren_are_nobodys(self):
        name, of_tests = self.name(), getattr(self.server, "names", None)
        queue = f"{of_tests.prefix if of_tests else 'warren.'}express.0"
        text = f"{{name: {name}, machine: {name}, from: {{queue: {queue}}}}}"
        said = f"the queue {queue} is Warren's own"
        self.assertIn(f"/from/queue: {said}", self.warren_fails("trigger", "create", self.file(text)))
        said = f"the queue '{queue}' is Warren's own"
        self.assertIn(said, self.warren_fails("queue", "receive", queue))
        self.assertIn(said, self.warren_fails("queue", "send", queue, "--body", "1"))

    def warren_fails(self, *arguments):
        process = Process([WARREN, *arguments, "--endpoint", self.server.endpoint], self.place)
        self.addCleanup(process.end)
        self.assertNotEqual(process.wait(), 0)
        return process.printed()

    def test_every_problem_of_a_file_is_told(self):
        file = self.file("{name: 'no name', machine: order, from: {}, colour: red}")
        said = self.warren_fails("trigger", "create", file)
        for field in ("/name", "/from", "/colour"):
            self.assertIn(field, said)

    def test_messages_become_a_batch(self):
        machine, name = self.create(PASS), self.name()
        self.warren("trigger", "create", self.file(ORDERS.format(name=name) + "batch: {messages: 3, seconds: 2}\n"))
        for number in range(7):
            self.publish(number)
        def all_there():
            executions = self.sfn.list_executions(stateMachineArn=machine)["executions"]
            batches = [json.loads(self.ended(each["executionArn"])["input"]) for each in executions]
            return batches if sum(map(len, batches)) >= 7 else None
        batches = eventually(all_there)
        self.assertEqual(sorted(item["number"] for batch in batches for item in batch), list(range(7)))
        self.assertLessEqual(max(map(len, batches)), 3)

    def test_a_schedule_starts_executions(self):
        machine, name = self.create(PASS), self.name()
        # The shortest there is takes a minute: this one has been due before.
        text = f"{{name: {name}, machine: {name}, from: {{schedule: 'cron(* * * * ? *)'}}}}"
        self.warren("trigger", "create", self.file(text))
        shown = json.loads(self.warren("trigger", "show", name, "--json"))
        self.assertIn("next_tick", shown)
        [event] = self.inputs(machine, 1)[:1]
        self.assertEqual((event["source"], event["detail-type"]), ("aws.events", "Scheduled Event"))
        self.warren("trigger", "delete", name)

    def test_a_message_that_no_execution_can_be_started_for_is_a_dead_letter(self):
        name = self.name()
        retry = "retry: {attempts: 1, seconds: 1, seconds_max: 1}\n"
        self.warren("trigger", "create", self.file(ORDERS.format(name=name) + retry))
        self.publish()
        eventually(lambda: json.loads(self.warren("trigger", "show", name, "--json"))["dead_letters"] == 1)
        self.warren("trigger", "delete", name)

    def test_a_message_starts_one_execution_with_its_id(self):
        machine, name = self.create(PASS), self.name()
        self.warren("trigger", "create", self.file(ORDERS.format(name=name)))
        event = self.publish()["Entries"][0]["EventId"]
        self.inputs(machine, 1)
        [execution] = self.sfn.list_executions(stateMachineArn=machine)["executions"]
        self.assertEqual(execution["name"], event)


class Files(ServerTest):
    toml = "[triggers]\ndirectory = 'rules'\n"

    @classmethod
    def configuration(cls):
        rules = cls.place / "rules"
        rules.mkdir()
        (rules / "kept.yaml").write_text(ORDERS.format(name="kept"))
        return cls.toml

    def triggers(self):
        process = Process([WARREN, "trigger", "list", "--json", "--endpoint", self.server.endpoint], self.place)
        self.addCleanup(process.end)
        self.assertEqual(process.wait(), 0)
        return {each["name"]: each for each in json.loads("".join(process.stdout))["triggers"]}

    def test_files_are_triggers_and_followed(self):
        eventually(lambda: "kept" in self.triggers())
        self.assertEqual(self.triggers()["kept"]["origin"], "file")
        process = Process([WARREN, "trigger", "delete", "kept", "--endpoint", self.server.endpoint], self.place)
        self.addCleanup(process.end)
        self.assertEqual(process.wait(), 1)
        self.assertIn("change the file", process.printed())
        if os.environ.get("WARREN_CLIENTS_SERVER") == "serve":
            return  # It reads files when it begins, and only then.
        rules = self.place / "rules"
        (rules / "more.json").write_text('{"name": "more", "machine": "more", "from": {"schedule": "rate(1 day)"}}')
        eventually(lambda: "more" in self.triggers())
        (rules / "more.json").unlink()
        eventually(lambda: "more" not in self.triggers())
