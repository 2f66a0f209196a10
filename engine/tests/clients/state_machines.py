"""State machines: created, changed, shown, listed, deleted, checked."""

import concurrent.futures
import json

from support import ACCOUNT, PASS, ROLE, WAIT, ServerTest, machine, machine_arn


class StateMachines(ServerTest):
    def test_what_was_created_is_described(self):
        arn = self.create(PASS)
        self.assertEqual(arn, machine_arn(self.name()))
        described = self.sfn.describe_state_machine(stateMachineArn=arn)
        self.assertEqual(json.loads(described["definition"]), PASS)
        self.assertEqual(
            {key: described[key] for key in ("stateMachineArn", "name", "status", "type", "roleArn")},
            {"stateMachineArn": arn, "name": self.name(), "status": "ACTIVE", "type": "STANDARD", "roleArn": ROLE},
        )
        self.assertEqual(described["loggingConfiguration"], {"level": "OFF", "includeExecutionData": False})
        self.assertEqual(described["tracingConfiguration"], {"enabled": False})
        self.assertNotIn("revisionId", described, "it was never updated")

    def test_creating_the_same_again_answers_the_first(self):
        request = {"name": self.name(), "definition": json.dumps(PASS), "roleArn": ROLE}
        first = self.sfn.create_state_machine(**request)
        other_role = f"arn:aws:iam::{ACCOUNT}:role/other"
        again = self.sfn.create_state_machine(**{**request, "roleArn": other_role, "type": "STANDARD"})
        self.assertEqual(
            (again["stateMachineArn"], again["creationDate"]), (first["stateMachineArn"], first["creationDate"])
        )
        self.assertEqual(self.sfn.describe_state_machine(stateMachineArn=first["stateMachineArn"])["roleArn"], ROLE)

    def test_a_name_is_taken_by_what_differs(self):
        arn = self.create(PASS)
        for difference in (
            {"definition": json.dumps(PASS, indent=1)},
            {"definition": json.dumps(WAIT)},
            {"type": "EXPRESS"},
            {"tracingConfiguration": {"enabled": True}},
        ):
            with self.subTest(difference), self.refused("StateMachineAlreadyExists", arn):
                request = {"name": self.name(), "definition": json.dumps(PASS), "roleArn": ROLE, **difference}
                self.sfn.create_state_machine(**request)

    def test_a_definition_is_refused_with_all_its_problems(self):
        wrong = {"StartAt": "A", "States": {"A": {"Type": "Pass", "Next": "B"}, "C": {"Type": "Pas"}}}
        with self.refused("InvalidDefinition", "MISSING_TRANSITION_TARGET", "/States/A/Next", "/States/C"):
            self.create(wrong)
        with self.refused("InvalidDefinition", "INVALID_JSON_DESCRIPTION"):
            self.create("{", name="json")
        with self.refused("InvalidName", "a b"):
            self.create(PASS, name="a b")
        with self.refused("InvalidArn"):
            self.sfn.create_state_machine(name="role", definition=json.dumps(PASS), roleArn="nobody")

    def test_changes_at_once_are_all_made(self):
        arn = self.create(PASS)
        other_role = f"arn:aws:iam::{ACCOUNT}:role/other"
        changes = (
            {"definition": json.dumps(WAIT)},
            {"roleArn": other_role},
            {"tracingConfiguration": {"enabled": True}},
        )
        with concurrent.futures.ThreadPoolExecutor(len(changes)) as pool:
            list(pool.map(lambda change: self.sfn.update_state_machine(stateMachineArn=arn, **change), changes))
        described = self.sfn.describe_state_machine(stateMachineArn=arn)
        self.assertEqual(json.loads(described["definition"]), WAIT)
        self.assertEqual((described["roleArn"], described["tracingConfiguration"]), (other_role, {"enabled": True}))

    def test_an_update_changes_what_it_names(self):
        arn = self.create(PASS)
        updated = self.sfn.update_state_machine(stateMachineArn=arn, definition=json.dumps(WAIT))
        self.assertIn("revisionId", updated)
        described = self.sfn.describe_state_machine(stateMachineArn=arn)
        self.assertEqual(json.loads(described["definition"]), WAIT)
        self.assertEqual((described["roleArn"], described["revisionId"]), (ROLE, updated["revisionId"]))

        again = self.sfn.update_state_machine(stateMachineArn=arn, definition=json.dumps(WAIT))
        self.assertEqual(again["revisionId"], updated["revisionId"], "nothing has changed")
        with self.refused("MissingRequiredParameter", "Either the definition"):
            self.sfn.update_state_machine(stateMachineArn=arn)
        with self.refused("InvalidDefinition"):
            self.sfn.update_state_machine(stateMachineArn=arn, definition="{}")
        with self.refused("StateMachineDoesNotExist"):
            self.sfn.update_state_machine(stateMachineArn=arn + "_", roleArn=ROLE)

    def test_a_running_execution_keeps_its_definition(self):
        arn = self.create(WAIT)
        execution = self.start(arn)
        self.sfn.update_state_machine(stateMachineArn=arn, definition=json.dumps(PASS))
        of_execution = self.sfn.describe_state_machine_for_execution(executionArn=execution)
        self.assertEqual(json.loads(of_execution["definition"]), WAIT)
        self.assertEqual((of_execution["stateMachineArn"], of_execution["name"]), (arn, self.name()))
        self.assertEqual(self.succeeds(self.start(arn, 1)), 1)
        self.sfn.stop_execution(executionArn=execution)

    def test_a_deleted_one_is_gone_and_its_executions_stop(self):
        arn = self.create(WAIT)
        execution = self.start(arn)
        for _ in range(2):
            self.sfn.delete_state_machine(stateMachineArn=arn)
        with self.refused("StateMachineDoesNotExist", arn):
            self.sfn.describe_state_machine(stateMachineArn=arn)
        with self.refused("StateMachineDoesNotExist", arn):
            self.start(arn)
        self.assertEqual(self.ended(execution)["status"], "ABORTED")
        self.assertEqual(self.create(PASS), arn, "the name is free")

    def test_a_definition_is_checked_without_being_kept(self):
        good = self.sfn.validate_state_machine_definition(definition=json.dumps(PASS))
        self.assertEqual((good["result"], good["diagnostics"], good["truncated"]), ("OK", [], False))
        wrong = json.dumps({**machine({"A": {"Type": "Pass"}, "B": {"Type": "Pass"}}), "X": 1, "Y": 2})
        found = self.sfn.validate_state_machine_definition(definition=wrong)
        self.assertEqual(found["result"], "FAIL")
        self.assertGreaterEqual(len(found["diagnostics"]), 2)
        self.assertEqual({"severity", "code", "message", "location"}, set(found["diagnostics"][0]))
        first = self.sfn.validate_state_machine_definition(definition=wrong, maxResults=1)
        self.assertEqual((first["diagnostics"], first["truncated"]), (found["diagnostics"][:1], True))
        wait_for_token = machine({"T": {
            "Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
            "Parameters": {"MessageBody.$": "$$.Task.Token"},
        }})
        for workflow, result in (("STANDARD", "OK"), ("EXPRESS", "FAIL")):
            checked = self.sfn.validate_state_machine_definition(definition=json.dumps(wait_for_token), type=workflow)
            self.assertEqual(checked["result"], result, workflow)


