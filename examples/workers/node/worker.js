// A worker for the function `charge`. docs/guides/workers.md says what it must keep to, README.md how to run it.

import { setTimeout as sleep } from "node:timers/promises";
import amqplib from "amqplib";

const URL = process.env.WARREN_AMQP_URL ?? "amqp://guest:guest@127.0.0.1:5672/%2F";
const PREFIX = process.env.WARREN_PREFIX ?? "warren.";
const QUEUE = `${PREFIX}functions.charge`;
// All workers of a queue must declare it alike.
const QUEUE_ARGUMENTS = {
  "x-queue-type": "quorum",
  "x-delivery-limit": 50,
  "x-dead-letter-exchange": "",
  "x-dead-letter-routing-key": `${PREFIX}poison`,
  "x-dead-letter-strategy": "at-least-once",
  "x-overflow": "reject-publish",
};
const CONCURRENCY = 8;
const RECONNECT_MILLISECONDS = 1000;

// Fails the task: Retry and Catch of the state machine match the error by its name.
class Failure extends Error {
  constructor(error, message) {
    super(message);
    this.name = error;
  }
}

// The function itself. `key` is the same when the request comes again, so that nobody pays twice.
async function charge(order, key, heartbeat) {
  if (typeof order.amount !== "number") throw new Failure("InvalidOrder", "the order has no amount");
  if (order.amount > 1000) throw new Failure("CardDeclined", "the amount is over the limit of the card");
  for (let second = 0; second < (order.seconds ?? 0); second++) {
    await sleep(1000);
    // From the work itself and not from a timer: work that hangs must fall silent.
    await heartbeat();
  }
  return { charged: order.amount, payment: key };
}

// Headers and body of the answer.
async function answerOf(content, key, heartbeat) {
  try {
    return [{}, JSON.stringify(await charge(JSON.parse(content.toString()), key, heartbeat))];
  } catch (failure) {
    const error = failure.name ?? "Error";
    return [{ "warren-error": error }, JSON.stringify({ errorMessage: failure.message, errorType: error })];
  }
}

// Returns when the broker has it.
function publish(channel, request, headers, body) {
  const { replyTo, correlationId } = request.properties;
  const options = { contentType: "application/json", persistent: true, correlationId, headers };
  return new Promise((resolve, reject) => {
    channel.publish("", replyTo, Buffer.from(body), options, (error) => (error ? reject(error) : resolve()));
  });
}

async function work(channel, request) {
  // Without an address it is no request: nobody waits for an answer.
  if (!request.properties.replyTo) return channel.reject(request, false);
  const heartbeat = () => publish(channel, request, { "warren-heartbeat": "true" }, "");
  const [headers, answer] = await answerOf(request.content, request.properties.correlationId, heartbeat);
  await publish(channel, request, headers, answer);
  channel.ack(request);
}

// Takes requests until `stop`, finishes what was begun and leaves.
async function serve(connection, stop, lose) {
  const inProgress = new Set();
  const channel = await connection.createConfirmChannel();
  channel.on("error", lose);
  await channel.prefetch(CONCURRENCY);
  await channel.assertQueue(QUEUE, { durable: true, arguments: QUEUE_ARGUMENTS });
  const { consumerTag } = await channel.consume(QUEUE, (request) => {
    if (request === null) return lose(new Error(`the queue ${QUEUE} was deleted`));
    const task = work(channel, request).catch(lose).finally(() => inProgress.delete(task));
    inProgress.add(task);
  });
  console.error(`taking the requests of ${QUEUE}`);
  await stop;
  await channel.cancel(consumerTag);
  await Promise.all(inProgress);
  await channel.close();
}

// One connection. What fails on it is thrown; the broker delivers again what was not acknowledged.
async function run(stop) {
  const connection = await amqplib.connect(URL, { timeout: 10_000 });
  let lose;
  const lost = new Promise((_, reject) => { lose = reject; });
  connection.on("error", lose);
  connection.on("close", () => lose(new Error("the connection is closed")));
  try {
    await Promise.race([serve(connection, stop, lose), lost]);
  } finally {
    await connection.close().catch(() => {});
  }
}

let stopped = false;
const stop = new Promise((resolve) => {
  for (const signal of ["SIGINT", "SIGTERM"]) {
    process.on(signal, () => { stopped = true; resolve(); });
  }
});
while (!stopped) {
  try {
    await run(stop);
  } catch (error) {
    console.error(`connecting again in ${RECONNECT_MILLISECONDS} ms: ${error.message}`);
    await Promise.race([sleep(RECONNECT_MILLISECONDS), stop]);
  }
}
