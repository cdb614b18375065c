/**
 * Work that one tab does at a time. A tab that holds the lock for longer than `patience` while another waits is frozen, and
 * loses it.
 * @param {LockManager | undefined} locks without them the work is done at once
 * @param {string} name
 * @param {(held: () => boolean) => Promise<void>} work `held`: whether the lock is still this tab's
 * @param {number} patience milliseconds
 */
export async function alone(locks, name, work, patience) {
  let held = true;
  const locked = () => work(() => held);
  if (!locks) return locked();
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(), patience);
  const started = () => (clearTimeout(timer), locked());
  try {
    return await locks.request(name, { signal: late.signal }, started).catch((error) => {
      if (!late.signal.aborted) throw error;
      return locks.request(name, { steal: true }, locked);
    });
  } finally {
    held = false;
    clearTimeout(timer);
  }
}

/** Locks that a tab keeps until it lets go of one, or of all. */
export class Kept {
  #ends = new Set();

  /**
   * Asks for a lock and keeps it.
   * @param {() => void} granted @param {() => void} [lost] another tab stole it
   * @returns {() => void} lets go of it, or of the wish for it
   */
  keep(locks, name, granted, lost = () => {}, options = {}) {
    const abort = new AbortController();
    let release;
    const until = new Promise((resolve) => (release = resolve));
    const signal = options.steal ? {} : { signal: abort.signal };
    const end = () => {
      this.#ends.delete(end);
      abort.abort();
      release();
    };
    this.#ends.add(end);
    locks
      .request(name, { ...options, ...signal }, () => {
        if (!this.#ends.has(end)) return undefined;
        granted();
        return until;
      })
      .catch(() => this.#ends.has(end) && (end(), lost()));
    return end;
  }

  end() {
    for (const end of this.#ends) end();
  }
}
