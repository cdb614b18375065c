// What an answer means: only what is certainly the service's is believed.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Http, judge, Unauthorized } from "../../app/gapless/web/client/http.js";
import { Tokens } from "../../app/gapless/web/client/tokens.js";

const problem = (status, body = {}, headers = {}) =>
  new Response(JSON.stringify({ status, detail: "why", ...body }), { status, headers: { "Content-Type": "application/problem+json", ...headers } });
const html = (status) => new Response("<h1>proxy</h1>", { status, headers: { "Content-Type": "text/html" } });

const ANSWERS = [
  ["201 with JSON", () => Response.json({ id: "a" }, { status: 201 }), "yes"],
  ["200 with a proxy's page", () => html(200), "unknown"],
  ["a problem 422", () => problem(422), "no"],
  ["a problem 403", () => problem(403), "no"],
  ["a problem 429", () => problem(429, { retryAfterMs: 150 }), "later"],
  ["a problem 408", () => problem(408), "later"],
  ["503 and nothing was written", () => problem(503, { outcome: "none" }), "later"],
  ["503 and nobody knows", () => problem(503, { outcome: "unknown" }), "unknown"],
  ["a proxy's 403", () => html(403), "unknown"],
  ["a proxy's 502", () => html(502), "unknown"],
  ["a problem 500", () => problem(500), "unknown"],
];

for (const [name, make, kind] of ANSWERS) {
  test(`${name}: ${kind}`, async () => assert.equal((await judge(make())).kind, kind));
}

test("how long to wait is taken from the body, else from Retry-After", async () => {
  assert.equal((await judge(problem(429, { retryAfterMs: 150 }, { "Retry-After": "9" }))).after, 150);
  assert.equal((await judge(problem(503, { outcome: "none" }, { "Retry-After": "2" }))).after, 2000);
});

const token = (sub, more = {}) => `h.${btoa(JSON.stringify({ sub, exp: Date.now() / 1000 + 600, ...more }))}.s`;
const quiet = { problem() {}, token() {} };
const alone = { alone: (work) => work(), tell() {} };

function asking(tokens, replies) {
  const given = [];
  const fetch = async (_, { headers }) => (given.push(headers.Authorization), replies.shift()());
  return { http: new Http("http://x", tokens, fetch), given };
}

test("a refused token is renewed once, and the request sent again", async () => {
  const made = [token("ann", { n: 1 }), token("ann", { n: 2 })];
  const [first, second] = made;
  const tokens = new Tokens(() => made.shift(), "ann", alone, quiet);
  const { http, given } = asking(tokens, [() => problem(401), () => Response.json({})]);
  assert.equal((await http.ask("/")).kind, "yes");
  assert.deepEqual(given, [`Bearer ${first}`, `Bearer ${second}`]);
});

test("refused twice: nothing is asked any more", async () => {
  let asked = 0;
  const tokens = new Tokens(() => token("ann", { n: ++asked }), "ann", alone, quiet);
  const { http, given } = asking(tokens, [() => problem(401), () => problem(401)]);
  await assert.rejects(http.ask("/"), Unauthorized);
  await assert.rejects(http.ask("/"), Unauthorized);
  assert.deepEqual([asked, given.length, tokens.problem.kind], [2, 2, "auth"]);
});

test("a token of another user is never sent", async () => {
  const tokens = new Tokens(() => token("bob"), "ann", alone, quiet);
  const { http, given } = asking(tokens, []);
  await assert.rejects(http.ask("/"), Unauthorized);
  assert.deepEqual([given, tokens.problem.kind], [[], "auth"]);
});

test("one question for all who ask at the same time, and again before it ends", async () => {
  let asked = 0;
  const tokens = new Tokens(async () => token("ann", { n: ++asked, exp: Date.now() / 1000 + (asked > 1 ? 600 : 0.02) }), "ann", alone, quiet);
  await Promise.all([tokens.get(), tokens.get(), tokens.get()]);
  assert.equal(asked, 1);
  while (tokens.current) await new Promise(setImmediate);
  await tokens.get();
  assert.equal(asked, 2);
});
