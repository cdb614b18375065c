/**
 * What the list shows, top to bottom, of what the client has: messages, and the lines between them. Pure.
 *
 * @typedef {{key: string, kind: "day" | "unread" | "note", words?: string, at?: Date}
 *   | {key: string, kind: "message", row: object, own: boolean, head: boolean, told: boolean}} Item
 *   `head`: it says who wrote it and when. `told`: it says its state, which a run of own messages says once.
 */
import { dayOf } from "./times.js";

const RUN = 5 * 60_000; // milliseconds between two messages that still belong together

/**
 * @param {{messages: readonly object[], gap: object | null}} channel
 * @param {{me: string, unread: string | null, plain: boolean, top: string}} view `unread`: the key of the first unread
 *   message. `top`: words above the first
 * @returns {Item[]}
 */
export function itemsOf({ messages, gap }, { me, unread, plain, top }) {
  const items = top ? [note("top", top)] : [];
  messages.forEach((row, index) => {
    const [before, after] = [messages[index - 1], messages[index + 1]];
    const newDay = !before || dayOf(before.at) !== dayOf(row.at);
    const broken = newDay || row.gapBefore || row.key === unread;
    if (row.gapBefore) items.push(note(`gap ${row.key}`, describe(row.gapBefore)));
    if (newDay) items.push({ key: `day ${dayOf(row.at)} ${row.key}`, kind: "day", at: row.at });
    if (row.key === unread) items.push({ key: "unread", kind: "unread" });
    const [own, head] = [row.user === me, plain || broken || !together(before, row)];
    const told = own && (plain || !after || !together(row, after) || after.state !== row.state);
    items.push({ key: row.key, kind: "message", row, own, head, told });
  });
  return gap ? [...items, note("gap", describe(gap))] : items;
}

function together(a, b) {
  return a.user === b.user && b.at - a.at < RUN;
}

function note(key, words) {
  return { key, kind: "note", words };
}

function describe({ reason, missed }) {
  if (reason !== "trimmed" || missed === null) return "Messages may be missing here";
  return missed === 1 ? "One message is no longer kept" : `${missed} messages are no longer kept`;
}

/** The key of the first of the last `unread` messages that others wrote, or null. */
export function firstUnread(messages, unread, me) {
  for (let index = messages.length - 1, left = unread; left > 0 && index >= 0; index--) {
    const { id, user, deleted, key } = messages[index];
    if (id && user !== me && !deleted && --left === 0) return key;
  }
  return null;
}

/** What a message says, as text. An own change that is on its way is shown already. */
export function textOf({ data, deleted, change }) {
  if (change?.kind === "delete" || (deleted && !change)) return null;
  const shown = change ? change.data : data;
  const text = shown?.text ?? shown; // what others publish may be a bare string, or anything
  return typeof text === "string" ? text : JSON.stringify(shown);
}
