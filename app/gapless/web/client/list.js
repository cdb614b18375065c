/**
 * The messages of one channel as a page shows them. Pure: what the wire and the outbox say goes in, frozen rows come out.
 *
 * An entry is what is known of one message; its row is made of it anew whenever something changed. Loaded entries are in
 * the order of the log; unsent ones follow, as written.
 */
import { follows, parse, reaches } from "./position.js";
import { Edits } from "./edits.js";
import { Loaded } from "./loaded.js";
import { makeRow } from "./row.js";

export const BOUND = 500;

export class List {
  /** The position after the last thing taken in; null before the first page. */
  position = null;
  /** A gap whose next row is not there yet. */
  gap = null;
  bound = BOUND;
  #user;
  #loaded = new Loaded();
  #unsent = [];
  #byLocalId = new Map(); // own messages only
  #edits = new Edits();
  #generation = 0;
  #oldest = null;
  #delivered = null;
  #rows = Object.freeze([]);
  #changed = false;

  /** @param {string | null} user whose own messages are matched to what was sent */
  constructor(user) {
    this.#user = user;
  }

  /** The rows; the same array until something changes. */
  get rows() {
    if (this.#changed) {
      this.#changed = false;
      this.#rows = Object.freeze([...this.#loaded, ...this.#unsent].map((entry) => this.#rowOf(entry)));
    }
    return this.#rows;
  }

  /** The id of the oldest message that was read, edits too: what is before it is not. */
  get oldest() {
    return this.#oldest ?? this.#loaded.oldest?.id ?? null;
  }

  get newest() {
    return this.#loaded.newest?.id ?? null;
  }

  // --- what the log says

  /**
   * The next message of the channel.
   * @returns {"new" | "known" | "hole"} hole: something is missing before it, or the history is another one; it was not
   *   taken in
   */
  take(message) {
    const { id } = message;
    const next = this.position === null || follows(this.position, id);
    if (!next) return this.#loaded.get(id) && reaches(this.position, id) ? "known" : "hole";
    this.position = id;
    return this.#add(message, this.#generation);
  }

  /** A page that follows the position: a first one, or what a hole lacked. @returns {object[]} the rows that are new */
  follow(page) {
    if (page.gap) this.break(page.gap, page.gap.oldest === null ? page.cursor : this.position);
    const fresh = page.messages.filter((message) => this.#add(message, this.#generation) === "new");
    this.position = page.cursor ?? this.position;
    this.#oldest ??= page.oldest;
    return fresh.map(({ id }) => this.find(id)).filter(Boolean);
  }

  /** The service says that something is missing before what comes next. */
  break(gap, position) {
    this.position = position;
    this.gap = Object.freeze({ ...gap });
    this.#changed = true;
    if (gap.reason === "trimmed") return;
    this.#generation += 1;
    this.#loaded.begin(this.#generation);
  }

  /** A page of what is before the oldest; the bound grows with it. @returns {number} how many rows that added */
  before(page) {
    const generation = this.#loaded.oldest?.place.generation ?? this.#generation;
    const gap = this.gap;
    this.gap = null; // it stands before what comes next, not before this
    const fresh = page.messages.filter((message) => this.#add(message, generation) === "new");
    this.gap = gap;
    this.#oldest = page.oldest ?? this.#oldest;
    this.bound += fresh.length;
    return fresh.length;
  }

  #add(message, generation) {
    const { id, localId, data, user, event, timestamp } = message;
    const place = parse(id, generation);
    if (message.ref) {
      this.#amend(message, place);
      return "known";
    }
    const known = this.#loaded.get(id);
    if (known) {
      known.loose = false;
      return "known";
    }
    const mine = localId !== null && user === this.#user;
    const own = mine && this.#byLocalId.get(localId);
    if (own && !own.id) {
      this.#settle(own, message, place);
      return "known";
    }
    const entry = { key: id, localId, id, data, user, event, at: new Date(timestamp), state: "sent", place, loose: false };
    // An outbox that is read later than the log may still hold it.
    if (mine) this.#byLocalId.set(localId, entry);
    this.#insert(entry);
    return "new";
  }

  #insert(entry) {
    if (this.gap && !entry.loose) {
      entry.gapBefore = this.gap;
      this.gap = null;
    }
    entry.edit = this.#edits.of(entry);
    this.#loaded.add(entry);
    this.#touch(entry);
  }

