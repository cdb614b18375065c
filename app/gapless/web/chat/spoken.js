/** What screen readers say: new messages of others, apart from the list, which would be read again at every change. */
import { make, the } from "./dom.js";
import { textOf } from "./items.js";

const PAUSE = 1000; // milliseconds in which messages are gathered
const MANY = 3; // more at once are counted instead of read

let waiting = [];

/** @param {object} row a message that has just come */
export function speak(row) {
  if (!waiting.length) setTimeout(say, PAUSE);
  waiting.push(`${row.user ?? "Somebody"}: ${textOf(row)}`);
}

function say() {
  const lines = waiting.length > MANY ? [`${waiting.length} new messages`] : waiting;
  the("spoken").replaceChildren(...lines.map((textContent) => make("p", { textContent })));
  waiting = [];
}
