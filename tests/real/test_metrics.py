"""With several workers, a scrape of any one of them shows the numbers of all."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.api.routes.test_metrics import read
from tests.testkit.alarm import until
from tests.testkit.service import Service

if TYPE_CHECKING:
    from tests.testkit.valkey import Valkey

pytestmark = [pytest.mark.real(seconds=10), pytest.mark.timeout(180)]
POSTS = 30
PUBLISHED = "gapless_messages_published_total"


def ask(url: str, path: str, **body: int) -> httpx.Response:
    """Over a connection of its own, which any worker may get."""
    with httpx.Client(trust_env=False, timeout=20) as client:
        return client.post(url + path, json=body) if body else client.get(url + path)


def scrape(url: str) -> dict[str, float]:
    """What each process has published, by its id."""
    reply = ask(url, "/metrics")
    assert reply.status_code == 200, reply.text
    return {
        name.split('"')[1]: value
        for name, value in read(reply.text).items()
        if name.startswith(f"{PUBLISHED}{{process=")
    }


def test_each_worker_tells_of_all(valkey_server: Valkey) -> None:
    env = {"REDIS_URL": valkey_server.url, "GAPLESS_METRICS": "true"}
    with Service(env, args=("--workers", "2")) as service:
        for number in range(1, POSTS + 1):
            assert ask(service.url, "/channels/general/messages", data=number).status_code == 201
        found = [scrape(service.url) for _ in range(8)]
        assert all(len(one) == 2 and sum(one.values()) == POSTS for one in found), found
        dead, left = found[0].keys()
        os.kill(int(dead), signal.SIGKILL)
        until(lambda: dead not in (now := scrape(service.url)) and len(now) == 2, "a new worker is told of", alarm=60)
        now = scrape(service.url)
        assert now.pop(left) == found[0][left]  # what is lost is what the dead one had counted
        assert [*now.values()] == [0]
        assert service.terminate() == 0  # and nothing is left of the folder in which they met
