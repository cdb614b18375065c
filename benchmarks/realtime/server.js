// @upstash/realtime on the routes that the benchmarks use: `node server.js --port N`, with Upstash's two variables.
import { createServer } from "node:http";
import { json } from "node:stream/consumers";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { parseArgs } from "node:util";
import { handle, Realtime } from "@upstash/realtime";
import { Redis } from "@upstash/redis";

const { port } = parseArgs({ options: { port: { type: "string" } } }).values;
const realtime = new Realtime({ redis: Redis.fromEnv({ enableTelemetry: false }) });
const subscribed = handle({ realtime });

async function publish(request, response) {
  await realtime.channel("bench").emit("message", await json(request));
  response.writeHead(201, { "Content-Type": "application/json" }).end("{}");
}

async function stream(_, response) {
  const gone = new AbortController();
  response.on("close", () => gone.abort());
  const answer = await subscribed(new Request("http://localhost/?channel=bench", { signal: gone.signal }));
  response.writeHead(answer.status, Object.fromEntries(answer.headers));
  await pipeline(Readable.fromWeb(answer.body), response);
}

async function health(_, response) {
  response.end();
}

const routes = {
  "POST /channels/bench/messages": publish,
  "GET /channels/bench/stream": stream,
  "GET /healthz": health,
};

createServer((request, response) => {
  const route = routes[`${request.method} ${request.url}`];
  if (!route) return response.writeHead(404).end();
  route(request, response).catch(() => response.destroy());
}).listen(Number(port), "127.0.0.1");
