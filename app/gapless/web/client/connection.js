/**
 * One stream that always comes back.
 *
 *     idle ── open ──▶ opening ── hello ──▶ live
 *                       ▲   │ ended          │ ended
 *                 timer │   ▼                │
 *                      waiting ◀─────────────┘          close: idle, from everywhere
 *
 * An attempt has one leg, a request that streams; where no byte comes, a second one that asks for whole turns, for
 * proxies that hold a stream back. The leg that says `hello` first stays, the other is dropped.
 */
import { failuresAfter, pauseAfter } from "./backoff.js";
import { Unauthorized, isProblem, retryAfter } from "./http.js";
import { Parser } from "./sse.js";

const FIRST_BYTE = 10_000;
const BUFFERED_FOR = 600_000; // then streaming is tried again
const LONGEST_TURN = 45_000; // a turn is held for 25 s at most
const HURRY = 1000; // between two tries that something from outside asked for
const DOUBT = 5000; // for who asks which of the channels are refused
const RETRY = 700;
const HEARTBEAT = 15;

export class Connection {
  /** @type {"idle" | "opening" | "live" | "waiting"} */
  state = "idle";
  #request;
  #on;
  #transport;
  #random;
  #attempt = null;
  #timer; // the end of a wait, or the watchdog
  #due = 0; // when that timer should fire
  #retry = RETRY;
  #heartbeat = HEARTBEAT;
  #bufferedUntil = 0;
  #failures = 0;
  #waited = 0;
  #hurried = 0;
  #doubted = false; // channels were refused since the last hello, or since other ones are asked for

  /**
   * @param {(buffered: boolean, signal: AbortSignal) => Promise<Response>} request opens a stream where the last ended
   * @param {{event(event: string, data: any, id: string | null): void, state(): void, refused(status: number, detail: string): void,
   *   expired(): void}} on each event but `end`, in order; a change of `state`; a refusal of the channels; the token ended
   * @param {"auto" | "stream" | "buffered"} [transport]
   * @param {boolean} [live] it goes on where another left off: until it fails it counts as live
   * @param {() => number} [random]
   */
  constructor(request, on, transport = "auto", live = false, random = Math.random) {
    if (live) this.state = "live";
    this.#request = request;
    this.#on = on;
    this.#transport = transport;
    this.#random = random;
  }

  /** Begin, or begin anew: the request may have changed. A live stream's successor is no interruption. */
  open() {
    this.#doubted = false;
    this.#drop();
    this.#begin();
  }

  close() {
    this.#drop();
    this.#failures = 0;
    this.#become("idle");
  }