  /** Nobody looks: what was read for somebody is kept no longer. */
  rest() {
    this.bound = BOUND;
    this.trim();
  }

  /** Drops the oldest above the bound. */
  trim() {
    for (const { localId } of this.#loaded.trim(this.bound)) {
      if (localId) this.#byLocalId.delete(localId);
      this.#oldest = null;
      this.#changed = true;
    }
  }

  // --- own messages

  /**
   * An own message that is not sent yet, as the outbox has it now: new, or changed.
   * @param {{key: string, localId: string, data: any, event: string, at: number, state: "sending" | "failed",
   *   error?: object, uncertain?: true, ref?: string}} item
   * @returns {object} its row
   */
  write(item) {
    if (item.ref) return this.#change(item);
    const known = this.#unsent.find(({ key }) => key === item.key);
    const entry = known ?? { id: null, user: this.#user };
    if (this.#byLocalId.get(item.localId)?.id) return this.#byLocalId.get(item.localId).row; // the echo was first
    if (known?.localId) this.#byLocalId.delete(known.localId);
    const { key, localId, data, event, at, state, error, uncertain } = item;
    Object.assign(entry, { key, localId, data, event, at: new Date(at), state, error, uncertain });
    this.#byLocalId.set(localId, entry);
    if (!known) this.#unsent.push(entry);
    this.#touch(entry);
    return this.#rowOf(entry);
  }

  /** The POST's yes. Where the echo was first there is nothing to do; the position never moves. */
  accept(localId, id, timestamp) {
    const entry = this.#byLocalId.get(localId);
    if (!entry || entry.id) return;
    if (this.#loaded.get(id)) return this.discard(localId); // it stands in the list as somebody's who loaded it
    this.#settle(entry, { id, timestamp }, parse(id, this.#generation), true);
  }

  /** @returns {boolean} whether there was one that is not sent */
  discard(localId) {
    const entry = this.#byLocalId.get(localId);
    if (!entry || entry.id) return false;
    this.#unsent.splice(this.#unsent.indexOf(entry), 1);
    this.#byLocalId.delete(localId);
    this.#changed = true;
    return true;
  }

  #settle(entry, { id, timestamp }, place, loose = false) {
    this.#unsent.splice(this.#unsent.indexOf(entry), 1);
    const settled = { id, at: new Date(timestamp), state: "sent", error: undefined, uncertain: undefined, place, loose };
    this.#insert(Object.assign(entry, settled));
  }

  /** How far others have received: own rows up to there are delivered. */
  deliver(position) {
    this.#delivered = position;
    for (const entry of this.#loaded) {
      if (entry.user === this.#user && entry.row?.state === "sent" && reaches(position, entry.id)) this.#touch(entry);
    }
  }

  // --- edits

  #amend(message, place) {
    const edit = this.#edits.keep(message, place);
    const entry = this.#loaded.get(message.ref);
    if (!entry) return;
    const mine = entry.change && message.user === this.#user && entry.change.localId === message.localId;
    if (mine) entry.change = undefined;
    const obeyed = edit && this.#edits.of(entry);
    if (obeyed) entry.edit = obeyed;
    if (mine || obeyed) this.#touch(entry);
  }

  /** An own edit or deletion on its way; `state` sent: it was accepted, and its echo was first or will come. */
  #change({ ref, event, data, localId, state, error }) {
    const entry = this.#loaded.get(ref);
    if (!entry) return null;
    entry.change = Object.freeze({ kind: event, data, localId, state, ...(error && { error }) });
    this.#touch(entry);
    return this.#rowOf(entry);
  }

  /** The change is given up. */
  settle(ref, localId) {
    const entry = this.#loaded.get(ref);
    if (entry?.change?.localId !== localId) return;
    entry.change = undefined;
    this.#touch(entry);
  }

  /** The row of an id or a localId that is in the list; undefined if none is. */
  find(either) {
    const entry = this.#loaded.get(either) ?? this.#byLocalId.get(either);
    return entry && this.#rowOf(entry);
  }

  // --- rows

  #touch(entry) {
    entry.row = undefined;
    this.#changed = true;
  }

  #rowOf(entry) {
    return (entry.row ??= makeRow(entry, this.#user, this.#delivered));
  }
}
