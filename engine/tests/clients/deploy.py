"""docker-compose.yml and deploy/: read as a container engine reads them, and run without one.

What the files say is run on this machine, with a broker and a database of this machine in place of the containers:
the command lines of the engines with their variables, and every health check. What only a container engine can do,
build and isolate, is checked by reading.
"""

import contextlib
import fnmatch
import http.server
import json
import os
import pathlib
import re
import shlex
import shutil
import signal
import subprocess
import threading
import tomllib
import unittest
import urllib.parse

import yaml

from deployment import Deployment, free_ports
from own_names import DATABASES
from support import PASS, PATIENCE, ROOT, Questions, client, environment, eventually, free_port, temporary_directory

READY = ROOT / "deploy/ready"
ENGINES = ("warren-1", "warren-2")


def compose():
    """The compose file, with what its variables are by default."""
    text = (ROOT / "docker-compose.yml").read_text()
    return yaml.safe_load(re.sub(r"\$\{\w+:-(\w*)\}", r"\1", text))


def instructions():
    """Those of the Dockerfile: name and rest."""
    text = re.sub(r"^#.*\n", "", (ROOT / "deploy/Dockerfile").read_text(), flags=re.MULTILINE)
    lines = text.replace("\\\n", " ").splitlines()
    return [tuple(line.split(None, 1)) for line in lines if line.strip()]


def stages():
    """The instructions of each stage, by its name; the last one has none."""
    found = []
    for name, rest in instructions():
        if name == "FROM":
            image, _, stage = rest.partition(" AS ")
            found.append({"name": stage or None, "image": image, "instructions": []})
        else:
            found[-1]["instructions"].append((name, rest))
    return found


def last(name):
    """What the final image says by this instruction."""
    return [rest for found, rest in stages()[-1]["instructions"] if found == name][-1]


def is_in_context(path):
    """Whether .dockerignore lets a file of the project into the build: the last rule that matches decides."""
    taken = True
    for rule in (ROOT / ".dockerignore").read_text().splitlines():
        if not rule or rule.startswith("#"):
            continue
        pattern, take = (rule[1:], True) if rule.startswith("!") else (rule, False)
        parents = [str(pathlib.PurePosixPath(*path.parts[:depth])) for depth in range(1, len(path.parts) + 1)]
        anywhere = pattern.removeprefix("**/")
        if any(
            any(fnmatch.fnmatchcase(part, anywhere) for part in path.parts) if pattern.startswith("**/")
            else fnmatch.fnmatchcase(parent, pattern)
            for parent in parents
        ):
            taken = take
    return taken


