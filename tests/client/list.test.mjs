// What the wire and the outbox say goes in, rows come out.
import assert from "node:assert/strict";
import { test } from "node:test";
import { List } from "../../app/gapless/web/client/list.js";

const EPOCH = "t9x2k0ab";
const NEXT = "t9x3k0ab";
const id = (seq, epoch = EPOCH, mark = "aaaa") => `${epoch}-${seq}-${mark}`;
const message = (seq, more = {}) => ({ id: id(seq), channel: "c", event: "message", user: "bob", data: seq, localId: null, timestamp: "2026-01-01T12:00:00.000Z", ...more });
const item = (localId, more = {}) => ({ key: localId, localId, data: localId, event: "message", at: 0, state: "sending", ...more });
const page = (...messages) => ({ messages, oldest: messages[0]?.id ?? null, cursor: messages.at(-1)?.id ?? id(0, EPOCH, "0"), gap: null });
const show = (list) => list.rows.map((row) => `${row.data}:${row.state}`);

function begun(...messages) {
  const list = new List("ann");
  list.follow(page(...messages));
  return list;
}

function own(seq, localId, more = {}) {
  return message(seq, { user: "ann", localId, data: localId, ...more });
}

test("echo and reply come in any order, and the row's key stays", () => {
  for (const first of ["echo", "reply"]) {
    const list = begun(message(1));
    const { key } = list.write(item("x"));
    assert.deepEqual(show(list), ["1:sent", "x:sending"]);
    const steps = [() => list.take(own(2, "x")), () => list.accept("x", id(2), "2026-01-01T12:00:00.000Z")];
    if (first === "reply") steps.reverse();
    steps[0]();
    assert.deepEqual(show(list), ["1:sent", "x:sent"]);
    const [, after] = list.rows;
    steps[1]();
    assert.equal(list.rows[1], after, "the second changes nothing");
    assert.equal(list.rows[1].key, key);
    assert.equal(list.position, id(2));
  }
});

test("a reply never moves the position: what stands before is still to come, and goes before", () => {
  const list = begun(message(1));
  list.write(item("x"));
  list.accept("x", id(4), "2026-01-01T12:00:00.000Z");
  assert.equal(list.position, id(1));
  assert.equal(list.take(own(4, "x")), "hole");
  assert.equal(list.take(message(2)), "new");
  assert.equal(list.take(message(3)), "new");
  assert.equal(list.take(own(4, "x")), "known");
  assert.deepEqual(show(list), ["1:sent", "2:sent", "3:sent", "x:sent"]);
});

test("a page that fills a hole tells of its new rows, as the list shows them", () => {
  const list = begun(message(1));
  const fresh = list.follow(page(message(2), message(3, { event: "edit", ref: id(2), data: "edited" })));
  assert.deepEqual(fresh, list.rows.slice(1));
  assert.ok(Object.isFrozen(fresh[0]));
});

test("unsent ones are last, as written", () => {
  const list = begun();
  for (const name of ["x", "y", "z"]) list.write(item(name));
  list.take(message(1));
  list.take(own(2, "y"));
  assert.deepEqual(show(list), ["1:sent", "y:sent", "x:sending", "z:sending"]);
});

test("another user's message under the same localId is another's", () => {
  const list = begun();
  list.write(item("x"));
  list.take(message(1, { localId: "x" }));
  assert.deepEqual(show(list), ["1:sent", "x:sending"]);
});

test("a hole is not taken in; what was taken is known, whatever comes again", () => {
  const list = begun(message(1));
  assert.equal(list.take(message(3)), "hole");
  assert.equal(list.take(message(1)), "known");
  list.follow(page(message(2), message(3)));
  assert.equal(list.take(message(3)), "known");
  assert.equal(list.take(message(4)), "new");
  assert.deepEqual(list.rows.map(({ data }) => data), [1, 2, 3, 4]);
});

test("the same seq with another mark is another message: a failover rewrote it", () => {
  const list = begun(message(1), message(2));
  const rewritten = message(2, { id: id(2, EPOCH, "bbbb"), data: "other" });
  assert.equal(list.take(rewritten), "hole");
  list.break({ reason: "reset", missed: null, oldest: rewritten.id, latest: rewritten.id }, id(1));
  assert.equal(list.take(rewritten), "new");
  assert.deepEqual(list.rows.map(({ data, gapBefore }) => [data, gapBefore?.reason]), [[1, undefined], [2, undefined], ["other", "reset"]]);
});

test("a gap stands on the first row after it, and until then on the channel", () => {
  const list = begun(message(1));
  const gap = { reason: "trimmed", missed: 7, oldest: id(9), latest: id(9) };
  list.break(gap, id(8));
  assert.deepEqual(list.gap, gap);
  list.take(message(9));
  assert.equal(list.gap, null);
  assert.deepEqual(list.rows[1].gapBefore, gap);
});

