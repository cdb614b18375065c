import assert from "node:assert/strict";
import { test } from "node:test";
import { firstUnread, itemsOf, textOf } from "../../app/gapless/web/chat/items.js";
import { ago, dayName } from "../../app/gapless/web/chat/times.js";

const NOON = new Date(2026, 5, 10, 12).getTime();
const MINUTE = 60_000;

function row(key, user, minutes, more = {}) {
  return { key, id: key, localId: null, user, at: new Date(NOON + minutes * MINUTE), state: "sent", data: { text: key }, ...more };
}

function shown(messages, view = {}, gap = null) {
  const items = itemsOf({ messages, gap }, { me: "me", unread: null, plain: false, top: "", ...view });
  return items.map(({ kind, key, words, head, told }) => (kind === "message" ? `${head ? "+" : ""}${key}${told ? "!" : ""}` : (words ?? kind)));
}

test("a day, an author and a run of messages are named once", () => {
  const messages = [row("a", "ann", 0), row("b", "ann", 4), row("c", "bob", 5), row("d", "bob", 11), row("e", "bob", 24 * 60)];
  assert.deepEqual(shown(messages), ["day", "+a", "b", "+c", "+d", "day", "+e"]);
  assert.deepEqual(shown(messages.slice(0, 2), { plain: true }), ["day", "+a", "+b"]);
});

test("a run of own messages says its state once, and each state", () => {
  const messages = [row("a", "me", 0), row("b", "me", 0), row("c", "me", 0, { state: "sending", id: null }), row("d", "ann", 0)];
  assert.deepEqual(shown(messages), ["day", "+a", "b!", "c!", "+d"]);
});

test("what is unread, missing and the start have a line of their own", () => {
  const gap = { reason: "trimmed", missed: 3 };
  const messages = [row("a", "ann", 0), row("b", "ann", 1, { gapBefore: gap }), row("c", "ann", 2)];
  const lines = ["top", "day", "+a", "3 messages are no longer kept", "+b", "unread", "+c", "Messages may be missing here"];
  assert.deepEqual(shown(messages, { unread: "c", top: "top" }, { reason: "reset", missed: null }), lines);
  const keys = itemsOf({ messages, gap: null }, { me: "me", unread: "c", plain: false, top: "top" }).map(({ key }) => key);
  assert.equal(new Set(keys).size, keys.length);
});

test("the first unread message is counted from the end, over those that do not count", () => {
  const messages = [row("a", "ann", 0), row("b", "me", 1), row("c", "bob", 2, { deleted: true }), row("d", "bob", 3)];
  assert.equal(firstUnread(messages, 1, "me"), "d");
  assert.equal(firstUnread(messages, 2, "me"), "a");
  assert.equal(firstUnread(messages, 0, "me"), null);
});

test("what a message says: its text, other data as JSON, an own change at once", () => {
  assert.equal(textOf({ data: { text: "hi" } }), "hi");
  assert.equal(textOf({ data: "hi" }), "hi");
  assert.equal(textOf({ data: [1] }), "[1]");
  assert.equal(textOf({ data: { text: 1 } }), '{"text":1}');
  assert.equal(textOf({ data: null, deleted: true }), null);
  assert.equal(textOf({ data: { text: "hi" }, change: { kind: "edit", data: { text: "ho" } } }), "ho");
  assert.equal(textOf({ data: { text: "hi" }, change: { kind: "delete", data: null } }), null);
});

test("times are relative for an hour, days for two", () => {
  const at = new Date(NOON);
  assert.equal(ago(at, NOON + 0.5 * MINUTE), "just now");
  assert.equal(ago(at, NOON + 59 * MINUTE), "59 min ago");
  assert.match(ago(at, NOON + 60 * MINUTE), /12/);
  assert.equal(dayName(at, NOON), "Today");
  assert.equal(dayName(at, NOON + 24 * 60 * MINUTE), "Yesterday");
  assert.match(dayName(at, NOON + 48 * 60 * MINUTE), /Wednesday.* June/);
});
