/** What this browser remembers: a name for each window, and the rooms that were opened. */

const ROOMS = 8;

/** Also where storage is forbidden. */
function kept(storage, key, value) {
  try {
    if (value !== undefined) globalThis[storage].setItem(`gapless ${key}`, value);
    return globalThis[storage].getItem(`gapless ${key}`);
  } catch {
    return value ?? null;
  }
}

/** Two windows may be two people: each keeps its name, and a new one begins with the newest. */
export function myName() {
  const found = kept("sessionStorage", "name") ?? kept("localStorage", "name");
  return found ?? rename(`guest-${Math.random().toString(36).slice(2, 6)}`);
}

export function rename(name) {
  kept("localStorage", "name", name);
  return kept("sessionStorage", "name", name);
}

/** The last rooms that were opened, this one among them, by name. */
export function rooms(opened) {
  const before = JSON.parse(kept("localStorage", "rooms") ?? '["general"]').filter((name) => name !== opened);
  const all = [opened, ...before].slice(0, ROOMS);
  kept("localStorage", "rooms", JSON.stringify(all));
  return all.toSorted((a, b) => a.localeCompare(b));
}

export function plain(value) {
  return kept("localStorage", "plain", value === undefined ? value : String(value)) === "true";
}

/** Tell the other tabs something of a user. Unlike a BroadcastChannel it keeps no page from the back/forward cache. */
export function tell(user, what) {
  kept("localStorage", "told", JSON.stringify({ user, what, once: Math.random() }));
}

/** @param {(user: string, what: object) => void} heard another tab told something */
export function onTold(heard) {
  addEventListener("storage", ({ key, newValue }) => {
    if (key !== "gapless told" || !newValue) return;
    const { user, what } = JSON.parse(newValue);
    heard(user, what);
  });
}
