"""May a web page of the application's origin read and write?"""

from __future__ import annotations

from typing import NamedTuple

from gapless.cli.doctor.finding import Finding, fail, ok, skip
from gapless.cli.doctor.site import Reply, Site

NAME = "cors"
ALLOWED = "access-control-allow-origin"


class Seen(NamedTuple):
    """The answers to a browser's question before it posts, and to a page that reads."""

    origin: str | None
    preflight: Reply
    read: Reply


async def probe(site: Site) -> Seen:
    """Ask as a browser would for a page of this origin."""
    if site.origin is None:
        return Seen(None, Reply(0, ""), Reply(0, ""))
    path = f"/channels/{site.channel}/messages"
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,content-type"}
    preflight = await site.ask("OPTIONS", path, headers={"Origin": site.origin, **asked})
    return Seen(site.origin, preflight, await site.ask("GET", path, headers={"Origin": site.origin}))


def judge(seen: Seen) -> list[Finding]:
    """Both must allow the origin, and say so once."""
    if seen.origin is None:
        return [skip(NAME, "Not tried: name the origin of your pages, --origin https://app.example.com")]
    for what, reply in (("write", seen.preflight), ("read", seen.read)):
        allowed = reply.headers.get(ALLOWED)
        if allowed is None or reply.status == 0:
            change = f"Set GAPLESS_ORIGINS={seen.origin}, and let the front pass OPTIONS requests and CORS headers on."
            return [
                fail(NAME, f"Pages of {seen.origin} may not {what}: the reply does not allow their origin.", change)
            ]
        if "," in allowed:
            change = "Let only the service add CORS headers: take those of the front away."
            return [fail(NAME, f"The reply allows origins twice ({allowed}), which browsers refuse.", change)]
        if allowed not in (seen.origin, "*"):
            return [fail(NAME, f"The reply allows {allowed} alone.", f"Add {seen.origin} to GAPLESS_ORIGINS.")]
    return [ok(NAME, f"pages of {seen.origin} may read and write")]
