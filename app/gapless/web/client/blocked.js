/** Why a browser keeps a page's requests from the service: it tells the page nothing but that they failed. */

/** @param {string} base @returns {Promise<object | null>} a problem in words; null where the service can't be reached at all */
export async function whyBlocked(base) {
  if (location.protocol === "https:" && base.startsWith("http:")) {
    return blocked("A page of https may not ask a service of http (mixed content).");
  }
  let policy = false;
  const heard = ({ blockedURI }) => (policy ||= base.startsWith(blockedURI) || blockedURI.startsWith(base));
  document.addEventListener("securitypolicyviolation", heard);
  try {
    await fetch(`${base}/healthz`, { mode: "no-cors", cache: "no-store" });
    return blocked(`The service is there, and does not admit this page: GAPLESS_ORIGINS must name ${location.origin}.`);
  } catch {
    await new Promise((resolve) => setTimeout(resolve)); // the violation is told in a task of its own
    return policy ? blocked("The page's Content-Security-Policy does not allow the service in connect-src.") : null;
  } finally {
    document.removeEventListener("securitypolicyviolation", heard);
  }
}

function blocked(detail) {
  return Object.freeze({ kind: "blocked", detail });
}
