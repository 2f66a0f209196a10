"""What watches Warren: `GET /metrics`, the alerts and dashboards of deploy/, and Prometheus, which reads all three.

Prometheus and its promtool are those that `make services` finds or installs.
"""

import collections
import json
import os
import pathlib
import re
import subprocess
import sys
import unittest
import urllib.error
import urllib.parse
import urllib.request

import yaml

import deployment
from support import (
    PATIENCE, ROOT, WARREN, Process, Questions, Server, client, environment, eventually, function, machine,
    temporary_directory,
)

PROMETHEUS = ROOT / "deploy/prometheus"
DASHBOARDS = sorted((ROOT / "deploy/grafana/dashboards").glob("*.json"))
# What Grafana puts in for its own variables.
VARIABLES = {"$__rate_interval": "1m", "$__range": "1h", "$machine": ".*", "$instance": ".*"}
# Nothing has happened that these tell of.
QUIET = (
    "warren_trigger_", "warren_missing", "warren_metrics_overflown_total", "ALERTS", 'code="InternalServerException"',
)
# How many executions run at a time where that matters.
EXECUTIONS = 60


def promtool(*arguments, **more):
    """What promtool says; it must be content."""
    ran = subprocess.run(
        ["promtool", *map(str, arguments)], capture_output=True, text=True, env=environment(), timeout=PATIENCE, **more
    )
    if ran.returncode != 0:
        raise AssertionError(f"promtool {arguments[0]} {arguments[1]}: {ran.stdout}{ran.stderr}")
    return ran.stdout


def catalogue():
    """The kinds of all metrics by name, as docs/metrics.md tells them, which a test holds equal to the code."""
    row = re.compile(r"^\| `(\w+)`<br>(\w+)")
    found = map(row.match, (ROOT / "docs/metrics.md").read_text().splitlines())
    return {match.group(1): match.group(2) for match in found if match}


def boards():
    return {path.stem: json.loads(path.read_text()) for path in DASHBOARDS}


def panels(board):
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def rules():
    file = yaml.safe_load((PROMETHEUS / "warren.rules.yml").read_text())
    return [rule for group in file["groups"] for rule in group["rules"]]


def queries():
    """Every query of rules and dashboards with its place, as Prometheus is asked it."""
    asked = {rule["alert"]: rule["expr"] for rule in rules()}
    for name, board in boards().items():
        for panel in panels(board):
            for target in panel["targets"]:
                asked[f"{name}: {panel['title']} {target['refId']}"] = target["expr"]
    for variable, value in VARIABLES.items():
        asked = {place: query.replace(variable, value) for place, query in asked.items()}
    return asked


def page(endpoint):
    with urllib.request.urlopen(f"{endpoint}/metrics", timeout=PATIENCE) as answer:
        assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4"), answer.headers
        return answer.read().decode()


def values(text):
    """The numbers of a page by name and labels."""
    lines = (line.rpartition(" ") for line in text.splitlines() if line and not line.startswith("#"))
    return {series: float(value) for series, _, value in lines}


def total(text, name):
    """The sum of a metric over all its labels."""
    return sum(value for series, value in values(text).items() if series.partition("{")[0] == name)


