"""Does the store take and tell messages: may the service publish, subscribe and run scripts there?"""

from __future__ import annotations

from gapless.cli.doctor.finding import Finding, fail, note, ok
from gapless.cli.doctor.site import Reply, Site

NAME = "store"

_RIGHTS = "Give the Redis user what docs/security.md lists (ACL SETUSER)."
_CHANGES = (
    ("read-only replica", "Let REDIS_URL lead to the primary, not to a replica."),
    ("Sentinel", "Let REDIS_URL lead to the primary itself; Sentinel is not asked."),
    ("maxmemory", "Give Redis more memory, or set a maxmemory-policy that evicts keys with an expiry."),
    ("may not", _RIGHTS),
    ("refuses", _RIGHTS),
    ("reached", "Start Redis, and check REDIS_URL and the way to it from the service."),
)
_ASK = "Read the service's log, which says why, or ask with a token of an administrator; then check Redis and its URL."


async def probe(site: Site) -> Reply:
    """Ask whether it is ready."""
    return await site.ask("GET", "/readyz")


def judge(ready: Reply) -> list[Finding]:
    """Where the store is, or what is wrong with it."""
    if ready.status != 200:
        said = ready.said or f"/readyz answers {ready.status}"
        change = next((change for words, change in _CHANGES if words in said), _ASK)
        return [fail(NAME, said, change)]
    if ready.member("store") is None:
        told = "It is ready. Where the store is and what idling costs, it tells administrators only."
        return [note(NAME, told)]
    return [_described(ready)]


def _described(ready: Reply) -> Finding:
    latency, missing = ready.member("latencyMs"), ready.member("missing")
    said = f"{ready.member('store')}, checked in {latency} ms"
    if missing:
        return note(
            NAME, f"{said}; its user may not run {missing}; docs/security.md lists the rights", latencyMs=latency
        )
    if ready.member("notices") == "poll":
        polled = "it refuses subscriptions and is polled: messages come later, and there are no signals"
        return note(NAME, f"{said}; {polled}", latencyMs=latency)
    return ok(NAME, f"{said}; it may publish, subscribe and run scripts", latencyMs=latency)
