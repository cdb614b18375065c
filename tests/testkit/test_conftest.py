"""The house rules of conftest.py: each is broken in an inner run of pytest, which must say so."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    Inner = Callable[..., pytest.RunResult]

pytestmark = pytest.mark.real(seconds=3)

ROOT = Path(__file__).parent.parent.parent
SETTINGS = """
[pytest]
addopts = -p no:valkey --strict-markers -p no:cacheprovider -p no:xdist
anyio_mode = auto
timeout = 20
filterwarnings = error
markers =
    real: as in the project
"""


@pytest.fixture
def inner(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Inner:
    """Run files, given by name, under our conftest in a pytest of their own, with `CI=true` or without.

    Such a run costs two seconds of work, so what can share one does.
    """
    pytester.makeini(SETTINGS)
    pytester.makeconftest("from tests.conftest import *\nfrom tests.conftest import _clean_slate, _nothing_left\n")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    for name in ("GAPLESS_CAP", "REDIS_URL", "UPSTASH_REDIS_REST_URL", "KV_REST_API_TOKEN", "VERCEL", "PORT"):
        monkeypatch.setenv(name, "from outside")

    def run(*args: str, ci: bool = False, **files: str) -> pytest.RunResult:
        if ci:
            monkeypatch.setenv("CI", "true")
        else:
            monkeypatch.delenv("CI", raising=False)
        pytester.makepyfile(**files)
        return pytester.runpytest_subprocess(*args)

    return run


SKIPS = """
import pytest
from tests.testkit.need import need

def test_skips(): pytest.skip("no moon")
@pytest.mark.skipif(True, reason="no sun")
def test_skips_by_mark(): pass
def test_needs(): need(0, "a star")
@pytest.fixture
def dark(): pytest.skip("no lamp")
def test_skips_in_a_fixture(dark): pass
@pytest.mark.xfail(reason="no luck")
def test_expected_to_fail(): assert False
@pytest.mark.xfail(reason="good luck")
def test_expected_to_fail_but_passes(): pass
def test_runs(): need([1], "nothing")
"""


SKIPPED_MODULE = "import pytest; pytest.importorskip('no_such_module_here')"


def test_a_skip_is_a_failure_in_ci(inner: Inner) -> None:
    result = inner("--continue-on-collection-errors", ci=True, test_skips=SKIPS, test_module=SKIPPED_MODULE)
    result.assert_outcomes(passed=1, failed=4, errors=3)
    for reason in ("no moon", "no sun", "a star", "no lamp", "no luck", "good luck", "no_such_module"):
        result.stdout.fnmatch_lines_random([f"*in CI: *{reason}*"])


FORGOTTEN = """
import asyncio, gc, pytest, socket, threading, warnings

async def forgotten(): pass

async def test_never_awaited(): forgotten()
def test_unclosed_in_a_cycle():
    cycle = [socket.socket()]
    cycle.append(cycle)
def test_thread_dies():
    thread = threading.Thread(target=lambda: 1 / 0)
    thread.start(); thread.join()
async def test_exception_nobody_fetched():
    async def fails(): raise ValueError("lost")
    task = asyncio.create_task(fails())
    await asyncio.wait([task])
async def test_task_destroyed_while_pending():
    async def waits(future): await future
    task = asyncio.create_task(waits(asyncio.get_running_loop().create_future()))
    await asyncio.sleep(0)
    asyncio.tasks._unregister_task(task)  # as a loop that was never closed would
    del task
    gc.collect()
async def test_logged_error():
    asyncio.get_running_loop().call_exception_handler({"message": "odd"})
def test_warns(): warnings.warn("old", DeprecationWarning)
def test_sets_a_setting():
    import os
    os.environ["GAPLESS_CAP"] = "30"
def test_after(): pass
"""


FAILS = """
import sys
from tests.testkit.process import Process
def test_fails():
    with Process("witness", [sys.executable, "-c", "print('I saw it')"]) as process:
        process.wait()
        assert False
