/** Ids and positions (docs/protocol.md, section 1). Pure. */

/**
 * @param {string | null | undefined} text `<epoch>-<seq>-<mark>`
 * @param {number} [generation] a reader counts them: a `reset` begins one
 * @returns {{generation: number, epoch: string, seq: number} | null}
 */
export function parse(text, generation = 0) {
  const found = /^([0-9a-z]{6,8})-(\d{1,15})-[0-9a-z]{1,4}$/.exec(text ?? "");
  return found && { generation, epoch: found[1], seq: Number(found[2]) };
}

/**
 * Negative where `a` stands before `b`: by generation, epoch and seq. Epochs begin with their second, so they have an
 * order. Marks have none: they tell rewritten histories apart.
 */
export function compare(a, b) {
  const before = a.generation - b.generation;
  if (before || a.epoch === b.epoch) return before || a.seq - b.seq;
  return a.epoch < b.epoch ? -1 : 1;
}

/**
 * Whether the message `id` is the very next after `position`. A reader that found no log holds the second at which it
 * looked, and the first message of the log that begins later is its next.
 */
export function follows(position, id) {
  const [here, next] = [parse(position), parse(id)];
  if (!here || !next) return false;
  return here.epoch === next.epoch ? next.seq === here.seq + 1 : here.epoch.length < 8 && next.seq === 1;
}

/** Whether what `position` has passed includes the message `id`: both by epoch and seq. */
export function reaches(position, id) {
  const [here, there] = [parse(position), parse(id)];
  return Boolean(here && there) && compare(here, there) >= 0;
}
