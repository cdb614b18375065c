/** What one channel's user has written and the log may not have: as the outbox keeps it and the list shows it. */
import { makeItem } from "./item.js";

export class Drafts {
  #channel;
  #core;
  #list;
  #changed;
  #items = new Map(); // localId -> item

  constructor(channel, core, list, changed) {
    this.#channel = channel;
    this.#core = core;
    this.#list = list;
    this.#changed = changed;
  }

  write(data, event, ref) {
    const item = makeItem(this.#channel, data, event, ref);
    const row = this.#show(item);
    this.#core.begin();
    this.#core.unsent.write(item);
    return row;
  }

  retry(localId) {
    const item = this.#items.get(localId);
    if (item?.state === "failed") this.#revive(item, {});
  }

  /** One that failed gets a new localId: the service may remember the old one with other content. */
  edit(either, data) {
    const item = this.#items.get(either);
    if (!item || item.ref) return this.amend(either, "edit", data);
    if (item.state !== "failed") return false;
    const { localId, json, data: copy } = makeItem(this.#channel, data, item.event);
    this.#items.delete(either);
    return this.#revive(item, { localId, json, data: copy });
  }

  /** A message that changes one that is sent. */
  amend(id, event, data) {
    const row = this.#list.find(id);
    if (!row?.id) return false;
    this.write(data, event, row.id);
    return this.#list.find(id);
  }

  discard(localId) {
    const item = this.#items.get(localId);
    if (!item) return false;
    this.gone(item);
    this.#core.unsent.discard(item);
    return true;
  }

  // --- what the outbox says, in this tab or another

  take(item) {
    // One that was edited has another localId now.
    for (const [localId, { key }] of this.#items) if (key === item.key) this.#items.delete(localId);
    this.#show(item);
    this.compare();
  }

  accepted(item, id, timestamp) {
    this.#items.delete(item.localId);
    if (!item.ref) this.#list.accept(item.localId, id, timestamp);
    this.#changed();
  }

  gone(item) {
    this.#items.delete(item.localId);
    if (item.ref) this.#list.settle(item.ref, item.localId);
    else this.#list.discard(item.localId);
    this.#changed();
  }

  forget() {
    for (const item of this.#items.values()) this.gone(item);
  }

  // --- what the log says

  /** The echo came before the reply, or instead of it. */
  echoed({ localId, user }) {
    const item = localId !== null && user === this.#core.user && this.#items.get(localId);
    if (!item) return;
    this.#items.delete(localId);
    this.#core.unsent.arrived(item);
  }

  /** A page of history may hold what was sent, too. */
  compare() {
    for (const { localId, ref } of this.#items.values()) {
      if (!ref && this.#list.find(localId)?.id) this.echoed({ localId, user: this.#core.user });
    }
  }

  #revive(item, fields) {
    const sending = { ...item, ...fields, state: "sending", error: undefined, uncertain: undefined, tried: undefined };
    const row = this.#show(sending);
    this.#core.begin();
    this.#core.unsent.change(sending);
    return row;
  }

  #show(item) {
    this.#items.set(item.localId, item);
    const row = this.#list.write(item);
    this.#changed();
    return row;
  }
}
