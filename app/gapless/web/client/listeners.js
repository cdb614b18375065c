/** Who wants to hear of what. The same function may be given twice, and each is ended by itself. */

export class Listeners {
  #all = new Set(); // of {kind, fn}
  #soon = false; // a change is told in this microtask

  get size() {
    return this.#all.size;
  }

  /** @returns {() => boolean} ends it; whether it was there */
  add(kind, fn) {
    const entry = { kind, fn };
    this.#all.add(entry);
    return () => this.#all.delete(entry);
  }

  /** An error of a page's function is the page's, and harms nobody else. */
  tell(kind, argument) {
    for (const entry of [...this.#all]) {
      try {
        if (entry.kind === kind) entry.fn(argument);
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
