"""A temperature is converted by an Express workflow: made, asked and removed with boto3."""

import json
import os
import sys

import boto3
from botocore.config import Config

DEFINITION = {
    "QueryLanguage": "JSONata",
    "StartAt": "Convert",
    "States": {"Convert": {"Type": "Pass", "Output": "{% $states.input.celsius * 1.8 + 32 %}", "End": True}},
}

# Where Warren is, the keys and the region are in the environment. That it has one name, and none that begins with
# sync-, can be said there too (AWS_DISABLE_HOST_PREFIX_INJECTION=true) or here.
sfn = boto3.client("stepfunctions", config=Config(inject_host_prefix=False))

machine = sfn.create_state_machine(
    name=f"convert-{os.getpid()}",
    type="EXPRESS",
    definition=json.dumps(DEFINITION),
    roleArn="arn:aws:iam::000000000000:role/any",
)["stateMachineArn"]
try:
    celsius = float(sys.argv[1]) if len(sys.argv) > 1 else 20
    ended = sfn.start_sync_execution(stateMachineArn=machine, input=json.dumps({"celsius": celsius}))
    print(f"{ended['status']}: {ended['output']} °F")
finally:
    sfn.delete_state_machine(stateMachineArn=machine)
