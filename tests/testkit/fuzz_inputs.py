"""Requests that hold together as HTTP, and in which whatever a client may choose is strange."""

from __future__ import annotations

import json
from dataclasses import dataclass
from urllib.parse import quote

from hypothesis import strategies as st

from tests.testkit import strategies as some


@dataclass(frozen=True)
class Asked:
    """One request. `target` is path and query as they are written."""

    method: str
    target: str
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes


ROUTES = [
    *(("POST", "/channels/{}/messages"),) * 4,
    *(("GET", "/channels/{}/messages"),) * 3,
    ("POST", "/tickets"),
    ("GET", "/channels"),
    ("DELETE", "/channels/{}"),
    ("HEAD", "/channels/{}/stream"),
    ("HEAD", "/stream"),
    ("GET", "/static/{}"),
    ("GET", "/{}"),
    ("OPTIONS", "/channels/{}/messages"),
    ("PUT", "/channels/{}/stream"),
]
"""Streams are asked for by HEAD alone: they would each take their time."""
NAMES = ["limit", "before", "after", "lastEventId", "history", "channel", "cursor", "ticket", "access_token", "x"]
HEADERS = [
    *(b"Last-Event-ID", b"Idempotency-Key", b"Authorization", b"Cookie", b"Origin", b"Accept", b"If-None-Match"),
    *(b"Range", b"Prefer", b"Access-Control-Request-Method", b"Access-Control-Request-Headers"),
]
TOKENS = [
    "Bearer ",
    "Bearer a.b.c",
    "Bearer eyJhbGciOiJub25lIn0.e30.",
    "gapless_token=a.b.c",
    "gapless_token=",
    "bytes=0-",
]

_odd = st.sampled_from(
    ["", "0", "-1", "1e9", "9" * 25, "\0", "\n", "..", "%", "ä", "\ud7ff", "\u0665", "a", "general", "nan"]
)
_texts = _odd | some.texts | st.text(max_size=20)
_ids = st.sampled_from(["t9x2k0ab-42-7qd1", "t9x2k0ab-0-0", "t9x2k0-0-0", "t9x2k0ab-1-aaaa.t9x2k0ab-2-bbbb"])
_escaped = (_texts | _ids).map(lambda text: quote(text.encode("utf-8", "surrogatepass"), safe="")) | st.sampled_from(
    ["%ff", "%00", "%ed%a0%80", "%0d%0a", "%", "%2", "a"]
)
_waits = st.sampled_from(["", "0", "0.01", "-1", "26", "nan", "inf", "x"])
_pairs = st.tuples(st.sampled_from(NAMES), _escaped) | st.tuples(st.just("wait"), _waits)
_values = (
    st.sampled_from(TOKENS).map(str.encode)
    | _ids.map(str.encode)
    | st.binary(max_size=30).map(lambda raw: bytes(b for b in raw if (b >= 32 and b != 127) or b == 9))
)
_headers = st.lists(st.tuples(st.sampled_from(HEADERS), _values), max_size=4)
_members = st.sampled_from(["data", "event", "user", "localId", "channels", "x"])
_messages = st.dictionaries(_members, _texts | some.json_values, max_size=4) | st.fixed_dictionaries(
    {"data": some.json_values}, optional={"user": _texts, "event": _texts, "localId": _texts}
)
_json = (_messages | st.lists(_messages, max_size=3) | some.json_values).map(
    lambda value: json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")
)
_bodies = _json | st.binary(max_size=40)
_kinds = st.sampled_from([b"application/json", b"application/json; charset=utf-16", b"text/plain", b"", b"\xff"])


@st.composite
def _requests(draw: st.DrawFn) -> Asked:
    method, path = draw(st.sampled_from(ROUTES))
    path = path.format(draw(st.just("general") | _escaped))
    query = "&".join(f"{name}={value}" for name, value in draw(st.lists(_pairs, max_size=4)))
    headers = (*draw(_headers), (b"Content-Type", draw(st.just(b"application/json") | _kinds)))
    return Asked(method, f"{path}?{query}" if query else path, headers, draw(_bodies))


requests = _requests()
