/** What a page hears of the machine: network, sleep, being hidden. Each is a reason to try, none a reason not to. */

export class Wakeup {
  #act;
  #listeners = null;

  /** @param {{hurry(network: boolean): void, shut(): void, open(): void, words(): void}} act */
  constructor(act) {
    this.#act = act;
  }

  listen() {
    if (this.#listeners) return;
    const { hurry, shut, open, words } = this.#act;
    this.#listeners = [
      [window, "online", () => (words(), hurry(true))],
      [window, "offline", words],
      [document, "visibilitychange", () => document.visibilityState === "visible" && hurry(false)],
      // A page in the back/forward cache, or frozen, would keep the lead and lead nobody.
      [window, "pagehide", shut],
      [document, "freeze", shut],
      [window, "pageshow", () => (open(), hurry(false))],
      [document, "resume", () => (open(), hurry(false))],
    ];
    for (const [target, name, listener] of this.#listeners) target.addEventListener(name, listener);
  }

  stop() {
    for (const [target, name, listener] of this.#listeners ?? []) target.removeEventListener(name, listener);
    this.#listeners = null;
  }
}
