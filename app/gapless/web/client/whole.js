/** What streams tell once and then in changes, made whole: what is offered, who is here, marks. */

const WHOLE = {
  __proto__: null, // an app may name its events as it likes
  hello: (data) => data,
  receipt: ({ receipts, whole }, before) => ({
    receipts: whole ? receipts : { ...before?.receipts, ...receipts },
    whole: true,
  }),
  presence({ users, joined = [], left = [] }, before) {
    const here = new Set([...(users ?? before?.users ?? []), ...joined]);
    for (const user of left) here.delete(user);
    return { users: [...here] };
  },
};

export class Whole {
  #channels = new Map(); // channel -> {hello, receipt, presence}

  /** One event. @returns {any} its data, whole where they told of a change */
  take(channel, event, data) {
    const whole = WHOLE[event];
    if (!whole) return data;
    const kept = this.#channels.get(channel) ?? {};
    this.#channels.set(channel, kept);
    return (kept[event] = whole(data, kept[event]));
  }

  /** @returns {[string, object][]} the events that tell all of it */
  of(channel) {
    return Object.entries(this.#channels.get(channel) ?? {});
  }

  clear() {
    this.#channels.clear();
  }
}
