// Functions of state machines, in JavaScript: written once, served in the way that the server in use can call them.
//
//     node functions.js          takes the requests of all of them from RabbitMQ, for `warren serve`
//     node functions.js NAME     answers one call: JSON on standard input, JSON on standard output
//
// An example's own `functions.js` says what they do and ends with `await serve({ name })`. docs/guides/workers.md says
// what a worker on RabbitMQ must keep to; examples/workers/node has one with heartbeats.

import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";

const CONCURRENCY = 8;
const RECONNECT_MILLISECONDS = 1000;

// Fails the task: Retry and Catch of the state machine match the error by its name.
export class Failure extends Error {
  constructor(error, message) {
    super(message);
    this.name = error;
  }
}

// Serves functions by name, as the command line says.
export async function serve(functions) {
  const [name, ...rest] = process.argv.slice(2);
  if (name === undefined) return onRabbitmq(functions);
  if (rest.length > 0 || !Object.hasOwn(functions, name)) {
    console.error(`usage: functions.js [${Object.keys(functions).join(" | ")}]`);
    process.exit(2);
  }
  const [answer, error] = await answerTo(functions[name], await text(process.stdin));
  console.log(answer);
  process.exitCode = error ? 1 : 0;
}

// The answer as JSON, and the name of the error if it says why the function failed.
async function answerTo(perform, payload) {
  try {
    return [JSON.stringify((await perform(JSON.parse(payload))) ?? null)];
  } catch (failure) {
    const errorType = failure.name ?? "Error";
    return [JSON.stringify({ errorType, errorMessage: failure.message }), errorType];
  }
}

// One connection after the other, until told to stop.
async function onRabbitmq(functions) {
  const { default: amqplib } = await import("amqplib");
  let stopped = false;
  const stop = new Promise((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM"]) {
      process.on(signal, () => { stopped = true; resolve(); });
    }
  });
  while (!stopped) {
    try {
      await connected(amqplib, functions, stop);
    } catch (error) {
      console.error(`connecting again in ${RECONNECT_MILLISECONDS} ms: ${error.message}`);
      await Promise.race([sleep(RECONNECT_MILLISECONDS), stop]);
    }
  }
}

// One connection. What fails on it is thrown; the broker delivers again what was not acknowledged.
async function connected(amqplib, functions, stop) {
  const url = process.env.WARREN_AMQP_URL ?? "amqp://guest:guest@127.0.0.1:5672/%2F";
  const connection = await amqplib.connect(url, { timeout: 10_000 });
  let lose;
  const lost = new Promise((_, reject) => { lose = reject; });
  connection.on("error", lose);
  connection.on("close", () => lose(new Error("the connection is closed")));
  try {
    await Promise.race([work(connection, functions, stop, lose), lost]);
  } finally {
    await connection.close().catch(() => {});
  }
}

// Takes requests until `stop`, finishes what was begun and leaves.
async function work(connection, functions, stop, lose) {
  const prefix = process.env.WARREN_PREFIX ?? "warren.";
  const inProgress = new Set();
  const consumers = [];
  const channel = await connection.createConfirmChannel();
  channel.on("error", lose);
  await channel.prefetch(CONCURRENCY);
  const queues = Object.entries(functions).map(([name, perform]) => [`${prefix}functions.${name}`, perform]);
  for (const [queue, perform] of queues) {
    await channel.assertQueue(queue, { durable: true, arguments: queueArguments(prefix) });
    const { consumerTag } = await channel.consume(queue, (request) => {
      if (request === null) return lose(new Error(`the queue ${queue} was deleted`));
      const task = answer(channel, request, perform).catch(lose).finally(() => inProgress.delete(task));
      inProgress.add(task);
    });
    consumers.push(consumerTag);
  }
  console.error(`taking the requests of ${queues.map(([queue]) => queue).join(", ")}`);
  await stop;
  for (const consumer of consumers) await channel.cancel(consumer);
  await Promise.all(inProgress);
  await channel.close();
}

// All workers of a queue must declare it alike.
function queueArguments(prefix) {
  return {
    "x-queue-type": "quorum",
    "x-delivery-limit": 50,
    "x-dead-letter-exchange": "",
    "x-dead-letter-routing-key": `${prefix}poison`,
    "x-dead-letter-strategy": "at-least-once",
    "x-overflow": "reject-publish",
  };
}

// Acknowledges only when the broker has the answer.
async function answer(channel, request, perform) {
  const { replyTo, correlationId } = request.properties;
  // Without an address it is no request: nobody waits for an answer.
  if (!replyTo) return channel.reject(request, false);
  const [body, error] = await answerTo(perform, request.content.toString());
  const headers = error ? { "warren-error": error } : {};
  const options = { contentType: "application/json", persistent: true, correlationId, headers };
  await new Promise((resolve, reject) => {
    channel.publish("", replyTo, Buffer.from(body), options, (failed) => (failed ? reject(failed) : resolve()));
  });
  channel.ack(request);
}
