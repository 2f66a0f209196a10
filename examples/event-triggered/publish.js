// Publishes an event, with nothing but an AMQP client: node publish.js EVENT

import { randomUUID } from "node:crypto";
import amqplib from "amqplib";

const URL = process.env.WARREN_AMQP_URL ?? "amqp://guest:guest@127.0.0.1:5672/%2F";
const EXCHANGE = `${process.env.WARREN_PREFIX ?? "warren."}triggers`;

const connection = await amqplib.connect(URL, { timeout: 10_000 });
const channel = await connection.createConfirmChannel();
const returned = new Promise((_, reject) => {
  channel.on("return", () => reject(new Error("nobody waits for events like this")));
});
const options = { contentType: "application/json", persistent: true, messageId: randomUUID(), mandatory: true };
const confirmed = new Promise((resolve, reject) => {
  channel.publish(EXCHANGE, "shop", Buffer.from(process.argv[2]), options, (error) => (error ? reject(error) : resolve()));
});
// So that it fails if the broker does not have it. What was returned comes back before the confirmation.
await Promise.race([returned, confirmed]);
await connection.close();
