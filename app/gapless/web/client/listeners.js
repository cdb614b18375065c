/** Who wants to hear of what. The same function may be given twice, and each is ended by itself. */

export class Listeners {
  #all = new Map(); // kind -> those who listen
  #soon = false; // a change is told in this microtask

  get size() {
    let size = 0;
    for (const entries of this.#all.values()) size += entries.size;
    return size;
  }

  /** @returns {() => boolean} ends it; whether it was there */
  add(kind, fn) {
    const entry = { fn };
    if (!this.#all.has(kind)) this.#all.set(kind, new Set());
    this.#all.get(kind).add(entry);
    return () => this.#all.get(kind).delete(entry);
  }

  /** An error of a page's function is the page's, and harms nobody else. */
  tell(kind, argument) {
    for (const { fn } of [...(this.#all.get(kind) ?? [])]) {
      try {
        fn(argument);
      } catch (error) {
        reportError(error);
      }
    }
  }

  /** Tells of a change once per microtask, however often it is called. `prepare` runs before. */
  changed(prepare) {
    if (this.#soon) return;
    this.#soon = true;
    queueMicrotask(() => {
      this.#soon = false;
      prepare();
      this.tell("change");
    });
  }
}
