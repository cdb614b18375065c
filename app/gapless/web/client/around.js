/**
 * What goes on around a channel's messages: who is here and who types, what was received and read, and what is unread.
 *
 * Nothing is asked of a service that does not offer it (`hello.features`). A kind that it refuses is not asked for again
 * until the client reconnects. Receipts go out at most once a second; delivered ones by the leading tab alone.
 */
import { pathOf } from "./http.js";
import { parse, reaches } from "./position.js";

const SECOND = 1000;
const TYPING_AGAIN = 10_000;
const TYPING_ENDS = 12_000;
const NOBODY = Object.freeze([]);

export class Around {
  unread = 0;
  people = NOBODY;
  #channel;
  #path;
  #core;
  #list;
  #on;
  #features = [];
  #here = new Set();
  #typing = new Map(); // user -> the timer that ends it
  #typed = 0;
  #read = null; // my mark
  #seenHidden = null; // seen while the tab was hidden: counts once it is visible
  #told = {}; // marks that are to go out
  #timer;
  #sent = 0;
  #refused = new Set(); // of signals and receipts

  /** @param {{changed(): void, people(people: readonly object[]): void}} on */
  constructor(channel, core, list, on) {
    this.#channel = channel;
    this.#path = pathOf(channel);
    this.#core = core;
    this.#list = list;
    this.#on = on;
  }

  // --- what the stream says, each time all of it

  /** One event. @returns {boolean} whether it is of those that are about what goes on around */
  take(event, data) {
    if (event === "hello") this.#features = data.features?.[this.#channel] ?? [];
    else if (event === "receipt") this.#receipts(data);
    else if (event === "presence") this.#presence(data);
    else if (event === "signal") this.#signal(data);
    else return false;
    return true;
  }

  #receipts({ receipts }) {
    let furthest = null;
    for (const [user, { delivered, read }] of Object.entries(receipts)) {
      const received = delivered ?? read;
      if (user === this.#core.user) this.mark(read);
      else if (received && !reaches(furthest, received)) furthest = received;
    }
    if (furthest) this.#list.deliver(furthest);
    this.#on.changed();
  }

  #presence({ users }) {
    this.#here = new Set(users);
    this.#show();
  }

  #signal({ event, user }) {
    if (event !== "typing" || !user || user === this.#core.user) return;
    clearTimeout(this.#typing.get(user));
    this.#typing.set(user, setTimeout(() => this.#silent(user), TYPING_ENDS));
    this.#show();
  }

  /** A message ends its author's typing. */
  wrote(user) {
    if (this.#typing.has(user)) this.#silent(user);
  }

  #silent(user) {
    clearTimeout(this.#typing.get(user));
    this.#typing.delete(user);
    this.#show();
  }

  #show() {
    const users = [...new Set([...this.#here, ...this.#typing.keys()])].filter((user) => user !== this.#core.user).sort();
    const people = users.map((user) => Object.freeze({ user, here: this.#here.has(user), typing: this.#typing.has(user) }));
    this.people = Object.freeze(people);
    this.#on.people(this.people);
    this.#on.changed();
  }

  // --- what this user does

  /** At most every 10 s; the others let go of it after 12. */
  typing() {
    const now = Date.now();
    if (!this.#may("signals") || now - this.#typed < TYPING_AGAIN) return;
    this.#typed = now;
    this.#ask("POST", "signals", { event: "typing", ...this.#asUser() });
  }

  /** @param {string} [id] the newest that was seen; by default the newest that is loaded */
  seen(id = this.#list.newest) {
    if (!id) return;
    if (document.visibilityState === "visible") this.#reads(id);
    else this.#seenHidden = id;
  }

  visible() {
    if (this.#seenHidden) this.#reads(this.#seenHidden);
    this.#seenHidden = null;
  }

  #reads(id) {
    if (!this.mark(id)) return;
    this.#core.unsent.mark(this.#channel, id);
    this.#tell({ read: id });
  }

  /** The read mark only goes up; another epoch begins anew. @returns {boolean} whether it did */
  mark(id) {
    if (!parse(id) || reaches(this.#read, id)) return false;
    this.#read = id;
    this.#on.changed();
    return true;
  }

  /** Others' messages after the mark. */
  count() {
    const { user } = this.#core;
    const news = (row) => row.id && row.user !== user && !row.deleted && !reaches(this.#read, row.id);
    this.unread = this.#read ? this.#list.rows.filter(news).length : 0;
  }

  /** This tab took messages off the stream, for all tabs. */
  received() {
    if (this.#list.position && !this.#list.position.endsWith("-0-0")) this.#tell({ delivered: this.#list.position });
  }

  #tell(marks) {
    if (!this.#may("receipts")) return;
    Object.assign(this.#told, marks);
    this.#timer ??= setTimeout(() => this.#put(), Math.max(0, this.#sent + SECOND - Date.now()));
  }

  #put() {
    this.#timer = undefined;
    this.#sent = Date.now();
    this.#ask("PUT", "receipts", { ...this.#told, ...this.#asUser() });
    this.#told = {};
  }

  #may(what) {
    return this.#features.includes(what) && !this.#refused.has(what);
  }

  #asUser() {
    return this.#core.user !== null && !this.#core.http.authorized ? { user: this.#core.user } : {};
  }

  async #ask(method, what, body) {
    const answer = await this.#core.http.send(method, this.#path + what, JSON.stringify(body)).catch(() => null);
    const nobody = this.#core.user === null && answer?.status === 422; // whose mark, the service asks
    if (nobody || [403, 404, 501].includes(answer?.status)) this.#refused.add(what);
  }

  forgive() {
    this.#refused.clear();
  }

  /** Nobody looks: no timer stays. */
  rest() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (const timer of this.#typing.values()) clearTimeout(timer);
    this.#typing.clear();
    this.#here.clear();
    this.people = NOBODY;
  }
}
