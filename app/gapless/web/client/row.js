/** What a page sees of one message: a frozen row, made anew of its entry whenever something changed. Pure. */
import { reaches } from "./position.js";

/**
 * @param {object} entry what is known of the message
 * @param {string | null} me whose own messages may be delivered
 * @param {string | null} delivered how far others have received
 */
export function makeRow(entry, me, delivered) {
  const { key, localId, id, user, event, at, error, uncertain, gapBefore, edit, change } = entry;
  const arrived = entry.state === "sent" && user === me && localId !== null && delivered && reaches(delivered, id);
  return Object.freeze({
    key,
    localId,
    id,
    data: edit ? edit.data : entry.data,
    user,
    event,
    at,
    state: arrived ? "delivered" : entry.state,
    ...(error && { error }),
    ...(uncertain && { uncertain }),
    ...(gapBefore && { gapBefore }),
    ...(edit && (edit.kind === "delete" ? { deleted: true } : { edited: true })),
    ...(change && { change }),
  });
}
