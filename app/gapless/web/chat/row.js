/** One line of the list. */
import { icon, make } from "./dom.js";
import { textOf } from "./items.js";
import { ago, dayName, whole } from "./times.js";

const WORDS = { sending: "Sending", sent: "Sent", delivered: "Delivered", failed: "Not sent" };

/**
 * Draws an item into its `li`. Buttons have `data-act`; the list hears of their clicks.
 * @param {HTMLLIElement} line
 * @param {import("./items.js").Item} item
 */
export function draw(line, item) {
  line.className = item.kind;
  if (item.kind === "message") return drawMessage(line, item);
  const words = { day: () => dayName(item.at, Date.now()), unread: () => "New", note: () => item.words }[item.kind]();
  line.replaceChildren(make("span", { textContent: words }));
}

/** Relative times grow old. */
export function refresh(list) {
  for (const time of list.querySelectorAll("time")) time.textContent = ago(new Date(time.dateTime), Date.now());
}

function drawMessage(line, { row, own, head, told }) {
  const text = textOf(row);
  const { state, error, localId } = row.change ?? row;
  line.classList.toggle("own", own);
  line.classList.toggle("head", head);
  line.classList.add(state);
  line.tabIndex = -1; // a touch may choose it, and shows what can be done
  line.replaceChildren(
    ...[
      head && author(row),
      text === null
        ? make("p", { className: "text gone", textContent: "Message deleted" })
        : make("p", { className: "text", dir: "auto", textContent: text, title: whole(row.at) }),
      meta(row.edited && text !== null, own && state !== "failed" && (told || state === "sending") && state),
      state === "failed" && failure(error, localId, row),
      own && row.id && !row.change && text !== null && acts(row.id),
    ].filter(Boolean),
  );
}

function author({ user, at }) {
  const name = make("b", { textContent: user ?? "Somebody", dir: "auto" });
  const when = { dateTime: at.toISOString(), title: whole(at), textContent: ago(at, Date.now()) };
  return make("p", { className: "author" }, name, make("time", when));
}

function meta(edited, state) {
  if (!edited && !state) return null;
  const status = state && make("span", { className: "status" }, icon(state), WORDS[state]);
  return make("span", { className: "meta" }, edited && make("span", { textContent: "edited" }), status);
}

/** The text stays, with why it was not sent and what to do. */
function failure(error, localId, { change, uncertain }) {
  const what = uncertain ? "Perhaps not sent" : change ? "Not changed" : WORDS.failed;
  const why = make("span", { className: "status" }, icon("failed"), error?.detail ? `${what}: ${error.detail}` : what);
  const buttons = [act("retry", "Retry", localId), !change && act("edit", "Edit", localId), act("discard", "Discard", localId)];
  return make("span", { className: "failure" }, why, ...buttons);
}

function acts(id) {
  const all = [act("edit", "Edit", id), act("delete", "Delete", id)];
  for (const button of all) button.tabIndex = -1; // until its message is chosen
  return make("span", { className: "acts" }, ...all);
}

function act(name, words, id) {
  return make("button", { type: "button", textContent: words, data: { act: name, id } });
}
