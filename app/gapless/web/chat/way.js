/**
 * The way from this page to the service, with switches that do to it what bad networks do. The client is given `fetch`
 * and knows of nothing else.
 */
const LATE = 1000; // milliseconds by which a slow link delays each request and each piece of an answer

export class Way {
  slow = false;
  /** How many streams were opened. */
  opened = 0;
  /** Whether the newest of them gives whole turns, for a proxy that holds streams back. */
  buffered = false;
  #plug = new AbortController(); // aborted while the network is cut
  #streams = new Set();

  get cut() {
    return this.#plug.signal.aborted;
  }

  set cut(cut) {
    if (cut) this.#plug.abort();
    else if (this.cut) this.#plug = new AbortController();
  }

  /** How many streams are open: none where another tab of this user has them. */
  get open() {
    return this.#streams.size;
  }

  /** Ends the streams without a word, as a service does that is killed. */
  end() {
    for (const stream of this.#streams) stream.abort();
  }

  /** As the browser's own; only what the client uses of it. */
  fetch = async (url, options) => {
    await this.#linger();
    if (this.cut) throw new TypeError("The network is cut.");
    const stop = new AbortController();
    const signals = [this.#plug.signal, stop.signal, options.signal].filter(Boolean);
    const reply = await fetch(url, { ...options, signal: AbortSignal.any(signals) });
    const { pathname, searchParams } = new URL(url);
    if (!reply.body || !pathname.endsWith("/stream")) return reply;
    this.opened += 1;
    this.buffered = searchParams.get("mode") === "buffered";
    this.#streams.add(stop);
    return new Response(this.#pieces(reply.body.getReader(), stop), reply);
  };

  #pieces(reader, stop) {
    return new ReadableStream({
      pull: async (pieces) => {
        try {
          const { done, value } = await reader.read();
          await this.#linger();
          if (!done) return pieces.enqueue(value);
          this.#streams.delete(stop);
          pieces.close();
        } catch (error) {
          this.#streams.delete(stop);
          pieces.error(error);
        }
      },
      cancel: (why) => {
        this.#streams.delete(stop);
        return reader.cancel(why);
      },
    });
  }

  #linger() {
    return this.slow ? new Promise((resolve) => setTimeout(resolve, LATE)) : undefined;
  }
}
