"""The stores of the contract: each test runs on every backend that can be asked what it asks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from functools import cache
from typing import Any

import pytest

from gapless.log.store import Store
from tests.stores.contract import model
from tests.stores.contract.backend import Backend, Keep, Kind, kinds
from tests.testkit.cluster import settle

Open = Callable[..., Store]
"""Opens a store; `Keep`'s fields by name. All are closed at the end of the test."""

OF_CONNECTIONS = {"test_hearing", "test_left_open", "test_reading", "test_receipts", "test_trouble"}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "kind" not in metafunc.fixturenames:
        return
    # TLS is TCP with a wrapper, through the same code: what holds over it need not be shown twice. Of what is asked, it
    # changes nothing; of how connections begin, break and end, it may.
    without = {"tcp"} if metafunc.module.__name__.rpartition(".")[2] in OF_CONNECTIONS else {"tcp", "tls"}
    params: dict[str, Any] = {name: kind for name, kind in kinds().items() if name not in without}
    if not {"servers", "fragile"} & set(metafunc.fixturenames):
        params["model"] = model
    metafunc.parametrize("kind", params.values(), ids=params.keys(), scope="module")


@pytest.fixture(scope="session")
def backends(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Kind], Backend]]:
    """Starts a kind's servers where they do not run yet; all end with the session."""
    with ExitStack() as running:
        yield cache(lambda kind: running.enter_context(kind.run(tmp_path_factory.mktemp("backend"))))


@pytest.fixture(scope="module")
async def backend(kind: Kind, backends: Callable[[Kind], Backend]) -> AsyncIterator[Backend]:
    """Servers that all tests share: not to be stopped or reconfigured.

    Async, so that a module's tests share one loop: a TLS connection that a test has closed ends some turns later.
    """
    yield backends(kind)


@pytest.fixture
def servers(backend: Backend) -> Backend:
    """The shared backend, for tests that look behind the store."""
    return backend


@pytest.fixture
async def fragile(kind: Kind, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Backend]:
    """A backend of the test's own, to be stopped, starved and killed."""
    with kind.run(tmp_path_factory.mktemp("fragile")) as running:
        yield running


@pytest.fixture
def behind(request: pytest.FixtureRequest, kind: Kind) -> Backend:
    """Where the test's stores are opened: the shared backend, emptied, or the fragile one."""
    fragile = "fragile" in request.fixturenames
    backend: Backend = request.getfixturevalue("fragile" if fragile else "backend")
    for valkey in backend.valkeys:
        valkey.flush()
    if (
        len(backend.valkeys) > 1
    ):  # a cluster's: what an earlier test has published would be told to this one's listeners
        settle(backend.valkeys)
    if isinstance(backend, model.Model):
        backend.kept = None
    return backend


@pytest.fixture
async def open_store(behind: Backend) -> AsyncIterator[Open]:
    """Opens stores; see `Open`."""
    opened: list[Store] = []

    def open_one(**keep: Any) -> Store:
        opened.append(behind.open(Keep(**keep)))
        return opened[-1]

    yield open_one
    for store in opened:
        await store.close()


@pytest.fixture
def store(open_store: Open) -> Store:
    """One store as the service would open it."""
    return open_store()
