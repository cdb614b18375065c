/** A service and a user, as a page uses them. */
import { Channel } from "./channel.js";
import { Core } from "./core.js";
import { Listeners } from "./listeners.js";

export class Client {
  #core;
  #channels = new Map();
  #listeners = new Listeners();
  #shown = "";

  /** Made by `gapless`. */
  constructor(base, options) {
    this.#core = new Core(base, options, () => this.#changed());
  }

  /** The same name gives the same object. */
  channel(name) {
    let channel = this.#channels.get(name);
    if (!channel) this.#channels.set(name, (channel = new Channel(name, this, this.#core)));
    return channel;
  }

  get state() {
    return this.#core.state;
  }

  get problem() {
    return this.#core.problem;
  }

  get waiting() {
    return this.#core.unsent.waiting;
  }

  /** `fn` runs when state, problem or waiting have changed. @returns {() => void} ends it */
  subscribe(fn) {
    if (!this.#listeners.size) this.#core.enter(this);
    const end = this.#listeners.add("change", () => fn());
    return () => {
      if (end() && !this.#listeners.size) this.#core.leave(this);
    };
  }

  /** Try at once, also what was refused. */
  reconnect() {
    this.#core.reconnect();
  }

  /**
   * Ends the streams; what is not sent yet is sent on, or with `forget` dropped in all tabs of this user.
   * The next subscriber or send opens it again.
   * @returns {Promise<number>} how many were dropped
   */
  close({ forget = false } = {}) {
    return this.#core.close(forget);
  }

  /** `gapless` was called again: its token function is the newest. */
  renew(token) {
    this.#core.replaceToken(token);
  }

  #changed() {
    const shown = JSON.stringify([this.state, this.problem, this.waiting]);
    if (shown === this.#shown) return;
    this.#shown = shown;
    this.#listeners.tell("change");
  }
}