class Lists(ServerTest):
    def test_machines_are_listed_page_by_page(self):
        created = [self.create(PASS, name=f"m{number}") for number in range(7)]
        created.append(self.create(PASS, "EXPRESS", name="express"))
        whole = self.sfn.list_state_machines()
        self.assertNotIn("nextToken", whole)
        self.assertLessEqual(set(created), {item["stateMachineArn"] for item in whole["stateMachines"]})
        self.assertEqual({"stateMachineArn", "name", "type", "creationDate"}, set(whole["stateMachines"][0]))

        by_hand, token = [], {}
        while True:
            page = self.sfn.list_state_machines(maxResults=3, **token)
            self.assertLessEqual(len(page["stateMachines"]), 3)
            by_hand += page["stateMachines"]
            if "nextToken" not in page:
                break
            token = {"nextToken": page["nextToken"]}
        self.assertEqual(by_hand, whole["stateMachines"])

        pages = self.sfn.get_paginator("list_state_machines").paginate(PaginationConfig={"PageSize": 2})
        self.assertEqual([item for page in pages for item in page["stateMachines"]], whole["stateMachines"])

    def test_a_token_of_another_list_is_refused(self):
        for number in range(2):
            self.create(PASS, name=f"t{number}")
        token = self.sfn.list_state_machines(maxResults=1)["nextToken"]
        for wrong in (token[:-2], token + "AA", "nonsense"):
            with self.refused("InvalidToken", "Invalid Token"):
                self.sfn.list_state_machines(maxResults=1, nextToken=wrong)
        with self.refused("InvalidToken", "Invalid Token"):
            self.sfn.list_activities(nextToken=token)
