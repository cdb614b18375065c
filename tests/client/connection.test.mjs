// One stream that always comes back, on a clock of the test's own.
import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";
import { Connection } from "../../app/gapless/web/client/connection.js";

const HELLO = 'retry: 700\nid: t9x2k0ab-1-aaaa\nevent: hello\ndata: {"heartbeat":15,"mode":"streaming","channels":["a"]}\n\n';
const TURN = HELLO.replace("streaming", "buffered");
const end = (reason) => `event: end\ndata: {"reason":"${reason}"}\n\n`;

let requests, states, seen, refused, connection;

beforeEach(() => {
  mock.timers.reset();
  mock.timers.enable({ apis: ["setTimeout", "Date"], now: 1e12 });
  [requests, states, seen, refused] = [[], [], [], []];
});

function open(transport = "auto", random = () => 1) {
  const request = (buffered, signal) => new Promise((resolve, reject) => {
    signal.addEventListener("abort", () => reject(new DOMException("", "AbortError")));
    requests.push({ buffered, signal, reject, answer: (status = 200, body = null, headers = {}) => resolve(new Response(body, { status, headers })), stream: () => streaming(resolve) });
  });
  const on = {
    event: (event) => seen.push(event),
    state: () => states.push(connection.state),
    refused: (status) => refused.push(status),
    expired: () => refused.push("expired"),
  };
  connection = new Connection(request, on, transport, false, random);
  connection.open();
}

function streaming(resolve) {
  let controller;
  const body = new ReadableStream({ start: (given) => (controller = given) });
  resolve(new Response(body));
  const encoder = new TextEncoder();
  return { say: (text) => controller.enqueue(encoder.encode(text)), cut: () => controller.error(new TypeError("cut")), close: () => controller.close() };
}

/** Until all that is under way has come. */
async function settled() {
  for (let turn = 0; turn < 30; turn++) await new Promise(setImmediate);
}

async function live() {
  const stream = requests.at(-1).stream();
  stream.say(HELLO);
  await settled();
  return stream;
}

async function pass(milliseconds) {
  mock.timers.tick(milliseconds);
  await settled();
}

test("a planned end is no interruption: the next stream at once, the state stays", async () => {
  open();
  const stream = await live();
  stream.say(end("deadline"));
  await settled();
  assert.equal(requests.length, 2);
  await live();
  assert.deepEqual(states, ["opening", "live"]);
});

test("a successor that ends before its hello is no interruption either; a first stream that does is", async () => {
  open();
  const stream = await live();
  stream.say(end("deadline"));
  await settled();
  requests[1].answer(200, end("deadline"));
  await settled();
  await live();
  assert.equal(requests.length, 3);
  assert.deepEqual(states, ["opening", "live"]);
  open();
  requests.at(-1).answer(200, end("deadline"));
  await settled();
  assert.deepEqual(states.slice(2), ["opening", "waiting", "opening"]);
});

test("a cut waits, longer each time, and a life begins anew", async () => {
  open();
  const stream = await live();
  stream.cut();
  await settled();
  assert.equal(connection.state, "waiting");
  for (const wait of [1000, 2000, 4000, 8000]) {
    await pass(wait - 1);
    const before = requests.length;
    await pass(1);
    assert.equal(requests.length, before + 1, `after ${wait}`);
    requests.at(-1).reject(new TypeError("refused"));
    await settled();
  }
});

test("silence for 2.5 heartbeats is a dead link; a comment is a sign of life", async () => {
  open();
  const stream = await live();
  await pass(30_000);
  stream.say(":\n");
  await settled();
  await pass(37_000);
  assert.equal(connection.state, "live");
  await pass(500);
  assert.equal(connection.state, "waiting");
  assert.ok(requests[0].signal.aborted);
});

test("no byte for 10 s: turns are asked for beside, and the first hello stays", async () => {
  open();
  requests[0].stream();
  await settled();
  await pass(10_000);
  assert.deepEqual(requests.map(({ buffered }) => buffered), [false, true]);
  requests[1].answer(200, TURN + end("deadline"));
  await settled();
  assert.ok(requests[0].signal.aborted);
  await pass(700);
  assert.equal(requests[2].buffered, true, "and it stays with turns");
  assert.deepEqual(states, ["opening", "live"]);
});

test("streaming is tried again after ten minutes, and when the network is another", async () => {
  open();
  await pass(10_000);
  requests[1].answer(200, TURN + end("deadline"));
  await settled();
  await pass(700);
  connection.hurry(true);
  await settled();
  assert.equal(requests.at(-1).buffered, false);
  await pass(10_000);
  requests.at(-1).answer(200, TURN + end("deadline"));
  await settled();
  const turns = requests.length;
  for (let passed = 0; passed < 590_000; passed += 10_000) await pass(10_000); // nobody answers: the watchdog gives up
  assert.deepEqual(new Set(requests.slice(turns).map(({ buffered }) => buffered)), new Set([true]));
  await pass(60_000);
  assert.ok(requests.slice(turns).some(({ buffered }) => !buffered));
});

test("while a live stream's channels are asked about one by one, its state stays; once for the same ones", async () => {
  open();
  const stream = await live();
  const refuse = () => requests.at(-1).answer(403, '{"detail":"no"}', { "Content-Type": "application/problem+json" });
  stream.say(end("auth"));
  await settled();
  refuse();
  await settled();
  assert.deepEqual([refused, states], [["expired", 403], ["opening", "live"]]);
  connection.open(); // without those that are refused
  await live();
  assert.deepEqual(states, ["opening", "live"]);
  for (const _ of ["others", "and others"]) {
    connection.open();
    refuse();
    await settled();
  }
  assert.deepEqual(states, ["opening", "live"]);
  await pass(5000);
  refuse();
  await settled();
  assert.deepEqual(states, ["opening", "live", "waiting"]);
});

test("a refusal of the channels is told, and tried again late", async () => {
  open();
  requests[0].answer(403, '{"detail":"no"}', { "Content-Type": "application/problem+json" });
  await settled();
  assert.deepEqual(refused, [403]);
  assert.equal(connection.state, "waiting");
});

test("a proxy's 502 waits as it asks", async () => {
  open("auto", () => 0);
  requests[0].answer(502, "<h1>", { "Retry-After": "3" });
  await settled();
  await pass(2999);
  assert.equal(requests.length, 1);
  await pass(1);
  assert.equal(requests.length, 2);
});

test("whatever calls for a hurry is heeded once a second", async () => {
  open();
  requests[0].reject(new TypeError("refused"));
  await settled();
  await pass(10);
  connection.hurry();
  connection.hurry();
  await settled();
  assert.equal(requests.length, 2);
  requests[1].reject(new TypeError("refused"));
  await settled();
  connection.hurry();
  assert.equal(requests.length, 2);
});

test("closed: no timer, no request, and silence", async () => {
  open();
  const stream = await live();
  connection.close();
  assert.ok(requests[0].signal.aborted);
  stream.say(end("deadline"));
  await settled();
  await pass(1_000_000);
  assert.equal(requests.length, 1);
  assert.equal(connection.state, "idle");
});

test("an auth end lets the token be renewed, and goes on at once", async () => {
  open();
  const stream = await live();
  stream.say(end("auth"));
  await settled();
  assert.deepEqual([refused, requests.length, connection.state], [["expired"], 2, "live"]);
});
