// A service that refuses one kind of what goes on around messages may still take the other.
import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";
import { Around } from "../../app/gapless/web/client/around.js";
import { List } from "../../app/gapless/web/client/list.js";

const POSITION = "t9x2k0ab-1-aaaa";
let asked, refused, around;

/** Lets answers arrive, and what waits for a second go out. */
async function second() {
  for (let turn = 0; turn < 5; turn++) await Promise.resolve();
  mock.timers.tick(12_000);
  for (let turn = 0; turn < 5; turn++) await Promise.resolve();
}

beforeEach(() => {
  mock.timers.reset();
  mock.timers.enable({ apis: ["setTimeout", "Date"], now: 1e12 });
  [asked, refused] = [[], []];
  const send = async (method, path) => {
    const what = path.split("/").at(-1);
    asked.push(what);
    return refused.includes(what) ? { kind: "no", status: 403 } : { kind: "yes", body: {} };
  };
  const list = new List("ann");
  list.position = POSITION;
  around = new Around("c", { user: "ann", http: { send, authorized: true } }, list, { changed() {}, people() {} });
  around.take("hello", { features: { c: ["signals", "receipts"] } });
});

for (const [kind, other] of [["receipts", "signals"], ["signals", "receipts"]]) {
  test(`refused ${kind} are left alone until the client is forgiven, and ${other} go on`, async () => {
    refused = [kind];
    for (let turn = 0; turn < 3; turn++) {
      around.typing();
      around.received();
      await second();
    }
    assert.deepEqual(asked.toSorted(), [kind, ...Array(3).fill(other)].toSorted());
    around.forgive();
    around.typing();
    around.received();
    await second();
    assert.equal(asked.filter((what) => what === kind).length, 2);
  });
}

test("who is nobody is asked once whose receipt it is, and somebody is not silenced by that", async () => {
  const list = new List(null);
  list.position = POSITION;
  for (const [user, times] of [[null, 1], ["ann", 3]]) {
    asked = [];
    const send = async (_, path) => (asked.push(path), { kind: "no", status: 422 });
    around = new Around("c", { user, http: { send, authorized: false } }, list, { changed() {}, people() {} });
    around.take("hello", { features: { c: ["receipts"] } });
    for (let turn = 0; turn < 3; turn++) {
      around.received();
      await second();
    }
    assert.equal(asked.length, times);
  }
});