class Files(unittest.TestCase):
    def test_prometheus_takes_its_files(self):
        self.assertIn("SUCCESS", promtool("check", "config", PROMETHEUS / "prometheus.yml"))
        self.assertIn("SUCCESS", promtool("check", "rules", PROMETHEUS / "warren.rules.yml"))

    def test_alerts_fire_when_they_should_and_only_then(self):
        self.assertIn("SUCCESS", promtool("test", "rules", PROMETHEUS / "warren.rules.test.yml"))
        tried = (PROMETHEUS / "warren.rules.test.yml").read_text()
        for rule in rules():
            self.assertIn(f'alertname="{rule["alert"]}"', tried)

    def test_an_alert_says_what_it_means_and_what_to_do(self):
        self.assertGreaterEqual(len(rules()), 12)
        for rule in rules():
            with self.subTest(rule["alert"]):
                self.assertIn(rule["labels"]["severity"], ("critical", "warning", "info"))
                self.assertEqual(set(rule["annotations"]), {"summary", "description", "runbook"})
                self.assertGreater(len(rule["annotations"]["runbook"]), 60)

    def test_what_is_asked_for_is_in_the_catalogue(self):
        known = catalogue()
        self.assertGreater(len(known), 50)
        texts = dict(queries())
        for name, board in boards().items():
            for variable in board["templating"]["list"]:
                texts[f"{name}: ${variable['name']}"] = str(variable.get("definition", ""))
        for rule in rules():
            texts[f"{rule['alert']}: text"] = " ".join(rule["annotations"].values())
        for place, text in texts.items():
            for name in re.findall(r"\b(?:warren|process)_\w+", text):
                with self.subTest(place=place, name=name):
                    base = re.sub(r"_(bucket|sum|count)$", "", name)
                    if known.get(base) == "histogram":
                        self.assertTrue(name != base or "text" in place, "a histogram is asked for by its parts")
                    else:
                        self.assertIn(name, known)

    def test_every_metric_is_on_a_dashboard_or_in_an_alert(self):
        asked = " ".join(queries().values())
        # Told elsewhere: redrive and addresses are for those who look for them.
        rare = {"warren_executions_redriven_total", "process_virtual_memory_bytes", "warren_tasks_started_total",
                "warren_messages_delivered_total", "warren_trigger_batch_events"}
        missing = {name for name in catalogue() if not re.search(rf"\b{name}(_bucket|_sum|_count)?\b", asked)}
        self.assertEqual(missing, rare)

    def test_dashboards_are_whole(self):
        self.assertEqual(set(boards()), {"warren-overview", "warren-operations"})
        for name, board in boards().items():
            self.assertEqual(board["uid"], name)
            ids = [panel["id"] for panel in board["panels"]]
            self.assertEqual(len(ids), len(set(ids)), name)
            for panel in panels(board):
                with self.subTest(board=name, panel=panel["title"]):
                    self.assertTrue(panel["title"] and panel["description"].endswith((".", "?")))
                    self.assertTrue(panel["fieldConfig"]["defaults"]["unit"])
                    self.assertTrue(panel["targets"])
                    for target in panel["targets"]:
                        self.assertEqual(target["datasource"]["uid"], "${datasource}")
            self.lies_well(board)

    def lies_well(self, board):
        """No panel lies on another, and none reaches beyond the page."""
        taken = set()
        for panel in board["panels"]:
            place = panel["gridPos"]
            self.assertLessEqual(place["x"] + place["w"], 24, panel["title"])
            cells = {(x, y) for x in range(place["x"], place["x"] + place["w"])
                     for y in range(place["y"], place["y"] + place["h"])}
            self.assertFalse(cells & taken, panel["title"])
            taken |= cells

    def test_grafana_is_given_prometheus_and_the_dashboards(self):
        compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
        provisioning = ROOT / "deploy/grafana/provisioning"
        source, = yaml.safe_load((provisioning / "datasources/prometheus.yml").read_text())["datasources"]
        self.assertEqual(source["url"], "http://prometheus:9090")
        provider, = yaml.safe_load((provisioning / "dashboards/warren.yml").read_text())["providers"]
        mounts = dict(volume.split(":")[:2] for volume in compose["grafana"]["volumes"])
        self.assertEqual(mounts["./deploy/grafana/dashboards"], provider["options"]["path"])
        self.assertEqual(mounts["./deploy/grafana/provisioning"], "/etc/grafana/provisioning")
        home = pathlib.PurePosixPath(compose["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
        self.assertEqual(str(home.parent), provider["options"]["path"])
        self.assertIn(home.stem, boards())
        config = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())
        targets = config["scrape_configs"][0]["static_configs"][0]["targets"]
        port = compose["warren-1"]["environment"]["WARREN__SERVER__PORT"]
        self.assertEqual(targets, [f"{name}:{port}" for name in compose if name.startswith("warren-")])
        self.assertEqual(source["jsonData"]["timeInterval"], config["global"]["scrape_interval"])


class Watched(Questions, unittest.TestCase):
    """`warren dev` with something to do, watched by a Prometheus."""

    @classmethod
    def setUpClass(cls):
        place = temporary_directory()
        cls.addClassCleanup(place.cleanup)
        cls.place = pathlib.Path(place.name)
        toml = "[functions.echo]\ncommand = 'cat'\n"
        cls.server = Server(cls.place, toml=toml)
        cls.addClassCleanup(cls.server.end)
        cls.prometheus = cls.watch()
        cls.sfn = cls.server.client()

    @classmethod
    def watch(cls):
        """A Prometheus that looks every second, with our rules."""
        directory = cls.place / "prometheus"
        directory.mkdir()
        config = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())
        config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        config["rule_files"] = [str(PROMETHEUS / "warren.rules.yml")]
        config["scrape_configs"][0]["static_configs"][0]["targets"] = [f"127.0.0.1:{cls.server.port}"]
        (directory / "prometheus.yml").write_text(json.dumps(config))
        services = [sys.executable, ROOT / ".ci/services"]
        cls.addClassCleanup(subprocess.run, [*services, "down", directory], check=True)
        started = subprocess.run(
            [*services, "up", "prometheus", directory, "--for", str(os.getpid())], stdout=subprocess.PIPE, text=True,
            check=True,
        )
        return json.loads(started.stdout)["url"]

    def ask(self, query):
        """What Prometheus answers to a query."""
        question = f"{self.prometheus}/api/v1/query?{urllib.parse.urlencode({'query': query})}"
        try:
            with urllib.request.urlopen(question, timeout=PATIENCE) as answer:
                return json.load(answer)["data"]["result"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{query}: {error.read().decode()}") from error

    def work(self):
        """Executions of either type that end in every way, and tasks of every kind that do."""
        task = {"Type": "Task", "TimeoutSeconds": 60, "HeartbeatSeconds": 1}
        activity = self.sfn.create_activity(name="sort")["activityArn"]
        each = {"StartAt": "Q", "States": {"Q": {"Type": "Pass", "End": True}}}
        states = {"P": {"Type": "Pass"}, "W": {"Type": "Wait", "Seconds": 1},
                  "M": {"Type": "Map", "ItemsPath": "$.items", "ItemProcessor": each, "ResultPath": "$.m"},
                  "F": {"Type": "Task", "Resource": function("echo"), "ResultPath": None},
                  "I": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "ResultPath": None,
                        "Parameters": {"FunctionName": "echo", "Payload.$": "$"}}}
        every = self.create(machine(states), name="every")
        express = self.create(machine(states), "EXPRESS", name="quick")
        sorts = self.create(machine({"A": {**task, "Resource": activity}}), name="sorts")
        fails = self.create({"StartAt": "F", "States": {"F": {"Type": "Fail", "Error": "No"}}}, name="fails")
        value = {"items": [1, 2]}
        began = [self.start(every, value) for _ in range(3)]
        self.sfn.start_sync_execution(stateMachineArn=express, input=json.dumps(value))
        sorted_ = [self.start(sorts) for _ in range(4)]
        for answer in (self.sfn.send_task_success, self.sfn.send_task_failure):
            token = self.sfn.get_activity_task(activityArn=activity)["taskToken"]
            answer(taskToken=token, **({"output": "1"} if answer == self.sfn.send_task_success else {}))
        # Its worker is silent from now on; the fourth one is stopped.
        self.sfn.get_activity_task(activityArn=activity)
        self.sfn.stop_execution(executionArn=sorted_[3])
        began += [self.start(fails), *sorted_]
        with self.refused("StateMachineDoesNotExist"):
            self.start(f"{every}-2")
        for execution in began:
            self.ended(execution)

    def test_every_query_has_an_answer(self):
        self.work()
        left = queries()
        quiet = {place for place, query in left.items() if any(name in query for name in QUIET)}

        def answered():
            for place, query in list(left.items()):
                # An alert that does not fire answers nothing: what it compares must.
                whole = re.sub(r" (>|==) [\d.]+( \* \d+)?(?= and |$)", "", " ".join(query.split()))
                if self.ask(query if place in quiet else whole) or place in quiet:
                    del left[place]
            return not left
        try:
            # The lag of queues is known after some seconds, and asked for four times a minute.
            eventually(answered, every=0.5)
        except AssertionError:
            self.fail(f"nothing is known of {left}")
        self.counts_are_right()

    def counts_are_right(self):
        executions = collections.defaultdict(dict)
        for how in ("started", "succeeded", "failed", "timed_out", "aborted"):
            for result in self.ask(f"warren_executions_{how}_total > 0"):
                executions[result["metric"]["machine"]][how] = int(result["value"][1])
        self.assertEqual(executions, {
            "every": {"started": 3, "succeeded": 3},
            "quick": {"started": 1, "succeeded": 1},
            "sorts": {"started": 4, "succeeded": 1, "failed": 2, "aborted": 1},
            "fails": {"started": 1, "failed": 1},
        })
        tasks = collections.defaultdict(dict)
        for how in ("scheduled", "started", "succeeded", "failed", "timed_out", "heartbeat_timed_out"):
            for result in self.ask(f"warren_tasks_{how}_total > 0"):
                tasks[result["metric"]["resource"]][how] = int(result["value"][1])
        well = {"scheduled": 4, "started": 4, "succeeded": 4}
        # The one that was stopped had been sent out, and ended with its execution.
        sort = {"scheduled": 4, "started": 3, "succeeded": 1, "failed": 1, "heartbeat_timed_out": 1}
        self.assertEqual(tasks, {"echo": well, "lambda:invoke": well, "sort": sort})
        # Of each execution of `every` and `quick`: five states and two of the Map's items.
        entered = {result["metric"]["state"]: int(result["value"][1])
                   for result in self.ask("sum by (state) (warren_states_entered_total) > 0")}
        self.assertEqual(entered, {"Pass": 4 + 8, "Wait": 4, "Map": 4, "Task": 8 + 4, "Fail": 1})

    def test_the_page_follows_the_conventions(self):
        promtool("check", "metrics", input=page(self.server.endpoint))

    def test_requests_are_counted_by_what_they_were_answered(self):
        with self.refused("ExecutionDoesNotExist"):
            self.sfn.describe_execution(executionArn="arn:aws:states:us-east-1:000000000000:execution:none:none")
        counted = values(page(self.server.endpoint))
        series = 'warren_api_requests_total{action="DescribeExecution",code="ExecutionDoesNotExist"}'
        self.assertEqual(counted[series], 1)


