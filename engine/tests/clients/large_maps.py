"""A Map of ten thousand items: its cost grows with the items and no faster, and the limit of a history ends it."""

import statistics

from support import ServerTest, machine

MANY, FEW = 10_000, 100
# Iteration started and succeeded, state entered and exited; the execution's two and the Map's four.
EVENTS_OF_ITEM, EVENTS_AROUND = 4, 6
# How much more an item may cost among many than among few.
GROWTH_MAX = 1.5
EACH = {"Type": "Map", "ItemsPath": "$.items", "ResultPath": None,
        "ItemProcessor": machine({"Item": {"Type": "Pass"}})}
MAP = machine({"Each": EACH})


class LargeMap(ServerTest):
    settings = {"WARREN__LIMITS__HISTORY_EVENTS_MAX": "100000"}

    def map(self, arn, items):
        """An execution, and its milliseconds for each item: of the processor, and by the server's clock."""
        before = self.server.processor_seconds()
        execution = self.start(arn, {"items": list(range(items))})
        ended = self.ended(execution, within=240, every=0.1)
        spent = self.server.processor_seconds() - before
        self.assertEqual(ended["status"], "SUCCEEDED", f"{ended.get('error')}: {ended.get('cause')}")
        passed = (ended["stopDate"] - ended["startDate"]).total_seconds()
        return execution, 1000 * spent / items, 1000 * passed / items

    def ids(self, execution):
        """Of all events."""
        found, more = [], {}
        while True:
            page = self.server.call("GetExecutionHistory", executionArn=execution, maxResults=1000, **more)
            found += [event["id"] for event in page["events"]]
            if "nextToken" not in page:
                return found
            more = {"nextToken": page["nextToken"]}

    def test_an_item_costs_the_same_among_many(self):
        arn = self.create(MAP)
        few = [self.map(arn, FEW) for _ in range(10)]
        execution, many, passed = self.map(arn, MANY)
        few += [self.map(arn, FEW) for _ in range(10)]
        of_few = statistics.mean(spent for _, spent, _ in few)
        passed_of_few = statistics.median(passed for _, _, passed in few)
        print(f"\nAn item of {FEW} takes {of_few:.2f} ms of the processor and {passed_of_few:.2f} ms by the clock, "
              f"one of {MANY} {many:.2f} ms and {passed:.2f} ms")
        self.assertEqual(self.ids(execution), list(range(1, EVENTS_OF_ITEM * MANY + EVENTS_AROUND + 1)))
        # Not by the clock: what else the machine does would count.
        self.assertLessEqual(many, GROWTH_MAX * of_few)


class HistoryLimit(ServerTest):
    def test_a_history_ends_with_event_25000(self):
        ended = self.ended(self.start(self.create(MAP), {"items": list(range(MANY))}), within=240, every=0.1)
        self.assertEqual(ended["status"], "FAILED")
        last = self.sfn.get_execution_history(
            executionArn=ended["executionArn"], reverseOrder=True, maxResults=1
        )["events"][0]
        self.assertEqual((last["id"], last["type"]), (25_000, "ExecutionFailed"))
        details = last["executionFailedEventDetails"]
        self.assertEqual((details.get("error"), details["cause"]), (ended.get("error"), ended["cause"]))
        self.assertIn("maximum number of history events (25000)", details["cause"])
        first = self.sfn.get_execution_history(executionArn=ended["executionArn"], maxResults=1000)["events"]
        self.assertEqual([event["id"] for event in first], list(range(1, 1001)))
