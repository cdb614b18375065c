"""A head that a proxy may read otherwise than we do is refused. (docs/security.md, What is bounded)"""

from __future__ import annotations

import pytest

from gapless.cli.head import Headers, check_head, without_upgrade

HOST = (b"host", b"a.example:80")


@pytest.mark.parametrize(
    ("version", "target", "headers"),
    [
        ("1.1", b"/", [HOST]),
        ("1.0", b"/", []),
        ("1.1", b"*", [HOST]),
        ("1.1", b"http://A.example:80", [HOST]),
        ("1.1", b"http://a.example:80/x?http://b.example", [HOST]),
        ("1.1", b"http://a.example:80?x", [HOST]),
        ("1.1", b"/http://b.example", [HOST]),
        ("1.1", b"/", [HOST, (b"transfer-encoding", b" Chunked ")]),
    ],
)
def test_what_everybody_reads_alike(version: str, target: bytes, headers: Headers) -> None:
    check_head(version, target, headers)


@pytest.mark.parametrize(
    ("version", "target", "headers"),
    [
        ("1.1", b"/", []),
        ("1.1", b"/", [HOST, HOST]),
        ("1.0", b"/", [HOST, HOST]),
        ("1.1", b"http://b.example/", [HOST]),
        ("1.0", b"http://b.example/", []),
        ("1.1", b"http://a.example/", [HOST]),
        ("1.1", b"http://a.example:80.b.example/", [HOST]),
        ("1.1", b"http://b.example@a.example:80/", [HOST]),
        ("1.1", b"/", [HOST, (b"transfer-encoding", b"gzip, chunked")]),
        ("1.1", b"/", [HOST, (b"transfer-encoding", b"gzip"), (b"transfer-encoding", b"chunked")]),
    ],
)
def test_what_a_proxy_may_read_otherwise(version: str, target: bytes, headers: Headers) -> None:
    with pytest.raises(ValueError, match=r"host|coding"):
        check_head(version, target, headers)


def test_an_offer_of_another_protocol_is_taken_out() -> None:
    offered = [(b"connection", b"Upgrade, close"), HOST, (b"upgrade", b"h2c")]
    assert without_upgrade(offered) == [HOST, (b"connection", b"close")]
