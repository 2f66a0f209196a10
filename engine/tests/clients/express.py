"""Express workflows: started and left alone, or waited for."""

import http.client
import json
import socket
import unittest.mock

from support import PASS, ServerTest, client, eventually, function, machine

CALL = machine({"Call": {"Type": "Task", "Resource": function("append")}})
FAIL = machine({"Fail": {"Type": "Fail", "Error": "Broken", "Cause": "it is"}})


class Express(ServerTest):
    @classmethod
    def configuration(cls):
        cls.log = cls.place / "log"
        # One write for each call: calls may meet.
        command = f"input=$(cat); echo $input >> {cls.log}; echo true"
        return f"[functions.append]\ncommand = {json.dumps(command)}\n"

    def logged(self):
        return self.log.read_text().splitlines() if self.log.exists() else []

    def test_one_that_is_not_waited_for_runs(self):
        arn = self.create(CALL, "EXPRESS")
        started = self.sfn.start_execution(stateMachineArn=arn, name="e", input='{"of":"async"}')
        self.assertRegex(started["executionArn"], rf":express:{self.name()}:e:[0-9a-f-]{{36}}$")
        eventually(lambda: '{"of":"async"}' in self.logged())
        again = self.sfn.start_execution(stateMachineArn=arn, name="e", input='{"of":"again"}')
        self.assertNotEqual(again["executionArn"], started["executionArn"], "a name may be used again")
        eventually(lambda: '{"of":"again"}' in self.logged())
        with self.refused("InvalidArn", "Resource type not valid in this context: express"):
            self.sfn.describe_execution(executionArn=started["executionArn"])
        with self.refused("InvalidArn", "Resource type not valid in this context: express"):
            self.sfn.get_execution_history(executionArn=started["executionArn"])

    def test_one_that_is_waited_for_answers_with_its_end(self):
        arn = self.create(CALL, "EXPRESS")
        ended = self.sfn.start_sync_execution(stateMachineArn=arn, name="e", input='{"of":"sync"}')
        self.assertEqual((ended["status"], ended["output"], ended["name"]), ("SUCCEEDED", "true", "e"))
        self.assertEqual((ended["stateMachineArn"], ended["input"]), (arn, '{"of":"sync"}'))
        self.assertEqual((ended["inputDetails"], ended["outputDetails"]), ({"included": True}, {"included": True}))
        self.assertLessEqual(ended["startDate"], ended["stopDate"])
        self.assertEqual(ended["billingDetails"]["billedDurationInMilliseconds"] % 100, 0)
        self.assertEqual(ended["billingDetails"]["billedMemoryUsedInMB"], 64)
        self.assertEqual(self.logged().count('{"of":"sync"}'), 1)

    def test_a_failure_is_an_answer(self):
        failed = self.sfn.start_sync_execution(stateMachineArn=self.create(FAIL, "EXPRESS"))
        self.assertEqual((failed["status"], failed["error"], failed["cause"]), ("FAILED", "Broken", "it is"))
        self.assertNotIn("output", failed)
        late = {**machine({"Wait": {"Type": "Wait", "Seconds": 200}}), "TimeoutSeconds": 1}
        timed_out = self.sfn.start_sync_execution(stateMachineArn=self.create(late, "EXPRESS", name="late"))
        self.assertEqual(timed_out["status"], "TIMED_OUT")

    def test_it_forks_too(self):
        each = machine({"Add": {"Type": "Pass", "Parameters": {"n.$": "States.MathAdd($, 1)"}, "OutputPath": "$.n"}})
        definition = machine({
            "Both": {"Type": "Parallel", "Branches": [PASS, machine({"Too": {"Type": "Pass"}})], "OutputPath": "$[1]"},
            "Each": {"Type": "Map", "ItemProcessor": each},
        })
        arn = self.create(definition, "EXPRESS")
        ended = self.sfn.start_sync_execution(stateMachineArn=arn, input=json.dumps(list(range(100))))
        self.assertEqual(json.loads(ended["output"]), list(range(1, 101)))

    def test_only_an_express_workflow_is_waited_for(self):
        with self.refused("StateMachineTypeNotSupported", "not supported by this type"):
            self.sfn.start_sync_execution(stateMachineArn=self.create(PASS))


class HostPrefix(ServerTest):
    """SDKs call `sync-HOST` for StartSyncExecution unless they are told not to."""

    def test_a_request_to_the_prefixed_host_is_served(self):
        arn = self.create(PASS, "EXPRESS")
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port)
        connection.request("POST", "/", json.dumps({"stateMachineArn": arn}), {
            "Host": f"sync-localhost:{self.server.port}",
            "Content-Type": "application/x-amz-json-1.0",
            "X-Amz-Target": "AWSStepFunctions.StartSyncExecution",
        })
        answer = connection.getresponse()
        self.assertEqual(answer.status, 200)
        self.assertEqual(json.loads(answer.read())["status"], "SUCCEEDED")
        connection.close()

    def test_a_client_that_injects_the_prefix_is_served_where_the_name_leads_here(self):
        arn = self.create(PASS, "EXPRESS")
        prefixing = client(f"http://localhost:{self.server.port}", inject_host_prefix=True)
        hosts, resolve = [], socket.getaddrinfo

        def as_in_etc_hosts(host, *rest, **more):
            hosts.append(host)
            return resolve("127.0.0.1", *rest, **more)

        with unittest.mock.patch("socket.getaddrinfo", as_in_etc_hosts):
            self.assertEqual(prefixing.start_sync_execution(stateMachineArn=arn)["status"], "SUCCEEDED")
        self.assertEqual(hosts, ["sync-localhost"])
