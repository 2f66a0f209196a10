"""Tasks that call a service, from state machines of both kinds."""

import itertools
import json

from support import ServerTest, machine


def task(resource, parameters, **fields):
    return machine({"Call": {"Type": "Task", "Resource": resource, "Parameters": parameters, **fields}})


class CallTest(ServerTest):
    def setUp(self):
        self.numbers = itertools.count()

    def made(self, definition, workflow="STANDARD"):
        """The ARN of a state machine, one of several of this test."""
        return self.create(definition, workflow, f"{self.name()[:60]}_{next(self.numbers)}")

    def standard(self, definition, value=None):
        """An execution."""
        return self.start(self.made(definition), value or {})

    def express(self, definition, value=None):
        """What a synchronous Express execution answers."""
        arn = self.made(definition, "EXPRESS")
        return self.sfn.start_sync_execution(stateMachineArn=arn, input=json.dumps(value or {}))

    def both(self, definition, value=None):
        """The outputs of a Standard and of an Express execution."""
        answer = self.express(definition, value)
        self.assertEqual(answer["status"], "SUCCEEDED", f"{answer.get('error')}: {answer.get('cause')}")
        return self.succeeds(self.standard(definition, value)), json.loads(answer["output"])

    def fails(self, definition, error, *says):
        """Both kinds fail with this error, and the cause says this."""
        for ended in (self.ended(self.standard(definition)), self.express(definition)):
            self.assertEqual((ended["status"], ended.get("error")), ("FAILED", error), ended.get("cause"))
            for text in says:
                self.assertIn(text, ended["cause"])