def tracked():
    """The files of the project, as a build finds them."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True,
        check=True,
    )
    return [pathlib.PurePosixPath(line) for line in listed.stdout.splitlines() if (ROOT / line).is_file()]


def ready(port):
    """The exit code of the health check of an engine, as its image has it, within the time it is given there."""
    ran = subprocess.run(
        [READY], env=environment(WARREN__SERVER__PORT=str(port)), capture_output=True, timeout=PATIENCE,
    )
    return ran.returncode


@contextlib.contextmanager
def answering(status):
    """A server that answers this to everything, and what it was asked for."""
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1], asked
        server.shutdown()


class Compose(unittest.TestCase):
    """What the compose file promises."""

    def setUp(self):
        self.file = compose()
        self.services = self.file["services"]

    def test_its_services_are_a_broker_a_store_two_engines_and_who_watches(self):
        self.assertEqual(set(self.services), {"broker", "store", *ENGINES, "prometheus", "grafana"})
        first, second = (dict(self.services[name]) for name in ENGINES)
        self.assertNotEqual(first.pop("ports"), second.pop("ports"))
        self.assertEqual(first, second)

    def test_every_port_is_published_on_this_machine_alone_and_once(self):
        published = [port for service in self.services.values() for port in service["ports"]]
        for port in published:
            self.assertRegex(port, r"^127\.0\.0\.1:\d+:\d+$")
        self.assertEqual(len(published), len({port.split(":")[1] for port in published}))

    def test_engines_start_when_what_they_need_is_healthy(self):
        for name in ENGINES:
            needs = self.services[name]["depends_on"]
            self.assertEqual(needs, {other: {"condition": "service_healthy"} for other in ("broker", "store")})
        for name, service in self.services.items():
            self.assertEqual(service["healthcheck"]["test"][0], "CMD", name)

    def test_what_must_survive_is_on_named_volumes(self):
        mounted = [volume.split(":") for service in self.services.values() for volume in service.get("volumes", [])]
        named = [parts[0] for parts in mounted if not parts[0].startswith("./")]
        self.assertEqual(sorted(named), sorted(self.file["volumes"]))
        self.assertEqual(set(named), {"broker", "store", "prometheus", "grafana"})
        # What is mounted from the project is there, and is read alone.
        for source, _, *options in (parts for parts in mounted if parts[0].startswith("./")):
            self.assertTrue((ROOT / source).is_dir(), source)
            self.assertEqual(options, ["ro"], source)
        # RabbitMQ keeps its data under the name of its host.
        self.assertEqual(self.services["broker"]["hostname"], "broker")

    def test_engines_know_the_passwords_that_the_servers_are_given(self):
        broker, store = (self.services[name]["environment"] for name in ("broker", "store"))
        engine = self.services["warren-1"]["environment"]
        url = urllib.parse.urlsplit(engine["WARREN__BROKER__URL"])
        self.assertEqual((url.hostname, url.username, url.password), (
            "broker", broker["RABBITMQ_DEFAULT_USER"], broker["RABBITMQ_DEFAULT_PASS"],
        ))
        url = urllib.parse.urlsplit(engine["WARREN__STORE__URL"])
        self.assertEqual((url.hostname, url.username, url.password, url.path), (
            "store", store["POSTGRES_USER"], store["POSTGRES_PASSWORD"], f"/{store['POSTGRES_DB']}",
        ))

    def test_images_are_of_a_version(self):
        images = [service["image"] for name, service in self.services.items() if name not in ENGINES]
        for image in [*images, *(stage["image"] for stage in stages())]:
            self.assertRegex(image, r"^([a-z]+/)?[a-z]+:(?!latest)[a-z0-9.-]+$")

    def test_an_engine_is_given_longer_to_stop_than_it_takes(self):
        self.assertGreaterEqual(int(self.services["warren-1"]["stop_grace_period"].removesuffix("s")), 30)

    def test_health_checks_of_the_servers_work(self):
        """Where the tools of the servers are on this machine, they are run as they stand."""
        database = urllib.parse.urlsplit(DATABASES)
        places = {
            "pg_isready": {"PGPORT": str(database.port or 5432)},
            "rabbitmq-diagnostics": {},
        }
        for name in ("broker", "store"):
            _, *command = self.services[name]["healthcheck"]["test"]
            with self.subTest(command[0]):
                self.assertIn(command[0], places)
                if shutil.which(command[0]):
                    ran = subprocess.run(
                        command, env=environment(**places[command[0]]), capture_output=True, text=True,
                        timeout=PATIENCE,
                    )
                    self.assertEqual(ran.returncode, 0, ran.stdout + ran.stderr)
                else:
                    self.assertRegex(self.services[name]["image"], r"^(postgres|rabbitmq):", "which has it")


class Image(unittest.TestCase):
    """What the Dockerfile promises."""

    def test_the_tools_are_those_of_the_project(self):
        toolchain = tomllib.loads((ROOT / "rust-toolchain.toml").read_text())["toolchain"]["channel"]
        self.assertRegex(stages()[0]["image"], f"^rust:{re.escape(toolchain)}-")
        debian = [re.search(r"bookworm|trixie", stage["image"]).group() for stage in stages()]
        self.assertEqual(len(set(debian)), 1, "it runs on the C library that it is built with")

    def test_it_runs_the_program_as_a_user_without_rights(self):
        self.assertGreater(int(last("USER")), 0)
        self.assertEqual(json.loads(last("ENTRYPOINT")), ["warren"])
        self.assertEqual(json.loads(last("CMD")), compose()["services"]["warren-1"]["command"])

    def test_its_health_check_is_that_of_the_compose_file(self):
        options, _, command = last("HEALTHCHECK").partition(" CMD ")
        check = compose()["services"]["warren-1"]["healthcheck"]
        self.assertEqual(json.loads(command), check["test"][1:])
        written = dict(option.removeprefix("--").split("=") for option in options.split())
        self.assertEqual(written, {
            "interval": check["interval"], "timeout": check["timeout"], "start-period": check["start_period"],
            "retries": str(check["retries"]),
        })

    def test_what_it_copies_is_there(self):
        names = [stage["name"] for stage in stages()]
        for stage in stages():
            for _, rest in (found for found in stage["instructions"] if found[0] == "COPY"):
                words = shlex.split(rest)
                options = dict(word.removeprefix("--").split("=") for word in words if word.startswith("--"))
                *sources, _ = (word for word in words if not word.startswith("--"))
                for source in sources:
                    if "from" in options:
                        self.assertIn(options["from"], names)
                    elif source != ".":
                        self.assertTrue((ROOT / source).is_file(), source)
                        self.assertTrue(is_in_context(pathlib.PurePosixPath(source)), source)
        self.assertEqual(last("COPY").split()[-2:], ["deploy/ready", "/usr/local/bin/warren-ready"])

    def test_the_build_finds_all_that_it_reads(self):
        """Cargo reads the manifests in a copy of the context; what the code takes in by name is looked for."""
        taken = [path for path in tracked() if is_in_context(path)]
        self.assertFalse([path for path in taken if {"target", "tests", ".git"} & set(path.parts)])
        reads = re.compile(r"""(?:include_str!|include_bytes!|migrate!)\(\s*"([^"]+)"\s*\)""")
        for path in taken:
            if path.suffix == ".rs":
                for name in reads.findall((ROOT / path).read_text()):
                    read = os.path.relpath((ROOT / path).parent / name, ROOT)
                    inside = [other for other in taken if str(other) == read or read in map(str, other.parents)]
                    self.assertTrue(inside, f"{path} reads {read}, which .dockerignore leaves out")
        with temporary_directory() as place:
            for path in taken:
                copy = pathlib.Path(place) / path
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / path, copy)
            run = next(rest for name, rest in stages()[0]["instructions"] if name == "RUN" and "cargo build" in rest)
            self.assertIn("cargo build --release --locked -p engine && cp target/release/warren", run)
            told = subprocess.run(
                ["cargo", "metadata", "--locked", "--no-deps", "--format-version", "1"], cwd=place,
                capture_output=True, text=True, env=environment(), timeout=PATIENCE,
            )
            self.assertEqual(told.returncode, 0, told.stderr)
            engine = next(package for package in json.loads(told.stdout)["packages"] if package["name"] == "engine")
            self.assertIn("warren", [target["name"] for target in engine["targets"] if "bin" in target["kind"]])

    def test_ready_means_that_the_server_says_so(self):
        with answering(200) as (port, asked):
            self.assertEqual(ready(port), 0)
            self.assertEqual(asked, ["/readyz"])
        with answering(503) as (port, _):
            self.assertNotEqual(ready(port), 0)
        self.assertNotEqual(ready(free_port()), 0, "nobody answers")


