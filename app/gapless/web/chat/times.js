/** Times and days in words. Pure: the present is an argument. */

const MINUTE = 60_000;
let format = null; // made once, and not at import: the first one that a page makes costs as much as all else at its start

/** @param {Date} at @param {number} now milliseconds @returns {string} short for the last hour, then the time of day */
export function ago(at, now) {
  const minutes = Math.floor((now - at) / MINUTE);
  if (minutes < 1) return "just now";
  return minutes < 60 ? `${minutes} min ago` : at.toLocaleTimeString([], { hour: "numeric", minute: "2-digit" });
}

/** @param {Date} at @returns {string} the whole of it, for those who point at it */
export function whole(at) {
  format ??= new Intl.DateTimeFormat([], { dateStyle: "full", timeStyle: "medium" });
  return format.format(at);
}

/** @param {Date} at @returns {string} its day in this time zone; equal days are equal strings */
export function dayOf(at) {
  return `${at.getFullYear()}-${at.getMonth() + 1}-${at.getDate()}`;
}

/** @param {Date} at @param {number} now @returns {string} its day in words */
export function dayName(at, now) {
  const day = dayOf(at);
  if (day === dayOf(new Date(now))) return "Today";
  if (day === dayOf(new Date(now - 24 * 60 * MINUTE))) return "Yesterday";
  const year = at.getFullYear() === new Date(now).getFullYear() ? {} : { year: "numeric" };
  return at.toLocaleDateString("en", { weekday: "long", day: "numeric", month: "long", ...year });
}
