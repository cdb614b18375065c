/**
 * The tabs of one user share one stream.
 *
 *     shut ── open ──▶ following ── lock granted, or stolen from a leader that is silent ──▶ leading
 *       ▲                  ▲  │                                                                 │
 *       └──────────────────┼──┴────────── page hidden for good, frozen, last user gone ─────────┤
 *                          └────────────── lock stolen by another tab ──────────────────────────┘
 *
 * The leader has the streams, and tells all tabs what comes. A tab that missed something notices by position. Visible
 * followers ask the leader for a sign of life, since timed ones of hidden tabs come too late; it answers in `onmessage`.
 * Without Web Locks each tab leads itself.
 */
import { Kept, alone } from "./locks.js";
import { Whole } from "./whole.js";

const SILENT = 3500;
const PING = 1000;
const STEALS = 3; // a minute, at most
const ANSWER = 150; // milliseconds for another tab to hand over its token

export class Tabs {
  leading = false;
  #name;
  #streams;
  #on;
  #shared;
  #locks;
  #bus = null;
  #id = String(Math.random()).slice(2);
  #wants = new Map();
  #others = new Map(); // tab -> what it wants
  #heard = { state: "opening", at: 0 };
  #kept = new Kept();
  #open = false;
  #seat; // lets go of the lead
  #ping;
  #asked = 0;
  #steals = [];
  #whole = new Whole();

  /**
   * @param {string} name of the user's tabs, with the version of what they say to each other
   * @param {import("./streams.js").Streams} streams
   * @param {{event(channel: string, event: string, data: any, position: string): void, standing(positions: object): void,
   *   moved(): void, told(kind: string, content: any): void}} on moved: the state may be another
   * @param {boolean} [shared] false: this tab is alone
   */
  constructor(name, streams, on, shared = true) {
    this.#name = name;
    this.#streams = streams;
    streams.tell(this);
    this.#on = on;
    this.#shared = shared;
  }

  open() {
    if (this.#open) return;
    this.#open = true;
    this.#locks = this.#shared && globalThis.BroadcastChannel ? navigator.locks : undefined;
    if (!this.#locks) {
      this.#lead();
      return;
    }
    this.#bus = new BroadcastChannel(this.#name);
    this.#bus.onmessage = ({ data }) => data.from !== this.#id && this.#take(data);
    this.#keep(`tab ${this.#id}`, () => {});
    this.#heard.at = Date.now();
    this.#apply();
    this.#ping = setInterval(() => this.#look(), PING);
  }

  /** Lets go of everything: also of what would keep the page out of the back/forward cache. */
  shut() {
    clearInterval(this.#ping);
    this.#say("bye");
    this.#open = false;
    this.#kept.end();
    this.#bus?.close();
    this.#bus = null;
    this.#others.clear();
    this.#whole.clear();
    this.leading = false;
    this.#streams.close();
  }

  /** @returns {"idle" | "opening" | "live" | "waiting"} */
  get state() {
    return this.leading ? this.#streams.state : this.#wants.size ? this.#heard.state : "idle";
  }

  /** @param {Map<string, string>} channels what this tab wants, with its positions */
  want(channels) {
    this.#wants = channels;
    if (this.leading) this.#merge();
    else this.#say("want", [...channels]);
  }

  /** Tell the other tabs. */
  tell(kind, content) {
    this.#say("told", { kind, content });
  }

  /** @param {"hurry" | "restart" | "forgive"} what to be done by the leader, as Streams does it */
  ask(what, argument) {
    if (this.leading) this.#streams[what](argument);
    else this.#say("do", { what, argument });
  }

  // --- what streams say, where this tab leads

  event(channel, event, data, position) {
    const told = { channel, event, data, position };
    this.#say("event", told);
    this.#hear(told);
  }

  #hear({ channel, event, data, position }) {
    this.#on.event(channel, event, this.#whole.take(channel, event, data), position);
  }

  stateChanged() {
    if (this.leading) this.#say("state", this.#streams.state);
    this.#on.moved();
  }

  // --- locks for others

  /** Work that one tab does at a time, as in `alone`. */
  run(name, work, patience) {
    return alone(this.#locks, `${this.#name} ${name}`, work, patience);
  }

  /** Work of which comes a token: another tab may have one, and is asked first. */
  async token(work) {
    if (!this.#locks) return work();
    return this.#locks.request(`${this.#name} token`, async () => {
      const { held } = await this.#locks.query();
      const others = held.some(({ name }) => name.startsWith(`${this.#name} tab `) && !name.endsWith(this.#id));
      if (others) {
        this.tell("token?", null);
        await new Promise((resolve) => setTimeout(resolve, ANSWER));
      }
      return work();
    });
  }

  // --- following and leading

  /** Waits in line for the lead, or takes it. */
  #apply(options) {
    this.#seat?.();
    this.#seat = this.#keep("lead", () => this.#lead(), () => this.#deposed(), options);
    this.#say("want", [...this.#wants]);
  }

  #keep(name, ...rest) {
    return this.#kept.keep(this.#locks, `${this.#name} ${name}`, ...rest);
  }

  #lead() {
    this.leading = true;
    this.#streams.adopt(this.#heard.state === "live");
    this.#merge();
    this.#say("lead");
  }

