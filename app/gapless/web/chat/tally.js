/**
 * Counts what the service's log holds of a room, beside what the page shows of it. It asks the service itself, without
 * the client and past every switch, so that what the page misses is missing here, too.
 */
const MOST = 5000; // messages that are counted; then it begins anew

export class Tally {
  /** Of the room's messages, relative to the page. */
  path;
  #room;
  #cursor = null;
  #sent = new Set();
  #seen = new Set();

  /** @param {{name: string, messages: readonly object[]}} room counted from the first `look` on */
  constructor(room) {
    this.#room = room;
    this.path = `channels/${encodeURIComponent(room.name)}/messages`;
  }

  get sent() {
    return this.#sent.size;
  }

  get missing() {
    for (const { id } of this.#room.messages) if (this.#sent.has(id)) this.#seen.add(id);
    return this.#sent.size - this.#seen.size;
  }

  /** Ask how far the log is. @throws {TypeError} where the service does not answer */
  async look() {
    if (this.#cursor === null || this.#sent.size > MOST) return this.#begin(await this.#page("limit=1"));
    for (let more = true; more; ) {
      const page = await this.#page(`limit=200&after=${this.#cursor}`);
      if (page.gap) return this.#begin(page);
      for (const { id, ref } of page.messages) if (!ref) this.#sent.add(id); // an edit has no line of its own
      this.#cursor = page.cursor;
      more = page.messages.length > 0;
    }
  }

  #begin({ cursor }) {
    this.#cursor = cursor;
    this.#sent.clear();
    this.#seen.clear();
  }

  async #page(query) {
    const reply = await fetch(`${this.path}?${query}`, { cache: "no-store" });
    if (!reply.ok) throw new TypeError(`status ${reply.status}`);
    return reply.json();
  }
}