class Engines(Questions, unittest.TestCase):
    """The two engines of the compose file as processes of this machine."""

    def setUp(self):
        self.deployment = Deployment(self.addCleanup)

    def engine(self, name, port):
        """A service of the compose file; only where its servers are, and its port, are other ones."""
        service = compose()["services"][name]
        variables = {**self.deployment.variables, "WARREN__SERVER__PORT": str(port)}
        self.assertEqual(set(service["environment"]), set(variables))
        return self.deployment.start(*service["command"], **variables)

    def is_ready(self, engine, port):
        def asked():
            if engine.child.poll() is not None:
                raise AssertionError(f"it ended: {engine.printed()}")
            return ready(port) == 0
        eventually(asked, every=0.1)

    def test_both_get_healthy_and_share_what_they_know(self):
        ports = free_ports(len(ENGINES))
        engines = [self.engine(*pair) for pair in zip(ENGINES, ports)]
        for pair in zip(engines, ports):
            self.is_ready(*pair)
        first, second = (client(f"http://127.0.0.1:{port}") for port in ports)
        self.sfn = first
        machine = self.create(PASS)
        execution = self.start(machine, {"n": 1})
        self.sfn = second
        self.assertEqual(self.succeeds(execution), {"n": 1})
        # Either may go away.
        self.assertEqual(engines[0].end(signal.SIGTERM), 0, engines[0].printed())
        self.assertNotEqual(ready(ports[0]), 0)
        self.assertEqual(self.succeeds(self.start(machine, 2)), 2)
        self.assertEqual(engines[1].end(signal.SIGTERM), 0, engines[1].printed())
