// The first page: live messages, and a box to send one. What is sent while the service is down is sent again until it
// is there, as long as this page is open; nothing is kept over a reload.
const channel = new URLSearchParams(location.search).get("channel") || "general";
const base = `channels/${encodeURIComponent(channel)}`; // relative: the service may be served below a path
const [list, state, form, user, text, newest] = ["messages", "state", "send", "user", "text", "newest"].map((id) =>
  document.getElementById(id),
);
const pending = new Map(); // localId -> its row, until the stream brings the message back
document.getElementById("channel").textContent = channel;

let after = ""; // the last id that was seen
let pause = 1000; // milliseconds until the next try, where an EventSource has given up
listen();

function listen() {
  const source = new EventSource(`${base}/stream?${after ? `after=${after}` : "history=50"}`);
  const on = (name, act) =>
    source.addEventListener(name, (event) => {
      after = event.lastEventId || after;
      act(JSON.parse(event.data));
    });
  on("hello", live);
  on("gap", (gap) => note(describeGap(gap)));
  on("message", show);
  source.addEventListener("error", () => {
    state.textContent = "reconnecting…";
    if (source.readyState === EventSource.CLOSED) comeBack();
  });
}

function live() {
  state.textContent = "live";
  pause = 1000;
}

// An EventSource ends for ever at a status that is not 200, and can't tell which: perhaps a proxy's 502 while the
// service restarts. A request can, so only what will stay as it is ends here.
async function comeBack() {
  const reply = await ask(`${base}/messages?limit=1`);
  if (reply && [401, 403, 422].includes(reply.status)) {
    state.textContent = `refused: ${await reason(reply)}`;
    return;
  }
  state.textContent = "not served now, trying again…";
  setTimeout(listen, pause * (0.5 + Math.random()));
  pause = Math.min(pause * 2, 30000);
}

async function reason(reply) {
  const problem = await reply.json().catch(() => null); // a proxy's own page is no problem of ours
  return problem?.detail ?? `status ${reply.status}`;
}

function describeGap({ reason, missed }) {
  return reason === "trimmed" ? `${missed} older messages are no longer kept` : "earlier messages may be missing";
}

function show(message) {
  const row = pending.get(message.localId) ?? document.createElement("li");
  pending.delete(message.localId);
  fill(row, message.user, message.data?.text ?? JSON.stringify(message.data), new Date(message.timestamp));
  row.className = "";
  append(row);
}

function fill(row, who, what, when) {
  const time = document.createElement("time");
  time.textContent = when.toLocaleTimeString();
  const name = document.createElement("b");
  name.textContent = who ? `${who}: ` : "";
  row.replaceChildren(time, name, String(what));
}

// A reader of history stays where they are; a reader at the end stays there, also when the window changes its size.
let following = true;
list.addEventListener("scroll", () => {
  following = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
  if (following) newest.hidden = true;
});
newest.addEventListener("click", toEnd);
new ResizeObserver(() => following && toEnd()).observe(list);

function toEnd() {
  following = true;
  newest.hidden = true;
  list.scrollTop = list.scrollHeight;
}

function append(row) {
  list.append(row);
  while (list.children.length > 500) list.firstChild.remove();
  if (following) toEnd();
  else newest.hidden = false;
}

function note(words) {
  const row = document.createElement("li");
  row.className = "gap";
  row.textContent = words;
  append(row);
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const message = { data: { text: text.value }, user: user.value || undefined, localId: crypto.randomUUID?.() ?? String(Math.random()) };
  const row = document.createElement("li");
  row.className = "sending";
  fill(row, message.user, message.data.text, new Date());
  pending.set(message.localId, row);
  append(row);
  toEnd();
  queue = queue.then(() => deliver(message, row));
  form.reset();
  user.value = message.user ?? "";
  text.focus();
});

// The browser asks whether to leave while something is not sent: it would be lost.
addEventListener("beforeunload", (event) => pending.size && event.preventDefault());

// One after the other, so that they arrive in the order in which they were written.
let queue = Promise.resolve();

async function deliver(message, row) {
  for (let wait = 500; ; wait = Math.min(wait * 2, 8000)) {
    const reply = await post(message);
    if (reply?.ok) return;
    if (reply && reply.status < 500 && reply.status !== 429) {
      pending.delete(message.localId);
      note(`Not sent: ${await reason(reply)}`);
      row.remove();
      return;
    }
    row.classList.add("failed");
    await new Promise((resolve) => setTimeout(resolve, wait));
  }
}

function post(message) {
  const headers = { "Content-Type": "application/json" };
  return ask(`${base}/messages`, { method: "POST", headers, body: JSON.stringify(message) });
}

async function ask(url, options) {
  try {
    return await fetch(url, { ...options, signal: AbortSignal.timeout(15000) });
  } catch {
    return null; // unreachable: the localId makes it safe to send again
  }
}
