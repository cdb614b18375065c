"use client";
/** A channel in a React component (React 18 and 19). Its methods stay on the channel. */
import { useCallback, useSyncExternalStore } from "react";

const NOTHING = Object.freeze([]);
/** On a server, and until the page has taken over. */
const SERVER = Object.freeze({ messages: NOTHING, state: "idle", waiting: 0, people: NOTHING, unread: 0, problem: null });
const shown = new WeakMap(); // channel -> the last snapshot: React asks for the same one until something changes

/** @param {import("./gapless.d.ts").Channel} channel */
export function useChannel(channel) {
  const subscribe = useCallback(
    (changed) => {
      const ends = [channel.subscribe(changed), channel.client.subscribe(changed)];
      return () => ends.forEach((end) => end());
    },
    [channel],
  );
  return useSyncExternalStore(subscribe, () => snapshot(channel), () => SERVER);
}

function snapshot(channel) {
  const { messages, people, unread, client } = channel;
  const { state, waiting } = client;
  const now = { messages, state, waiting, people, unread, problem: channel.problem ?? client.problem };
  const before = shown.get(channel);
  if (before && Object.keys(now).every((name) => now[name] === before[name])) return before;
  shown.set(channel, Object.freeze(now));
  return now;
}
