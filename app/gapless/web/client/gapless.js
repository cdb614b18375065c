/**
 * Messages that are live, in order and complete, in a web page (docs/browser.md).
 *
 *     const room = gapless("https://messages.example.com", { user: "ann" }).channel("general");
 *     room.subscribe(() => draw(room.messages));
 *     room.send({ text: "hi" });
 */
import { Client } from "./client.js";

const REGISTRY = Symbol.for("gapless.clients.1");

/**
 * The client of a service and a user; the same two give the same client. It opens with its first subscriber or send.
 * @param {string} [url] the service's address, relative to the page; by default the page's own folder
 * @param {import("./gapless.d.ts").Options} [options]
 */
export function gapless(url = ".", options = {}) {
  if (options.token && !options.user) throw new TypeError("A client with a token needs its user, who is the token's sub.");
  if (typeof document === "undefined") return new Client(String(url), options); // on a server: it opens nothing
  const base = new URL(url, document.baseURI).href.replace(/\/+$/, "");
  // Copies of this module that are loaded twice have their clients in common.
  const clients = (globalThis[REGISTRY] ??= new Map());
  const identity = JSON.stringify([base, options.user ?? null]);
  let client = clients.get(identity);
  if (client) client.renew(options.token);
  else clients.set(identity, (client = new Client(base, options)));
  return client;
}
