"""What OpenAPI can't say of two things together, said to schemathesis, and no long poll that takes long."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Any

import schemathesis

ID = r"[0-9a-z]{8}-[1-9][0-9]{0,14}-[0-9a-z]{4}"
"""As the description has it."""


@schemathesis.hook
def map_case(_: schemathesis.HookContext, case: schemathesis.Case) -> schemathesis.Case:
    """Positive and negative cases alike: a rule that is broken on purpose is broken alone."""
    _shorten(case.query)
    _agree(case)
    _begin(case.body)
    return case


def _begin(body: Any) -> None:
    """The epoch of a receipt's id has begun: no schema knows what time it is."""
    for name in ("delivered", "read"):
        mark = body.get(name) if isinstance(body, dict) else None
        if isinstance(mark, str) and re.match(r"[t-z][0-9a-z]{7}-", mark):
            body[name] = "s" + mark[1:]


def _shorten(query: Any) -> None:
    """`wait` goes with `after`, and `before` without it; a tenth of a second is long enough.

    A `before` that is broken on purpose stays: any `after` is taken.
    """
    if not isinstance(query, dict):
        return
    if "wait" in query:
        query["after"] = query.get("after") or "t9x2k0ab-1-aaaa"
        with suppress(TypeError, ValueError):
            if 0.1 < float(query["wait"]) <= 25:
                query["wait"] = 0.1
    if query.get("after") is not None and "before" in query:
        del query["before" if _may_be_an_id(query["before"]) else "after"]


def _may_be_an_id(before: Any) -> bool:
    return before in (None, "") or (isinstance(before, str) and bool(re.fullmatch(ID, before)))


def _agree(case: schemathesis.Case) -> None:
    """A message's `localId` and the header Idempotency-Key are the same thing; in a batch each stands once."""
    messages = case.body if isinstance(case.body, list) else [case.body]
    if isinstance(case.body, dict) and case.body.get("localId") is not None and case.headers:
        case.headers.pop("idempotency-key", None)
    seen: list[Any] = []
    for message in messages:
        if isinstance(message, dict) and message.get("localId") is not None:
            if message["localId"] in seen:
                del message["localId"]
            else:
                seen.append(message["localId"])
