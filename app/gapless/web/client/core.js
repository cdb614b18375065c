/** What all channels of one user share in this tab, and how the parts are joined. */
import { Echo } from "./echo.js";
import { Http } from "./http.js";
import { Streams } from "./streams.js";
import { Tabs } from "./tabs.js";
import { Tokens } from "./tokens.js";
import { Unsent } from "./unsent.js";
import { listen } from "./wakeup.js";

const FORMAT = "gapless.1"; // of what tabs say to each other and keep; tabs of another format are other tabs

export class Core {
  user;
  pageSize;
  inert;
  http;
  /** What is not sent, and the read marks. @type {Unsent} */
  unsent;
  #tokens;
  #streams;
  #tabs;
  #unlisten; // to what a page hears of the machine
  #echo;
  #onChange;
  #channels = new Map(); // name -> what its Channel wants to hear
  #wants = new Map();
  #users = new Set(); // channels, and whoever looks at the client
  #opening = new Set(); // channels that read their first page
  #open = false;
  #started = false; // was live since it was idle
  #up = false; // the stream is live

  /**
   * @param {string} base
   * @param {object} options as `gapless` takes them
   * @param {() => void} onChange what the client says of itself has changed
   */
  constructor(base, options, onChange) {
    const { user = null, token, history = 50, transport, storage = "indexeddb", tabs = true } = options;
    const identity = `${FORMAT} ${base} ${user ?? ""}`;
    this.user = user;
    this.pageSize = history;
    this.inert = typeof document === "undefined";
    this.#onChange = onChange;
    const shared = { alone: (work) => this.#tabs.token(work), tell: (value) => this.#tabs.tell("token", value) };
    const told = { problem: () => this.#authorized(), token: () => this.#tabs.ask("forgive") }; // it may have other rights
    this.#tokens = new Tokens(token, user, shared, told);
    this.http = new Http(base, this.#tokens, options.fetch ?? ((...request) => fetch(...request)), onChange);
    this.#streams = new Streams(this.http, { user, transport });
    this.#tabs = new Tabs(identity, this.#streams, this, tabs);
    this.unsent = new Unsent(identity, storage, this.http, this.#tabs, this);
    this.#echo = new Echo((channel) => this.#live(channel), (channel) => this.#tabs.ask("restart", channel));
  }

  // --- what the client shows

  get state() {
    if (this.#tokens.problem) return "refused";
    const state = this.#wants.size ? this.#tabs.state : this.#opening.size ? "opening" : "idle";
    if (state === "live") this.#started = true;
    if (state === "live" || state === "idle") return state;
    if (navigator.onLine === false) return "offline";
    return this.#started ? "reconnecting" : "connecting";
  }

  get problem() {
    return this.#tokens.problem ?? this.http.problem ?? this.unsent.problem;
  }

  replaceToken(ask) {
    this.#tokens.replace(ask);
  }

  // --- what a channel asks for

  attach(name, channel) {
    this.#channels.set(name, channel);
  }

  /** Somebody begins to look: the client opens. @param {boolean} [opening] and reads a first page */
  enter(who, opening = false) {
    if (this.inert) return;
    this.#users.add(who);
    if (opening) this.#opening.add(who);
    this.begin();
    if (this.#channels.has(who)) this.unsent.show(who);
    this.#onChange();
  }

  leave(who) {
    this.#users.delete(who);
    this.#opening.delete(who);
    if (this.#wants.delete(who)) this.#tabs.want(this.#wants);
    this.changed();
  }

  /** @param {string | null} position null: it may not be read */
  want(name, position) {
    if (!this.#users.has(name)) return;
    this.#opening.delete(name);
    if (position !== null) this.#wants.set(name, position);
    this.#tabs.want(this.#wants);
    this.#onChange();
  }

  forgive(name) {
    this.#tabs.ask("forgive", name);
    this.#channels.get(name)?.forgive();
  }

  /** Something is to be sent. */
  begin() {
    if (this.#open) return;
    this.#open = true;
    const open = () => (this.#tabs.open(), this.unsent.open());
    const shut = () => (this.unsent.close(), this.#tabs.shut());
    this.#unlisten = listen({ hurry: (network) => this.#hurry(network), shut, open, words: this.#onChange });
    open();
  }

  get leading() {
    return this.#tabs.leading;
  }

  reconnect() {
    if (this.inert) return;
    this.#tokens.reset();
    this.http.forgive();
    for (const channel of this.#channels.values()) channel.forgive();
    this.#tabs.ask("forgive");
    this.#tabs.ask("restart");
    this.unsent.drain();
  }

  /** @returns {Promise<number>} how many unsent messages were dropped */
  async close(forget) {
    if (this.inert) return 0;
    for (const name of [...this.#users]) this.#channels.get(name)?.leave();
    this.#wants.clear();
    this.#users.clear();
    this.#tabs.want(this.#wants);
    const dropped = forget ? await this.unsent.clear() : 0;
    if (forget) {
      this.#tabs.tell("forget");
      this.#forgotten();
    }
    this.changed();
    return dropped;
  }

  // --- resting

  /** With nobody looking and nothing to send, no timer, lock or listener stays. */
  #rest() {
    if (!this.#open || this.#users.size || this.unsent.busy) return;
    this.#open = false;
    this.#started = false;
    this.#unlisten();
    this.#echo.stop();
    this.unsent.close();
    this.#tabs.shut();
  }

  #forgotten() {
    for (const channel of this.#channels.values()) channel.forget();
    this.unsent.close();
  }

  /** Where a channel stands while its stream is live. */
  #live(channel) {
    return this.state === "live" ? this.position(channel) : null;
  }

  #hurry(network) {
    for (const channel of this.#channels.values()) channel.visible();
    this.#tabs.ask("hurry", network);
    this.unsent.drain();
  }

  #authorized() {
    if (!this.#tokens.problem) {
      this.#tabs.ask("restart");
      this.unsent.drain();
    }
    this.#onChange();
  }

  // --- what the tabs say

  event(channel, ...event) {
    this.#channels.get(channel)?.event(...event);
  }

  /** Where the stream stands that another tab has. */
  standing(positions) {
    for (const [name, position] of Object.entries(positions)) this.#channels.get(name)?.standing(position);
  }

  /** The stream's state may be another. */
  moved() {
    const live = this.#tabs.state === "live";
    if (!live) for (const channel of this.#channels.values()) channel.interrupted();
    else if (!this.#up) this.unsent.drain(); // the way is open: what pauses need not wait
    this.#up = live;
    this.#onChange();
  }

  /** What another tab tells all of them. */
  told(kind, content) {
    if (kind === "token") return this.#tokens.hear(content);
    if (kind === "token?") return this.#tokens.current && this.#tabs.tell("token", this.#tokens.current);
    if (kind === "forget") return (this.#forgotten(), this.close(false));
    this.show(kind, content);
    return kind !== "mark" && this.unsent.told(content[0].channel);
  }

  // --- what is said of what is not sent

  position(channel) {
    return this.#channels.get(channel)?.position() ?? null;
  }

  /** In this tab. @param {"item" | "accepted" | "gone" | "mark"} kind @param {any[]} content the first names its channel */
  show(kind, content) {
    this.#channels.get(content[0].channel)?.[kind](...content);
  }

  /** In all tabs. */
  news(kind, content) {
    this.show(kind, content);
    this.#tabs.tell(kind, content);
    if (kind === "accepted") this.#echo.expect(content[0].channel, content[1]);
  }

  changed() {
    this.#rest();
    this.#onChange();
  }
}
