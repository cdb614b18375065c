/** Edits and deletions of a channel, which are messages with a `ref`, until the messages they speak of are loaded. Pure. */
import { compare } from "./position.js";

const MOST = 2000;

export class Edits {
  #kept = new Map(); // "<ref> <who>" -> the newest of that author

  /**
   * @param {{ref: string, event: string, data: any, user: string | null, admin?: true}} message
   * @param {{generation: number, epoch: string, seq: number}} place where it stands in the log
   * @returns {boolean} whether it is news
   */
  keep(message, place) {
    const { ref, event, data, user, admin } = message;
    if ((user === null && !admin) || (event !== "edit" && event !== "delete")) return false;
    const name = `${ref} ${admin ? "" : user}`;
    const before = this.#kept.get(name);
    if (before && compare(before.place, place) > 0) return false;
    this.#kept.delete(name);
    this.#kept.set(name, { kind: event, data: event === "delete" ? null : data, place });
    if (this.#kept.size > MOST) this.#kept.delete(this.#kept.keys().next().value);
    return true;
  }

  /** What an entry's author, or an administrator, made of it last; undefined if nothing. Nobody else is obeyed. */
  of({ id, user }) {
    const [own, admin] = [user === null ? undefined : this.#kept.get(`${id} ${user}`), this.#kept.get(`${id} `)];
    if (!own || !admin) return own ?? admin;
    return compare(own.place, admin.place) > 0 ? own : admin;
  }
}
