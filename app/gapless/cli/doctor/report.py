"""`gapless doctor`: the examination on the terminal, or as one JSON document."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from typing import Any

import click
import httpx

from gapless.cli.doctor.channel import QUIET, claims_of, own_channel
from gapless.cli.doctor.examine import Examination
from gapless.cli.doctor.finding import Finding, State, failing, verdict
from gapless.cli.doctor.site import Site
from gapless.cli.remote import Remote, printable

ANSWERED_WITHIN = 10.0
WIDTH = 12
_COLOURS = {State.OK: "green", State.NOTE: "cyan", State.FAIL: "red", State.SKIP: "yellow"}


def doctor(remote: Remote, origin: str | None, watch: float, *, as_json: bool) -> int:
    """Examine it, and say what was found. 0 where nothing fails, else 1."""
    if not as_json:
        click.echo(f"{remote.url}, for up to {watch + 15:.0f} s")
    began = time.monotonic()
    findings = asyncio.run(examined(remote, origin, watch, as_json=as_json))
    if as_json:
        click.echo(json.dumps(_document(remote.url, findings, time.monotonic() - began), indent=2))
    else:
        click.echo(click.style(verdict(findings), bold=True))
    return 1 if failing(findings) else 0


async def examined(remote: Remote, origin: str | None, watch: float, *, as_json: bool) -> list[Finding]:
    """The findings, each shown when it is known."""
    claims = claims_of(remote.token)
    channel = own_channel(claims, secrets.token_hex(4))
    async with httpx.AsyncClient(**remote.options(ANSWERED_WITHIN)) as http:
        site = Site(http, channel, f"{channel}{QUIET}", claims, origin, watch, time.time)
        return await Examination(site, _say_nothing if as_json else _show).run()


def _show(finding: Finding) -> None:
    state = click.style(f"{finding.state!s:<5}", fg=_COLOURS[finding.state])
    click.echo(f"  {state}{finding.check:<{WIDTH}}{printable(finding.said)}")
    if finding.change:
        click.echo(f"{'':{WIDTH + 7}}-> {printable(finding.change)}")


def _say_nothing(_: Finding) -> None:
    """All is told at once, at the end."""


def _document(url: str, findings: list[Finding], seconds: float) -> dict[str, Any]:
    told = [finding.told() for finding in findings]
    good = not failing(findings)
    return {"url": url, "good": good, "verdict": verdict(findings), "seconds": round(seconds, 1), "checks": told}
