"""Is there a Gapless service at this URL, which version, and by which HTTP do browsers reach it?"""

from __future__ import annotations

import asyncio
from typing import NamedTuple

import httpx

from gapless.cli.doctor.finding import Finding, fail, note, ok
from gapless.cli.doctor.site import Reply, Site

NAME, HTTP = "reachable", "http"
WITHIN = 5.0
"""Seconds for a handshake."""


class Seen(NamedTuple):
    """The answers of `/healthz` and `/openapi.json`; whether HTTP/2 is offered, None where nobody could be asked."""

    health: Reply
    description: Reply
    http2: bool | None


async def probe(site: Site) -> Seen:
    """Ask for all of them."""
    asked = site.ask("GET", "/healthz"), site.ask("GET", "/openapi.json")
    return Seen(*await asyncio.gather(*asked, _offers_http2(site)))


async def _offers_http2(site: Site) -> bool | None:
    """Browsers speak it over TLS only, where the handshake agrees on it."""
    url = site.http.base_url
    if url.scheme != "https":
        return False
    context = httpx.create_ssl_context()  # whom all other requests trust
    context.set_alpn_protocols(["h2", "http/1.1"])
    try:
        async with asyncio.timeout(WITHIN):
            _, writer = await asyncio.open_connection(url.host, url.port or 443, ssl=context)
    except (OSError, TimeoutError):
        return None
    agreed = writer.get_extra_info("ssl_object").selected_alpn_protocol()
    writer.close()
    return bool(agreed == "h2")


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
    return [_there(health, _version(seen.description)), _spoken(seen.http2)]


def _there(health: Reply, version: str) -> Finding:
    milliseconds = round(health.seconds * 1000)
    return ok(NAME, f"Gapless {version}, in {milliseconds} ms", version=version, milliseconds=milliseconds)


def _spoken(http2: bool | None) -> Finding:
    if http2 is None:
        return note(HTTP, "not seen: the handshake for it failed")
    if http2:
        return ok(HTTP, "HTTP/2 is offered: all streams of a browser share one connection")
    said = "HTTP/1.1: a browser opens six connections to a host; gapless.js needs one for all its tabs"
    return ok(HTTP, said)


def _version(description: Reply) -> str:
    info = description.member("info")
    return str(info.get("version")) if isinstance(info, dict) else "of a version that it does not tell"
