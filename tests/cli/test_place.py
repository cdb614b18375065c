"""Where to listen, and where a store is, without a secret."""

from __future__ import annotations

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from app.cli.place import place_of, where_to_listen
from app.startup import BadSetting


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("redis://localhost", "redis://localhost"),
        ("redis://ann:secret@example.com:6380/2", "redis://example.com:6380/2"),
        ("rediss://:se%2Fcret@[2001:db8::1]:6380/0?db=1&password=secret", "rediss://[2001:db8::1]:6380/0"),
        ("unix://ann:secret@/run/valkey.sock?db=3&password=secret", "unix:///run/valkey.sock"),
    ],
)
def test_a_place_has_no_user_and_no_password(url: str, place: str) -> None:
    assert place_of(url, "REDIS_URL") == place


SECRET = "hunter2,S3cr3t"


@given(
    st.text("/?#@:%[]&= 5", max_size=6), st.text("/?#@:%[]&= 5", max_size=6), st.sampled_from(("@host", "@host:1", ""))
)
@example("", "", "")
@example("", "/", "@host")
@example("5", "#", "@host:1")
def test_whatever_stands_in_a_password_it_is_not_shown(before: str, after: str, host: str) -> None:
    """Whole or in part, in the place or in the refusal."""
    for scheme in ("redis://", "unix://"):
        try:
            shown = place_of(f"{scheme}user:{before}{SECRET}{after}{host}", "REDIS_URL")
        except BadSetting as refusal:
            shown = str(refusal)
        assume(host or "@" not in before + after)  # what follows the last @ is the host
        assume(scheme != "unix://" or "/" not in before + after)  # what follows the slash is the socket's path
        assert not any(part in shown for part in ("hunter2", "S3cr3t"))


@pytest.mark.parametrize("url", ["redis://ann:4711/x@host", "redis://:4711?x@host", "redis://4711#x@host"])
def test_the_first_digits_of_a_password_are_not_taken_for_a_port(url: str) -> None:
    with pytest.raises(BadSetting, match=r"%2F %3F %23 %40") as refusal:
        place_of(url, "REDIS_URL")
    assert "4711" not in str(refusal.value)


@pytest.mark.parametrize("url", ["localhost:6379", "foo://x", "redis://host:port", "http://host", "redis://[::1", ""])
def test_what_is_no_url_of_a_store_is_refused(url: str) -> None:
    with pytest.raises(BadSetting, match=r"^REDIS_URL can't be read\. It looks like redis://"):
        place_of(url, "REDIS_URL")


def test_each_store_has_its_own_kind_of_url() -> None:
    assert place_of("https://ann:secret@example.upstash.io/", "UPSTASH_REDIS_REST_URL") == "https://example.upstash.io"
    with pytest.raises(BadSetting, match=r"^UPSTASH_REDIS_REST_URL can't be read\. It looks like https://"):
        place_of("redis://host", "UPSTASH_REDIS_REST_URL")


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
