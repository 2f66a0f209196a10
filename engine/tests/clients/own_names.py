"""Names of its own on the real servers, for each test against `warren serve`: a database and a prefix of queues.

The servers are those of `$WARREN_TEST_DATABASE_URL` and `$WARREN_TEST_AMQP_URL`, else the local ones.
"""

import os
import urllib.parse
import uuid

import pg8000.native
import pika

DATABASES = os.environ.get("WARREN_TEST_DATABASE_URL", "postgres://postgres@127.0.0.1:5432/postgres")
BROKER = os.environ.get("WARREN_TEST_AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/%2f")
FAMILIES = ("standard", "results", "express", "calls", "inner")
CONNECTORS = ("lambda", "states", "sqs", "sns", "events", "http", "sfn")
DELAYS = (250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 64_000, 128_000, 240_000)


def connect(database):
    url = urllib.parse.urlsplit(DATABASES)
    return pg8000.native.Connection(
        url.username or "postgres", password=url.password, host=url.hostname, port=url.port or 5432, database=database
    )


def run_on_server(statement):
    connection = connect(urllib.parse.urlsplit(DATABASES).path.lstrip("/"))
    connection.run(statement)
    connection.close()


class Names:
    """A database, which is made, and a prefix. `functions` are those whose workers the test starts."""

    def __init__(self, functions=()):
        name = uuid.uuid4().hex
        self.database, self.prefix, self.functions = f"warren_test_{name}", f"test.{name}.", functions
        run_on_server(f"CREATE DATABASE {self.database}")

    def variables(self):
        """The environment by which a process finds the servers and the names."""
        return {
            "WARREN__STORE__URL": urllib.parse.urlsplit(DATABASES)._replace(path=f"/{self.database}").geturl(),
            "WARREN__BROKER__URL": BROKER,
            "WARREN__BROKER__PREFIX": self.prefix,
        }

    def remove(self):
        """Takes away all that is left of it. May be repeated."""
        self.delete_queues()
        run_on_server(f"DROP DATABASE IF EXISTS {self.database} WITH (FORCE)")

    def kept(self, statement):
        """The first column of what is in the database; nothing if that is gone, or ended before it had tables."""
        try:
            connection = connect(self.database)
        except pg8000.exceptions.DatabaseError:
            return []
        try:
            return [value for (value,) in connection.run(statement)]
        except pg8000.exceptions.DatabaseError:
            return []
        finally:
            connection.close()

    def delete_queues(self):
        widths = self.kept("SELECT value FROM settings WHERE name = 'queues'")
        queues = [f"{family}.{number}" for width in widths for family in FAMILIES for number in range(int(width))]
        queues += [f"activities.{name}" for name in self.kept("SELECT name FROM activities")]
        queues += [f"delay.{delay}" for delay in DELAYS] + [f"functions.{name}" for name in self.functions]
        queues += [f"tasks.{connector}" for connector in CONNECTORS] + ["dead", "poison"]
        with pika.BlockingConnection(pika.URLParameters(BROKER)) as connection:
            channel = connection.channel()
            for queue in queues:
                channel.queue_delete(self.prefix + queue)
            for exchange in [f"delay.{delay}" for delay in DELAYS] + ["events", "triggers", "transitions"]:
                channel.exchange_delete(self.prefix + exchange)
