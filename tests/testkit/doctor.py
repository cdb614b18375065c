"""The doctor, in the test's own process, at a deployment of the test's."""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING

import httpx

from gapless.cli.doctor.channel import QUIET, claims_of, own_channel
from gapless.cli.doctor.examine import Examination
from gapless.cli.doctor.finding import Finding, State
from gapless.cli.doctor.site import Site
from gapless.cli.remote import Remote
from tests.testkit.forge import Secret
from tests.testkit.forge import claims_of as good_claims

if TYPE_CHECKING:
    from collections.abc import Mapping

ORIGIN = "https://app.example.com"


def token(*, admin: bool = True, rights: tuple[str, ...] = ("*",)) -> str:
    """One that the service takes whose secret is that of the tests."""
    own = {"publish": list(rights), "subscribe": list(rights), "admin": admin}
    return Secret().sign(good_claims(time.time(), gapless=own, exp=int(time.time()) + 600))


async def examine(
    url: str, *, token: str | None = None, origin: str | None = None, watch: float = 1.0, within: float = 30.0
) -> dict[str, Finding]:
    """Its findings by the names of the checks. `watch` and `within`: as of `Site`."""
    claims = claims_of(token)
    channel = own_channel(claims, secrets.token_hex(4))
    async with httpx.AsyncClient(**Remote(url, token).options(30)) as http:
        site = Site(http, channel, f"{channel}{QUIET}", claims, origin, watch, time.time, within)
        findings = await Examination(site, lambda _: None).run()
    assert len({one.check for one in findings}) == len(findings)
    return {one.check: one for one in findings}


def failing(findings: Mapping[str, Finding]) -> dict[str, str]:
    """Those that fail, each with what was said and what to change."""
    return {name: f"{one.said} -> {one.change}" for name, one in findings.items() if one.state is State.FAIL}
