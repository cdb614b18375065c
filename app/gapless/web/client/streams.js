/**
 * The streams of one user: which channels are on them, and where each stands.
 *
 * A stream has up to 16 channels, and there are at most two: browsers allow six connections a host on HTTP/1.1.
 */
import { Connection } from "./connection.js";
import { pathOf } from "./http.js";

const CHANNELS = 16;
const STREAMS = 2;
const SETTLE = 50; // milliseconds in which changes are one reopening
const FULL = Object.freeze({
  kind: "limit",
  detail: `At most ${STREAMS * CHANNELS} channels are read at once: unsubscribe from another one.`,
});

export class Streams {
  #http;
  #on;
  #options;
  #wanted = new Map(); // channel -> the position to begin at
  #positions = new Map(); // channel -> the position that its stream has reached
  #refused = new Set();
  #lines = []; // {channels, connection, changed: it is to be asked for anew}
  #adopted = false;
  #timer;

  /**
   * @param {import("./http.js").Http} http
   * @param {{user: string | null, transport?: string}} options
   */
  constructor(http, options) {
    this.#http = http;
    this.#options = options;
  }

  /**
   * @param {{event(channel: string, event: string, data: any, position: string | null): void, stateChanged(): void}} on
   *   who hears of what comes; a channel that is refused is an event `problem`
   */
  tell(on) {
    this.#on = on;
  }

  /** @param {Map<string, string>} channels all that are wanted from now on, with the position to begin at */
  want(channels) {
    this.#wanted = channels;
    for (const name of this.#refused) if (!channels.has(name)) this.#refused.delete(name);
    this.#timer ??= setTimeout(() => this.#arrange(), SETTLE);
  }

  /** Ask again for what was refused: one channel, or all. */
  forgive(channel) {
    if (channel ? this.#refused.delete(channel) : this.#refused.size) {
      if (!channel) this.#refused.clear();
      this.want(this.#wanted);
    }
  }

  /** @returns {"idle" | "opening" | "live" | "waiting"} the worst of the streams' */
  get state() {
    const states = this.#lines.map(({ connection }) => connection.state);
    if (this.#timer && !states.length && this.#wanted.size) return this.#adopted ? "live" : "opening";
    return ["waiting", "opening", "live"].find((state) => states.includes(state)) ?? "idle";
  }

  /** Go on with what another tab had: where its stream was live, a new one is no interruption. */
  adopt(live) {
    this.#adopted = live;
  }

  /** Where each channel stands whose stream is live. */
  get standing() {
    const names = this.#lines.filter(({ connection }) => connection.state === "live").flatMap(({ channels }) => channels);
    return Object.fromEntries(names.map((name) => [name, this.#positions.get(name)]));
  }

  hurry(network) {
    for (const { connection } of this.#lines) connection.hurry(network);
  }

  /** All anew, or the one with this channel. */
  restart(channel) {
    for (const line of channel ? [this.#lineOf(channel)] : this.#lines) line?.connection.open();
  }

  close() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (const { connection } of this.#lines) connection.close();
    this.#lines = [];
    this.#positions.clear();
  }

  #lineOf(channel) {
    return this.#lines.find(({ channels }) => channels.includes(channel));
  }

  #arrange() {
    this.#timer = undefined;
    const wanted = [...this.#wanted.keys()].filter((name) => !this.#refused.has(name));
    for (const line of this.#lines) this.#prune(line, wanted);
    for (const name of wanted) if (!this.#lineOf(name)) this.#place(name);
    for (const line of this.#lines.filter(({ changed }) => changed)) {
      line.changed = false;
      if (line.channels.length) line.connection.open();
      else line.connection.close();
    }
    this.#lines = this.#lines.filter((line) => line.channels.length);
    this.#adopted = false;
    this.#on.stateChanged();
  }

  /** Takes off what is not wanted any more. */
  #prune(line, wanted) {
    const stays = line.channels.filter((name) => wanted.includes(name));
    for (const name of line.channels) if (!stays.includes(name)) this.#positions.delete(name);
    line.changed ||= stays.length < line.channels.length;
    line.channels = stays;
  }

  #place(name) {
    let line = this.#lines.find(({ channels }) => channels.length < CHANNELS);
    if (!line) {
      if (this.#lines.length === STREAMS) {
        this.#on.event(name, "problem", FULL, null);
        return;
      }
      line = this.#line();
      this.#lines.push(line);
    }
    this.#positions.set(name, this.#wanted.get(name));
    line.channels.push(name);
    line.changed = true;
  }

  #line() {
    const line = { channels: [], connection: null, changed: true };
    const live = this.#adopted || this.state === "live";
    const on = {
      event: (event, data, id) => this.#take(line, event, data, id),
      state: () => this.#on.stateChanged(),
      refused: (status, detail) => this.#doubt(line, detail),
      expired: () => this.#http.expired(),
    };
    const request = (buffered, signal) => this.#request(line, buffered, signal);
    line.connection = new Connection(request, on, this.#options.transport, live);
    return line;
  }

  /** Where there are tokens the cursor is a header: the URL changes only with the channels, and so do preflights. */
  #request({ channels }, buffered, signal) {
    const query = new URLSearchParams(channels.map((name) => ["channel", name]));
    for (const around of ["live", "receipts", "presence"]) query.append(around, "1");
    if (buffered) query.append("mode", "buffered");
    const cursor = channels.map((name) => this.#positions.get(name)).join(".");
    const headers = {};
    if (this.#http.authorized) headers["Last-Event-ID"] = cursor;
    else {
      if (this.#options.user) query.append("user", this.#options.user);
      query.append("after", cursor);
    }
    return this.#http.reply(`/stream?${query}`, { signal, headers });
  }

  #take(line, event, data, id) {
    if (id) id.split(".").forEach((position, index) => this.#positions.set(line.channels[index], position));
    const channels = event === "hello" || event === "live" ? line.channels : [data?.channel];
    for (const channel of channels) {
      if (line.channels.includes(channel)) this.#on.event(channel, event, data, this.#positions.get(channel));
    }
  }

  /** The channels of a stream were refused: each is asked for alone, so that one does not stop the others. */
  async #doubt(line, detail) {
    const { channels } = line;
    if (channels.length === 1) return this.#refuse(channels[0], detail);
    await Promise.all(
      channels.map(async (name) => {
        const answer = await this.#http.ask(`${pathOf(name)}messages?limit=1`).catch(() => null);
        if (answer?.kind === "no") this.#refuse(name, answer.detail);
      }),
    );
  }

  /** Its stream is asked for anew in any case: who wants the channel again by then, in another tab, is to hear an answer. */
  #refuse(channel, detail) {
    this.#refused.add(channel);
    const line = this.#lineOf(channel);
    if (line) line.changed = true;
    this.#on.event(channel, "problem", { kind: "refused", detail }, null);
    this.want(this.#wanted);
  }
}