"""


def test_what_is_swallowed_fails_that_very_test_and_shows_its_processes(inner: Inner) -> None:
    result = inner("-rA", test_forgotten=FORGOTTEN, test_fails=FAILS)
    blamed = set(re.findall(r"^(?:FAILED|ERROR) test_\w+\.py::(\w+)", result.stdout.str(), re.MULTILINE))
    assert blamed == set(re.findall(r"def (test_\w+)", FORGOTTEN + FAILS)) - {"test_after"}
    result.stdout.fnmatch_lines(["*last lines of witness*", "I saw it"])


LEAVES = """
import subprocess, sys, tempfile
import tests.conftest
tests.conftest.CALM = 0.0
kept = []
def test_leaves():
    tempfile.mkdtemp(suffix="-a-folder")
    code = "import signal; signal.pause()"
    starts = f"import subprocess, sys; subprocess.Popen([sys.executable, '-Sc', {code!r}], start_new_session=True)"
    subprocess.run([sys.executable, "-Sc", starts], check=True)
    kept.append(subprocess.Popen([sys.executable, "-Sc", "'a child'"]))
"""


def test_what_outlives_the_session_fails_it(inner: Inner) -> None:
    """A grandchild in a session of its own, whose parent is dead; a child that nobody waits for; a folder."""
    result = inner(test_leaves=LEAVES)
    told = re.search(r"^left behind by .*?(?=^=)", result.stdout.str(), re.MULTILINE | re.DOTALL)
    assert told
    left = re.search(r"^(\d+): .*signal\.pause", told[0], re.MULTILINE)
    assert left
    os.kill(int(left[1]), signal.SIGKILL)
    assert "'a child'" in told[0]
    assert "-a-folder" in told[0]
    result.assert_outcomes(passed=1, errors=1)


HANGS = """
import threading
def waits_for_nothing(): threading.Event().wait(60)
def test_hangs(): waits_for_nothing()
"""


def test_what_hangs_is_ended_and_says_where(inner: Inner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))  # it ends at once, and clears nothing away
    # Its stacks are told after nine tenths of the time: what stands still from then to the end may not tell them.
    result = inner("--timeout=5", "--timeout-method=thread", test_hangs=HANGS)
    assert result.ret == 1
    assert "in waits_for_nothing" in result.stdout.str() + result.stderr.str()
    assert "Timeout (0:00:04.5" in result.stderr.str(), "told before its end, past whatever captures its output"


SETTING = """
import os
from tests.testkit.isolation import ours
def test_clean(): assert not ours(os.environ)
def test_of_its_own(monkeypatch): monkeypatch.setenv("REDIS_URL", "x")
def test_clean_again(): assert not ours(os.environ)
"""

TIMES = """
import pytest
def limit(request): return request.node.get_closest_marker("timeout").args
@pytest.mark.real
def test_real(request): assert limit(request) == (180,)
@pytest.mark.real(seconds=60)
def test_long(request): assert limit(request) == (300,)
@pytest.mark.real(seconds=60)
@pytest.mark.timeout(90)
def test_own(request): assert limit(request) == (90,)
def test_plain(request): assert request.node.get_closest_marker("timeout") is None
"""

VIRTUAL = """
import asyncio, pytest
from tests.testkit.clock import VirtualLoop
@pytest.mark.virtual_time
async def test_virtual(): assert type(asyncio.get_running_loop()) is VirtualLoop
async def test_real_time(): assert type(asyncio.get_running_loop()) is not VirtualLoop
@pytest.mark.virtual_time
class TestClass:
    async def test_virtual(self): assert type(asyncio.get_running_loop()) is VirtualLoop
    def test_plain(self): pass
"""


def test_settings_stay_outside_marks_are_heeded_and_a_skip_is_a_skip_on_a_laptop(inner: Inner) -> None:
    """`real` means a longer limit; `virtual_time` may stand at a test, a class or a module."""
    quiet = {"test_setting": SETTING, "test_times": TIMES, "test_virtual": VIRTUAL}
    result = inner(test_skips=SKIPS, test_module=SKIPPED_MODULE, **quiet)
    result.assert_outcomes(passed=11 + 1, skipped=5, xfailed=1, xpassed=1)
