/** What a page hears of the machine: network, sleep, being hidden. Each is a reason to try, none a reason not to. */

/**
 * @param {{hurry(network: boolean): void, shut(): void, open(): void, words(): void}} act
 * @returns {() => void} ends it
 */
export function listen({ hurry, shut, open, words }) {
  const back = () => (open(), hurry(false));
  const listeners = [
    [window, "online", () => (words(), hurry(true))],
    [window, "offline", words],
    [document, "visibilitychange", () => document.visibilityState === "visible" && hurry(false)],
    // A page in the back/forward cache, or frozen, would keep the lead and lead nobody.
    [window, "pagehide", shut],
    [document, "freeze", shut],
    [window, "pageshow", back],
    [document, "resume", back],
  ];
  for (const [target, name, listener] of listeners) target.addEventListener(name, listener);
  return () => {
    for (const [target, name, listener] of listeners) target.removeEventListener(name, listener);
  };
}
