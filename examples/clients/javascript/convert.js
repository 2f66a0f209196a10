// A temperature is converted by an Express workflow: made, asked and removed with the AWS SDK for JavaScript.
import { CreateStateMachineCommand, DeleteStateMachineCommand, SFNClient, StartSyncExecutionCommand } from "@aws-sdk/client-sfn";

const definition = {
  QueryLanguage: "JSONata",
  StartAt: "Convert",
  States: { Convert: { Type: "Pass", Output: "{% $states.input.celsius * 1.8 + 32 %}", End: true } },
};

// Where Warren is, the keys and the region are in the environment. That it has one name, and none that begins with
// sync-, must be said here.
const sfn = new SFNClient({ disableHostPrefix: true });

const { stateMachineArn } = await sfn.send(
  new CreateStateMachineCommand({
    name: `convert-${process.pid}`,
    type: "EXPRESS",
    definition: JSON.stringify(definition),
    roleArn: "arn:aws:iam::000000000000:role/any",
  }),
);
try {
  const input = JSON.stringify({ celsius: Number(process.argv[2] ?? 20) });
  const ended = await sfn.send(new StartSyncExecutionCommand({ stateMachineArn, input }));
  console.log(`${ended.status}: ${ended.output} °F`);
} finally {
  await sfn.send(new DeleteStateMachineCommand({ stateMachineArn }));
}
