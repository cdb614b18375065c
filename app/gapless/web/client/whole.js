/** What streams tell once and then in changes, kept whole for tabs that come later: what is offered, who is here, marks. */

export class Whole {
  #channels = new Map(); // channel -> {hello, receipt, presence}

  take(channel, event, data) {
    if (!this.#channels.has(channel)) this.#channels.set(channel, {});
    const kept = this.#channels.get(channel);
    if (event === "hello") kept.hello = data;
    if (event === "receipt") {
      const receipts = data.whole ? data.receipts : { ...kept.receipt?.receipts, ...data.receipts };
      kept.receipt = { ...data, receipts, whole: true };
    }
    if (event === "presence") {
      const { users, joined = [], left = [] } = data;
      const here = new Set(users ?? kept.presence?.users);
      for (const user of joined) here.add(user);
      for (const user of left) here.delete(user);
      kept.presence = { ...data, users: [...here], joined: [], left: [] };
    }
  }

  /** @returns {[string, object][]} the events that tell all of it */
  of(channel) {
    return Object.entries(this.#channels.get(channel) ?? {});
  }

  clear() {
    this.#channels.clear();
  }
}
