/**
 * Server-sent events out of text that arrives in pieces cut anywhere (WHATWG HTML, 9.2.6). Pure.
 *
 * The decoder of bytes takes off a byte order mark. A comment is no event here: its bytes were the sign of life.
 */
export class Parser {
  #partial = "";
  #afterReturn = false;
  #event = "";
  #id = null;
  #data = [];
  #onEvent;
  #onRetry;

  /**
   * @param {(event: {event: string, id: string | null, data: string | null}) => void} onEvent `id`: as this block gave
   *   it. A block of an id alone has `data: null`: it moves the cursor and is no event.
   * @param {(milliseconds: number) => void} [onRetry]
   */
  constructor(onEvent, onRetry = () => {}) {
    this.#onEvent = onEvent;
    this.#onRetry = onRetry;
  }

  /** @param {string} text What came next, of any length. */
  push(text) {
    if (!text) return;
    let start = this.#afterReturn && text[0] === "\n" ? 1 : 0;
    this.#afterReturn = text.endsWith("\r");
    const ends = /\r\n?|\n/g;
    ends.lastIndex = start;
    for (let end; (end = ends.exec(text)); start = ends.lastIndex) {
      const line = this.#partial + text.slice(start, end.index);
      this.#partial = "";
      this.#take(line);
    }
    this.#partial += text.slice(start);
  }

  #take(line) {
    if (line === "") return this.#dispatch();
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(line[colon + 1] === " " ? colon + 2 : colon + 1);
    if (field === "data") this.#data.push(value);
    else if (field === "event") this.#event = value;
    else if (field === "id" && !value.includes("\0")) this.#id = value;
    else if (field === "retry" && /^\d+$/.test(value)) this.#onRetry(Number(value));
  }

  #dispatch() {
    const data = this.#data.length ? this.#data.join("\n") : null;
    const block = { event: this.#event || "message", id: this.#id, data };
    this.#event = "";
    this.#id = null;
    this.#data = [];
    if (data !== null || block.id !== null) this.#onEvent(block);
  }
}
