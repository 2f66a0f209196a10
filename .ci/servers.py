"""Private servers for tests, from the programs that are installed, each in a directory of its own.

The same directory brings the same server back: with its data and on its ports, also after it was killed.
`up` answers when the server takes connections. A server belongs to the caller, not to a terminal: it runs until
`down`, or until the process it was started for is gone.
"""

import glob
import json
import os
import pwd
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import protocols

BOOT_SECONDS = 60
STOP_SECONDS = 20
BOOTS_MAX = 10
# Below the range that the system gives to connections: one of those may hold a port when a server comes back.
PORTS = range(20000, 32000)


class Missing(Exception):
    """A program that is not installed. `package` is its name on Debian and Ubuntu."""

    def __init__(self, package):
        super().__init__(f"{package} is not installed")
        self.package = package


def _newest(*patterns):
    """The file of the highest version that matches the first pattern that matches any."""
    version = lambda path: [int(number) for number in re.findall(r"\d+", path)]
    for pattern in patterns:
        found = [path for path in glob.glob(pattern) if os.access(path, os.X_OK)]
        if found:
            return max(found, key=version)
    return None


def _free_ports(count):
    ports = []
    while len(ports) < count:
        port = random.choice(PORTS)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in ports:
            ports.append(port)
    return ports


def _identity(pid):
    """Tells a process from a later one with the same number. None if it is gone, or dead and only not buried."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
        return None if fields[0] == "Z" else fields[19]
    except OSError:
        if Path("/proc/self").exists():
            return None
    # Not Linux.
    asked = subprocess.run(["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True)
    status, _, began = asked.stdout.strip().partition(" ")
    return None if not status or status.startswith("Z") else began.strip()


class Server:
    """A directory, and the server that lives in it."""

    kind = package = None
    ports = ()
    # Its URL with the port left open, what asks whether it answers, and where its programs may be.
    address = check = None
    programs = ()

    def __init__(self, directory):
        self.directory = Path(directory).absolute()

    def __getitem__(self, name):
        return self.state()[name]

    @property
    def _file(self):
        return self.directory / "server.json"

    def state(self):
        try:
            return json.loads(self._file.read_text())
        except FileNotFoundError:
            return {}

    def _keep(self, **changes):
        fresh = self._file.with_suffix(".new")
        fresh.write_text(json.dumps(self.state() | {"kind": self.kind} | changes))
        fresh.replace(self._file)

    def answers(self):
        try:
            self.check(self["url"])
        except (protocols.Refused, KeyError):
            return False
        return True

    @property
    def log(self):
        return self.directory / f"{self.kind}.log"

    @classmethod
    def url(cls, port):
        return cls.address.format(port=port)

    @classmethod
    def program(cls, name):
        found = _newest(*(pattern + name for pattern in cls.programs)) or shutil.which(name)
        if not found:
            raise Missing(cls.package)
        return found

    def up(self):
        """Starts it, unless it runs. Ports that somebody else took are chosen anew, unless it had them before."""
        self.directory.mkdir(parents=True, exist_ok=True)
        if self.running() and self.answers():
            return
        self.kill()
        known = bool(self.state().get("booted"))
        for _ in range(BOOTS_MAX):
            if not known:
                self._keep(ports=dict(zip(self.ports, _free_ports(len(self.ports)))))
            self._keep(url=self.url(self["ports"][self.ports[0]]))
            if self._boot():
                self._keep(booted=True)
                return
            # What is left of one that was killed may still hold its port or its memory for a moment.
            time.sleep(1)
        sys.exit(f"failed to start {self.kind}; the last lines of {self.log}:\n{self._tail()}")

    def _boot(self):
        self.prepare()
        with open(self.log, "ab") as log:
            process = subprocess.Popen(
                self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                env=self.environment(), cwd=self.directory, **self.credentials(),
            )  # fmt: skip
        self._keep(pid=process.pid, began=_identity(process.pid))
        until = time.monotonic() + BOOT_SECONDS
        while time.monotonic() < until:
            if process.poll() is not None:
                return False
            if self.answers():
                return True
            time.sleep(0.05)
        self.kill()
        return False

    def _tail(self):
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-20:])

    def running(self):
        state = self.state()
        return "pid" in state and state["began"] is not None and _identity(state["pid"]) == state["began"]

    def kill(self, first=signal.SIGKILL):
        """Ends it, gently if asked to, within a time."""
        if self.running():
            os.kill(self["pid"], first)
            until = time.monotonic() + STOP_SECONDS
            while self.running() and time.monotonic() < until:
                time.sleep(0.05)
            if self.running():
                os.kill(self["pid"], signal.SIGKILL)

    def down(self):
        self.kill(first=self.stop_signal)

    def remove(self):
        self.down()
        shutil.rmtree(self.directory, ignore_errors=True)

    def credentials(self):
        return {}

    def prepare(self):
        pass


class Postgres(Server):
    """Refuses to run as root: then it belongs to an unprivileged user."""

    kind, package, ports = "postgres", "postgresql", ("sql",)
    # Disconnects clients and stops.
    stop_signal = signal.SIGINT
    address = "postgres://postgres@127.0.0.1:{port}/postgres"
    check = staticmethod(protocols.postgres)
    programs = ("/usr/lib/postgresql/*/bin/", "/usr/pgsql-*/bin/", "/opt/homebrew/opt/postgresql*/bin/")

    @staticmethod
    def user():
        """Whom it runs as if we are root."""
        for name in ("postgres", "nobody"):
            try:
                return pwd.getpwnam(name)
            except KeyError:
                continue
        sys.exit("failed to start postgres: it refuses to run as root, and there is no user postgres or nobody")

    @staticmethod
    def may_enter(directory):
        """Whether the user it runs as reaches a directory."""
        if os.geteuid() != 0:
            return True
        user = Postgres.user()
        asked = subprocess.run(
            ["test", "-x", str(directory)], user=user.pw_uid, group=user.pw_gid, extra_groups=[], cwd="/"
        )
        return asked.returncode == 0

    def credentials(self):
        if os.geteuid() != 0:
            return {}
        user = self.user()
        return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}

    def environment(self):
        # Those of the caller would speak of another server.
        return {name: value for name, value in os.environ.items() if not name.startswith("PG")} | {"LC_ALL": "C"}

    def prepare(self):
        data = self.directory / "data"
        if (data / "PG_VERSION").exists():
            return
        initdb = self.program("initdb")
        self.directory.chmod(0o755)
        # Made in part by a start that was cut off.
        shutil.rmtree(data, ignore_errors=True)
        data.mkdir(mode=0o700)
        if os.geteuid() == 0:
            os.chown(data, self.user().pw_uid, self.user().pw_gid)
        arguments = ["--pgdata", data, "--username", "postgres", "--auth", "trust", "--encoding", "UTF8", "--no-sync"]
        made = subprocess.run(
            [initdb, *arguments], capture_output=True, text=True, env=self.environment(), cwd=self.directory,
            **self.credentials(),
        )  # fmt: skip
        if made.returncode != 0:
            sys.exit(f"failed to create a database cluster in {data}:\n{made.stdout}{made.stderr}")

    def command(self):
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": self["ports"]["sql"],
            "unix_socket_directories": "",
            "max_connections": 300,
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return [self.program("postgres"), "-D", self.directory / "data", *options]


class RabbitMq(Server):
    """Debian's wrapper admits only root and `rabbitmq`, and one server: the program behind it does neither."""

    kind, package, ports = "rabbitmq", "rabbitmq-server", ("amqp", "distribution", "names")
    stop_signal = signal.SIGTERM
    address = "amqp://guest:guest@127.0.0.1:{port}/%2f"
    check = staticmethod(protocols.amqp)
    programs = ("/usr/lib/rabbitmq/bin/", "/usr/lib/rabbitmq/lib/*/sbin/", "/opt/homebrew/opt/rabbitmq/sbin/")

    def environment(self):
        foreign = ("RABBITMQ_", "ERL_", "PG", "NOTIFY_SOCKET")
        own = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        ports, at = self["ports"], self.directory
        return own | {
            # The cookie that lets the control program in is kept here.
            "HOME": str(at),
            "ERL_EPMD_PORT": str(ports["names"]),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": f"warren{ports['amqp']}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(ports["amqp"]),
            "RABBITMQ_DIST_PORT": str(ports["distribution"]),
            "RABBITMQ_CONF_ENV_FILE": str(at / "rabbitmq-env.conf"),
            "RABBITMQ_CONFIG_FILE": str(at / "rabbitmq.conf"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(at / "advanced.config"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(at / "enabled_plugins"),
            "RABBITMQ_MNESIA_BASE": str(at / "mnesia"),
            "RABBITMQ_LOG_BASE": str(at / "log"),
            "RABBITMQ_GENERATED_CONFIG_DIR": str(at / "generated"),
            "RABBITMQ_PLUGINS_EXPAND_DIR": str(at / "plugins"),
            # Makes the start script become the server instead of waiting for it: our child is the one to kill.
            "RUNNING_UNDER_SYSTEMD": "true",
        }

    def prepare(self):
        self.program("rabbitmq-server")
        for name in ("mnesia", "log", "generated", "plugins"):
            (self.directory / name).mkdir(exist_ok=True)
        files = {"rabbitmq-env.conf": "", "rabbitmq.conf": "disk_free_limit.absolute = 50MB\n", "enabled_plugins": "[].\n"}
        for name, text in files.items():
            (self.directory / name).write_text(text)
        self._name_service()

    def _name_service(self):
        """Erlang would start one as a daemon that nobody stops."""
        program = _newest("/usr/lib/erlang/erts-*/bin/epmd", "/usr/lib64/erlang/erts-*/bin/epmd") or shutil.which("epmd")
        if not program:
            return
        self._stop_name_service()
        process = subprocess.Popen(
            [program, "-port", str(self["ports"]["names"]), "-address", "127.0.0.1"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True, env=self.environment(), cwd=self.directory,
        )  # fmt: skip
        self._keep(names_pid=process.pid, names_began=_identity(process.pid))

    def _stop_name_service(self):
        state = self.state()
        if state.get("names_began") and _identity(state["names_pid"]) == state["names_began"]:
            os.kill(state["names_pid"], signal.SIGKILL)

    def command(self):
        return [self.program("rabbitmq-server")]

    def down(self):
        super().down()
        self._stop_name_service()

    def control(self, arguments):
        """`rabbitmqctl` of this server; replaces this process."""
        program = self.program("rabbitmqctl")
        os.execve(program, [program, "--node", self.environment()["RABBITMQ_NODENAME"], *arguments], self.environment())


class Prometheus(Server):
    """Watches what `prometheus.yml` in its directory names; nothing, unless somebody has put one there."""

    kind, package, ports = "prometheus", "prometheus", ("http",)
    stop_signal = signal.SIGTERM

    @property
    def log(self):
        return self.directory / "prometheus.log"

    @staticmethod
    def url(port):
        return f"http://127.0.0.1:{port}"

    @staticmethod
    def check(url):
        protocols.http(f"{url}/-/ready")

    @staticmethod
    def program(name):
        """`prometheus`, or `promtool`."""
        found = shutil.which(name) or _newest(f"/opt/homebrew/opt/prometheus/bin/{name}")
        if not found:
            raise Missing(Prometheus.package)
        return found

    def environment(self):
        return dict(os.environ)

    def prepare(self):
        config = self.directory / "prometheus.yml"
        if not config.exists():
            config.write_text("{}\n")

    def command(self):
        at = self.directory
        return [
            self.program("prometheus"), f"--config.file={at / 'prometheus.yml'}", f"--storage.tsdb.path={at / 'data'}",
            f"--web.listen-address=127.0.0.1:{self['ports']['http']}", "--web.enable-lifecycle",
        ]  # fmt: skip


KINDS = {server.kind: server for server in (RabbitMq, Postgres, Prometheus)}


def at(directory):
    """The server that lives in a directory."""
    return KINDS[Server(directory)["kind"]](directory)


def guard(server, pid):
    """Stops the server and removes its data when the process `pid` is gone, as that one may be killed."""
    if os.fork() != 0:
        return
    os.setsid()
    quiet = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(quiet, stream)
    began = _identity(pid)
    while server.directory.exists() and _identity(pid) == began is not None:
        time.sleep(1)
    if server.directory.exists():
        server.remove()
    os._exit(0)
