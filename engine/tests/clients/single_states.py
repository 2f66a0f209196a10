"""TestState: one state by itself, its work done or played."""

import json

from http_calls import HttpTest
from support import ROLE, ServerTest

TASK = {"Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage", "Parameters": {"QueueUrl.$": "$.q"}, "End": True}
MAP = {
    "Type": "Map",
    "QueryLanguage": "JSONata",
    "Items": "{% $states.input.all %}",
    "ToleratedFailurePercentage": 40,
    "ItemProcessor": {
        "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
        "StartAt": "One",
        "States": {"One": {"Type": "Pass", "End": True}},
    },
    "Catch": [{"ErrorEquals": ["States.ExceedToleratedFailureThreshold"], "Next": "TooMany"}],
    "End": True,
}


class TestedAlone(ServerTest):
    def try_state(self, state, data=None, **more):
        answer = self.sfn.test_state(definition=json.dumps(state), input=json.dumps(data or {}), **more)
        answer.pop("ResponseMetadata")
        return answer

    def test_how_it_ends_and_what_became_of_the_data(self):
        choice = {
            "Type": "Choice",
            "Choices": [{"Variable": "$.n", "NumericGreaterThan": 5, "Next": "Many"}],
            "Default": "Few",
        }
        self.assertEqual(
            self.try_state(choice, {"n": 7}), {"status": "SUCCEEDED", "nextState": "Many", "output": '{"n": 7}'}
        )
        seen = self.try_state(choice, {"n": 1}, inspectionLevel="DEBUG")
        self.assertEqual(seen["nextState"], "Few")
        self.assertEqual(seen["inspectionData"], {"input": '{"n": 1}', "afterInputPath": '{"n": 1}'})
        fail = {"Type": "Fail", "Error": "E", "Cause": "c"}
        self.assertEqual(self.try_state(fail), {"status": "FAILED", "error": "E", "cause": "c"})

    def test_a_wait_is_not_waited_for_and_has_its_limit(self):
        wait = lambda seconds: {"Type": "Wait", "Seconds": seconds, "End": True}
        self.assertEqual(self.try_state(wait(290), {"a": 1})["output"], '{"a": 1}')
        self.assertEqual(self.try_state(wait(301)), {"status": "FAILED", "error": "States.Timeout"})

    def test_a_state_of_a_whole_machine(self):
        inner = {"StartAt": "Deep", "States": {"Deep": {"Type": "Pass", "Result": 3, "End": True}}}
        whole = {
            "StartAt": "A",
            "States": {
                "A": {"Type": "Pass", "Assign": {"x": 1}, "Next": "B"},
                "B": {"Type": "Parallel", "Branches": [inner], "Next": "C"},
                "C": {"Type": "Pass", "QueryLanguage": "JSONata", "Output": "{% $x + 1 %}", "End": True},
            },
        }
        self.assertEqual(self.try_state(whole, stateName="A")["nextState"], "B")
        self.assertEqual(self.try_state(whole, stateName="Deep")["output"], "3")
        self.assertEqual(self.try_state(whole, stateName="C", variables='{"x": 41}')["output"], "42")
        with self.refused("ValidationException", "State not found in definition"):
            self.try_state(whole, stateName="D")
        whole["States"]["C"]["Output"] = "{% $x + %}"
        with self.refused("InvalidDefinition", "/States/C/Output"):
            self.try_state(whole, stateName="A")

    def test_mocks_play_the_work(self):
        played = self.try_state(TASK, {"q": "u"}, mock={"result": '{"MessageId": "1"}'}, inspectionLevel="TRACE")
        self.assertEqual((played["status"], json.loads(played["output"])), ("SUCCEEDED", {"MessageId": "1"}))
        self.assertEqual(json.loads(played["inspectionData"]["afterParameters"]), {"QueueUrl": "u"})
        retried = dict(TASK, Retry=[{"ErrorEquals": ["Busy"], "IntervalSeconds": 2, "BackoffRate": 3, "MaxAttempts": 2}])
        mock = {"errorOutput": {"error": "Busy", "cause": "c"}}
        again = self.try_state(
            retried, {"q": "u"}, mock=mock, inspectionLevel="DEBUG", stateConfiguration={"retrierRetryCount": 1}
        )
        self.assertEqual((again["status"], again["error"]), ("RETRIABLE", "Busy"))
        self.assertEqual(again["inspectionData"]["errorDetails"], {"retryIndex": 0, "retryBackoffIntervalSeconds": 6})
        spent = self.try_state(retried, {"q": "u"}, mock=mock, stateConfiguration={"retrierRetryCount": 2})
        self.assertEqual(spent["status"], "FAILED")

    def test_iterations_that_fail_are_tolerated_up_to_their_threshold(self):
        def with_failed(count):
            return self.try_state(
                MAP, {"all": [1, 2, 3, 4]}, mock={"result": "[1, 2, 3, 4]"},
                stateConfiguration={"mapIterationFailureCount": count}, inspectionLevel="DEBUG",
            )

        tolerated = with_failed(1)
        self.assertEqual((tolerated["status"], tolerated["output"]), ("SUCCEEDED", "[1, 2, 3, 4]"))
        self.assertEqual(tolerated["inspectionData"]["toleratedFailurePercentage"], 40)
        exceeded = with_failed(2)
        self.assertEqual((exceeded["status"], exceeded["nextState"]), ("CAUGHT_ERROR", "TooMany"))
        self.assertEqual(exceeded["inspectionData"]["errorDetails"], {"catchIndex": 0})
        with self.refused("ValidationException", "less than or equal to the number of Map iterations"):
            with_failed(5)

    def read_items(self, config, data, given=None):
        reader = {"Resource": "arn:aws:states:::s3:getObject", "ReaderConfig": config}
        reader["Parameters"] = {"Bucket": "b", "Key": "k"}
        state = {name: value for name, value in MAP.items() if name not in ("QueryLanguage", "Items")}
        state.update(ItemReader=reader, ItemSelector={"item.$": "$$.Map.Item.Value"})
        whole = {"StartAt": "Outer", "States": {"Outer": {"Type": "Parallel", "End": True, "Branches": [
            {"StartAt": "Each", "States": {"Each": state, "TooMany": {"Type": "Succeed"}}},
        ]}}}
        seen = self.try_state(
            whole, given, stateName="Each", mock={"result": "[]"}, inspectionLevel="DEBUG",
            stateConfiguration={"mapItemReaderData": data},
        )
        self.assertEqual(seen["status"], "SUCCEEDED", seen)
        return [input["item"] for input in json.loads(seen["inspectionData"]["afterItemSelector"])]

    def test_items_are_read_as_they_are_written_at_their_source(self):
        csv = {"InputType": "CSV", "CSVHeaderLocation": "FIRST_ROW"}
        given = {"InputType": "CSV", "CSVHeaderLocation": "GIVEN", "CSVHeaders": ["a", "b"], "CSVDelimiter": "PIPE"}
        for config, data, items in (
            ({"InputType": "JSON"}, "[1, 2]", [1, 2]),
            ({"InputType": "JSON", "ItemsPointer": "/x/y"}, '{"x": {"y": [3]}}', [3]),
            ({"InputType": "JSON", "MaxItems": 1}, "[1, 2]", [1]),
            ({"InputType": "JSON", "MaxItemsPath": "$.most"}, "[1, 2, 3]", [1, 2]),
            ({"InputType": "JSONL"}, '{"a": 1}\n[2]\n', [{"a": 1}, [2]]),
            (csv, 'id,name\n1,"a, b"\n2\n', [{"id": "1", "name": "a, b"}, {"id": "2", "name": ""}]),
            (dict(csv, MaxItems=1), "id\n1\n2\n", [{"id": "1"}]),
            (given, "1|2\n", [{"a": "1", "b": "2"}]),
        ):
            with self.subTest(config):
                self.assertEqual(self.read_items(config, data, {"most": 2}), items)
        for config, data, text in (
            ({"InputType": "JSON"}, "3", "Attempting to map over non-iterable node."),
            ({"InputType": "JSONL"}, "1\nx", "line 2"),
            (csv, "a,a\n", "CSV headers cannot contain duplicates."),
            ({"InputType": "PARQUET"}, "x", "PARQUET"),
            ({"InputType": "MANIFEST"}, "x", "manifest"),
        ):
            with self.subTest(config), self.refused("ValidationException", text):
                self.read_items(config, data)

    def test_a_result_is_written_somewhere_only_where_it_is_told(self):
        format = {"WriterConfig": {"Transformation": "FLATTEN", "OutputType": "JSON"}}
        place = {"Resource": "arn:aws:states:::s3:putObject", "Arguments": {"Bucket": "b", "Prefix": "p"}}
        for writer, result, wrong, text in (
            (format, "[1]", "{}", "Mocked result must be an array."),
            (dict(place, **format), "{}", "[1]", "Mocked result must be a JSON object."),
        ):
            with self.subTest(text):
                state = dict(MAP, ResultWriter=writer)
                played = self.try_state(state, {"all": [1]}, mock={"result": result})
                self.assertEqual((played["status"], played["output"]), ("SUCCEEDED", result))
                with self.refused("ValidationException", text):
                    self.try_state(state, {"all": [1]}, mock={"result": wrong})

    def test_a_context_object_is_taken_as_it_is_given(self):
        state = dict(TASK, Parameters={"seen.$": "$$"})
        mock = {"result": "{}"}
        context = {"Execution": {"Name": "mine"}}
        seen = self.try_state(state, mock=mock, context=json.dumps(context), inspectionLevel="DEBUG")
        self.assertEqual(json.loads(seen["inspectionData"]["afterParameters"]), {"seen": context})
        for given, text in (
            ({"Execution": {"Id": 1}}, "Execution.Id must be a string"),
            ({"Other": 1}, "Field 'Other' is not allowed"),
            ({"Map": {}}, "'Map' field is not supported when mocking a Context object"),
            ({"Task": {"Token": "t"}}, "when state is not a Task state with a '.sync'"),
        ):
            with self.subTest(given), self.refused("ValidationException", text):
                self.try_state(state, mock=mock, context=json.dumps(given))
        with self.refused("ValidationException", "Context when a mock is not specified"):
            self.try_state(state, context="{}", roleArn=ROLE)

    def test_what_does_not_fit_is_refused(self):
        result = {"result": "{}"}
        for state, more, code, text in (
            ({"Type": "Pass", "End": True}, {"mock": result}, "ValidationException", "State type 'Pass' is not supported"),
            (TASK, {"mock": result, "revealSecrets": True}, "ValidationException", "does not support RevealSecrets"),
            (TASK, {"mock": {}}, "ValidationException", "only one of the following fields: [result, errorOutput]"),
            (TASK, {"mock": {"result": "x"}}, "ValidationException", "Mocked result must be valid JSON"),
            (TASK, {}, "ValidationException", "RoleArn must be specified when testing a Task state"),
            (MAP, {}, "InvalidDefinition", "does not support Map or Parallel states"),
            (MAP, {"mock": result}, "ValidationException", "Mocked result must be an array."),
            (dict(TASK, Resource="arn:aws:states:::sqs:sendMessage.waitForTaskToken"), {"roleArn": ROLE},
             "ValidationException", "A mock must be specified"),
            (TASK, {"variables": "[]"}, "ValidationException", "Variables must be a JSON object"),
            ({"Type": "Pass"}, {}, "InvalidDefinition", "/States/StateName"),
        ):
            with self.subTest(text), self.refused(code, text):
                self.try_state(state, **more)
        with self.refused("InvalidExecutionInput"):
            self.sfn.test_state(definition=json.dumps(TASK), input="{")


