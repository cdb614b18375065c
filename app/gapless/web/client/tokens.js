/**
 * The user's token: asked of the page when it is needed, once for all tabs, kept in memory only.
 *
 * A token counts until shortly before its `exp` by this machine's clock, or until the service refuses it.
 */
import { backoff } from "./backoff.js";
import { Unauthorized } from "./http.js";

const EARLY = 30_000; // milliseconds before `exp`, but never more than a tenth of a token's life

export class Tokens {
  #ask;
  #user;
  #shared;
  #on;
  #token = null;
  #renewAt = Infinity;
  #refused = new Set(); // tokens that the service turned down, so that no tab hands them back
  #asking = null;
  problem = null;

  /**
   * @param {(() => string | null | Promise<string | null>) | undefined} ask
   * @param {string | null} user what a token's `sub` must be
   * @param {{alone<T>(work: () => Promise<T>): Promise<T>, tell(token: string): void}} shared runs one tab's work at a
   *   time, and tells the other tabs
   * @param {{problem(): void, token(): void}} on the problem came or went; there is a new token
   */
  constructor(ask, user, shared, on) {
    this.#ask = ask;
    this.#user = user;
    this.#shared = shared;
    this.#on = on;
  }

  get used() {
    return Boolean(this.#ask);
  }

  /** The newest function wins: a page may have made a new one, for a new login. */
  replace(ask) {
    this.#ask = ask ?? this.#ask;
  }

  /** @returns {Promise<string | null>} null: there are none here. @throws {Unauthorized} */
  async get() {
    if (!this.#ask) return null;
    if (this.problem) throw new Unauthorized(this.problem.detail);
    if (this.current) return this.#token;
    this.#asking ??= this.#renewed().finally(() => (this.#asking = null));
    return this.#asking;
  }

  /** The one after `bad`, which the service refused or which has ended. */
  renew(bad = this.#token) {
    if (this.#token === bad) this.drop();
    return this.get();
  }

  /** It has ended; the next `get` asks. */
  drop() {
    if (this.#token) this.#refused.add(this.#token);
    this.#token = null;
  }

  /** From another tab, whose service and user are the same. */
  hear(token) {
    if (this.#refused.has(token) || this.#checked(token)) return;
    this.#keep(token);
    this.#set(null);
  }

  /** The token that other tabs may use, or null. */
  get current() {
    return this.#token && Date.now() < this.#renewAt ? this.#token : null;
  }

  /** No token helps any more: nothing is asked until `reset`. */
  refuse(detail) {
    this.#token = null;
    this.#set({ kind: "auth", detail });
  }

  /** Ask anew, whatever was said before. */
  reset() {
    this.#refused.clear();
    this.#token = null;
    this.#set(null);
  }

  async #renewed() {
    const token = await this.#shared.alone(async () => {
      if (this.current) return this.#token; // another tab was first, and told us
      return this.#answer();
    });
    const wrong = token ? this.#checked(token) : "There is no token: nobody is signed in.";
    if (wrong) {
      this.refuse(wrong);
      throw new Unauthorized(wrong);
    }
    if (token !== this.#token) {
      this.#keep(token);
      this.#shared.tell(token);
    }
    return token;
  }

  /** The page's answer; while its function throws it is asked again. */
  async #answer() {
    for (let failures = 0; ; failures++) {
      try {
        return await this.#ask();
      } catch {
        await new Promise((resolve) => setTimeout(resolve, backoff(failures, Math.random)));
      }
    }
  }

  /** What is wrong with it, in words; empty if nothing. */
  #checked(token) {
    const { sub } = claims(token);
    return sub === this.#user ? "" : `The token is of ${JSON.stringify(sub ?? null)}, and the client's user is ${JSON.stringify(this.#user)}.`;
  }

  #keep(token) {
    const life = claims(token).exp * 1000 - Date.now();
    this.#token = token;
    // One that has ended when it comes shows that this clock is wrong: then the service's refusal tells.
    this.#renewAt = life > 0 ? Date.now() + life - Math.min(EARLY, life / 10) : Infinity;
    this.#on.token();
  }

  #set(problem) {
    if (this.problem === problem) return;
    this.problem = problem;
    this.#on.problem();
  }
}

/** What a token says, unverified. @returns {{sub?: string, exp?: number}} */
export function claims(token) {
  try {
    const payload = token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
    return JSON.parse(new TextDecoder().decode(Uint8Array.from(atob(payload), (byte) => byte.charCodeAt(0)))) ?? {};
  } catch {
    return {};
  }
}
