/** One channel as a page uses it: its messages, and what can be done with them. */
import { Around } from "./around.js";
import { Drafts } from "./drafts.js";
import { History, Refused } from "./history.js";
import { List } from "./list.js";
import { Listeners } from "./listeners.js";

const LINGER = 5000; // milliseconds for which a channel stays on the stream without a subscriber

export class Channel {
  /** @type {object | null} */
  problem = null;
  #core;
  #list;
  #history;
  #listeners = new Listeners();
  #drafts;
  #around;
  #wanted = false;
  #begun = null;
  #caughtUp = false;
  #linger;

  /** Made by a client. @param {import("./core.js").Core} core what all channels of a client share */
  constructor(name, client, core) {
    this.client = client;
    this.name = name;
    this.#core = core;
    this.#list = new List(core.user);
    this.#history = new History(name, core.http, this.#list, (fresh) => {
      this.#drafts.compare();
      this.#changed(fresh);
    });
    this.#drafts = new Drafts(name, core, this.#list, () => this.#changed());
    this.#around = new Around(name, core, this.#list, {
      changed: () => this.#changed(),
      people: (people) => this.#listeners.tell("people", people),
    });
    core.attach(name, {
      event: (event, data, position) => this.#take(event, data, position),
      standing: (position) => this.#compare(position),
      item: (item) => this.#drafts.take(item),
      accepted: (item, id, timestamp) => this.#drafts.accepted(item, id, timestamp),
      gone: (item) => this.#drafts.gone(item),
      mark: (_, id) => this.#around.mark(id),
      visible: () => this.#around.visible(),
      forgive: () => this.#forgive(),
      interrupted: () => (this.#caughtUp = false),
      position: () => this.#list.position,
      leave: () => this.#leave(),
      forget: () => this.#drafts.forget(),
    });
  }

  get messages() {
    return this.#list.rows;
  }

  get gap() {
    return this.#list.gap;
  }

  /** Who else is here, and who types. */
  get people() {
    return this.#around.people;
  }

  get unread() {
    return this.#around.unread;
  }

  // --- subscribers

  /** `fn` runs once per microtask in which anything changed. @returns {() => void} ends it */
  subscribe(fn) {
    return this.on("change", () => fn());
  }

  /** @param {"message" | "gap" | "signal" | "live" | "people"} kind @returns {() => void} */
  on(kind, fn) {
    const end = this.#listeners.add(kind, fn);
    this.#open();
    return () => void (end() && this.#rest());
  }

  #open() {
    clearTimeout(this.#linger);
    if (this.#core.inert) return;
    if (this.#wanted) return void (this.problem && this.#core.forgive(this.name));
    this.#wanted = true;
    this.#core.enter(this.name, !this.#list.position);
    if (this.#list.position) this.#core.want(this.name, this.#list.position);
    else this.#begin();
  }

  #rest() {
    if (this.#listeners.size || !this.#wanted) return;
    this.#list.rest();
    this.#linger = setTimeout(() => this.#leave(), LINGER);
  }

  #leave() {
    clearTimeout(this.#linger);
    this.#wanted = false;
    this.#caughtUp = false;
    this.#history.stop();
    this.#around.rest();
    this.#begun = null;
    this.#core.leave(this.name);
  }

  #forgive() {
    this.#around.forgive();
    if (this.#begun === null && this.#wanted) this.#begin();
  }

  /** A page of history, then the stream from its cursor. The read mark comes before: `live` says that `unread` is right. */
  #begin() {
    const begun = (this.#begun = this.#first().then(
      (read) => {
        if (this.#begun !== begun || !this.#list.position) return;
        this.#around.mark(read);
        this.#core.want(this.name, this.#list.position);
      },
      (error) => {
        if (this.#begun !== begun) return;
        this.#begun = null;
        this.#core.want(this.name, null);
        if (error instanceof Refused) this.#setProblem({ kind: "refused", detail: error.message });
      },
    ));
  }

  /** @returns {Promise<string | undefined>} the read mark */
  async #first() {
    await this.#history.first(this.#core.pageSize);
    return this.#list.position && this.#core.unsent.marked(this.name, this.#list.position);
  }

  // --- what the stream says

  #take(event, data, position) {
    if (event === "problem") return this.#setProblem(data);
    const around = this.#around.take(event, data);
    if (event === "hello") this.#setProblem(null);
    if (event === "signal") this.#listeners.tell("signal", data);
    if (around || this.#list.position === null) return undefined; // the first page will have the message
    if (event === "live") return this.#catchUp();
    if (event === "gap") return this.#break(data, position);
    return event === "beat" ? undefined : this.#message(data);
  }

  #message(message) {
    const taken = this.#list.take(message);
    if (taken === "hole") return void this.#history.fill();
    this.#drafts.echoed(message);
    this.#around.wrote(message.user);
    if (this.#core.leading) this.#around.received();
    return this.#changed(taken === "new" ? [this.#list.find(message.id)] : []);
  }

  #break(gap, position) {
    if (this.#list.position === position) return;
    this.#list.break(gap, position);
    this.#changed();
    this.#listeners.tell("gap", this.#list.gap);
  }

  /** Where another tab's stream stands: what was missed is asked for. */
  #compare(position) {
    if (this.#list.position === null) return;
    if (this.#list.position === position) this.#catchUp();
    else this.#history.fill();
  }

  #catchUp() {
    if (this.#caughtUp) return;
    this.#caughtUp = true;
    this.#listeners.tell("live");
  }

  #setProblem(problem) {
    if (this.problem === problem) return;
    this.problem = problem;
    this.#changed();
  }

  // --- sending

  /** @returns {object} its row, at once. @throws {TypeError} for what is not JSON, and nothing else */
  send(data, { event = "message", ref } = {}) {
    if (this.#core.inert) throw new Error("Messages are sent by pages, not while they are rendered on a server.");
    if (this.#listeners.size) this.#open(); // the client may have been closed
    return this.#drafts.write(data, event, ref);
  }

  /** Send again what failed. A second call changes nothing. */
  retry(localId) {
    this.#drafts.retry(localId);
  }

  /**
   * Changes a message: one that is sent by a message that says so; one that failed in place, under a new localId.
   * @returns {object | false} its row; false where there is no such message, or it is being sent
   */
  edit(either, data) {
    return this.#drafts.edit(either, data);
  }

  delete(id) {
    return this.#drafts.amend(id, "delete", null);
  }

  /** Gives up what is not sent. @returns {boolean} false where there is nothing such */
  discard(localId) {
    return this.#drafts.discard(localId);
  }

  // --- around

  /** Everything up to `id`, or to the newest, was read. In a hidden tab it counts once the tab is seen. */
  seen(id) {
    this.#around.seen(id);
  }

  /** Tells the others that this user types; call it at every key. */
  typing() {
    this.#around.typing();
  }

  // --- the past

  /** Reads `n` rows more. @returns {Promise<boolean>} false: the start was reached. Rejects without a network */
  older(n = 50) {
    return this.#history.older(n);
  }

  // --- telling

  #changed(fresh = []) {
    this.#list.trim();
    for (const row of fresh) if (row) this.#listeners.tell("message", row);
    this.#listeners.changed(() => this.#around.count());
  }
}
