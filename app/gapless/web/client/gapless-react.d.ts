/** A channel in a React component (React 18 and 19). */
import type { Channel, Client, Message, Person, Problem } from "./gapless.js";

export interface ChannelSnapshot<T = unknown> {
  readonly messages: readonly Message<T>[];
  readonly state: Client["state"];
  /** Unsent messages, over all tabs. */
  readonly waiting: number;
  readonly people: readonly Person[];
  readonly unread: number;
  /** The channel's, else the client's. */
  readonly problem: Problem | null;
}

/** Renders again when anything changed. The methods stay on the channel. */
export function useChannel<T>(channel: Channel<T>): ChannelSnapshot<T>;
