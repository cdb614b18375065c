/** The loaded entries of a list in the order of the log: by generation (a `reset` begins one), epoch and seq. Pure. */
import { compare } from "./position.js";

export class Loaded {
  #entries = [];
  #byId = new Map();

  [Symbol.iterator]() {
    return this.#entries.values();
  }

  /** Undefined if there is none. */
  get oldest() {
    return this.#entries[0];
  }

  get newest() {
    return this.#entries.at(-1);
  }

  /** Undefined if it is not loaded. */
  get(id) {
    return this.#byId.get(id);
  }

  /** Puts an entry into its place, which is nearly always the end. */
  add(entry) {
    this.#byId.set(entry.id, entry);
    let at = this.#entries.length;
    while (at > 0 && inOrder(this.#entries[at - 1], entry) > 0) at -= 1;
    this.#entries.splice(at, 0, entry);
  }

  /** A generation begins: what only a reply told of belongs to the log that is there now. */
  begin(generation) {
    for (const { loose, place } of this.#entries) if (loose) place.generation = generation;
    this.#entries.sort(inOrder);
  }

  /** Drops the oldest above the bound. @returns {object[]} them */
  trim(bound) {
    const dropped = this.#entries.splice(0, Math.max(0, this.#entries.length - bound));
    for (const { id } of dropped) this.#byId.delete(id);
    return dropped;
  }
}

/** Negative where entry `a` stands before `b`. */
function inOrder(a, b) {
  return compare(a.place, b.place);
}
