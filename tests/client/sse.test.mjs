// The parser against another implementation's, split at every byte.
import assert from "node:assert/strict";
import { test } from "node:test";
import { createParser } from "eventsource-parser";
import { Parser } from "../../app/gapless/web/client/sse.js";

const STREAMS = {
  plain: "data: one\n\ndata: two\n\n",
  "three ends of lines": "data: a\r\ndata: b\rdata: c\n\r\nid: 1\r\rdata: d\r\n\r\n",
  "all fields": "retry: 700\nid: t9-1-a\nevent: note\ndata: {\"x\":1}\n\n",
  "several lines of data": "data: a\ndata:\ndata:  b\n\n",
  "empty data": "data\n\ndata:\n\n",
  comments: ":\n: beat\ndata: x\n:\n\n",
  "no blank after the colon": "data:x\nevent:y\nid:z\n\n",
  "colons in values": "data: a:b: c\nid: x:y\n\n",
  "letters of many bytes": "event: é\ndata: ☃ 𝄞 e\u0301\n\n",
  "unknown fields": "foo: bar\nbaz\ndata: x\nDATA: y\n\n",
  "an event without data": "event: hello\n\ndata: x\n\n",
  "retries that are none": "retry: 1e3\nretry: -1\nretry:\nretry: 15\ndata: x\n\n",
  "cut off": "data: whole\n\ndata: half\n",
  "an id with NUL": "id: a\0b\ndata: x\n\n",
  "a byte order mark": "\uFEFFdata: x\n\n",
  heartbeats: ":\n:\n:\ndata: x\n\n:\n",
};

function others(bytes) {
  const found = [];
  const parser = createParser({
    onEvent: ({ event, id, data }) => found.push({ event: event || "message", id: id ?? null, data }),
    onRetry: (retry) => found.push(retry),
  });
  parser.feed(new TextDecoder().decode(bytes));
  return found;
}

function ours(...pieces) {
  const found = [];
  const parser = new Parser(
    (event) => event.data !== null && found.push(event),
    (retry) => found.push(retry),
  );
  const decoder = new TextDecoder();
  for (const piece of pieces) parser.push(decoder.decode(piece, { stream: true }));
  return found;
}

for (const [name, text] of Object.entries(STREAMS)) {
  test(`as another parser, cut anywhere: ${name}`, () => {
    const bytes = new TextEncoder().encode(text);
    const wanted = others(bytes);
    assert.ok(wanted.length > 0);
    for (let at = 0; at <= bytes.length; at++) assert.deepEqual(ours(bytes.slice(0, at), bytes.slice(at)), wanted, `cut at ${at}`);
    assert.deepEqual(ours(...Array.from(bytes, (byte) => Uint8Array.of(byte))), wanted);
  });
}

test("a block of an id alone moves the cursor and is no event", () => {
  const found = [];
  new Parser((block) => found.push(block)).push("id: 7\n\nevent: x\n\n");
  assert.deepEqual(found, [{ event: "message", id: "7", data: null }]);
});
