/** What was accepted must be seen on the stream; if a live stream does not show it, it is not what it seems. */
import { reaches } from "./position.js";

const PATIENCE = 5000;
const MINUTE = 60_000; // between two restarts

export class Echo {
  #standing;
  #restart;
  #timer;
  #restarted = -MINUTE;

  /**
   * @param {(channel: string) => string | null | undefined} standing where a channel stands while its stream is live
   * @param {(channel: string) => void} restart
   */
  constructor(standing, restart) {
    this.#standing = standing;
    this.#restart = restart;
  }

  /** One is waited for at a time. */
  expect(channel, id) {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      const at = this.#standing(channel);
      if (!at || reaches(at, id) || Date.now() - this.#restarted < MINUTE) return;
      this.#restarted = Date.now();
      this.#restart(channel);
    }, PATIENCE);
  }

  stop() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}