  /** Another tab took this one for dead: it was frozen. */
  #deposed() {
    this.leading = false;
    this.#others.clear();
    this.#streams.close();
    this.#heard = { state: "live", at: Date.now() };
    this.#apply();
  }

  #merge() {
    const all = new Map(this.#wants);
    for (const wants of this.#others.values()) for (const [name, at] of wants) if (!all.has(name)) all.set(name, at);
    this.#streams.want(all);
  }

  /** A visible follower looks after its leader. */
  #look() {
    if (this.leading || document.visibilityState !== "visible") return undefined;
    const now = Date.now();
    this.#steals = this.#steals.filter((at) => now - at < 60_000);
    // A tab that was hidden comes back with an old date: silence counts from its first question.
    if (now - this.#asked > SILENT) this.#heard.at = now;
    this.#asked = now;
    if (now - this.#heard.at <= SILENT || this.#steals.length >= STEALS) return this.#say("ping");
    this.#steals.push(now);
    this.#heard.at = now;
    return this.#apply({ steal: true });
  }

  #say(kind, content) {
    this.#bus?.postMessage({ from: this.#id, kind, content });
  }

  #take({ from, kind, content }) {
    if (kind === "told") return this.#on.told(content.kind, content.content);
    if (this.leading) return this.#serve(from, kind, content);
    if (kind === "lead") return this.#say("want", [...this.#wants]);
    if (!["event", "state", "here"].includes(kind)) return undefined;
    this.#heard.at = Date.now();
    if (kind === "event") return this.#hear(content);
    this.#heard.state = kind === "here" ? content.state : content;
    this.#on.moved();
    return kind === "here" && this.#on.standing(content.positions);
  }

  #serve(from, kind, content) {
    if (kind === "ping") return this.#here();
    if (kind === "do") return this.#streams[content.what](content.argument);
    if (kind === "bye") return this.#forget(from);
    if (kind !== "want") return undefined;
    // The tab holds this lock for as long as it lives.
    if (!this.#others.has(from)) {
      const wait = this.#keep(`tab ${from}`, () => (this.#forget(from), wait()));
    }
    const before = this.#others.get(from);
    this.#others.set(from, new Map(content));
    this.#merge();
    for (const [channel] of content) {
      if (!before?.has(channel)) this.#streams.forgive(channel); // a new subscriber is told anew what is refused
      for (const [event, data] of this.#whole.of(channel)) this.#say("event", { channel, event, data, position: null });
    }
    return this.#here();
  }

  #here() {
    this.#say("here", { state: this.#streams.state, positions: this.#streams.standing });
  }

  #forget(tab) {
    if (this.leading && this.#others.delete(tab)) this.#merge();
  }
}
