"""`gapless channels`: what channels there are, for administrators."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import click
import httpx

from gapless.cli.failure import Failed
from gapless.cli.remote import Remote, printable, refusal, unreachable

ANSWERED_WITHIN = 35.0


def channels(remote: Remote, *, as_json: bool) -> int:
    """Print a line for each channel: its name, how many messages it keeps, when the newest came."""
    with remote.client(ANSWERED_WITHIN) as http:
        for one in listed(http):
            if as_json:
                click.echo(json.dumps(one))
            else:
                click.echo(printable(f"{one['channel']:<40} {one['messages']:>7}  {one['timestamp']}"))
    return 0


def listed(http: httpx.Client) -> Iterator[dict[str, Any]]:
    """Every channel once, in no order. Raises Failed where the service refuses."""
    seen: set[str] = set()
    cursor: int | str | None = 0
    while cursor is not None:
        page = _page(http, cursor)
        for one in page["channels"]:
            if one["channel"] not in seen:
                seen.add(one["channel"])
                yield one
        cursor = page["next"]


def _page(http: httpx.Client, cursor: int | str) -> Any:
    try:
        reply = http.get("/channels", params={"cursor": cursor})
    except httpx.TransportError as error:
        raise Failed(f"{http.base_url} can't be reached: {unreachable(error)}") from None
    if reply.status_code != 200:
        raise refusal(reply)
    return reply.json()