test("after a reset ids that are listed keep their rows, and a later log goes after an earlier one", () => {
  const list = begun(message(7), message(8));
  const rows = list.rows;
  list.write(item("x"));
  list.accept("x", id(2, NEXT), "2026-01-01T12:00:00.000Z"); // of the new log, of which only the reply told
  list.break({ reason: "reset", missed: null, oldest: id(1, NEXT), latest: id(2, NEXT) }, id(0, NEXT, "0"));
  list.take(message(1, { id: id(1, NEXT), data: "first" }));
  list.take(own(2, "x", { id: id(2, NEXT) }));
  assert.deepEqual(list.rows.map(({ data }) => data), [7, 8, "first", "x"]);
  assert.deepEqual([list.rows[0], list.rows[1]], [rows[0], rows[1]]);
});

test("after a reset the new log stands behind the old one, and its edits count, though its clock is behind", () => {
  const list = begun(message(7, { id: id(7, NEXT) }));
  const edit = (seq, epoch, data) => message(seq, { id: id(seq, epoch), event: "edit", ref: id(7, NEXT), data });
  list.take(edit(8, NEXT, "before"));
  list.break({ reason: "reset", missed: null, oldest: id(1), latest: id(2) }, id(0, EPOCH, "0"));
  list.take(message(1));
  list.take(edit(2, EPOCH, "after"));
  assert.deepEqual(list.rows.map(({ data }) => data), ["after", 1]);
});

test("the first message of a log that began after its reader had looked", () => {
  const list = new List("ann");
  list.follow({ messages: [], oldest: null, cursor: "t9x2k0-0-0", gap: null });
  assert.equal(list.take(message(2)), "hole");
  assert.equal(list.take(message(1)), "new");
});

test("rows are frozen; only what changed is new; the array is new only when something changed", () => {
  const list = begun(message(1), message(2));
  const before = list.rows;
  assert.equal(list.rows, before);
  list.take(message(2));
  assert.equal(list.rows, before, "nothing changed");
  list.take(message(3));
  assert.notEqual(list.rows, before);
  assert.equal(list.rows[0], before[0]);
  assert.ok(Object.isFrozen(list.rows) && Object.isFrozen(list.rows[0]));
});

test("at most 500 rows, and what was read for somebody is kept until nobody looks", () => {
  const list = begun(...Array.from({ length: 490 }, (_, index) => message(index + 101)));
  assert.equal(list.before(page(message(99), message(100))), 2);
  for (let seq = 591; seq <= 610; seq++) list.take(message(seq));
  list.trim();
  assert.equal(list.rows.length, 502);
  assert.equal(list.rows[0].data, 109, "only the oldest go");
  assert.equal(list.oldest, id(109));
  list.rest();
  assert.equal(list.rows.length, 500);
});

test("edits: the newest of the author's counts, before or after its row was loaded", () => {
  const edit = (seq, data, more = {}) => message(seq, { event: "edit", ref: id(1), data, ...more });
  const list = begun(edit(3, "second"), edit(4, "forged", { user: "eve" }), edit(5, "nobody's", { user: null }));
  assert.equal(list.rows.length, 0, "none is a row");
  list.before(page(message(1), edit(2, "first")));
  assert.deepEqual([list.rows[0].data, list.rows[0].edited], ["second", true]);
  list.take(edit(6, "third"));
  assert.equal(list.rows[0].data, "third");
  list.take(message(7, { event: "delete", data: null, ref: id(1), user: "root", admin: true }));
  assert.deepEqual([list.rows[0].data, list.rows[0].deleted, list.rows[0].key], [null, true, id(1)]);
});

test("an own edit stands in `change` until its echo", () => {
  const list = begun(own(1, "x"));
  list.write(item("e", { ref: id(1), event: "edit", data: "better" }));
  assert.deepEqual([list.rows[0].data, list.rows[0].change.state, list.rows.length], ["x", "sending", 1]);
  list.take(own(2, "e", { event: "edit", ref: id(1), data: "better" }));
  assert.deepEqual([list.rows[0].data, list.rows[0].change, list.rows[0].edited], ["better", undefined, true]);
});

test("delivered: once another's mark has passed it, and never sent again", () => {
  const list = begun(own(1, "x"), own(2, "y"));
  list.deliver(id(1));
  assert.deepEqual(show(list), ["x:delivered", "y:sent"]);
  list.deliver(id(2));
  assert.deepEqual(show(list), ["x:delivered", "y:delivered"]);
});

test("a failed message that is edited keeps its key under another localId", () => {
  const list = begun();
  list.write(item("x"));
  list.write(item("x", { state: "failed", error: { kind: "refused" } }));
  list.write(item("z", { key: "x", data: "better" }));
  assert.deepEqual(list.rows.map(({ key, localId, data, error }) => [key, localId, data, error]), [["x", "z", "better", undefined]]);
  list.take(own(1, "z"));
  assert.deepEqual([list.rows[0].key, list.rows.length], ["x", 1]);
});

test("what is given up is gone; what was sent can't be", () => {
  const list = begun();
  list.write(item("x"));
  list.write(item("y"));
  list.take(own(1, "y"));
  assert.equal(list.discard("x"), true);
  assert.equal(list.discard("y"), false);
  assert.deepEqual(show(list), ["y:sent"]);
});

test("an own message that was loaded before the outbox was read is one row", () => {
  const list = begun(own(1, "x"));
  const { key } = list.rows[0];
  assert.equal(list.write(item("x")).key, key);
  assert.deepEqual(show(list), ["x:sent"]);
});