class TestedCalls(HttpTest):
    @classmethod
    def configuration(cls):
        return f'[http.egress]\nallow = ["{cls.host.url}"]\n'

    def test_a_task_without_a_mock_is_done(self):
        url = f"{self.host.url}/x"
        state = {
            "Type": "Task",
            "Resource": "arn:aws:states:::http:invoke",
            "Parameters": {"ApiEndpoint": url, "Method": "GET", "Headers": {"x-a": "b"}},
            "ResultSelector": {"code.$": "$.StatusCode"},
            "End": True,
        }
        tried = lambda level: self.sfn.test_state(definition=json.dumps(state), roleArn=ROLE, inspectionLevel=level)
        done = tried("TRACE")
        self.assertEqual((done["status"], done.get("output")), ("SUCCEEDED", '{"code": 200}'))
        request, response = done["inspectionData"]["request"], done["inspectionData"]["response"]
        self.assertEqual((request["method"], request["url"], request["protocol"]), ("GET", url, "http"))
        self.assertIn("x-a: b", request["headers"])
        self.assertEqual((response["statusCode"], response["statusMessage"]), ("200", "OK"))
        self.assertEqual(json.loads(response["body"])["path"], "/x")
        self.assertNotIn("request", tried("DEBUG")["inspectionData"])
