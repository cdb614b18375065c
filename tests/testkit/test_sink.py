"""The sink keeps what is posted to it, unpacked, by its path."""

from __future__ import annotations

import gzip

import httpx

from tests.testkit.sink import Sink


def test_it_keeps_bodies_by_their_path() -> None:
    with Sink() as sink, httpx.Client(base_url=f"http://127.0.0.1:{sink.port}") as client:
        assert client.post("/a", content=b"plain").status_code == 200
        packed = {"Content-Encoding": "gzip"}
        assert client.post("/b", content=gzip.compress(b"packed"), headers=packed).json() == {}
        assert client.post("/a").status_code == 200
    assert (sink.at("/a"), sink.at("/b"), sink.at("/c")) == ([b"plain", b""], [b"packed"], [])
