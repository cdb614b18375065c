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
