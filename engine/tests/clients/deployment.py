"""`warren serve` on a broker and a database server that are there, under names of its own.

The broker is that of `$WARREN_TEST_AMQP_URL`, the database server that of `$WARREN_TEST_DATABASE_URL`.
"""

import os
import pathlib
import shutil
import socket
import subprocess
import urllib.error
import urllib.parse
import urllib.request
import uuid

import pika

from support import PATIENCE, SERVES, WARREN, Process, environment, eventually, temporary_directory

BROKER = os.environ.get("WARREN_TEST_AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/%2F")
DATABASES = os.environ.get("WARREN_TEST_DATABASE_URL", "postgres://postgres@127.0.0.1:5432/postgres")


def free_ports(count):
    """Ports that nobody listens on now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def psql(statement):
    if not shutil.which("psql"):
        raise AssertionError("psql is missing. On Debian and Ubuntu:  sudo apt-get install postgresql-client")
    ran = subprocess.run(
        ["psql", "--quiet", "--no-psqlrc", "--set=ON_ERROR_STOP=1", DATABASES, "--command", statement],
        capture_output=True, text=True, env=environment(), timeout=PATIENCE,
    )
    if ran.returncode != 0:
        raise AssertionError(f"failed to do {statement!r} on the server of WARREN_TEST_DATABASE_URL: {ran.stderr}")


def of_broker(what):
    """The names of all its queues or exchanges, if the broker is of this machine and its tool may be used."""
    if not shutil.which("rabbitmqctl"):
        return []
    vhost = urllib.parse.unquote(pika.URLParameters(BROKER).virtual_host)
    ran = subprocess.run(
        ["rabbitmqctl", "--quiet", f"list_{what}", "--vhost", vhost, "--no-table-headers", "name"],
        capture_output=True, text=True, env=environment(), timeout=PATIENCE,
    )
    return ran.stdout.split() if ran.returncode == 0 else []


class Deployment:
    """A database and a prefix of queues, and the engines that work on them. `cleanup` takes what ends them."""

    def __init__(self, cleanup):
        place = temporary_directory()
        cleanup(place.cleanup)
        self.place, self.cleanup = pathlib.Path(place.name), cleanup
        name = f"warren_test_{uuid.uuid4().hex}"
        self.prefix = f"{name}."
        self.variables = {
            "WARREN__BROKER__URL": BROKER,
            "WARREN__BROKER__PREFIX": self.prefix,
            "WARREN__STORE__URL": urllib.parse.urlsplit(DATABASES)._replace(path=f"/{name}").geturl(),
        }
        psql(f'CREATE DATABASE "{name}"')
        cleanup(psql, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        cleanup(self.clear_broker)

    def clear_broker(self):
        with pika.BlockingConnection(pika.URLParameters(BROKER)) as connection:
            channel = connection.channel()
            for what, delete in (("queues", channel.queue_delete), ("exchanges", channel.exchange_delete)):
                for name in of_broker(what):
                    if name.startswith(self.prefix):
                        delete(name)

    def start(self, *arguments, **variables):
        """The program with these arguments."""
        process = Process([WARREN, *arguments], self.place, RUST_LOG="warn", **{**self.variables, **variables})
        self.cleanup(process.end)
        return process

    def serve(self):
        """An engine that is ready, and its endpoint."""
        engine = self.start("serve", "--port", "0")
        endpoint = engine.says(SERVES).removeprefix(SERVES).strip()

        def is_ready():
            if engine.child.poll() is not None:
                raise AssertionError(f"it ended: {engine.printed()}")
            try:
                return urllib.request.urlopen(f"{endpoint}/readyz", timeout=PATIENCE).status == 200
            except urllib.error.HTTPError:
                return False
        eventually(is_ready, every=0.1)
        return engine, endpoint
