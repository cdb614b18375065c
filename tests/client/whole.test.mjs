import assert from "node:assert/strict";
import { test } from "node:test";
import { Whole } from "../../app/gapless/web/client/whole.js";

test("what an app says itself stays as it is, whatever it is called", () => {
  const data = { channel: "c" };
  for (const event of ["message", "constructor", "toString"]) assert.equal(new Whole().take("c", event, data), data);
});

test("changes are kept as one whole for who comes later", () => {
  const whole = new Whole();
  whole.take("c", "hello", { features: { c: ["presence"] } });
  whole.take("c", "presence", { channel: "c", users: ["ann", "bob"], count: 2 });
  whole.take("c", "presence", { channel: "c", joined: ["cat"], left: ["ann"], count: 2 });
  whole.take("c", "receipt", { channel: "c", receipts: { ann: { read: "1" } }, whole: true });
  whole.take("c", "receipt", { channel: "c", receipts: { bob: { read: "2" } }, whole: false });
  assert.deepEqual(whole.take("c", "presence", { channel: "c", left: [], joined: [] }).users, ["bob", "cat"]);
  const told = Object.fromEntries(whole.of("c"));
  assert.deepEqual(told.presence.users, ["bob", "cat"]);
  assert.deepEqual(told.receipt.receipts, { ann: { read: "1" }, bob: { read: "2" } });
  assert.deepEqual(told.hello.features, { c: ["presence"] });
  assert.deepEqual(whole.of("other"), []);
});
