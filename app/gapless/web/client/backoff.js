/** How long to wait before the next try. Pure: the dice are an argument, times are milliseconds. */

const SHORTEST = 250;
const FIRST = 1000;
const LONGEST = 30_000;

/**
 * The wait after `failures` tries that came to nothing: spread over all of it, so that clients that failed together
 * return apart. What the service asks for is a lower bound.
 * @param {number} failures
 * @param {() => number} random in 0…1
 * @param {number} [asked] the stream's `retry`, or a reply's Retry-After
 */
export function backoff(failures, random, asked = 0) {
  const growth = Math.min(LONGEST, FIRST * 2 ** Math.min(failures, 10));
  return Math.max(asked, SHORTEST, random() * growth);
}

/**
 * The wait after a stream has ended.
 * @param {{reason: string, after?: number}} end `reason`: the service's word in `end`, or "cut". `after`: what a refusal
 *   asked for.
 * @param {{retry: number, failures: number, buffered: boolean}} stream
 * @param {() => number} random
 */
export function pauseAfter(end, { retry, failures, buffered }, random) {
  // Planned: the next stream goes on where this one ended. A turn is asked for again after its own short pause.
  if (end.reason === "deadline" || end.reason === "auth") return buffered ? retry : 0;
  // A process stops and its clients go elsewhere, not all in one moment.
  if (end.reason === "shutdown") return random() * retry;
  return backoff(failures, random, Math.max(retry, end.after ?? 0));
}

/** Failures in a row, after one more life: a message, or outliving the last wait, shows that the way is open. */
export function failuresAfter(failures, { messages, lived, waited }) {
  return messages > 0 || lived > waited ? 0 : failures + 1;
}
