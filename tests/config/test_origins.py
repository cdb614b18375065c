"""Origins are compared as browsers write them: what can be written so is, and what never matches is refused."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gapless.config.origins import Origins, is_own, normalised, parse

AS_BROWSERS_WRITE_THEM = {
    "https://app.example.com": "https://app.example.com",
    "https://App.Example.COM": "https://app.example.com",
    "HTTPS://app.example.com": "https://app.example.com",
    "https://app.example.com/": "https://app.example.com",
    "https://app.example.com:443": "https://app.example.com",
    "http://app.example.com:80/": "http://app.example.com",
    "http://app.example.com:443": "http://app.example.com:443",
    "https://app.example.com:08443": "https://app.example.com:8443",
    "http://localhost:3000": "http://localhost:3000",
    "http://127.0.0.1:3000": "http://127.0.0.1:3000",
    "http://[::1]:3000": "http://[::1]:3000",
    "http://[0:0::0:1]": "http://[::1]",
    "https://xn--bcher-kva.example": "https://xn--bcher-kva.example",
    "https://*.example.com": "https://*.example.com",
    "https://*.Vercel.app/": "https://*.vercel.app",
    "https://*.example.com:8443": "https://*.example.com:8443",
    "http://*.localhost:3000": "http://*.localhost:3000",
    "capacitor://localhost": "capacitor://localhost",
    "chrome-extension://abcdefghijklmnopabcdefghijklmnop": "chrome-extension://abcdefghijklmnopabcdefghijklmnop",
    "*": "*",
}


@pytest.mark.parametrize(("written", "sent"), AS_BROWSERS_WRITE_THEM.items())
def test_what_can_be_meant_is_written_as_browsers_write_it(written: str, sent: str) -> None:
    assert normalised(written) == sent
    assert normalised(sent) == sent


REFUSED = {
    "app.example.com": "no scheme",
    "localhost:3000": "no scheme",
    "//app.example.com": "no scheme",
    "*.example.com": "no scheme",
    "null": "no scheme",
    "file:///index.html": "no scheme",
    "https:app.example.com": "no scheme",
    "https://app.example.com/chat": "says more",
    "https://app.example.com//": "says more",
    "https://app.example.com?x": "says more",
    "https://app.example.com#x": "says more",
    "https://ann@app.example.com": "says more",
    "https://'app.example.com'": "no host",
    "'https://app.example.com": "no scheme",
    "https://app.example.com'": "no host",
    "https://app.example.com https://b.example": "commas divide",
    "https://app.exam\nple.com": "commas divide",
    "https://": "no scheme",
    "https://.example.com": "no host",
    "https://app.example.com.": "no host",
    "https://app..example.com": "no host",
    "https://-app.example.com": "no host",
    "https://app.example.com:": "no host",
    "https://app.example.com:0": "no host",
    "https://app.example.com:65536": "can't be read",
    "https://app.example.com:*": "can't be read",
    "https://[::1": "can't be read",
    "https://[fe80::1%25eth0]": "no host",
    "https://bücher.example": "xn--",
    "https://*": "first label alone",
    "https://*.com": "first label alone",
    "https://*.*.example.com": "first label alone",
    "https://app.*.com": "first label alone",
    "https://app-*.example.com": "first label alone",
    "https://*app.example.com": "first label alone",
    "https://**.example.com": "first label alone",
    "*://app.example.com": "no scheme",
    "https://*.example.com/*": "says more",
}


@pytest.mark.parametrize(("written", "why"), REFUSED.items())
def test_what_can_never_match_is_refused_in_a_sentence(written: str, why: str) -> None:
    with pytest.raises(ValueError, match=re.escape(why)) as refused:
        parse(f"https://good.example, {written}")
    assert repr(written) in str(refused.value)


@pytest.mark.parametrize(
    "written",
    [
        "https://a.example,http://b.example:8080",
        " https://a.example , http://b.example:8080 ,, ",
        '"https://a.example,http://b.example:8080"',
        "'https://a.example', \"http://b.example:8080/\"",
        "https://a.example,http://b.example:8080,https://A.example:443\n",
    ],
)
def test_a_list_is_divided_by_commas_and_may_stand_in_quotes(written: str) -> None:
    assert parse(written) == ("https://a.example", "http://b.example:8080")


@pytest.mark.parametrize("written", ["", " ", ",", '""', "''", '"'])
def test_a_list_of_nothing_names_nobody(written: str) -> None:
    if written == '"':
        with pytest.raises(ValueError, match="no scheme"):
            parse(written)
        return
    assert parse(written) == ()
    assert not Origins(parse(written)).names("https://app.example.com")


STARRED = {
    "https://a.example.com": True,
    "https://a-b-git-main-team.example.com": True,
    "https://xn--bcher-kva.example.com": True,
    "https://my_app.example.com": True,
    "https://example.com": False,
    "https://.example.com": False,
    "https://a.b.example.com": False,
    "https://aexample.com": False,
    "https://evil-example.com": False,
    "https://a.example.com.evil.example": False,
    "https://evil.example/.example.com": False,
    "https://evil.example#.example.com": False,
    "https://evil.example\\.example.com": False,
    "https://evil@a.example.com": False,
    "https://evil.example:443.example.com": False,
    "http://a.example.com": False,
    "https://a.example.com:444": False,
    "https://a.exampleXcom": False,
    "https://A.example.com": False,
    "https://a.example.com\n": False,
    "https://*.example.com": False,
    "https://" + "a" * 63 + ".example.com": True,
    "https://" + "a" * 64 + ".example.com": False,
    "null": False,
    "*": False,
    "": False,
}


@pytest.mark.parametrize(("origin", "named"), STARRED.items())
def test_a_star_is_one_label_and_anchored(origin: str, named: bool) -> None:
    assert Origins(parse("https://*.example.com, https://other.example")).names(origin) is named


@given(st.text(max_size=20), st.text(max_size=20))
def test_nothing_around_an_origin_makes_it_one(before: str, after: str) -> None:
    origins = Origins(parse("https://*.example.com,https://app.example.org"))
    for origin in ("https://app.example.org", "https://a.example.com"):
        text = before + origin + after
        if text != origin and re.fullmatch(r"https://[a-z0-9_-]+\.example\.com", text) is None:
            assert not origins.names(text)


@given(
    st.sampled_from(["http", "HTTPS", "https", "capacitor", "null", ""]),
    st.sampled_from(["://", ":", "//", ""]),
    st.text("aB-_.*[]:1@/ é%", max_size=12),
    st.sampled_from(["", ":1", ":80", ":443", ":0", "/", "/x"]),
)
def test_what_is_accepted_is_what_a_browser_can_send(scheme: str, sign: str, host: str, end: str) -> None:
    """And it matches: nothing is listed in vain."""
    try:
        listed = parse(scheme + sign + host + end)
    except ValueError:
        return
    for origin in listed:
        assert normalised(origin) == origin
        assert re.fullmatch(r"\*|[a-z]+://[^/?#@\s]+", origin)
        sent = origin.replace("*", "label")
        assert Origins(listed).names(sent) is (origin != "*")


def test_the_star_alone_lets_everybody_read_and_names_nobody() -> None:
    origins = Origins(parse("*, https://app.example.com"))
    assert origins.every
    assert origins.admits("https://evil.example", None)
    assert not origins.names("https://evil.example")
    assert origins.names("https://app.example.com")
    assert not Origins(parse("*")).names("*")


def test_our_own_pages_are_ours_and_nobody_elses() -> None:
    assert is_own("https://gapless.example", "gapless.example")
    assert is_own("http://localhost:8000", "localhost:8000")
    assert is_own("http://[::1]:8000", "[::1]:8000")
    for host in ("gapless.example:443", "gapless.example:80", "Gapless.Example"):
        assert is_own("https://gapless.example", host), "as `proxy_set_header Host $host:$server_port` writes it"
        assert not is_own("https://gapless.example:8443", host)
        assert not is_own("https://evil.example", host)
    assert not is_own("https://gapless.example", "gapless.example:8443")
    assert not is_own("https://", ":443")
    assert Origins().admits("http://localhost:8000", "localhost:8000")
    for origin, host in (("https://", ""), ("null", None), ("https://gapless.example", None), ("", "gapless.example")):
        assert not is_own(origin, host)
    assert not Origins().admits("https://evil.example", "gapless.example")
