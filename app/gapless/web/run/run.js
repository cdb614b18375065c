/**
 * A text that is written while it is read, as a model's answer is. What is known of a run stands in a channel of its own,
 * `run:<id>`, and nowhere else: that is why one may reload, come later, look from two windows, and lose the writer.
 */
import { make, the } from "../chat/dom.js";
import { Inspector } from "../chat/inspector.js";
import { Status } from "../chat/status.js";
import { gapless } from "../gapless.js";
import { runOf, wholeSentences } from "./state.js";

const SILENCE = 10_000; // milliseconds without a word after which the writer is gone
const LONG = 3000; // milliseconds without a word that are worth one
const USER = "run"; // whose message a `finish` is: the same for all who might write it
const WORDS = { none: "Ask why streams break", writing: "Writing", done: "Done", stopped: "Stopped", timeout: "The writer is gone" };

let id, room;
let run = runOf([]);
let starting = false;
let trouble = ""; // why it could not be started or ended
let heard = 0; // when the newest word came, by this page's clock
let said = null; // how many characters screen readers were told of; null until the page has caught up
let leave = []; // ends what the run before had asked for
let doubting;

const status = new Status();
const inspector = new Inspector();

/** The way to the service, which the inspector can cut. */
function ask(path, body) {
  const request = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  return inspector.way("").fetch(new URL(path, document.baseURI).href, body ? request : { cache: "no-store" });
}

// --- one run

/** Its id is in the page's address, so that a reload and a second window find it. */
function enter(wanted) {
  for (const end of leave) end();
  id = wanted;
  room = gapless(".", { history: 200, fetch: inspector.way("").fetch }).channel(`run:${id}`);
  [run, starting, trouble, said, heard] = [runOf([]), false, "", null, Date.now()];
  the("second").href = `run?id=${id}`;
  the("text").replaceChildren();
  status.watch(room.client, room);
  inspector.watch("", room);
  leave = [room.subscribe(changed), room.on("live", caughtUp), room.client.subscribe(changed)];
  changed();
}

function caughtUp() {
  said ??= run.text.length;
  show();
  doubt(); // a writer may have been gone for long
}

function changed() {
  const before = run;
  run = runOf(room.messages);
  if (run.state !== before.state) trouble = "";
  if (run.tokens !== before.tokens || run.state !== before.state) {
    heard = Date.now();
    doubtLater(SILENCE);
  }
  if (run.state !== "none") starting = false;
  show();
}

// --- what can be done

/** The request is answered when the run is over. What becomes of it stands in the channel, so a lost reply is no loss. */
async function start() {
  [starting, trouble] = [true, ""];
  show();
  const begun = id;
  const problem = await sent("run", { channel: room.name });
  if (begun !== id || run.state !== "none") return;
  [starting, trouble] = [false, problem];
  show();
}

/**
 * Writes how the run ended. Whoever is first decides: the service knows the localId `finish` and takes no other one, and
 * all who read go by the first in any case. The writer sees that somebody else has written, and stops.
 */
async function end(reason) {
  const message = { event: "finish", user: USER, localId: "finish", data: { reason } };
  const problem = await sent(`channels/${room.name}/messages`, message);
  trouble = run.state === "writing" ? problem : "";
  show();
}

/** What a crash does: the writer writes nothing any more, no `finish` either. */
async function kill() {
  trouble = await sent(`channels/${room.name}/messages`, { event: "kill", data: null });
  show();
}

/** @returns {Promise<string>} why it was not sent; "" where it was, or where somebody else was first */
async function sent(path, body) {
  const reply = await ask(path, body).catch(() => null);
  if (!reply) return "The service does not answer.";
  if (reply.ok || reply.status === 409) return "";
  return (await reply.json().catch(() => ({}))).detail ?? `The service answers ${reply.status}.`;
}

// --- whether the writer is gone

function doubtLater(wait) {
  clearTimeout(doubting);
  if (run.state === "writing") doubting = setTimeout(doubt, wait);
}

/**
 * Asks the log itself, since it may be this page that hears nothing, and compares times of the service alone, since this
 * page's clock may be wrong.
 */
async function doubt() {
  if (run.state !== "writing") return;
  doubtLater(SILENCE);
  const where = room;
  const reply = await ask(`channels/${room.name}/messages?limit=1`).catch(() => null);
  if (!reply?.ok || where !== room) return;
  const newest = (await reply.json()).messages.at(-1);
  const silent = Date.parse(reply.headers.get("date")) - Date.parse(newest?.timestamp);
  if (newest?.event === "finish" || where !== room) return; // it is on its way
  if (silent < SILENCE) doubtLater(SILENCE - silent);
  else if (silent >= SILENCE) end("timeout");
}

// --- what is shown

function show() {
  const unknown = run.state === "none" && said === null; // what was written before has not come yet
  the("paper").dataset.run = starting ? "writing" : unknown ? "unknown" : run.state;
  the("question").textContent = run.question;
  write(run.text);
  the("tokens").textContent = run.tokens ? `${run.tokens} tokens` : "";
  put("word", trouble || (starting ? "The writer is asked…" : WORDS[run.state]));
  put("quiet", quiet());
  the("word").dataset.bad = Boolean(trouble) || run.state === "timeout";
  const writing = run.state === "writing";
  the("go").textContent = writing ? "Stop" : starting ? "Starting…" : run.state === "none" ? "Start" : "Start another";
  the("go").disabled = false;
  the("kill").hidden = !writing;
  speak();
  inspector.show();
}

/** Seen only: it changes each second. */
function quiet() {
  const silent = Math.floor((Date.now() - heard) / 1000);
  if (run.state !== "writing" || silent * 1000 < LONG || room.client.state !== "live") return "";
  return `No word for ${silent} s. After ${SILENCE / 1000} s its writer counts as gone.`;
}

/** Only what is new is added, so that a selection stays and nothing is read out again. Who is at the end stays there. */
function write(text) {
  const paper = the("paper");
  const follows = paper.scrollHeight - paper.scrollTop - paper.clientHeight < 50;
  const shown = the("text").textContent;
  if (text === shown) return;
  if (text.startsWith(shown)) the("text").append(text.slice(shown.length));
  else the("text").textContent = text;
  if (follows) paper.scrollTop = paper.scrollHeight;
}

/** What is written again is read out again. */
function put(where, what) {
  if (the(where).textContent !== what) the(where).textContent = what;
}

/** Whole sentences, as they are finished: words alone can't be followed, and what was there before is not news. */
function speak() {
  if (said === null) return;
  const until = run.state === "writing" ? wholeSentences(run.text) : run.text.length;
  if (until <= said) return;
  the("spoken").append(make("p", { textContent: run.text.slice(said, until).trim() }));
  said = until;
}

// --- beginning

/** The run that the address names, or a new one, which it names from now on. */
function wanted() {
  const named = new URLSearchParams(location.search).get("id");
  if (/^[A-Za-z0-9]{4,32}$/.test(named)) return named;
  const fresh = Math.random().toString(36).slice(2, 10).padEnd(8, "0");
  history.replaceState(null, "", `?id=${fresh}`);
  return fresh;
}

function another() {
  history.pushState(null, "", "?");
  enter(wanted());
}

the("go").addEventListener("click", () => {
  if (starting) return;
  if (run.state === "writing") return void end("stopped");
  if (run.state !== "none") another();
  start();
});
the("kill").addEventListener("click", () => (the("go").focus(), kill()));
addEventListener("popstate", () => enter(wanted()));
setInterval(() => run.state === "writing" && show(), 1000); // how long nothing has come

enter(wanted());
