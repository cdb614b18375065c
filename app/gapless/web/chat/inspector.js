/** "Pull the plug": switches that break the connection, and numbers that show what was lost by it. */
import { Commands } from "./commands.js";
import { the } from "./dom.js";
import * as memory from "./memory.js";
import { Tally } from "./tally.js";
import { Way } from "./way.js";

const LOOK = 1000; // milliseconds between two looks at the service's log
const ROBOT = 20; // messages

export class Inspector {
  #ways = new Map(); // user -> Way
  #user = "";
  #room = null;
  #tally = null;
  #commands = null;
  #told = -1; // how many messages had been sent when the commands were asked for
  #timer;
  #begun; // the first look: what is written after it is counted
  #answered = false;

  constructor() {
    the("plug").addEventListener("click", () => this.#toggle());
    the("cut").addEventListener("change", ({ target }) => this.#switch("cut", target.checked));
    the("slow").addEventListener("change", ({ target }) => this.#switch("slow", target.checked));
    the("end").addEventListener("click", () => this.#switch("end", true));
    the("robot")?.addEventListener("click", () => this.#write());
    memory.onTold((user, { what, on }) => this.#ways.has(user) && this.#apply(user, what, on));
  }

  /** The way to the service for all clients of this user. */
  way(user) {
    if (!this.#ways.has(user)) this.#ways.set(user, new Way());
    return this.#ways.get(user);
  }

  watch(user, room) {
    [this.#user, this.#room] = [user, room];
    this.#begin();
  }

  show() {
    if (the("inspector").hidden) return;
    const { client, messages } = this.#room;
    const way = this.way(this.#user);
    const { sent, missing } = this.#tally;
    [the("cut").checked, the("slow").checked] = [way.cut, way.slow];
    put("sent", this.#answered ? sent : "?");
    put("seen", this.#answered ? sent - missing : "?");
    put("missing", this.#answered ? missing : "?");
    the("counted").dataset.missing = missing > 0;
    put("cursor", messages.findLast(({ id }) => id)?.id ?? "none");
    put("stream", way.open ? "in this tab" : client.state === "live" ? "in another tab of yours" : "none");
    put("mode", way.buffered ? "whole turns" : "streaming");
    put("reconnects", Math.max(0, way.opened - 1));
    put("waiting", client.waiting);
    this.#price(sent - missing);
  }

  /** What the store was asked, in all and for each message that came. What these looks cost is among it. */
  #price(seen) {
    const { total, since } = this.#commands;
    the("inspector").querySelector("[data-is=commands]").parentElement.hidden = total === null;
    put("commands", `${total?.toLocaleString("en")} in all, ${since?.toLocaleString("en")} since you opened this`);
    the("inspector").querySelector("[data-is=each]").parentElement.hidden = !since || !seen;
    put("each", (since / seen).toFixed(1));
  }

  #toggle() {
    const hidden = (the("inspector").hidden = !the("inspector").hidden);
    the("plug").ariaExpanded = String(!hidden);
    clearInterval(this.#timer);
    if (hidden) return;
    this.#timer = setInterval(() => this.#look(), LOOK);
    this.#begin();
  }

  /** Counts from now on. */
  #begin() {
    this.#tally = new Tally(this.#room);
    [this.#commands, this.#told] = [new Commands(), -1];
    this.#answered = false;
    this.#begun = this.#look();
    this.show();
  }

  async #look() {
    if (the("inspector").hidden || document.visibilityState !== "visible") return;
    const tally = this.#tally;
    const answered = await tally.look().then(() => true, () => false);
    if (tally !== this.#tally) return;
    this.#answered = answered;
    this.show();
    if (answered && tally.sent !== this.#told) await this.#count(tally.sent);
  }

  /** Only where something was sent: a look at nothing should cost nothing. */
  async #count(sent) {
    this.#told = sent;
    await this.#commands.look().catch(() => {});
    this.show();
  }

  /** All tabs of one user share a stream and an outbox: a switch is for all of them. */
  #switch(what, on) {
    this.#apply(this.#user, what, on);
    memory.tell(this.#user, { what, on });
  }

  #apply(user, what, on) {
    const way = this.way(user);
    if (what === "end") way.end();
    else way[what] = on;
    if (what === "cut" && !on && user === this.#user) this.#room.client.reconnect(); // as where a plug is put in again
    this.show();
  }

  /** Somebody else writes, whatever is cut here. */
  async #write() {
    const all = Array.from({ length: ROBOT }, (_, n) => ({ user: "robot", data: { text: `${n + 1} of ${ROBOT}` } }));
    const request = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(all) };
    await this.#begun;
    const reply = await fetch(this.#tally.path, request).catch(() => null);
    put("robot", reply?.ok ? "" : `The robot's messages were not taken: ${await reason(reply)}`);
    this.#look();
  }
}

async function reason(reply) {
  if (!reply) return "the service does not answer.";
  return (await reply.json().catch(() => null))?.detail ?? `status ${reply.status}.`;
}

/** Not every page shows everything. */
function put(what, words) {
  const place = the("inspector").querySelector(`[data-is="${what}"]`);
  if (place && place.textContent !== String(words)) place.textContent = words;
}
