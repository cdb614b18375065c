// A channel between the parts that its client joins, which are stood in for here.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Channel } from "../../app/gapless/web/client/channel.js";

const id = (seq) => `t9x2k0ab-${seq}-aaaa`;
const message = (seq) => ({ id: id(seq), event: "message", user: "bob", data: seq, localId: null, timestamp: "2026-01-01T12:00:00.000Z" });
const PAGE = { messages: [message(1), message(2), message(3)], oldest: id(1), cursor: id(3), gap: null };

/** A tab that follows: the leader's stream stands where the channel's page ends. */
function follower(marked) {
  let heard;
  const core = {
    user: "ann",
    pageSize: 50,
    http: { ask: async () => ({ kind: "yes", body: PAGE }) },
    unsent: { marked: () => marked },
    attach: (_, channel) => (heard = channel),
    enter() {},
    leave() {},
    want: (_, position) => setTimeout(() => heard.standing(position)),
  };
  return { channel: new Channel("c", {}, core), leave: () => heard.leave() };
}

const turn = () => new Promise((resolve) => setTimeout(resolve));

test("a channel is live when it knows what was read: `unread` is right then, and does not jump", async () => {
  let read;
  const { channel, leave } = follower(new Promise((resolve) => (read = resolve)));
  const unread = [];
  const ends = [channel.subscribe(() => {}), channel.on("live", () => unread.push(channel.unread))];
  for (let turns = 0; turns < 5; turns++) await turn();
  assert.deepEqual(unread, [], "the mark is not known yet");
  read(id(1));
  for (let turns = 0; turns < 5; turns++) await turn();
  assert.deepEqual(unread, [2]);
  for (const end of ends) end();
  leave();
});
