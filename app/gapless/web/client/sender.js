/**
 * Sends what is in the outbox, in order per channel, from one tab at a time.
 *
 * The service remembers a localId for ten minutes. A message whose first try is unknown to have arrived is sent again
 * under it while that holds; later the channel is read for it, and it is sent only if it is not there. So it is there
 * once, or its row says that nobody knows.
 */
import { backoff } from "./backoff.js";
import { Unauthorized, pathOf } from "./http.js";
import { asBody } from "./item.js";

const REMEMBERED = 540_000;
const MOST = 1000; // unsent, of one user
const PAGE = 200;
const STUCK = 20_000; // a tab that holds a channel's lock for longer than any request lasts

export class Sender {
  #http;
  #outbox;
  #locks;
  #on;
  #draining = new Map(); // channel -> {wake, failures}
  #closed = false;

  /**
   * @param {import("./http.js").Http} http
   * @param {import("./outbox.js").Outbox} outbox
   * @param {{run(name: string, work: (held: () => boolean) => Promise<void>, patience: number): Promise<void>}} locks
   * @param {{news(kind: "item" | "accepted" | "gone", item: import("./item.js").Item, id?: string, timestamp?: string): void,
   *   position(channel: string): string | null, user: string | null}} on an item is new or changed; it was accepted, as
   *   `id`; it was given up
   */
  constructor(http, outbox, locks, on) {
    this.#http = http;
    this.#outbox = outbox;
    this.#locks = locks;
    this.#on = on;
  }

  /** Keep a new item, then send it. @param {import("./item.js").Item} item */
  async write(item) {
    if ((await this.#outbox.items()).length >= MOST) {
      this.#on.news("item", { ...item, state: "failed", error: { kind: "full", detail: `${MOST} messages wait already.` } });
      return;
    }
    const order = await this.#outbox.add(item);
    this.#on.news("item", { ...item, order });
    this.drain(item.channel);
  }

  /** Change an item that is not sent, if it is still there. @returns {Promise<import("./item.js").Item | undefined>} */
  async change(order, fields) {
    const item = await this.#outbox.get(order);
    if (!item) return undefined;
    const changed = { ...item, ...fields };
    await this.#outbox.put(changed);
    this.#on.news("item", changed);
    if (changed.state === "sending") this.drain(changed.channel);
    return changed;
  }

  async discard(item) {
    await this.#outbox.remove(item.order);
    this.#on.news("gone", item);
  }

  /** Send what waits on a channel; where that is under way already and pauses, at once. */
  drain(channel) {
    if (this.#closed) return;
    const running = this.#draining.get(channel);
    if (running) {
      running.again = true;
      running.wake();
      return;
    }
    const line = { failures: 0, again: false, wake: () => {} };
    this.#draining.set(channel, line);
    this.#locks
      .run(`send ${channel}`, (held) => this.#drain(channel, line, held), STUCK)
      .catch(() => {}) // the lock was taken away: its new holder sends
      .then(() => {
        this.#draining.delete(channel);
        if (line.again) this.drain(channel);
      });
  }

  /** Another tab wrote: where this one is the sender, it need not wait. */
  nudge(channel) {
    this.#draining.get(channel)?.wake();
  }

  /** Every channel with something to send. */
  async drainAll() {
    const items = await this.#outbox.items();
    for (const channel of new Set(items.filter(({ state }) => state === "sending").map(({ channel }) => channel))) {
      this.drain(channel);
    }
  }

  close() {
    this.#closed = true;
    for (const line of this.#draining.values()) line.wake();
  }

  reopen() {
    this.#closed = false;
  }

  async #drain(channel, line, held) {
    while (held() && !this.#closed) {
      line.again = false;
      const items = await this.#outbox.items();
      const item = items.find((one) => one.channel === channel && one.state === "sending");
      if (!item) return;
      const wait = await this.#deliver(item, held);
      if (wait === null) line.failures = 0;
      else await this.#pause(line, backoff(line.failures++, Math.random, wait));
    }
  }

  #pause(line, milliseconds) {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, milliseconds);
      line.wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** One try. @returns {Promise<number | null>} what its answer asks to wait before the next; null: this item is done */
  async #deliver(item, held) {
    try {
      const age = item.tried === undefined ? 0 : Date.now() - item.tried;
      if (age < 0 || age > REMEMBERED) return await this.#look(item, held);
      return await this.#post(item, held);
    } catch (error) {
      if (error instanceof Unauthorized) return 30_000; // the client says so; a new token wakes it
      throw error;
    }
  }

  async #post(item, held) {
    const first = item.tried === undefined;
    if (first) await this.#outbox.put((item = { ...item, tried: Date.now(), from: this.#on.position(item.channel) }));
    if (!held()) return 0;
    const answer = await this.#http.send("POST", `${pathOf(item.channel)}messages`, asBody(item, this.#on.user));
    if (answer.kind === "yes") return this.#accepted(item, answer.body);
    if (answer.kind === "unknown") return answer.after;
    // Nothing was written by this try; what an earlier one did stays unknown.
    const known = first ? { ...item, tried: undefined } : item;
    if (answer.kind === "no") return this.#fail(known, { kind: "refused", status: answer.status, detail: answer.detail }, !first);
    if (first) await this.#outbox.put(known);
    return answer.after;
  }

  async #accepted(item, { id, timestamp }) {
    await this.#outbox.remove(item.order);
    this.#on.news("accepted", item, id, timestamp);
    return null;
  }

  async #fail(item, error, uncertain = false) {
    const failed = { ...item, state: "failed", error, ...(uncertain && { uncertain: true }) };
    await this.#outbox.put(failed);
    this.#on.news("item", failed);
    return null;
  }

  /** The service has forgotten the localId: is the message in the channel, somewhere after where it was first sent? */
  async #look(item, held) {
    for (let after = item.from ?? "start"; ; ) {
      const answer = await this.#http.ask(`${pathOf(item.channel)}messages?limit=${PAGE}&after=${after}`);
      if (answer.kind === "no") return this.#fail(item, { kind: "unknown", detail: answer.detail }, true);
      if (answer.kind !== "yes") return answer.after;
      const { messages, gap, cursor } = answer.body;
      const found = messages.find(({ localId, user }) => localId === item.localId && user === this.#on.user);
      if (found) return this.#accepted(item, found);
      if (gap) return this.#fail(item, { kind: "unknown", detail: "It may have been sent: what came then is not kept." }, true);
      if (!messages.length) return this.#post({ ...item, tried: undefined }, held);
      after = cursor;
    }
  }
}
