"""Is there a Gapless service at this URL, and which version?"""

from __future__ import annotations

from typing import NamedTuple

from gapless.cli.doctor.finding import Finding, fail, ok
from gapless.cli.doctor.site import Reply, Site

NAME = "reachable"


class Seen(NamedTuple):
    """The answers of `/healthz` and `/openapi.json`."""

    health: Reply
    description: Reply


async def probe(site: Site) -> Seen:
    """Ask for both."""
    return Seen(await site.ask("GET", "/healthz"), await site.ask("GET", "/openapi.json"))


def judge(seen: Seen) -> list[Finding]:
    """Whether anything else can be tried."""
    health = seen.health
    if health.status == 0:
        where = "Check the address, the firewall, and that the service runs."
        return [fail(NAME, f"There is no answer: {health.said}", where)]
    if health.status == 403:
        keys = "Give the service keys (GAPLESS_JWT_SECRET), or GAPLESS_PUBLIC=true if it is meant to be open."
        return [fail(NAME, f"It refuses everybody who comes this way: {health.said}", keys)]
    if health.status == 401:
        login = "Let the platform's own login (Vercel: Deployment Protection) pass requests to the service."
        return [fail(NAME, "Something before the service asks for a login.", login)]
    if health.member("status") != "ok":
        said = f"Something answers {health.status}, and it is not Gapless: {health.said}"
        return [fail(NAME, said, "Give the address of the service, with the path at which it is mounted.")]
    return [_there(health, _version(seen.description))]


def _there(health: Reply, version: str) -> Finding:
    milliseconds = round(health.seconds * 1000)
    said = f"Gapless {version}, by {health.version}, in {milliseconds} ms"
    return ok(NAME, said, version=version, http=health.version, milliseconds=milliseconds)


def _version(description: Reply) -> str:
    info = description.member("info")
    return str(info.get("version")) if isinstance(info, dict) else "of a version that it does not tell"
