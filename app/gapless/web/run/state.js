/**
 * What a run is, by what its channel holds. Pure: whoever reads the same messages sees the same run.
 *
 *     start  {question}        the writer has begun
 *     text   {text, tokens}    the next words, and how many tokens they are
 *     finish {reason}          done, stopped or timeout; what is written behind it does not count
 *
 * @typedef {{state: "none" | "writing" | "done" | "stopped" | "timeout", question: string, text: string, tokens: number}} Run
 */

/** @param {readonly import("../gapless.js").Message[]} messages @returns {Run} */
export function runOf(messages) {
  const run = { state: "none", question: "", text: "", tokens: 0 };
  for (const { event, data } of messages) {
    if (event === "start") Object.assign(run, { state: "writing", question: data.question });
    if (event === "text") Object.assign(run, { text: run.text + data.text, tokens: run.tokens + data.tokens });
    if (event === "finish") return { ...run, state: data.reason };
  }
  return run;
}

/** @param {string} text @returns {number} how many characters of it are whole sentences */
export function wholeSentences(text) {
  return [...text.matchAll(/[.!?](?=\s)/g)].at(-1)?.index + 2 || 0;
}
