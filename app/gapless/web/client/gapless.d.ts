/** Messages that are live, in order and complete, in a web page. Rules: docs/browser.md of the service. */

export interface Options {
  /** Whose outbox and marks these are. Required with `token`, and equal to its `sub`. */
  user?: string;
  /** Asked before the first request, shortly before a token ends, and when one is refused; once for all tabs. */
  token?: () => string | null | Promise<string | null>;
  /** Messages of the first page. Default 50. */
  history?: number;
  /** `auto`: streams, or turns where a proxy holds streams back. */
  transport?: "auto" | "stream" | "buffered";
  storage?: "indexeddb" | "memory";
  /** false: this tab has a stream of its own. */
  tabs?: boolean;
  fetch?: typeof fetch;
}

export interface Problem {
  readonly kind: string;
  /** In words. */
  readonly detail: string;
  readonly status?: number;
}

export interface Gap {
  readonly channel: string;
  readonly reason: "trimmed" | "reset" | "unknown";
  /** How many are no longer kept; null where nobody can know. */
  readonly missed: number | null;
  readonly oldest: string | null;
  readonly latest: string | null;
}

export interface Change<T> {
  readonly kind: "edit" | "delete";
  readonly data: T | null;
  readonly localId: string;
  readonly state: "sending" | "failed";
  readonly error?: Problem;
}

export interface Message<T = unknown> {
  /** Unique in the list, and the same from keystroke to delivery. */
  readonly key: string;
  readonly localId: string | null;
  /** null until it is sent. */
  readonly id: string | null;
  /** null where it was deleted. */
  readonly data: T;
  readonly user: string | null;
  readonly event: string;
  readonly at: Date;
  readonly state: "failed" | "sending" | "sent" | "delivered";
  readonly error?: Problem;
  /** It failed, and nobody knows whether it was sent before. */
  readonly uncertain?: true;
  /** What is missing before this message. */
  readonly gapBefore?: Gap;
  readonly edited?: true;
  readonly deleted?: true;
  /** An own edit or deletion on its way. */
  readonly change?: Change<T>;
}

/** Somebody else. */
export interface Person {
  readonly user: string;
  readonly here: boolean;
  readonly typing: boolean;
}

export interface Signal {
  readonly channel: string;
  readonly event: string;
  readonly user: string | null;
  readonly data: unknown;
}

export interface Channel<T = unknown> {
  readonly client: Client;
  readonly name: string;
  /** A new array only when something has changed; unsent ones last. */
  readonly messages: readonly Message<T>[];
  /** A gap whose next message is not there yet. */
  readonly gap: Gap | null;
  readonly problem: Problem | null;
  /** Throws a TypeError for what is not JSON, and nothing else. */
  send(data: T, options?: { event?: string; ref?: string }): Message<T>;
  /** Send again what failed. */
  retry(localId: string): void;
  /** false: there is no such message, or it is being sent. */
  edit(idOrLocalId: string, data: T): Message<T> | false;
  delete(id: string): Message<T> | false;
  /** Give up what is not sent; false where there is nothing such. */
  discard(localId: string): boolean;
  /** Read `n` rows more. false: the start was reached. */
  older(n?: number): Promise<boolean>;
  /** Who else is here, and who types; empty where the channel's kind does not offer it. */
  readonly people: readonly Person[];
  /** Others' messages that are loaded and were not seen. */
  readonly unread: number;
  /** Everything up to this id, or to the newest, was read. */
  seen(id?: string): void;
  /** Tell the others that this user types; call it at every key. */
  typing(): void;
  /** Runs once per microtask in which anything changed. */
  subscribe(listener: () => void): () => void;
  on(kind: "message", listener: (message: Message<T>) => void): () => void;
  on(kind: "gap", listener: (gap: Gap) => void): () => void;
  on(kind: "live", listener: () => void): () => void;
  on(kind: "signal", listener: (signal: Signal) => void): () => void;
  on(kind: "people", listener: (people: readonly Person[]) => void): () => void;
}

export interface Client {
  readonly state: "idle" | "connecting" | "live" | "reconnecting" | "offline" | "refused";
  readonly problem: Problem | null;
  /** Unsent messages, over all tabs. */
  readonly waiting: number;
  channel<T = unknown>(name: string): Channel<T>;
  subscribe(listener: () => void): () => void;
  /** Try at once, also what was refused. */
  reconnect(): void;
  /** Resolves to the number of unsent messages that were dropped; none without `forget`. */
  close(options?: { forget?: boolean }): Promise<number>;
}

/** The same address and user give the same client. It opens with its first subscriber or send. */
export function gapless(url?: string | URL, options?: Options): Client;
