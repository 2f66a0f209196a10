"""Map runs: the answers where there are none."""

from support import ACCOUNT, PASS, REGION, ServerTest

ARN = f"arn:aws:states:{REGION}:{ACCOUNT}:mapRun:none/map:00000000-0000-4000-8000-000000000000"


class MapRuns(ServerTest):
    def test_an_execution_without_a_distributed_map_has_none(self):
        execution = self.start(self.create(PASS))
        self.assertEqual(self.sfn.list_map_runs(executionArn=execution)["mapRuns"], [])
        self.succeeds(execution)
        with self.refused("ExecutionDoesNotExist", execution + "_"):
            self.sfn.list_map_runs(executionArn=execution + "_")
        with self.refused("InvalidArn"):
            self.sfn.list_map_runs(executionArn="nothing")

    def test_one_that_is_not_there_is_not_found(self):
        with self.refused("ResourceNotFound", ARN):
            self.sfn.describe_map_run(mapRunArn=ARN)
        with self.refused("ResourceNotFound", ARN):
            self.sfn.update_map_run(mapRunArn=ARN, maxConcurrency=3, toleratedFailurePercentage=12.5)
        with self.refused("ResourceNotFound", ARN):
            self.sfn.list_executions(mapRunArn=ARN)
        with self.refused("ValidationException"):
            self.sfn.update_map_run(mapRunArn=ARN)
        with self.refused("ValidationException", "toleratedFailurePercentage", "less than or equal to 100"):
            self.sfn.update_map_run(mapRunArn=ARN, toleratedFailurePercentage=100.5)
        with self.refused("InvalidArn", "Invalid ARN prefix: nothing"):
            self.sfn.describe_map_run(mapRunArn="nothing")
