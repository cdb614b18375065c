/**
 * Requests, and what their answers mean.
 *
 * Only three kinds of answer are known to be the service's: 2xx with its JSON, problem+json with 4xx, and a 503 that
 * says `outcome: none`. Everything else may be a proxy's, and says as little as a broken connection.
 *
 * @typedef {{kind: "yes", body: any}
 *   | {kind: "no", status: number, detail: string}       refused, as it will be again
 *   | {kind: "later", after: number, status: number, detail: string}     refused for now; nothing was written
 *   | {kind: "unknown", after: number, detail: string, status?: number}  it may have been written, or not
 * } Answer `after`: milliseconds that the answer asks for.
 */

import { whyBlocked } from "./blocked.js";

const TIMEOUT = 15_000; // A browser notices a dead link after minutes.
const DOUBT = 3; // requests in a row that did not arrive
const MINUTE = 60_000;
const FOR_NOW = [408, 425, 429];

/** Thrown where the service refuses the token, and the one after it. */
export class Unauthorized extends Error {}

export class Http {
  /** Why a browser keeps requests from the service; null where it does not. @type {object | null} */
  problem = null;
  #fetch;
  #tokens;
  #onProblem;
  #admitted = false;
  #failed = 0;
  #notBefore = 0;

  /**
   * @param {string} base the service's address, without a slash at the end
   * @param {{get(): Promise<string | null>, renew(bad: string): Promise<string | null>}} tokens
   * @param {typeof fetch} fetch
   * @param {() => void} [onProblem] it came or went
   */
  constructor(base, tokens, fetch, onProblem = () => {}) {
    this.#onProblem = onProblem;
    this.base = base;
    this.#tokens = tokens;
    this.#fetch = fetch;
  }

  /** Whether requests carry a token: then a reply to another address needs a preflight of its own. */
  get authorized() {
    return this.#tokens.used;
  }

  /** The service ended a stream because its token ended. */
  expired() {
    this.#tokens.drop();
  }

  /**
   * A reply, whatever its status; with a token that the service does not refuse.
   * @param {string} path
   * @param {RequestInit & {headers?: Record<string, string>}} options
   * @throws {Unauthorized}
   * @throws {TypeError} as fetch does
   */
  async reply(path, options) {
    let token = await this.#tokens.get();
    for (let tries = 0; ; tries++) {
      const reply = await this.#reach(this.base + path, this.#with(token, options));
      if (reply.status !== 401 || !isProblem(reply)) return reply;
      const { detail } = await reply.json();
      if (!token || tries) {
        this.#tokens.refuse(detail);
        throw new Unauthorized(detail);
      }
      token = await this.#tokens.renew(token);
    }
  }

  /** One that never arrives may be kept back by the browser itself: then once a minute is enough. */
  async #reach(url, options) {
    if (Date.now() < this.#notBefore) throw new TypeError(this.problem.detail);
    try {
      const reply = await this.#fetch(url, options);
      this.#admitted = true;
      this.#explain(null);
      return reply;
    } catch (error) {
      // One that was answered once is admitted: what fails later is a proxy that says 502 without a header for pages.
      const doubtful = !this.#admitted && error.name !== "AbortError" && ++this.#failed === DOUBT;
      if (doubtful) this.#explain(await whyBlocked(this.base));
      throw error;
    }
  }

  #explain(problem) {
    this.#failed = 0;
    this.#notBefore = problem ? Date.now() + MINUTE : 0;
    if (problem?.detail === this.problem?.detail) return;
    this.problem = problem;
    this.#onProblem();
  }

  /** Try at once again. */
  forgive() {
    this.#notBefore = 0;
  }

  #with(token, options) {
    const headers = { ...options.headers };
    if (token) headers.Authorization = `Bearer ${token}`;
    // No `cache`: replies say `no-store` themselves, and for a request that says it Chromium keeps no preflight.
    return { credentials: token ? "omit" : "same-origin", ...options, headers };
  }

  /**
   * Asks and judges the answer; never throws but Unauthorized.
   * @param {string} path
   * @param {RequestInit & {headers?: Record<string, string>}} [options]
   * @returns {Promise<Answer>}
   */
  async ask(path, options = {}) {
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(), TIMEOUT);
    try {
      return await judge(await this.reply(path, { signal: late.signal, ...options }));
    } catch (error) {
      if (error instanceof Unauthorized) throw error;
      return { kind: "unknown", after: 0, detail: String(error.message ?? error) };
    } finally {
      clearTimeout(timer);
    }
  }

  /** @returns {Promise<Answer>} `json`: the body as it is sent. */
  send(method, path, json) {
    return this.ask(path, { method, body: json, headers: { "Content-Type": "application/json" } });
  }
}

/** Where a channel's resources are. */
export function pathOf(channel) {
  return `/channels/${encodeURIComponent(channel)}/`;
}

/** Whether it is the service that refuses, and not a proxy on the way. */
export function isProblem(reply) {
  return (reply.headers.get("Content-Type") ?? "").startsWith("application/problem+json");
}

/** Milliseconds for which a refusal asks; Retry-After has seconds. */
export function retryAfter(reply, problem) {
  return problem?.retryAfterMs ?? (Number(reply.headers.get("Retry-After")) * 1000 || 0);
}

/** @param {Response} reply @returns {Promise<Answer>} */
export async function judge(reply) {
  const body = await reply.json().catch(() => undefined);
  const after = retryAfter(reply, body);
  const { status } = reply;
  const unknown = { kind: "unknown", after, status, detail: `status ${status}` };
  if (reply.ok) return body && typeof body === "object" ? { kind: "yes", body } : unknown;
  if (!isProblem(reply) || !body) return unknown;
  const detail = String(body.detail ?? body.title ?? unknown.detail);
  if (FOR_NOW.includes(status) || (status === 503 && body.outcome === "none")) return { kind: "later", after, status, detail };
  return status < 500 ? { kind: "no", status, detail } : { ...unknown, detail };
}
