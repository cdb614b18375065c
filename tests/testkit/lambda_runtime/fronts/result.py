"""Reading the JSON that a function returned, as strictly as the fronts do."""

from __future__ import annotations

import base64
import binascii
import json
from typing import TYPE_CHECKING, Any

from .port import BadResultError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .exchange import Pairs

# The front writes these itself; what the function says of them is dropped.
OWN = {"content-length", "transfer-encoding", "connection"}


def parsed(result: bytes) -> Any:
    """The result as a JSON value."""
    try:
        return json.loads(result)
    except ValueError as error:
        raise BadResultError("not JSON") from error


def status_of(answer: dict[str, Any]) -> int:
    """A final HTTP status."""
    try:
        status = int(answer["statusCode"])
    except (KeyError, TypeError, ValueError) as error:
        raise BadResultError("statusCode is missing or no number") from error
    if not 200 <= status <= 599:
        raise BadResultError(f"statusCode {status}")
    return status


def body_of(answer: dict[str, Any], *, decode: bool = True) -> bytes:
    """The body's bytes. `decode` False: base64 stays base64, as a REST API has it by default."""
    body = answer.get("body")
    if body is None:
        return b""
    if not isinstance(body, str):
        raise BadResultError("body is no string")
    if not (decode and answer.get("isBase64Encoded")):
        return body.encode()
    try:
        return base64.b64decode(body, validate=True)
    except binascii.Error as error:
        raise BadResultError("body is not base64") from error


def single_headers(answer: dict[str, Any]) -> Pairs:
    """The pairs of `headers`."""
    return _pairs((name, [value]) for name, value in _mapping(answer, "headers").items())


def multi_headers(answer: dict[str, Any]) -> Pairs:
    """The pairs of `multiValueHeaders`."""
    return _pairs(_mapping(answer, "multiValueHeaders").items())


def merged_headers(answer: dict[str, Any]) -> Pairs:
    """Both maps; where both name a pair, it is sent once."""
    multi = multi_headers(answer)
    return (*(pair for pair in single_headers(answer) if pair not in multi), *multi)


def remapped(headers: Pairs, names: Iterable[str]) -> Pairs:
    """Some fronts rename what a function must not say in their name."""
    return tuple((f"x-amzn-remapped-{name}" if name in names else name, value) for name, value in headers)


def _mapping(answer: dict[str, Any], key: str) -> dict[str, Any]:
    value = answer.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise BadResultError(f"{key} is no object")
    return value


def _pairs(headers: Iterable[tuple[str, Any]]) -> Pairs:
    pairs: list[tuple[str, str]] = []
    for name, values in headers:
        if not isinstance(values, list) or not all(isinstance(value, str | int) for value in values):
            raise BadResultError(f"header {name} is no string")
        pairs += [(name.lower(), str(value)) for value in values if name.lower() not in OWN]
    return tuple(pairs)
