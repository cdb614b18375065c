/** Reads a channel's past into its list: the first page, what a hole lacked, and what is older. */
import { backoff } from "./backoff.js";
import { pathOf } from "./http.js";

const PAGE = 200;
const PATIENCE = 15_000; // for older messages: somebody looks at a spinner

/** Thrown where the channel may not be read. */
export class Refused extends Error {}

export class History {
  #path;
  #http;
  #list;
  #changed;
  #filling = null;
  #more = false;
  #older = null;
  #stop = new AbortController();

  /**
   * @param {string} channel
   * @param {import("./http.js").Http} http
   * @param {import("./list.js").List} list
   * @param {(fresh?: object[]) => void} changed the list has changed; with the rows that a hole lacked
   */
  constructor(channel, http, list, changed) {
    this.#path = `${pathOf(channel)}messages?limit=`;
    this.#http = http;
    this.#list = list;
    this.#changed = changed;
  }

  /** Ends what waits; what is asked later begins again. */
  stop() {
    this.#stop.abort();
    this.#stop = new AbortController();
  }

  /** The newest messages, however long it takes. @throws {Refused} */
  async first(count) {
    const page = await this.#page(`${Math.max(1, Math.min(count, PAGE))}`, this.#stop.signal);
    if (!page) return;
    this.#list.follow(count ? page : { ...page, messages: [] });
    this.#changed();
  }

  /** What comes after the list's position, until there is no more. One run at a time; a call meanwhile makes it look again. */
  fill() {
    this.#more = true;
    this.#filling ??= this.#fill()
      .catch(() => {}) // refused or stopped: the stream tells
      .finally(() => (this.#filling = null));
    return this.#filling;
  }

  async #fill() {
    const { signal } = this.#stop;
    while (this.#more) {
      this.#more = false;
      for (let full = true; full; ) {
        const page = await this.#page(`${PAGE}&after=${this.#list.position}`, signal);
        if (!page) return;
        full = page.messages.length > 0;
        this.#changed(this.#list.follow(page));
      }
    }
  }

  /**
   * `count` rows before the oldest. Calls share one run.
   * @returns {Promise<boolean>} false: the start was reached
   */
  older(count) {
    this.#older ??= this.#read(count).finally(() => (this.#older = null));
    return this.#older;
  }

  async #read(count) {
    for (let left = count; left > 0; ) {
      const { oldest } = this.#list;
      if (!oldest) return false;
      const page = await this.#page(`${Math.min(PAGE, left)}&before=${oldest}`, this.#stop.signal, PATIENCE);
      if (!page?.messages.length) return false;
      left -= this.#list.before(page);
      this.#changed();
      if (page.oldest.split("-")[1] === "1") return false;
    }
    return true;
  }

  /** @returns {Promise<object | undefined>} undefined: stopped. Rejects after `patience` without an answer. */
  async #page(query, signal, patience = Infinity) {
    const began = Date.now();
    for (let failures = 0; !signal.aborted; failures++) {
      const answer = await this.#http.ask(this.#path + query);
      if (signal.aborted) return undefined;
      if (answer.kind === "yes") return answer.body;
      if (answer.kind === "no") throw new Refused(answer.detail);
      if (answer.kind === "unknown" && Date.now() - began > patience) throw new Error(answer.detail);
      await pause(backoff(failures, Math.random, answer.after), signal);
    }
    return undefined;
  }
}

function pause(milliseconds, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
  });
}
