"""Until when a request may run: each platform's own word, and no other platform's header."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from gapless.platforms.remaining import remaining

NOW = 1_800_000_000.0
IN_SEVEN = int((NOW + 7) * 1000)


def scope(context: Any = None, header: str | None = None) -> dict[str, Any]:
    """A request of Mangum's with this context, and with this header, whoever has sent it."""
    headers = [(b"host", b"a.example")]
    if header is not None:
        headers.append((b"x-amzn-lambda-context", header.encode()))
    return {"headers": headers} | ({"aws.context": context} if context else {})


def mangum(milliseconds: int) -> Any:
    """The part that is read of the context that awslambdaric makes."""
    return SimpleNamespace(get_remaining_time_in_millis=lambda: milliseconds)


@pytest.mark.parametrize("name", ["deadline", "deadline_ms"])
def test_behind_the_adapter_its_header_tells(name: str) -> None:
    assert remaining(scope(header=json.dumps({name: IN_SEVEN})), "lambda-adapter", NOW) == 7


@pytest.mark.parametrize("header", [None, "", "{", "[]", "7", "null", "{}", '{"deadline_ms": "soon"}'])
def test_a_header_that_tells_nothing_is_none(header: str | None) -> None:
    assert remaining(scope(header=header), "lambda-adapter", NOW) is None


def test_under_mangum_the_invocation_tells() -> None:
    assert remaining(scope(mangum(28_500)), "lambda", NOW) == 28.5
    assert remaining(scope(), "lambda", NOW) is None


@pytest.mark.parametrize("platform", ["server", "vercel", "lambda"])
def test_a_client_that_sends_the_adapters_header_elsewhere_is_not_believed(platform: str) -> None:
    """Else anyone could have every stream end at once, or never."""
    assert remaining(scope(header=json.dumps({"deadline": IN_SEVEN})), platform, NOW) is None


def test_mangums_context_counts_under_mangum_only() -> None:
    assert remaining(scope(mangum(28_500)), "server", NOW) is None
    assert remaining(scope(mangum(28_500)), "lambda-adapter", NOW) is None
