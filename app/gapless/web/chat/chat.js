/** The first page: rooms, the messages of one of them, and what can be done with them. */
import { gapless } from "../gapless.js";
import { Composer } from "./composer.js";
import { make, the } from "./dom.js";
import { Inspector } from "./inspector.js";
import { firstUnread, itemsOf, textOf } from "./items.js";
import { List } from "./list.js";
import * as memory from "./memory.js";
import { speak } from "./spoken.js";
import { Status } from "./status.js";
import { whole } from "./times.js";

const PAGE = 100; // messages of one step into the past

let me, client, room; // who, and where
let opened = []; // the names of the rooms that are listed
let leave = []; // ends what the room before had asked for
const ready = new WeakSet(); // rooms that have caught up, so that what is unread is known
let unread = null; // the key of the message above which a line says that it is new
let counted = null; // unread messages when it was last drawn; null before
let top = ""; // what stands above the first message
let older = null; // a step into the past that is under way
let drawing = 0;

const list = new List({ top: readOlder, moved, act });
const composer = new Composer({ send, edit: change, typing: () => room.typing(), last: editLast });
const status = new Status();
const inspector = new Inspector();

// --- where we are

function enter(name, user = me) {
  for (const end of leave) end();
  me = user;
  // Relative: the service may be served below a path. By a way that can be cut, to see what happens then.
  client = gapless(".", { user: me, fetch: inspector.way(me).fetch });
  room = client.channel(name);
  opened = memory.rooms(name);
  [unread, counted, top, older] = [null, null, "", null];
  list.clear();
  composer.enter(name);
  the("title").textContent = `#${name}`;
  status.watch(client, room);
  inspector.watch(me, room);
  leave = [
    room.subscribe(changed),
    room.on("message", (row) => row.user !== me && speak(row)),
    ...opened.flatMap((other) => follow(client.channel(other))),
  ];
  showRooms();
  the("rooms").querySelector("[aria-current]").scrollIntoView({ block: "nearest", inline: "nearest" });
  changed();
}

/** All rooms that were opened are read, so that what is new in them is counted. */
function follow(one) {
  return [one.subscribe(showRooms), one.on("live", () => (ready.add(one), changed()))];
}

function wanted() {
  return new URLSearchParams(location.search).get("channel") || "general";
}

function go(name) {
  if (name !== wanted()) history.pushState(null, "", `?channel=${encodeURIComponent(name)}`);
  enter(name);
}

// --- what is shown

/** At most once a frame, however much comes. */
function changed() {
  drawing ||= requestAnimationFrame(() => {
    drawing = 0;
    show();
  });
}

function show() {
  divide();
  const items = itemsOf(room, { me, unread, plain: the("plain").checked, top: topWords() });
  list.show(items, { all: the("plain").checked });
  const typing = room.people.filter((one) => one.typing).map(({ user }) => user);
  const here = room.people.filter((one) => one.here).length;
  the("around").textContent = typing.length ? typingWords(typing) : here ? `${here + 1} are here` : "";
  status.show();
  inspector.show();
  moved();
}

/** The line above what is new is drawn for those who come, or were away; it stays until they write or are away again. */
function divide() {
  if (!ready.has(room)) return;
  if (room.unread && !counted && (counted === null || !watching())) unread = firstUnread(room.messages, room.unread, me);
  counted = room.unread;
}

/** Whether what comes is seen at once. */
function watching() {
  return list.following && document.visibilityState === "visible";
}

function topWords() {
  if (room.messages.length || !ready.has(room)) return top;
  return "Nothing here yet\nSay something, then pull the plug.\nOr open this page in a second window, under another name.";
}

function typingWords(users) {
  if (users.length > 2) return `${users.length} people are typing…`;
  return `${users.join(" and ")} ${users.length === 1 ? "is" : "are"} typing…`;
}

