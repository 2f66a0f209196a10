"""The examples with a command of their own, `examples/*/run`: it ends well, and what it says is exact.

On `warren dev` they are run as they stand, and start it themselves. On `warren serve` their workers are on RabbitMQ;
queues and topics of their own, whose names all deployments of a broker share, get other names in a copy.
"""

import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import unittest
import uuid

import pika

from own_names import BROKER
from support import KIND, ROOT, WARREN, Process, Server, environment, temporary_directory

EXAMPLES = ROOT / "examples"
# With Python's packages, and Node.js where the machine has none.
PATH = os.pathsep.join([str(pathlib.Path(sys.executable).parent), os.environ["PATH"]])
# A thousand jobs, on a busy machine.
ENDS_WITHIN = 300
INSTALLED_WITHIN = 600
SHARED_NAMES = ("fan-out-", "image-alerts")
FUNCTIONS = (
    "add-up", "ask-manager", "book", "cancel", "count-words", "extract-metadata", "invoice", "mail", "pay", "reserve",
    "resize", "ship", "store",
)


def node_modules():
    """What the workers in JavaScript need, installed once."""
    version = hashlib.sha256((EXAMPLES / "package-lock.json").read_bytes()).hexdigest()[:12]
    place = ROOT / "target/examples" / version
    done = place / ".installed"
    if not done.exists():
        place.mkdir(parents=True, exist_ok=True)
        for file in ("package.json", "package-lock.json"):
            shutil.copy(EXAMPLES / file, place)
        subprocess.run(
            ["npm", "ci", "--silent"], cwd=place, env=environment(PATH=PATH), check=True, timeout=INSTALLED_WITHIN
        )
        done.touch()
    return place / "node_modules"


def copy_to(place, prefix):
    """The examples, with this before the names that are everybody's."""
    made = shutil.ignore_patterns("node_modules", ".venv", "__pycache__", "target", "workers")
    shutil.copytree(EXAMPLES, place, ignore=made)
    (place / "node_modules").symlink_to(node_modules())
    for file in place.glob("*/*"):
        if file.suffix in (".json", ".yaml", "") and file.is_file():
            text = file.read_text()
            for name in SHARED_NAMES:
                text = text.replace(name, f"{prefix}{name}")
            file.write_text(text)