  /**
   * Something happened after which a try is worth it: back from sleep, online, seen again.
   * @param {boolean} [network] the way itself may be another: a buffering proxy may be gone, an open stream dead
   */
  hurry(network = false) {
    const now = Date.now();
    if (this.state === "idle" || now - this.#hurried < HURRY) return;
    const silent = now > this.#due || now - (this.#attempt?.heard ?? 0) > 1250 * this.#heartbeat;
    if (this.state !== "waiting" && !network && !silent) return;
    if (this.state === "opening" && !silent) return;
    this.#hurried = now;
    if (network) this.#bufferedUntil = 0;
    this.open();
  }

  #begin() {
    const buffered = this.#transport === "buffered" || (this.#transport === "auto" && Date.now() < this.#bufferedUntil);
    const attempt = { began: Date.now(), heard: 0, messages: 0, streamed: !buffered, winner: null, legs: new Set() };
    this.#attempt = attempt;
    if (this.state !== "live") this.#become("opening");
    this.#run(attempt, buffered);
    if (buffered) return;
    attempt.fallback = setTimeout(() => {
      if (attempt.heard) return;
      this.#become("opening"); // a successor that is so late is an interruption
      if (this.#transport !== "stream") this.#run(attempt, true);
    }, FIRST_BYTE);
  }

  /** One leg, from its request to its end. */
  async #run(attempt, buffered) {
    const leg = new AbortController();
    attempt.legs.add(leg);
    attempt.buffered = buffered;
    this.#watch(attempt);
    const end = await this.#read(attempt, leg, buffered).catch((error) => ({
      reason: error instanceof Unauthorized ? "unauthorized" : "cut",
    }));
    attempt.legs.delete(leg);
    leg.abort();
    if (this.#left(attempt, leg)) return;
    if (!attempt.winner && attempt.legs.size) return; // the other leg may still say hello
    this.#ended(attempt, end);
  }

  /** Whether another attempt or leg has taken this one's place. */
  #left(attempt, leg) {
    return this.#attempt !== attempt || (attempt.winner && attempt.winner !== leg);
  }

  /** @returns {Promise<{reason: string, after?: number}>} how it ended */
  async #read(attempt, leg, buffered) {
    const response = await this.#request(buffered, leg.signal);
    if (response.status !== 200 || !response.body) return this.#refusal(attempt, response);
    const decoder = new TextDecoder();
    const reader = response.body.getReader();
    let end = null;
    const parser = new Parser(
      (block) => {
        if (!end && this.#attempt === attempt) end = this.#take(attempt, leg, block);
      },
      (milliseconds) => (this.#retry = milliseconds),
    );
    while (!end) {
      const { done, value } = await reader.read();
      if (done || this.#left(attempt, leg)) break;
      attempt.heard = Date.now();
      this.#watch(attempt);
      parser.push(decoder.decode(value, { stream: true }));
    }
    return end ?? { reason: "cut" };
  }

  async #refusal(attempt, response) {
    const problem = isProblem(response) ? await response.json() : null;
    const channels = problem && [403, 404, 422].includes(response.status);
    if (channels && this.#attempt === attempt) this.#on.refused(response.status, String(problem.detail ?? ""));
    return { reason: channels ? "channels" : "refused", after: retryAfter(response, problem) };
  }

  /** One block. @returns {{reason: string} | null} the end, where it is one */
  #take(attempt, leg, { event, id, data }) {
    const body = data === null ? null : JSON.parse(data);
    if (event === "end" && body) return body;
    if (event === "hello") this.#live(attempt, leg, body);
    else if (id !== null && event !== "gap") attempt.messages += 1;
    this.#on.event(event, body, id);
    return null;
  }

  #live(attempt, leg, hello) {
    attempt.winner = leg;
    this.#doubted = false;
    for (const other of attempt.legs) if (other !== leg) other.abort();
    clearTimeout(attempt.fallback);
    this.#heartbeat = hello.heartbeat || HEARTBEAT;
    attempt.buffered = hello.mode === "buffered";
    if (attempt.buffered && attempt.streamed) this.#bufferedUntil = Date.now() + BUFFERED_FOR;
    this.#watch(attempt);
    this.#become("live");
  }

  #ended(attempt, end) {
    // A slow service may come to a successor's end before its hello: that is planned, too.
    const began = attempt.winner || this.state === "live";
    const planned = began && ["deadline", "shutdown", "auth"].includes(end.reason);
    const life = { messages: attempt.messages, lived: Date.now() - attempt.began, waited: this.#waited };
    this.#failures = failuresAfter(this.#failures, life);
    this.#drop();
    if (end.reason === "unauthorized") return this.#become("idle");
    if (end.reason === "auth") this.#on.expired();
    // A channel that is refused is about to be left out: that is no interruption of the others.
    const doubted = this.state === "live" && end.reason === "channels" && !this.#doubted;
    this.#doubted ||= doubted;
    const stream = { retry: this.#retry, failures: Math.max(0, this.#failures - 1), buffered: attempt.buffered };
    this.#waited = doubted ? DOUBT : pauseAfter(end, stream, this.#random);
    if (!planned && !doubted) this.#become("waiting");
    if (this.#waited) this.#later(this.#waited, () => this.#begin());
    else this.#begin();
  }

  /** Too long a silence. A timer that comes late itself says that the machine slept: then there is no doubt. */
  #watch(attempt) {
    const patience = Math.max(2500 * this.#heartbeat, attempt.buffered ? LONGEST_TURN : 0);
    this.#later(patience, () => {
      const slept = Date.now() - this.#due > HURRY;
      if (slept) this.open();
      else this.#ended(attempt, { reason: "cut" });
    });
  }

  #later(milliseconds, act) {
    clearTimeout(this.#timer);
    this.#due = Date.now() + milliseconds;
    this.#timer = setTimeout(act, milliseconds);
  }

  #drop() {
    clearTimeout(this.#timer);
    const attempt = this.#attempt;
    this.#attempt = null;
    if (!attempt) return;
    clearTimeout(attempt.fallback);
    for (const leg of attempt.legs) leg.abort();
  }

  #become(state) {
    if (this.state === state) return;
    this.state = state;
    this.#on.state();
  }
}
