import assert from "node:assert/strict";
import { test } from "node:test";
import { backoff, failuresAfter, pauseAfter } from "../../app/gapless/web/client/backoff.js";

const most = () => 1;
const least = () => 0;

test("the range doubles up to 30 s, and is never below a quarter of a second", () => {
  assert.deepEqual([0, 1, 2, 5, 60].map((failures) => backoff(failures, most)), [1000, 2000, 4000, 30_000, 30_000]);
  assert.equal(backoff(60, least), 250);
});

test("what the service asks for is the least", () => {
  assert.equal(backoff(0, least, 5000), 5000);
  assert.equal(pauseAfter({ reason: "busy", after: 4000 }, { retry: 700, failures: 0 }, least), 4000);
  assert.equal(pauseAfter({ reason: "cut" }, { retry: 5000, failures: 0 }, least), 5000);
});

test("planned ends: at once, or spread over the stream's retry", () => {
  assert.equal(pauseAfter({ reason: "deadline" }, { retry: 700, failures: 9 }, most), 0);
  assert.equal(pauseAfter({ reason: "auth" }, { retry: 700, failures: 9 }, most), 0);
  assert.equal(pauseAfter({ reason: "shutdown" }, { retry: 700, failures: 9 }, () => 0.5), 350);
});

test("a turn is asked for again after its own pause", () => {
  assert.equal(pauseAfter({ reason: "deadline" }, { retry: 90, failures: 0, buffered: true }, most), 90);
});

test("a message, or a life longer than the last wait, begins anew", () => {
  assert.equal(failuresAfter(4, { messages: 1, lived: 5, waited: 100 }), 0);
  assert.equal(failuresAfter(4, { messages: 0, lived: 101, waited: 100 }), 0);
  assert.equal(failuresAfter(4, { messages: 0, lived: 99, waited: 100 }), 5);
});