class Off(unittest.TestCase):
    def test_metrics_can_be_turned_off(self):
        with temporary_directory() as place:
            server = Server(place, toml="[metrics]\nenabled = false\n")
            self.addCleanup(server.end)
            with self.assertRaises(urllib.error.HTTPError) as caught:
                page(server.endpoint)
            self.assertEqual(caught.exception.code, 404)
            self.assertIn("metrics.enabled", caught.exception.read().decode())
            self.assertTrue(server.healthy())


class Deployed(Questions, unittest.TestCase):
    """Several processes of `warren serve`."""

    def setUp(self):
        self.deployment = deployment.Deployment(self.addCleanup)

    def started(self, endpoints):
        """Executions that were started at each in turn, and run."""
        clients = [client(endpoint) for endpoint in endpoints]
        self.sfn = clients[0]
        arn = self.create(machine({"P": {"Type": "Pass"}, "W": {"Type": "Wait", "Seconds": 1}, "E": {"Type": "Pass"}}))
        found = []
        for number in range(EXECUTIONS):
            self.sfn = clients[number % len(clients)]
            found.append(self.start(arn))
        return found

    def test_counts_of_several_engines_add_up(self):
        endpoints = [self.deployment.serve()[1] for _ in range(2)]
        for execution in self.started(endpoints):
            self.succeeds(execution)
        pages = [page(endpoint) for endpoint in endpoints]
        for name, expected in (
            ("warren_executions_started_total", EXECUTIONS),
            ("warren_executions_succeeded_total", EXECUTIONS),
            ("warren_states_entered_total", 3 * EXECUTIONS),
            ("warren_timer_lateness_seconds_count", EXECUTIONS),
        ):
            # An end is seen by a caller a moment before the process that commits it has counted it.
            eventually(lambda: sum(total(page(endpoint), name) for endpoint in endpoints) == expected)
        for text in pages:
            self.assertEqual(values(text)["warren_broker_up"], 1)
            self.assertEqual(values(text)["warren_store_up"], 1)

    def test_a_crash_counts_nothing_twice(self):
        (first, one), (_, other) = (self.deployment.serve() for _ in range(2))
        executions = self.started([one, other])
        before = page(one)
        first.end()
        for execution in executions:
            self.succeeds(execution)
        for name, most in (
            ("warren_executions_started_total", EXECUTIONS),
            ("warren_executions_succeeded_total", EXECUTIONS),
            ("warren_states_entered_total", 3 * EXECUTIONS),
        ):
            counted = total(before, name) + total(page(other), name)
            self.assertLessEqual(counted, most, name)
            self.assertGreater(counted, most // 2, name)

    def test_a_process_without_the_api_tells_its_metrics_too(self):
        process = Process(
            [WARREN, "serve", "--port", "0", "--roles", "engine"], self.deployment.place, RUST_LOG="warn",
            **self.deployment.variables,
        )
        self.addCleanup(process.end)
        endpoint = process.says("/metrics on ").rpartition(" ")[2].strip()
        # Before it is ready as well.
        self.assertIn('roles="engine"', page(endpoint))
        eventually(lambda: values(page(endpoint))["warren_ready"] == 1, every=0.1)


if __name__ == "__main__":
    unittest.main()
