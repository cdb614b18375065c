"""What holds for every test: one backend, a clean environment, nothing swallowed, nothing skipped in CI."""

from __future__ import annotations

import gc
import logging
import os
import re
import signal
import tempfile
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings

from tests.testkit.alarm import Alarm, until
from tests.testkit.asyncio_errors import AsyncioErrors
from tests.testkit.certificates import trust_nobody
from tests.testkit.clock import VirtualLoop, no_worker_threads
from tests.testkit.isolation import ours
from tests.testkit.leftovers import forgotten, running
from tests.testkit.process import Process
from tests.testkit.valkey import Valkey, start_valkey

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

pytest_plugins = ["pytester", "tests.testkit.dealing", "tests.testkit.stacks"]

# Here, because more than tests/stores imports it: its asserts explain themselves, too.
pytest.register_assert_rewrite("tests.stores.contract")

CI = os.environ.get("CI") == "true"

# Load is the machine's business: no deadline, no complaint about slow examples.
_EASY: dict[str, Any] = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow], "print_blob": True}
settings.register_profile("quick", max_examples=40, **_EASY)
settings.register_profile("ci", max_examples=50, derandomize=True, **_EASY)
settings.register_profile("thorough", max_examples=2000, **_EASY)
settings.load_profile("ci" if CI else "quick")  # --hypothesis-profile=NAME comes later and wins

CALM = 10.0
"""Seconds in which what was told to end at a session's end is gone."""


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "virtual_time: runs on tests.testkit.clock.VirtualLoop")
    for name in ours(os.environ):
        del os.environ[name]
    trust_nobody()
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # started by `&`: what tests start would not hear a Ctrl-C
        signal.signal(signal.SIGINT, signal.default_int_handler)


# --- the event loop


@pytest.fixture(scope="module")
def anyio_backend(request: pytest.FixtureRequest) -> Iterator[object]:
    """asyncio, on a loop of virtual time where the test is marked `virtual_time`."""
    backend = getattr(request, "param", "asyncio")
    with nullcontext() if backend == "asyncio" else no_worker_threads():
        yield backend


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if metafunc.definition.get_closest_marker("virtual_time") and "anyio_backend" in metafunc.fixturenames:
        backend = pytest.param(("asyncio", {"loop_factory": VirtualLoop}), id="virtual")
        metafunc.parametrize("anyio_backend", [backend], indirect=True)


# --- a clean slate


@pytest.fixture(autouse=True)
def _clean_slate(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No setting of the product reaches a test from outside or leaves one; no garbage is left to the next."""
    assert not ours(os.environ), f"left behind by an earlier test: {ours(os.environ)}"
    yield
    monkeypatch.undo()
    # What the test dropped unawaited or unclosed is reported on this test, if it goes now. Only the
    # young generations: a full sweep costs 50 ms, and the session's end makes one.
    gc.collect(1)
    if left := ours(os.environ):
        for name in left:
            del os.environ[name]
        pytest.fail(f"the test left {left} in the environment; use monkeypatch.setenv", pytrace=False)


_DATA = Path(__file__).resolve().parent.parent / ".gapless"


@pytest.fixture(scope="session", autouse=True)
def _data_before() -> bool:
    """True where somebody has run the service in this tree before."""
    return _DATA.exists()


@pytest.fixture(autouse=True)
def _no_data_here(_data_before: bool) -> Iterator[None]:
    """No test starts the embedded Valkey in the tree, where it would outlive the test."""
    yield
    if not _data_before and _DATA.exists():
        pytest.fail(f"{_DATA} was made by this test or by one beside it; set GAPLESS_DATA_DIR", pytrace=False)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Nearly all that is made here lives to the end: a quarter of the time went into sweeps that found nothing."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


def pytest_collection_finish() -> None:
    """What was made so far lives to the end: no sweep need look at it again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="module", autouse=True)
def _garbage_is_its_own() -> Iterator[None]:
    """What a module dropped unclosed is reported on it, and not on the test that the collector comes to later.

    What is left then is not looked at again before the session's end: so a sweep is short.
    """
    yield
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _nothing_left(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Whatever a test starts is gone at the end, and so is every file that it made outside its `tmp_path`."""
    given = tmp_path_factory.getbasetemp()
    folder = tempfile.TemporaryDirectory(prefix="gl-", ignore_cleanup_errors=True)  # what is left is told below
    with pytest.MonkeyPatch.context() as patch, folder as name:
        patch.setattr(tempfile, "tempdir", name)
        patch.setenv("TMPDIR", name)
        yield
        gc.unfreeze()
        gc.collect()
        left = [*forgotten(), *_when_calm(lambda: running((given, Path(name))))]
        left += sorted(str(path) for path in Path(name).iterdir() if not _OF_TOOLS.match(path.name))
    if left:
        pytest.fail("left behind by a test of this process:\n" + "\n".join(left), pytrace=False)


_OF_TOOLS = re.compile(r"pytest-of-|uv-\w+\.lock|node-compile-cache|npm-|v8-compile-cache")
"""What programs that tests start keep in the temporary folder on purpose."""


def _when_calm(look: Callable[[], list[str]]) -> list[str]:
    """What is still there after some seconds: what was told to end may take them."""
    with suppress(Alarm):
        until(lambda: not look(), "all processes have ended", alarm=CALM)
    return look()


# --- nothing is swallowed


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    Process.started.clear()
    errors = item.stash[_ERRORS] = AsyncioErrors()
    logging.getLogger("asyncio").addHandler(errors)
    try:
        return (yield)
    finally:
        logging.getLogger("asyncio").removeHandler(errors)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, None, None]:
    yield
    texts = item.stash[_ERRORS].texts
    if texts:
        pytest.fail("asyncio logged errors:\n" + "\n".join(texts), pytrace=False)


_ERRORS = pytest.StashKey[AsyncioErrors]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    _no_skip_in_ci(report)
    if report.failed:
        for process in Process.started:
            report.sections.append((f"last lines of {process.name}", process.tail()))
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _no_skip_in_ci(report)
    return report


def _no_skip_in_ci(report: pytest.TestReport | pytest.CollectReport) -> None:
    """In CI everything is there, so a skip (or an expected failure) hides something: it fails."""
    if not CI or not (report.skipped or hasattr(report, "wasxfail")):
        return
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
    what = "expected to fail" if hasattr(report, "wasxfail") else "skipped"
    report.outcome = "failed"
    report.longrepr = f"{what} in CI: {getattr(report, 'wasxfail', reason)}"
    if hasattr(report, "wasxfail"):
        del report.wasxfail


# --- a real Valkey


@pytest.fixture(scope="session")
def valkey_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    """One server on a unix socket for all tests of this process; not to be killed or reconfigured."""
    with start_valkey(tmp_path_factory.mktemp("valkey")) as server:
        yield server


@pytest.fixture
def valkey(valkey_server: Valkey) -> Valkey:
    """That server, emptied: no keys, no scripts. With @given take `valkey_server` and empty it yourself."""
    valkey_server.flush()
    return valkey_server
