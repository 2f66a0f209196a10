"""Aliases of state machines: names that lead to one or two versions."""

import json

from support import PASS, ServerTest, eventually, machine


def result(value):
    return machine({"Pass": {"Type": "Pass", "Result": value}})


class Aliases(ServerTest):
    settings = {"WARREN__LIMITS__ALIASES_MAX": "3"}

    def versions(self, count, workflow="STANDARD"):
        """The ARN of a machine, and those of its versions; each one's result is its number."""
        arn = self.create(result(1), workflow)
        made = [self.sfn.publish_state_machine_version(stateMachineArn=arn)["stateMachineVersionArn"]]
        for number in range(2, count + 1):
            changed = json.dumps(result(number))
            made.append(
                self.sfn.update_state_machine(stateMachineArn=arn, definition=changed, publish=True)[
                    "stateMachineVersionArn"
                ]
            )
        return arn, made

    def alias(self, name, *routes, **more):
        return self.sfn.create_state_machine_alias(name=name, routingConfiguration=to(*routes), **more)[
            "stateMachineAliasArn"
        ]

    def described(self, alias):
        return self.sfn.describe_state_machine_alias(stateMachineAliasArn=alias)

    def test_one_is_made_described_changed_and_deleted(self):
        arn, (first, second) = self.versions(2)
        alias = self.alias("live", (first, 100), description="goes out")
        self.assertEqual(alias, f"{arn}:live")
        made = self.described(alias)
        self.assertEqual(
            (made["stateMachineAliasArn"], made["name"], made["description"], made["routingConfiguration"]),
            (alias, "live", "goes out", to((first, 100))),
        )
        self.assertEqual(made["creationDate"], made["updateDate"])
        self.sfn.update_state_machine_alias(stateMachineAliasArn=alias, routingConfiguration=to((second, 10), (first, 90)))
        changed = self.described(alias)
        self.assertEqual(changed["routingConfiguration"], to((second, 10), (first, 90)))
        self.assertEqual((changed["description"], changed["creationDate"]), ("goes out", made["creationDate"]))
        self.sfn.update_state_machine_alias(stateMachineAliasArn=alias, description="other")
        self.assertEqual(self.described(alias)["description"], "other")
        for _ in range(2):
            self.sfn.delete_state_machine_alias(stateMachineAliasArn=alias)
        missing = "Request references a resource that does not exist."
        with self.refused("ResourceNotFound", missing):
            self.described(alias)
        with self.refused("ResourceNotFound", missing):
            self.sfn.update_state_machine_alias(stateMachineAliasArn=alias, description="other")
        with self.refused("StateMachineDoesNotExist", alias):
            self.start(alias)

    def test_the_same_again_answers_the_first(self):
        _, (first, second) = self.versions(2)
        made = self.sfn.create_state_machine_alias(name="live", routingConfiguration=to((first, 100)))
        again = self.sfn.create_state_machine_alias(name="live", routingConfiguration=to((first, 100)))
        self.assertEqual(
            (again["stateMachineAliasArn"], again["creationDate"]), (made["stateMachineAliasArn"], made["creationDate"])
        )
        text = "Failed to create alias because an alias with the same name and a different routing configuration"
        for other in ({"routingConfiguration": to((second, 100))}, {"description": "other"}):
            with self.subTest(other), self.refused("ConflictException", text):
                self.sfn.create_state_machine_alias(
                    **{"name": "live", "routingConfiguration": to((first, 100)), **other}
                )

    def test_what_it_leads_to_is_checked(self):
        arn, (first, second) = self.versions(2)
        elsewhere = self.create(PASS, name="elsewhere")
        other = self.sfn.publish_state_machine_version(stateMachineArn=elsewhere)["stateMachineVersionArn"]
        wrong = {
            "must contain state machine version ARNs. Received": to((arn, 100)),
            "must contain distinct state machine version ARNs. Received": to((first, 50), (first, 50)),
            "Sum of routing configuration weights must equal 100. Received: [70, 29]": to((first, 70), (second, 29)),
            "version ARNs of one state machine": to((first, 50), (other, 50)),
            "Member must have length less than or equal to 2": to((first, 50), (second, 30), (other, 20)),
            "Value '101' at 'routingConfiguration.1.member.weight'": to((first, 101)),
        }
        for text, routes in wrong.items():
            with self.subTest(text), self.refused("ValidationException", text):
                self.sfn.create_state_machine_alias(name="live", routingConfiguration=routes)
        with self.refused("ResourceNotFound"):
            self.alias("live", (f"{arn}:9", 100))
        with self.refused("InvalidArn"):
            self.alias("live", ("nothing", 100))
        for name in ("12", "a b", "é"):
            with self.subTest(name), self.refused("ValidationException", "regular expression pattern"):
                self.alias(name, (first, 100))

    def test_a_machine_has_so_many(self):
        arn, (first,) = self.versions(1)
        for number in range(3):
            self.alias(f"a{number}", (first, 100))
        with self.refused("ServiceQuotaExceededException", arn):
            self.alias("a3", (first, 100))

    def test_they_are_listed_by_machine_and_by_version(self):
        arn, (first, second) = self.versions(2)
        made = [self.alias("b", (first, 100)), self.alias("a", (second, 100)), self.alias("c", (first, 50), (second, 50))]

        def listed(of, **more):
            answer = self.sfn.list_state_machine_aliases(stateMachineArn=of, **more)
            return [item["stateMachineAliasArn"] for item in answer["stateMachineAliases"]], answer.get("nextToken")

        self.assertEqual(listed(arn), (made, None))
        self.assertEqual(listed(second), (made[1:], None))
        page, token = listed(arn, maxResults=2)
        self.assertEqual(page, made[:2])
        self.assertEqual(listed(arn, nextToken=token), (made[2:], None))
        with self.refused("InvalidToken"):
            listed(first, nextToken=token)
        with self.refused("StateMachineDoesNotExist"):
            listed(arn + "_")
        with self.refused("ResourceNotFound"):
            listed(arn + ":9")

    def test_a_version_that_one_leads_to_cannot_be_deleted(self):
        _, (first, second) = self.versions(2)
        alias = self.alias("live", (first, 50), (second, 50))
        for version in (first, second):
            with self.refused("ConflictException", "Current list of aliases referencing this version: [live]"):
                self.sfn.delete_state_machine_version(stateMachineVersionArn=version)
        self.sfn.update_state_machine_alias(stateMachineAliasArn=alias, routingConfiguration=to((second, 100)))
        self.sfn.delete_state_machine_version(stateMachineVersionArn=first)

    def test_starts_are_shared_out_by_weight(self):
        arn, (first, second) = self.versions(2)
        alias = self.alias("live", (first, 50), (second, 50))
        seen = {}

        def both():
            execution = self.start(alias)
            number = self.succeeds(execution)
            seen[number] = self.sfn.describe_execution(executionArn=execution)
            return len(seen) == 2

        eventually(both)
        for number, version in ((1, first), (2, second)):
            self.assertEqual(
                (seen[number]["stateMachineVersionArn"], seen[number]["stateMachineAliasArn"]), (version, alias)
            )
            self.assertEqual(seen[number]["stateMachineArn"], arn)
        started = self.history(seen[1]["executionArn"])[0]["executionStartedEventDetails"]
        self.assertEqual((started["stateMachineVersionArn"], started["stateMachineAliasArn"]), (first, alias))
        listed = self.sfn.list_executions(stateMachineArn=alias)["executions"]
        self.assertEqual({item["stateMachineAliasArn"] for item in listed}, {alias})

        for weights, only in (((0, 100), 2), ((100, 0), 1)):
            routes = to((first, weights[0]), (second, weights[1]))
            self.sfn.update_state_machine_alias(stateMachineAliasArn=alias, routingConfiguration=routes)
            outputs = {self.succeeds(self.start(alias)) for _ in range(8)}
            self.assertEqual(outputs, {only})

    def test_express_machines_have_aliases(self):
        _, (first, second) = self.versions(2, "EXPRESS")
        alias = self.alias("live", (first, 100))
        self.assertEqual(self.sfn.start_sync_execution(stateMachineArn=alias)["output"], "1")
        self.sfn.update_state_machine_alias(stateMachineAliasArn=alias, routingConfiguration=to((second, 100)))
        self.assertEqual(self.sfn.start_sync_execution(stateMachineArn=alias)["output"], "2")

    def test_an_alias_is_no_machine_and_goes_with_it(self):
        arn, (first,) = self.versions(1)
        alias = self.alias("live", (first, 100))
        with self.refused("StateMachineDoesNotExist", alias):
            self.sfn.describe_state_machine(stateMachineArn=alias)
        with self.refused("ValidationException"):
            self.sfn.delete_state_machine(stateMachineArn=alias)
        with self.refused("ValidationException"):
            self.described(arn)
        self.sfn.delete_state_machine(stateMachineArn=arn)
        with self.refused("ResourceNotFound"):
            self.described(alias)


def to(*routes):
    return [{"stateMachineVersionArn": version, "weight": weight} for version, weight in routes]
