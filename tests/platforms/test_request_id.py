"""Where a request's id comes from: the request, then the platform's own word, then chance."""

from __future__ import annotations

import json
import re
from types import SimpleNamespace
from typing import Any

import pytest

from gapless.platforms.request_id import MOST, request_id

MADE = re.compile(r"[0-9a-f]{16}")


def scope(*headers: tuple[str, str], context: Any = None) -> dict[str, Any]:
    found = [(name.encode(), value.encode()) for name, value in headers]
    return {"headers": found} | ({"aws.context": context} if context else {})


@pytest.mark.parametrize("id", ["a", "abc-123", "Root=1-67891233-abcdef012345678912345678", "x" * MOST, "a:b/c+d_e.f="])
@pytest.mark.parametrize("platform", ["server", "vercel", "lambda", "lambda-adapter"])
def test_a_sane_id_of_the_request_is_its_id(id: str, platform: str) -> None:
    named = scope(("x-vercel-id", "fra1::x"), ("x-request-id", id), context=SimpleNamespace(aws_request_id="y"))
    assert request_id(named, platform) == id


@pytest.mark.parametrize(
    "id", ["", " ", "a b", "a\nb", "a\rb", 'a"b', "a\\b", "a;b", "a,b", "é", "\x00", "x" * (MOST + 1)]
)
def test_any_other_is_none(id: str) -> None:
    """It stands in a header, a JSON text and a line of the log: it can't forge anything there."""
    assert MADE.fullmatch(request_id(scope(("x-request-id", id)), "server"))


def test_no_two_that_are_made_are_alike() -> None:
    assert len({request_id(scope(), "server") for _ in range(1000)}) == 1000


def test_on_a_platform_it_is_what_the_platforms_log_says() -> None:
    context = SimpleNamespace(aws_request_id="0f9a7f3e-1111-2222-3333-444455556666")
    assert request_id(scope(context=context), "lambda") == context.aws_request_id
    assert request_id(scope(("x-vercel-id", "fra1::iad1::7sgdg-1700000000000-0a1b2c")), "vercel").startswith("fra1::")
    told = ("x-amzn-lambda-context", json.dumps({"request_id": "of-the-adapter", "deadline": 1}))
    assert request_id(scope(told), "lambda-adapter") == "of-the-adapter"


@pytest.mark.parametrize("told", ["", "{", "[]", "7", "null", "{}", '{"request_id": 7}', '{"request_id": "a b"}'])
def test_a_platform_that_says_nothing_sane_leaves_it_to_us(told: str) -> None:
    assert MADE.fullmatch(request_id(scope(("x-amzn-lambda-context", told)), "lambda-adapter"))
    assert MADE.fullmatch(request_id(scope(), "lambda"))
    assert MADE.fullmatch(request_id(scope(), "vercel"))


def test_a_platforms_header_counts_there_only() -> None:
    told = ("x-amzn-lambda-context", json.dumps({"request_id": "of-the-adapter"}))
    for platform in ("server", "vercel", "lambda"):
        assert request_id(scope(told), platform) != "of-the-adapter"
    for platform in ("server", "lambda", "lambda-adapter"):
        assert request_id(scope(("x-vercel-id", "fra1::x")), platform) != "fra1::x"
