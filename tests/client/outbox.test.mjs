// What is kept, in which order, and what happens where nothing can be kept: on a database that nobody here wrote.
import "fake-indexeddb/auto";
import assert from "node:assert/strict";
import { test } from "node:test";
import { Outbox } from "../../app/gapless/web/client/outbox.js";

const item = (data) => ({ data, channel: "c", state: "sending" });
const data = async (outbox) => (await outbox.items()).map((one) => one.data);

test("in the order of the calls, whatever the clock says, and over a reopening", async () => {
  const outbox = new Outbox("order", "indexeddb", assert.fail);
  outbox.add(item("a"));
  outbox.add(item("b"));
  await outbox.add(item("c"));
  outbox.close();
  assert.deepEqual(await data(outbox), ["a", "b", "c"]);
  assert.deepEqual(await data(new Outbox("order", "indexeddb", assert.fail)), ["a", "b", "c"]);
  assert.deepEqual(await data(new Outbox("another user", "indexeddb", assert.fail)), []);
});

for (const kind of ["indexeddb", "memory"]) {
  test(`an item is changed in its place, and one that is gone stays away: ${kind}`, async () => {
    const outbox = new Outbox(`change ${kind}`, kind, assert.fail);
    const [first, second] = [await outbox.add(item("a")), await outbox.add(item("b"))];
    await outbox.put({ ...item("better"), order: first });
    await outbox.remove(second);
    await outbox.put({ ...item("late"), order: second });
    assert.deepEqual(await data(outbox), ["better"]);
    assert.equal(await outbox.get(second), undefined);
  });

  test(`read marks: ${kind}`, async () => {
    const outbox = new Outbox(`marks ${kind}`, kind, assert.fail);
    assert.equal(await outbox.mark("c"), undefined);
    await outbox.mark("c", "t9x2k0ab-1-aaaa");
    assert.equal(await outbox.mark("c"), "t9x2k0ab-1-aaaa");
    await outbox.clear();
    assert.equal(await outbox.mark("c"), undefined);
  });
}

test("a database that fails: memory from then on, told once", async () => {
  const open = indexedDB.open;
  indexedDB.open = () => {
    throw new DOMException("denied", "SecurityError");
  };
  const told = [];
  const outbox = new Outbox("denied", "indexeddb", (problem) => told.push(problem.kind));
  await outbox.add(item("a"));
  await outbox.add(item("b"));
  indexedDB.open = open;
  assert.deepEqual([await data(outbox), told], [["a", "b"], ["storage"]]);
});

test("a newer version's tab need not wait for this one", async () => {
  const outbox = new Outbox("upgrade", "indexeddb", () => {});
  await outbox.add(item("a"));
  await new Promise((resolve, reject) => {
    const request = indexedDB.open("upgrade", 2);
    request.onblocked = () => reject(new Error("blocked"));
    request.onsuccess = () => resolve(request.result.close());
  });
});
