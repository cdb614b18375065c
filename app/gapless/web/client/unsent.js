/** What is not sent yet of one user: where it is kept, who sends it, how many wait. And the read marks, kept beside it. */
import { Outbox } from "./outbox.js";
import { Sender } from "./sender.js";

export class Unsent {
  waiting = 0;
  /** @type {object | null} */
  problem = null;
  #outbox;
  #sender;
  #on;
  #writing = 0;

  /**
   * @param {string} identity whose it is
   * @param {"indexeddb" | "memory"} storage
   * @param {import("./http.js").Http} http
   * @param {import("./tabs.js").Tabs} tabs
   * @param {{user: string | null, news(kind: "item" | "accepted" | "gone" | "mark", content: any[]): void,
   *   show(kind: "item", content: [object]): void, position(channel: string): string | null, changed(): void}} on news:
   *   for all tabs, of the channel that `content[0]` names; show: for this one
   */
  constructor(identity, storage, http, tabs, on) {
    const news = (kind, ...content) => {
      on.news(kind, content);
      this.#count();
    };
    this.#on = on;
    this.#outbox = new Outbox(identity, storage, (problem) => {
      this.problem = problem;
      on.changed();
    });
    const { user } = on;
    this.#sender = new Sender(http, this.#outbox, tabs, { user, position: (channel) => on.position(channel), news });
  }

  open() {
    this.#sender.reopen();
    this.drain();
    this.#count();
  }

  close() {
    this.waiting = 0;
    this.#sender.close();
    this.#outbox.close();
  }

  /** What was written in a channel before, or in another tab. */
  async show(channel) {
    for (const item of await this.#outbox.items()) if (item.channel === channel) this.#on.show("item", [item]);
  }

  /** Whether anything is to be sent, or on its way into the outbox. */
  get busy() {
    return this.waiting + this.#writing > 0;
  }

  async write(item) {
    this.#writing += 1;
    await this.#sender.write(item);
    this.#writing -= 1;
    this.#count();
  }

  change(item) {
    if (item.order === undefined) this.write(item);
    else this.#sender.change(item.order, item);
  }

  discard(item) {
    this.#sender.discard(item);
  }

  /** The stream has shown it: there is nothing to send any more. */
  async arrived(item) {
    if (item.order === undefined) return;
    await this.#outbox.remove(item.order);
    this.#count();
  }

  drain() {
    this.#sender.drainAll();
  }

  /** Another tab told of an item. */
  told(channel) {
    this.#sender.nudge(channel);
    this.#count();
  }

  /** @returns {Promise<number>} how many there were */
  async clear() {
    const { length } = await this.#outbox.items();
    await this.#outbox.clear();
    return length;
  }

  /** The read mark that was kept; where none was, `head` is kept. */
  async marked(channel, head) {
    return (await this.#outbox.mark(channel)) ?? this.#outbox.mark(channel, head);
  }

  /** The user has read up to here. */
  mark(channel, id) {
    this.#outbox.mark(channel, id);
    this.#on.news("mark", [{ channel }, id]);
  }

  async #count() {
    const items = await this.#outbox.items();
    this.waiting = items.filter(({ state }) => state === "sending").length;
    this.#on.changed();
  }
}
