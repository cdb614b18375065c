// Which channels are on which stream.
import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";
import { Streams } from "../../app/gapless/web/client/streams.js";

let asked, told, streams, answer;

beforeEach(() => {
  mock.timers.reset();
  mock.timers.enable({ apis: ["setTimeout", "Date"], now: 1e12 });
  [asked, told] = [[], []];
  const reply = (path) => {
    asked.push(new URL(path, "http://service").searchParams.getAll("channel"));
    return new Promise((resolve) => (answer = resolve));
  };
  const ask = async (path) => (path.includes("theirs") ? { kind: "no", detail: "not yours" } : { kind: "yes" });
  streams = new Streams({ reply, ask, authorized: false }, { user: null });
  streams.tell({ event: (channel, event, data) => told.push({ channel, event, ...data }), stateChanged() {} });
});

const names = (from, to) => Array.from({ length: to - from + 1 }, (_, index) => `c${from + index}`);

function want(...wanted) {
  streams.want(new Map(wanted.map((name) => [name, "t9x2k0ab-1-aaaa"])));
  mock.timers.tick(1000);
}

test("two streams of 16 channels; one more is told what to change, and is read when another is left", () => {
  want(...names(1, 33));
  assert.deepEqual(asked, [names(1, 16), names(17, 32)]);
  assert.deepEqual(told.map(({ channel, event, kind }) => [channel, event, kind]), [["c33", "problem", "limit"]]);
  assert.match(told[0].detail, /32 channels.*unsubscribe/i);
  want(...names(2, 33));
  assert.deepEqual(asked.slice(2), [[...names(2, 16), "c33"]]);
});

test("a channel that was just refused and is wanted again is asked for at once", async () => {
  const both = ["mine", "theirs"];
  const settled = () => new Promise(setImmediate).then(() => new Promise(setImmediate));
  const refuse = async () => {
    answer(new Response('{"detail":"no"}', { status: 403, headers: { "Content-Type": "application/problem+json" } }));
    for (let turn = 0; turn < 10; turn++) await settled();
  };
  want(...both);
  await refuse();
  assert.deepEqual(told.map(({ channel, kind }) => [channel, kind]), [["theirs", "refused"]]);
  streams.forgive("theirs"); // before all is arranged without it
  mock.timers.tick(50);
  assert.deepEqual(asked, [both, both]);
  await refuse();
  mock.timers.tick(50);
  assert.deepEqual(asked, [both, both, ["mine"]]);
  assert.equal(told.length, 2);
});
