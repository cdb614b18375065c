// What every page begins with. Its own part is named by the script's tag, and all that that knows of the service is the
// client, ./gapless.js.
import(new URL(document.querySelector("script[data-part]").dataset.part, import.meta.url)).catch(comeBack);

/** A part did not load: the service went away between two files. Once it is there again, the page is loaded anew. */
async function comeBack() {
  const state = document.getElementById("state");
  state.dataset.state = "offline";
  state.textContent = "The service does not answer. Trying again…";
  for (let wait = 1000; ; wait = Math.min(wait * 2, 30_000)) {
    await new Promise((resolve) => setTimeout(resolve, wait * (0.5 + Math.random())));
    const reply = await fetch("healthz", { cache: "no-store" }).catch(() => null);
    if (reply?.ok) return location.reload();
  }
}
