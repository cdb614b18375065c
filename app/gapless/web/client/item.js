/** A message on its way: what the outbox keeps of it, and what is sent. Pure but for the localId. */

/**
 * @typedef {{order?: number, key: string, localId: string, channel: string, event: string, json: string, data: any,
 *   ref?: string, at: number, state: "sending" | "failed", error?: object, uncertain?: true, tried?: number,
 *   from?: string | null}} Item
 *   `json`: the data as it is sent. `tried`: when it was first sent without our knowing what came of it. `from`: where
 *   the channel stood then.
 */

/** @returns {Item} @throws {TypeError} where `data` is not JSON */
export function makeItem(channel, data, event, ref) {
  const json = asJson(data);
  const localId = uuid();
  return { key: localId, localId, channel, event, json, data: JSON.parse(json), ref, at: Date.now(), state: "sending" };
}

/** The request's body; the data is put in as it was written. @param {Item} item @param {string | null} user */
export function asBody({ json, event, localId, ref }, user) {
  const members = { event, localId, ...(user !== null && { user }), ...(ref && { ref }) };
  return `{"data":${json},${JSON.stringify(members).slice(1)}`;
}

function asJson(data) {
  let json;
  try {
    json = JSON.stringify(data);
  } catch (error) {
    throw new TypeError(`A message's data must be JSON: ${error.message}`);
  }
  if (json === undefined) throw new TypeError("A message's data must be JSON.");
  return json;
}

/** Pages over plain http have no randomUUID. */
function uuid() {
  if (crypto.randomUUID) return crypto.randomUUID();
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
