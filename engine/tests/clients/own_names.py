"""A deployment of its own on the real servers, for the tests against `warren serve`: a database and a prefix.

The servers are those of `$WARREN_TEST_DATABASE_URL` and `$WARREN_TEST_AMQP_URL`, else the local ones.
"""

import os
import urllib.parse
import uuid

import pg8000.native
import pika

DATABASE = os.environ.get("WARREN_TEST_DATABASE_URL", "postgres://postgres@127.0.0.1:5432/postgres")
BROKER = os.environ.get("WARREN_TEST_AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/%2f")
FAMILIES = ("standard", "results", "express", "calls", "inner")
QUEUES = 2
DELAYS = (250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 64_000, 128_000, 240_000)


def connect(database):
    url = urllib.parse.urlsplit(DATABASE)
    return pg8000.native.Connection(
        url.username or "postgres", password=url.password, host=url.hostname, port=url.port or 5432, database=database
    )


class Deployment:
    def __init__(self):
        name = uuid.uuid4().hex
        self.database, self.prefix = f"warren_test_{name}", f"test.{name}."
        self.run_on_server(f"CREATE DATABASE {self.database}")

    def settings(self):
        """Environment variables of a process."""
        return {
            "WARREN__STORE__URL": urllib.parse.urlsplit(DATABASE)._replace(path=f"/{self.database}").geturl(),
            "WARREN__STORE__COMMIT_CONNECTIONS": "2",
            "WARREN__STORE__READ_CONNECTIONS": "4",
            "WARREN__BROKER__URL": BROKER,
            "WARREN__BROKER__PREFIX": self.prefix,
            "WARREN__BROKER__QUEUES": str(QUEUES),
        }

    def remove(self):
        """Takes away all that is left of it. May be repeated."""
        self.delete_queues(self.activities())
        self.run_on_server(f"DROP DATABASE IF EXISTS {self.database} WITH (FORCE)")

    def activities(self):
        try:
            connection = connect(self.database)
        except pg8000.exceptions.DatabaseError:
            return []
        try:
            return [name for (name,) in connection.run("SELECT name FROM activities")]
        except pg8000.exceptions.DatabaseError:
            # It ended before it had tables.
            return []
        finally:
            connection.close()

    def delete_queues(self, activities):
        queues = [f"{family}.{number}" for family in FAMILIES for number in range(QUEUES)]
        queues += [f"delay.{delay}" for delay in DELAYS] + [f"activities.{name}" for name in activities]
        queues += ["tasks.lambda", "tasks.states", "dead", "poison"]
        connection = pika.BlockingConnection(pika.URLParameters(BROKER))
        channel = connection.channel()
        for queue in queues:
            channel.queue_delete(self.prefix + queue)
        for delay in DELAYS:
            channel.exchange_delete(f"{self.prefix}delay.{delay}")
        connection.close()

    @staticmethod
    def run_on_server(statement):
        connection = connect(urllib.parse.urlsplit(DATABASE).path.lstrip("/"))
        connection.run(statement)
        connection.close()
