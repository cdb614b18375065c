"""What a service says when it refuses is shown in one line that steers no terminal."""

from __future__ import annotations

import httpx
import pytest

from gapless.cli.failure import Failed
from gapless.cli.remote import MOST_SHOWN, Remote, explain, unreachable

ASKED = httpx.Request("GET", "http://service/")


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://a", "http://", "http://a:0", "http://a/?b", "http://[", ""])
def test_what_is_no_url_of_a_service_is_refused(url: str) -> None:
    with pytest.raises(Failed, match="no URL of a service") as refused:
        Remote(url)
    assert refused.value.exit_code == 2


def test_a_proxy_is_asked_for_other_machines_only() -> None:
    local = [Remote(f"http://{host}:8000").options(1)["trust_env"] for host in ("localhost", "127.0.0.1", "[::1]")]
    assert local == [False] * 3
    assert Remote("https://chat.example.com/live").options(1)["trust_env"]


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (httpx.Response(403, json={"detail": "no\x1b[2J"}, request=ASKED), r"no\u001b[2J"),
        (httpx.Response(502, html=" <b>\n bad ", request=ASKED), "<b> bad"),
        (httpx.Response(502, text="x" * 9999, request=ASKED), "x" * MOST_SHOWN),
        (httpx.Response(404, json=[1], request=ASKED), "[1]"),
        (httpx.Response(504, request=ASKED), "Gateway Timeout"),
        (httpx.Response(308, headers={"location": "/b"}, request=ASKED), "it leads to /b; give that as --url."),
    ],
)
def test_a_reply_is_explained(reply: httpx.Response, said: str) -> None:
    assert explain(reply) == said


def test_a_silence_has_words() -> None:
    assert unreachable(httpx.ReadTimeout("")) == "it did not answer in time"
    assert unreachable(httpx.ConnectError("[Errno 111] Connection refused")) == "[Errno 111] Connection refused"
