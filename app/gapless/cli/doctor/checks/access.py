"""Is the token accepted, and what may it do?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from gapless.cli.doctor.channel import PREFIX, is_admin, patterns
from gapless.cli.doctor.finding import Finding, fail, note, ok
from gapless.cli.doctor.site import Reply, Site

NAME = "access"
MAKE = f"gapless token --user doctor --publish '{PREFIX}*' --subscribe '{PREFIX}*' --admin"


class Seen(NamedTuple):
    """The answers to reading and to writing; the token's claims, None without one; when that was, in Unix seconds."""

    read: Reply
    write: Reply
    claims: Mapping[str, Any] | None
    given: bool
    now: float


async def probe(site: Site) -> Seen:
    """Read and write once."""
    read = await site.ask("GET", f"/channels/{site.channel}/messages", params={"limit": 1})
    write = await site.post({"doctor": 0}, "doctor-0")
    return Seen(read, write, site.claims, "authorization" in site.http.headers, site.now())


def judge(seen: Seen) -> list[Finding]:
    """What this token may do; or why it may not what the other checks need."""
    if 401 in (seen.read.status, seen.write.status):
        return [_refused(seen)]
    for what, reply in (("read", seen.read), ("publish to", seen.write)):
        if reply.status == 403:
            change = f"Make one that may: {MAKE}" if seen.given else "See what the reply says."
            return [fail(NAME, f"It may not {what} the doctor's channel: {reply.said}", change)]
    if seen.read.status != 200 or seen.write.status not in (200, 201):
        worse = seen.read if seen.read.status != 200 else seen.write
        said = f"Publishing and reading do not work: {worse.status or 'no answer'} {worse.said}"
        return [fail(NAME, said, "See the other lines; the service's log says more.")]
    if not seen.given:
        return [note(NAME, "None is needed: everybody who comes this way may read and write every channel")]
    return [ok(NAME, _rights(seen.claims))]


def _refused(seen: Seen) -> Finding:
    reply = seen.read if seen.read.status == 401 else seen.write
    if not seen.given:
        return fail(NAME, "The service asks for a token, and none was given.", f"Give one with --token: {MAKE}")
    expires = (seen.claims or {}).get("exp")
    if isinstance(expires, int | float) and expires < seen.now:
        return fail(NAME, f"It has ended {seen.now - expires:.0f} s ago.", f"Make another one: {MAKE}")
    change = "Sign it with the service's own GAPLESS_JWT_SECRET (or a key of GAPLESS_JWKS_URL), audience and issuer"
    return fail(NAME, f"It is refused: {reply.said}", f"{change}: {MAKE}")


def _rights(claims: Mapping[str, Any] | None) -> str:
    rights = [f"{right}: {', '.join(patterns(claims, right)) or 'nothing'}" for right in ("publish", "subscribe")]
    admin = "an administrator's" if is_admin(claims) else "not an administrator's"
    return f"accepted; {'; '.join(rights)}; {admin}"
