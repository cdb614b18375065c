"""Refuses a request's head that a proxy may read in another way. The parser checks all else. Pure."""

from __future__ import annotations

Headers = list[tuple[bytes, bytes]]
"""Names in small letters, and values."""


def check_head(version: str, target: bytes, headers: Headers) -> None:
    """Raises ValueError for a head that a proxy may read otherwise than we do. `version`: such as "1.1"."""
    _must_name_one_host(version, target, _values(headers, b"host"))
    if any(coding.strip().lower() != b"chunked" for coding in _values(headers, b"transfer-encoding")):
        raise ValueError("no transfer coding but chunked is known here")


def _must_name_one_host(version: str, target: bytes, hosts: list[bytes]) -> None:
    """One Host, which HTTP/1.0 may leave out (RFC 9112, 3.2); a target that is a whole URL names the same one.

    Such a target's host would count, not the header (RFC 9112, 3.2.2): but who decides by the header must not be led
    astray.
    """
    if len(hosts) > 1 or (not hosts and version != "1.0"):
        raise ValueError("a request names one host")
    if target[:1] in (b"/", b"*"):
        return
    _, found, rest = target.partition(b"://")
    authority = rest.replace(b"?", b"/").partition(b"/")[0]
    if found and [authority.lower()] != [host.strip().lower() for host in hosts]:
        raise ValueError("the target and the header Host name different hosts")


def without_upgrade(headers: Headers) -> Headers:
    """These headers, but none that offers another protocol."""
    kept = [(name, value) for name, value in headers if name not in (b"upgrade", b"connection")]
    asked = b",".join(_values(headers, b"connection")).split(b",")
    wanted = [token.strip() for token in asked if token.strip().lower() not in (b"upgrade", b"")]
    return [*kept, (b"connection", b", ".join(wanted))] if wanted else kept


def _values(headers: Headers, name: bytes) -> list[bytes]:
    return [value for named, value in headers if named == name]