/** The list was scrolled, or has changed. */
function moved() {
  if (ready.has(room) && watching()) room.seen();
  the("newest").hidden = list.following;
  the("newest").firstElementChild.textContent = room.unread ? `${room.unread} new` : "Newest";
}

let shownRooms = "";

/**
 * Also in a hidden tab, which has no frames but a title. Drawn only where something has changed, so that a link that has
 * the focus keeps it.
 */
function showRooms() {
  const rooms = opened.map((name) => ({ name, count: client.channel(name).unread }));
  const all = rooms.reduce((sum, { count }) => sum + count, 0);
  const title = `${all ? `(${all}) ` : ""}${room.name} · Gapless`;
  if (document.title !== title) document.title = title;
  const now = JSON.stringify([room.name, rooms.filter(({ name }) => name !== room.name)]);
  if (now === shownRooms) return;
  shownRooms = now;
  const focused = document.activeElement.getAttribute("href");
  the("rooms").replaceChildren(...rooms.map(roomLink));
  if (focused) the("rooms").querySelector(`[href="${CSS.escape(focused)}"]`)?.focus();
}

function roomLink({ name, count }) {
  const link = make("a", { href: `?channel=${encodeURIComponent(name)}` }, make("bdi", { textContent: `#${name}` }));
  if (name === room.name) link.ariaCurrent = "page";
  else if (count) link.append(make("span", { className: "count", textContent: count }), unseen(" unread"));
  link.addEventListener("click", (event) => event.metaKey || event.ctrlKey || (event.preventDefault(), go(name)));
  return make("li", {}, link);
}

function unseen(textContent) {
  return make("span", { className: "unseen", textContent });
}

// --- what can be done

function send(text) {
  unread = null;
  room.send({ text });
  list.toEnd();
}

function change(id, text) {
  room.edit(id, { text });
}

function act(name, id, button) {
  if (name === "retry") room.retry(id);
  if (name === "discard") room.discard(id);
  if (name === "edit") composer.edit(id, textOf(find(id)));
  if (name === "delete") remove(id, button);
}

/** Asks by its own words, so that nothing covers the message, until it loses the focus. */
function remove(id, button) {
  if (button.textContent === "Really delete?") return void room.delete(id);
  button.textContent = "Really delete?";
}

function find(either) {
  return room.messages.find(({ id, localId }) => id === either || localId === either);
}

function editLast() {
  const last = room.messages.findLast((row) => row.user === me && row.id && textOf(row) !== null);
  if (last) composer.edit(last.id, textOf(last));
}

function readOlder() {
  if (older || !ready.has(room) || !room.messages.length) return;
  const where = room;
  older = room.older(PAGE).then(
    (more) => where === room && ((top = more ? "" : "No older messages are kept"), more && (older = null), changed()),
    () => where === room && ((top = "Older messages could not be read"), (older = null)),
  );
}

// --- beginning

the("messages").addEventListener("focusout", ({ target }) => target.dataset.act === "delete" && (target.textContent = "Delete"));
the("newest").addEventListener("click", () => list.toEnd());
the("plain").addEventListener("change", () => (memory.plain(the("plain").checked), changed()));
the("user").addEventListener("change", ({ target }) => {
  target.value = memory.rename(target.value.trim() || me);
  if (target.value !== me) enter(room.name, target.value);
});
the("join").addEventListener("submit", (event) => {
  event.preventDefault();
  const name = event.target.room.value.trim().replace(/^#/, "");
  event.target.reset();
  if (name) go(name);
  the("text").focus();
});
addEventListener("popstate", () => enter(wanted()));
document.addEventListener("visibilitychange", changed);
// Where nothing can be kept, what is not sent would be lost.
addEventListener("beforeunload", (event) => client.problem?.kind === "storage" && client.waiting && event.preventDefault());

the("plain").checked = memory.plain();
the("user").value = memory.myName();
enter(wanted(), the("user").value);
setTimeout(() => whole(new Date())); // what dates need takes long: in a task of its own, while the messages are on their way