class Examples(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.examples, cls.options = EXAMPLES, []
        if KIND != "serve":
            return
        place = temporary_directory()
        cls.addClassCleanup(place.cleanup)
        cls.server = Server(pathlib.Path(place.name))
        cls.addClassCleanup(cls.server.end)
        cls.server.names.functions = FUNCTIONS
        cls.prefix = f"test-{uuid.uuid4().hex[:8]}-"
        cls.examples = pathlib.Path(place.name) / "examples"
        copy_to(cls.examples, cls.prefix)
        cls.addClassCleanup(cls.remove_shared)
        cls.options = ["--endpoint", cls.server.endpoint, "--amqp", BROKER, "--prefix", cls.server.names.prefix]

    @classmethod
    def remove_shared(cls):
        """What `Names` does not know of. The triggers first, which would make their queues again."""
        listed = cls.warren("trigger", "list", "--json")
        for trigger in json.loads(listed)["triggers"]:
            cls.warren("trigger", "delete", trigger["name"])
        with pika.BlockingConnection(pika.URLParameters(BROKER)) as connection:
            channel = connection.channel()
            for trigger in json.loads(listed)["triggers"]:
                channel.queue_delete(trigger["definition"]["dead_letters"])
            for queue in ("jobs", "done"):
                channel.queue_delete(f"{cls.prefix}fan-out-{queue}")
            channel.exchange_delete(f"{cls.prefix}image-alerts")

    @classmethod
    def warren(cls, *arguments):
        command = [WARREN, *arguments, "--endpoint", cls.server.endpoint]
        return subprocess.run(command, env=environment(), check=True, capture_output=True, text=True).stdout

    def results(self, example):
        """What its command prints, a value for each line."""
        readme = (EXAMPLES / example / "README.md").read_text()
        self.assertIn("```sh\n./run\n```\n", readme, "that is what it tells to type")
        directory = self.examples / example
        run = Process([directory / "run", *self.options], directory, PATH=PATH, WARREN=WARREN)
        self.addCleanup(run.end)
        self.assertEqual(run.wait(ENDS_WITHIN), 0, run.printed())
        return [json.loads(line) for line in run.stdout]

    def test_events_start_executions(self):
        first, second, third = self.results("event-triggered")
        self.assertEqual((first["order"], first["status"], first["output"]["item"]), ("1", "SUCCEEDED", "book"))
        self.assertRegex(first["output"]["parcel"], "^parcel-[0-9a-f]{12}-1$")
        self.assertEqual(
            second, {"order": "2", "status": "SUCCEEDED", "output": {"put_off": True, "item": "lamp"}, "error": None}
        )
        self.assertEqual(third, {"order": "3", "status": "FAILED", "output": None, "error": "UnknownItem"})

    def test_a_thousand_jobs_are_accounted_for(self):
        total, *failed = self.results("fan-out")
        invalid = [number for number in range(1_000) if number % 40 == 0]
        self.assertGreaterEqual(total.pop("batches"), 10)
        unread = total.pop("unread")
        cents = sum((10 + number) * (number % 40) for number in range(1_000))
        self.assertEqual(total, {"jobs": 1_000, "failed": len(invalid), "cents": cents})
        self.assertEqual([letter["job"] for letter in failed], invalid)
        for letter in failed:
            self.assertEqual(letter["error"], "InvalidJob")
            self.assertEqual(json.loads(letter["cause"])["errorMessage"], f"the quantity of job {letter['job']} is 0")
        self.assertEqual(len(unread), 3)
        for reason in unread:
            self.assertIn("its body is not JSON", reason)

    def test_an_image_that_cannot_be_resized_is_told_and_stored(self):
        whole, broken, told = self.results("image-pipeline")
        self.assertEqual(whole, {
            "image": "whole", "status": "SUCCEEDED", "copies": [[48, 32], [24, 16]],
            "stored": ["whole-24.ppm", "whole-48.ppm", "whole.json", "whole.ppm"],
        })
        self.assertEqual(broken, {
            "image": "broken", "status": "SUCCEEDED", "copies": [], "stored": ["broken.json", "broken.ppm"],
        })
        self.assertRegex(told["mail"], "^ImageTruncated: .*has 4987 of 18432 bytes")

    def test_an_expense_waits_for_its_approval(self):
        *expenses, late = self.results("approval")
        self.assertEqual([(each["expense"], each["asked"], each["status"], each["reason"]) for each in expenses], [
            ("a pencil", False, "paid", None), ("a desk", True, "paid", None),
            ("a yacht", True, "rejected", "we are no navy"), ("a lamp", True, "expired", None),
        ])
        self.assertEqual(late, {"late_answer_refused": True})

    def test_a_trip_is_booked_whole_or_not_at_all(self):
        sea, mountains, city = self.results("saga")
        self.assertEqual((sea["status"], sea["bookings"]), ("SUCCEEDED", ["car", "flight", "hotel"]))
        self.assertEqual(sea["states"], ["Book flight", "Book hotel", "Book car"])
        for trip, cause, cancelled in (
            (mountains, "there is no car left", ["Cancel car", "Cancel hotel", "Cancel flight"]),
            (city, "there is no hotel left", ["Cancel hotel", "Cancel flight"]),
        ):
            self.assertEqual((trip["status"], trip["cause"], trip["bookings"]), ("FAILED", cause, []))
            self.assertEqual(trip["states"][-len(cancelled):], cancelled)
            self.assertEqual(len(trip["states"]), 2 * len(cancelled))

    def test_a_book_waits_for_the_executions_of_its_chapters(self):
        rabbits, clouds = self.results("nested")
        chapters = [{"title": "Burrows", "words": 10}, {"title": "Ears", "words": 8}]
        self.assertEqual(rabbits, {
            "book": "Rabbits", "status": "SUCCEEDED", "output": {"published": True, "chapters": chapters},
            "chapters": {"Burrows": "SUCCEEDED", "Ears": "SUCCEEDED"},
        })
        cause = "it has 3 words, and should have 5"
        rejected = [{"title": "Low ones", "error": "ChapterTooShort", "cause": cause}]
        self.assertEqual(clouds, {
            "book": "Clouds", "status": "SUCCEEDED", "output": {"published": False, "rejected": rejected},
            "chapters": {"High ones": "SUCCEEDED", "Low ones": "FAILED"},
        })
