"""Where to listen, and where a store is, without a secret."""

from __future__ import annotations

import pytest

from gapless.cli.place import place_of, where_to_listen
from gapless.config.startup import BadSetting


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("https://ann:secret@example.upstash.io/", "https://example.upstash.io"),
        ("http://[2001:db8::1]:80", "http://[2001:db8::1]:80"),
    ],
)
def test_a_place_has_no_user_and_no_password(url: str, place: str) -> None:
    assert place_of(url) == place


@pytest.mark.parametrize("url", ["redis://host", "https://a:b/c@host", "https://host:port", "https://[::1", ""])
def test_what_is_no_url_of_upstash_is_refused(url: str) -> None:
    with pytest.raises(BadSetting, match=r"^UPSTASH_REDIS_REST_URL can't be read\. It looks like https://"):
        place_of(url)


def test_arguments_win_over_variables_and_those_over_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    assert where_to_listen(None, None) == ("127.0.0.1", 8000)
    monkeypatch.setenv("HOST", "::1")
    monkeypatch.setenv("PORT", "0")
    assert where_to_listen(None, None) == ("::1", 0)
    assert where_to_listen("0.0.0.0", 81) == ("0.0.0.0", 81)
    monkeypatch.setenv("HOST", "")
    monkeypatch.setenv("PORT", "")
    assert where_to_listen(None, None) == ("127.0.0.1", 8000)


@pytest.mark.parametrize("port", ["http", "65536", "-1", "\uff18\uff10"])
def test_a_wrong_port_is_refused_by_name(port: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", port)
    with pytest.raises(BadSetting, match=r"^PORT is "):
        where_to_listen(None, None)
