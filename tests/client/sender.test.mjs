// What is sent, in which order, and what becomes of it: with a service and a clock of the test's own.
import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";
import { makeItem } from "../../app/gapless/web/client/item.js";
import { Outbox } from "../../app/gapless/web/client/outbox.js";
import { Sender } from "../../app/gapless/web/client/sender.js";

const YES = { kind: "yes", body: { id: "t9x2k0ab-1-aaaa", timestamp: "2026-01-01T12:00:00.000Z" } };
const NO = { kind: "no", status: 422, detail: "no" };
const LATER = { kind: "later", after: 700, status: 429, detail: "slow" };
const LOST = { kind: "unknown", after: 0, detail: "cut" };
const MINUTES = 60_000;

let outbox, sender, posts, reads, answers, pages, told, running;

beforeEach(() => {
  mock.timers.reset();
  mock.timers.enable({ apis: ["setTimeout", "Date"], now: 1e12 });
  [posts, reads, answers, pages, told, running] = [[], [], {}, [], [], 0];
  outbox = new Outbox("test", "memory", () => {});
  const http = {
    async send(method, path, json) {
      assert.equal(running++, 0, "one POST at a time");
      await null;
      running -= 1;
      const { data, localId } = JSON.parse(json);
      posts.push(data);
      return answers[data]?.shift() ?? { ...YES, body: { ...YES.body, localId } };
    },
    async ask(path) {
      reads.push(path);
      return pages.shift();
    },
  };
  const locks = { run: (name, work) => work(() => true) };
  const news = (kind, item) => told.push([kind, item.data, item.error?.kind, item.uncertain]);
  const on = { user: "ann", position: () => "t9x2k0ab-0-0", news };
  sender = new Sender(http, outbox, locks, on);
});

async function settled() {
  for (let turn = 0; turn < 40; turn++) await new Promise(setImmediate);
}

async function pass(milliseconds) {
  mock.timers.tick(milliseconds);
  await settled();
}

async function send(...all) {
  for (const data of all) sender.write(makeItem("c", data, "message"));
  await settled();
}

const kept = async () => (await outbox.items()).map(({ data, state }) => [data, state]);

test("in order, one at a time, and nothing is kept of what was accepted", async () => {
  await send("a", "b", "c");
  assert.deepEqual(posts, ["a", "b", "c"]);
  assert.deepEqual(await kept(), []);
});

test("a refused one stays and lets the next go; trouble holds the line", async () => {
  answers = { a: [NO], b: [LATER, LOST] };
  await send("a", "b", "c");
  assert.deepEqual(posts, ["a", "b"]);
  await pass(1000);
  await pass(2000);
  assert.deepEqual(posts, ["a", "b", "b", "b", "c"]);
  assert.deepEqual(await kept(), [["a", "failed"]]);
});

test("what the service asks to wait is waited for", async () => {
  mock.method(Math, "random", () => 0);
  answers = { a: [LATER] };
  await send("a");
  await pass(699);
  assert.equal(posts.length, 1);
  await pass(1);
  assert.equal(posts.length, 2);
  mock.restoreAll();
});

async function lostAndLater(...found) {
  answers = { a: [LOST] };
  await send("a");
  sender.close(); // the page goes
  const [item] = await outbox.items();
  await outbox.put({ ...item, tried: item.tried - 11 * MINUTES });
  pages = found.map((answer) => answer(item));
  sender.reopen();
  await sender.drainAll();
  await settled();
}

const page = (...messages) => ({ kind: "yes", body: { messages, cursor: "t9x2k0ab-9-aaaa", gap: null } });
const itself = ({ localId }) => page({ id: "t9x2k0ab-7-aaaa", user: "ann", localId });
const others = ({ localId }) => page({ id: "t9x2k0ab-7-aaaa", user: "bob", localId });
const nothing = () => page();
const trimmed = () => ({ kind: "yes", body: { messages: [], cursor: "t9x2k0ab-9-aaaa", gap: { reason: "trimmed" } } });

test("within ten minutes the same localId again", async () => {
  answers = { a: [LOST] };
  await send("a");
  await pass(9 * MINUTES);
  assert.deepEqual([posts, reads], [["a", "a"], []]);
});

test("later the channel is read: it is there, so nothing is sent", async () => {
  await lostAndLater(others, itself);
  assert.deepEqual([posts, reads.length], [["a"], 2]);
  assert.match(reads[0], /after=t9x2k0ab-0-0$/);
  assert.deepEqual(await kept(), []);
});

test("it is not there, so it is sent", async () => {
  await lostAndLater(others, nothing);
  assert.deepEqual(posts, ["a", "a"]);
});

for (const [name, answer] of [["a gap on the way", trimmed], ["no right to read", () => NO]]) {
  test(`${name}: nobody knows, and only retry sends it`, async () => {
    await lostAndLater(answer);
    assert.deepEqual(posts, ["a"]);
    const [item] = await outbox.items();
    assert.deepEqual([item.state, item.uncertain], ["failed", true]);
  });
}

test("a clock that was set back is no proof", async () => {
  answers = { a: [LOST] };
  await send("a");
  sender.close();
  const [item] = await outbox.items();
  await outbox.put({ ...item, tried: Date.now() + MINUTES });
  pages = [nothing()];
  sender.reopen();
  await sender.drainAll();
  await settled();
  assert.equal(reads.length, 1);
});

test("refused after a try of which nothing is known: uncertain", async () => {
  answers = { a: [LOST, NO] };
  await send("a");
  await pass(1000);
  assert.deepEqual(told.at(-1), ["item", "a", "refused", true]);
});

test("at most a thousand wait", async () => {
  for (let count = 0; count < 1000; count++) await outbox.add({ channel: "x", state: "failed" });
  await send("a");
  assert.deepEqual(told, [["item", "a", "full", undefined]]);
  assert.deepEqual(posts, []);
});

test("a retry that is asked for twice is one POST", async () => {
  answers = { a: [NO] };
  await send("a");
  const [item] = await outbox.items();
  sender.change(item.order, { state: "sending" });
  sender.change(item.order, { state: "sending" });
  await settled();
  assert.deepEqual(posts, ["a", "a"]);
});

test("what was given up while it is sent does not come back", async () => {
  answers = { a: [NO] };
  const writing = sender.write(makeItem("c", "a", "message"));
  await writing;
  const [item] = await outbox.items();
  await sender.discard(item);
  await settled();
  assert.deepEqual(await kept(), []);
});
