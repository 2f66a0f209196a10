"""Tags of state machines and activities."""

import json

from support import PASS, ROLE, ServerTest, machine_arn


def tags(**pairs):
    return [{"key": key, "value": value} for key, value in pairs.items()]


class Tags(ServerTest):
    def listed(self, arn):
        return self.sfn.list_tags_for_resource(resourceArn=arn)["tags"]

    def both(self):
        """A machine and an activity, made with tags."""
        made = self.sfn.create_state_machine(
            name=self.name(), definition=json.dumps(PASS), roleArn=ROLE, tags=tags(team="shop", cost="")
        )
        activity = self.sfn.create_activity(name=self.name(), tags=tags(team="shop", cost=""))
        return made["stateMachineArn"], activity["activityArn"]

    def test_they_are_added_changed_and_removed(self):
        for arn in self.both():
            with self.subTest(arn):
                self.assertEqual(self.listed(arn), tags(team="shop", cost=""))
                self.sfn.tag_resource(resourceArn=arn, tags=tags(cost="7", stage="test"))
                self.assertEqual(self.listed(arn), tags(team="shop", cost="7", stage="test"))
                self.sfn.untag_resource(resourceArn=arn, tagKeys=["cost", "cost", "none"])
                self.assertEqual(self.listed(arn), tags(team="shop", stage="test"))
                self.sfn.tag_resource(resourceArn=arn, tags=[])
                self.sfn.untag_resource(resourceArn=arn, tagKeys=[])
                self.assertEqual(self.listed(arn), tags(team="shop", stage="test"))

    def test_there_are_at_most_fifty(self):
        many = [{"key": str(number), "value": ""} for number in range(51)]
        with self.refused("TooManyTags"):
            self.sfn.create_state_machine(name=self.name(), definition=json.dumps(PASS), roleArn=ROLE, tags=many)
        with self.refused("TooManyTags"):
            self.sfn.create_activity(name=self.name(), tags=many)
        for arn in self.both():
            with self.refused("TooManyTags"):
                self.sfn.tag_resource(resourceArn=arn, tags=many[:49])
            self.assertEqual(len(self.listed(arn)), 2, "none was added")
            self.sfn.tag_resource(resourceArn=arn, tags=many[:48])
            self.assertEqual(len(self.listed(arn)), 50)

    def test_an_update_leaves_them_alone(self):
        arn, _ = self.both()
        self.sfn.update_state_machine(stateMachineArn=arn, roleArn=ROLE + "2")
        self.assertEqual(self.listed(arn), tags(team="shop", cost=""))
        self.sfn.delete_state_machine(stateMachineArn=arn)
        self.create(PASS)
        self.assertEqual(self.listed(arn), [])

    def test_only_machines_and_activities_have_some(self):
        arn = self.create(PASS)
        version = self.sfn.publish_state_machine_version(stateMachineArn=arn)["stateMachineVersionArn"]
        for missing in (version, machine_arn("none"), machine_arn(self.name(), region="eu-west-1")):
            with self.subTest(missing), self.refused("ResourceNotFound", f"Resource not found: '{missing}'"):
                self.sfn.tag_resource(resourceArn=missing, tags=tags(a="b"))
            with self.subTest(missing), self.refused("ResourceNotFound", f"Resource not found: '{missing}'"):
                self.listed(missing)
            with self.subTest(missing), self.refused("ResourceNotFound", f"Resource not found: '{missing}'"):
                self.sfn.untag_resource(resourceArn=missing, tagKeys=["a"])
        with self.refused("InvalidArn"):
            self.listed("nothing")
