/** The connection in a word, and a banner where something is to be said about it. */
import { the } from "./dom.js";

const WORDS = {
  idle: "Idle",
  connecting: "Connecting",
  live: "Live",
  stuck: "Not sending", // the stream stands, and what is written does not get through
  reconnecting: "Reconnecting",
  offline: "Offline",
  refused: "Refused",
};
const PATIENCE = 3000; // milliseconds without a connection that are not worth a word

export class Status {
  #client;
  #room;
  #since = null; // since when it is not live, or something waits
  #timer;
  #leave = () => {};

  constructor() {
    the("banner").querySelector("button").addEventListener("click", () => this.#client.reconnect());
  }

  watch(client, room) {
    this.#leave();
    [this.#client, this.#room] = [client, room];
    this.#leave = client.subscribe(() => this.show());
    this.show();
  }

  show() {
    const { state, waiting } = this.#client;
    this.#since = state === "live" && !waiting ? null : (this.#since ?? Date.now());
    const late = this.#since !== null && Date.now() - this.#since >= PATIENCE;
    clearTimeout(this.#timer);
    if (this.#since !== null && !late) this.#timer = setTimeout(() => this.show(), this.#since + PATIENCE - Date.now());
    this.#name(late && state === "live" ? (navigator.onLine ? "stuck" : "offline") : state);
    this.#tell(this.#words(late));
  }

  #name(state) {
    if (the("state").dataset.state === state) return; // what is written again is read out again
    the("state").textContent = WORDS[state];
    the("state").dataset.state = state;
  }

  #words(late) {
    const { state, problem, waiting } = this.#client;
    const worse = problem ?? this.#room.problem;
    if (state === "refused" || worse?.kind === "refused") return `Refused: ${worse.detail}`;
    if (late) return `${this.#trouble(state)} ${waits(waiting)}`;
    return worse?.detail ?? "";
  }

  #trouble(state) {
    if (state === "offline" || navigator.onLine === false) return "You are offline.";
    if (state === "live") return "What you write does not get through. Trying again…";
    return state === "connecting" ? "The service does not answer. Trying again…" : "The connection is gone. Trying again…";
  }

  /** Said once: an alert that is written again is read out again. */
  #tell(words) {
    const [banner, text] = [the("banner"), the("banner").querySelector("p")];
    banner.hidden = !words;
    if (text.textContent !== words) text.textContent = words;
  }
}

function waits(count) {
  if (!count) return "";
  return count === 1 ? "One message waits, and is kept." : `${count} messages wait, and are kept.`;
}
