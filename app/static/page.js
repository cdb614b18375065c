// The first page: live messages, and a box to send one. What is sent while the service is down is kept and sent later.
const channel = new URLSearchParams(location.search).get("channel") || "general";
const base = `/channels/${encodeURIComponent(channel)}`;
const [list, state, form, user, text] = ["messages", "state", "send", "user", "text"].map((id) => document.getElementById(id));
const pending = new Map(); // localId -> its row, until the stream brings the message back
document.getElementById("channel").textContent = channel;

const source = new EventSource(`${base}/stream?history=50`);
source.addEventListener("hello", () => (state.textContent = "live"));
source.addEventListener("error", () => {
  state.textContent = source.readyState === EventSource.CLOSED ? "refused: this page may not read here" : "reconnecting…";
});
source.addEventListener("gap", (event) => note(describeGap(JSON.parse(event.data))));
source.addEventListener("message", (event) => show(JSON.parse(event.data)));

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

function append(row) {
  list.append(row);
  while (list.children.length > 500) list.firstChild.remove();
  row.scrollIntoView({ block: "end" });
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
  queue = queue.then(() => deliver(message, row));
  form.reset();
  user.value = message.user ?? "";
  text.focus();
});

// One after the other, so that they arrive in the order in which they were written.
let queue = Promise.resolve();

async function deliver(message, row) {
  for (let pause = 500; ; pause = Math.min(pause * 2, 8000)) {
    const reply = await post(message);
    if (reply?.ok) return;
    if (reply && reply.status < 500 && reply.status !== 429) {
      pending.delete(message.localId);
      note(`Not sent: ${(await reply.json()).detail}`);
      row.remove();
      return;
    }
    row.classList.add("failed");
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
}

async function post(message) {
  try {
    return await fetch(`${base}/messages`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(message),
      signal: AbortSignal.timeout(15000),
    });
  } catch {
    return null; // unreachable: the localId makes it safe to send again
  }
}
