"""A fork of the product is a process of its own in all that tests look at."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.testkit.alarm import until
from tests.testkit.forked import AVAILABLE, ROOT, Forked, run
from tests.testkit.process import Process
from tests.testkit.service import Service

if TYPE_CHECKING:
    from tests.testkit.valkey import Valkey

pytestmark = [
    pytest.mark.real(seconds=3),
    pytest.mark.skipif(not AVAILABLE, reason="forks of what is imported already are for Linux"),
]

HERE = "tests.testkit.test_forked"


# --- what the forks run


def describe() -> int:
    """Say what it is; the exit code is the last argument."""
    print(json.dumps(what_is_seen()), flush=True)
    return int(sys.argv[-1])


def what_is_seen() -> dict[str, Any]:
    return {
        "argv": sys.argv,
        "environ": dict(os.environ),
        "cwd": str(Path.cwd()),
        "session": [os.getpid() == os.getsid(0), os.getpid() == os.getpgrp()],
        "descriptors": [number for number in range(256) if is_open(number)],
        "handlers": [str(signal.getsignal(number)) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)],
        "threads": threading.active_count(),
        "main": sys.modules["__main__"].__name__,
    }


def is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def fail() -> None:
    """End as a program with a fault does."""
    raise LookupError("told to")


def pause() -> None:
    """Wait for a signal."""
    print("up", flush=True)
    signal.pause()


def echo() -> int:
    """What was read goes out, and its length to the errors."""
    text = sys.stdin.read()
    sys.stdout.write(text)
    sys.stderr.write(str(len(text)))
    return 3


def fork(function: str, *argv: str, **how: Any) -> Process:
    return Process("fork", ["program", *argv], function=f"{HERE}:{function}", **how)


# --- tests


def test_it_is_as_if_started_by_itself(tmp_path: Path) -> None:
    env = {"ONLY": "this", "PYTHONPATH": str(ROOT), "LC_ALL": "C.UTF-8"}
    argv = [sys.executable, "-c", f"from {HERE} import describe; raise SystemExit(describe())", "--a", "7"]
    with (
        Process("fork", ["-c", "--a", "7"], function=f"{HERE}:describe", env=env, cwd=tmp_path) as forked,
        Process("by itself", argv, env=env, cwd=tmp_path) as started,
    ):
        assert (forked.wait(), started.wait()) == (7, 7)
        assert json.loads(forked.log) == json.loads(started.log)


def test_a_module_has_the_arguments_that_python_leaves_it() -> None:
    with Process("fork", [sys.executable, "-m", "some.module", "0"], function=f"{HERE}:describe") as forked:
        assert forked.wait() == 0
        assert json.loads(forked.log)["argv"] == ["some.module", "0"]


def test_its_fault_is_told_and_ends_it_alone() -> None:
    with fork("fail") as forked, fork("pause") as other:
        assert forked.wait() == 1
        assert "LookupError: told to" in forked.log
        other.wait_for_line("up")
        assert other.returncode is None


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_signal_ends_it_alone(number: signal.Signals) -> None:
    with fork("pause") as forked, fork("pause") as other:
        forked.wait_for_line("up")
        forked.signal(number)
        assert forked.wait() == -number
        forked.signal(number)  # it is gone: nothing
        other.wait_for_line("up")
        assert other.returncode is None


def test_the_wait_for_it_has_a_limit() -> None:
    forked = Forked(f"{HERE}:pause", ["program"])
    assert forked.stdout is not None
    with forked.stdout as output:
        assert output.readline() == b"up\n"
        with pytest.raises(subprocess.TimeoutExpired):
            forked.wait(0.01)
        assert forked.poll() is None
        os.kill(forked.pid, signal.SIGTERM)
        assert forked.wait(30) == forked.returncode == -signal.SIGTERM


@pytest.mark.parametrize("text", ["", "ä\n" * 1000])
def test_it_reads_what_it_is_given_and_its_errors_come_apart(text: str) -> None:
    done = run(f"{HERE}:echo", ["program"], env=os.environ, text=text)
    assert (done.stdout, done.stderr, done.returncode) == (text, str(len(text)), 3)


def test_the_server_ends_in_silence() -> None:
    code = f"from tests.testkit.process import Process; Process('child', ['0'], function='{HERE}:describe').wait()"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_many_threads_hear_of_its_end() -> None:
    with fork("pause") as forked:
        heard: list[int] = []
        threads = [threading.Thread(target=lambda: heard.append(forked.wait())) for _ in range(4)]
        for thread in threads:
            thread.start()
        forked.wait_for_line("up")
        forked.kill()
        for thread in threads:
            thread.join(10)
    assert heard == [-9] * 4


def test_none_outlives_a_run_that_is_killed() -> None:
    code = (
        "import signal; from tests.testkit.process import Process; "
        f"child = Process('child', ['program'], function='{HERE}:pause'); child.wait_for_line('up'); "
        "print(child.pid, flush=True); signal.pause()"
    )
    with Process("run", [sys.executable, "-c", code], cwd=ROOT) as running:
        pid = int(running.wait_for_line(r"^(\d+)$", alarm=60)[1])
        server = int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
        running.kill()
        until(lambda: not any(Path(f"/proc/{one}").exists() for one in (pid, server)), "both have followed")


def test_a_service_is_forked_unless_the_command_itself_is_needed(valkey: Valkey) -> None:
    def parent(service: Service) -> int:
        with service:
            return int(Path(f"/proc/{service.pid}/stat").read_text().rsplit(")", 1)[1].split()[1])

    redis = {"REDIS_URL": valkey.url}
    assert parent(Service(redis)) != os.getpid()
    assert parent(Service(redis, fork=False)) == os.getpid()
    assert parent(Service(redis, args=("--workers", "1"))) == os.getpid()
    assert parent(Service(redis | {"PYTHONUNBUFFERED": "1"})) == os.getpid()


def test_no_two_forks_draw_the_same() -> None:
    drawn = set()
    for _ in range(2):
        with fork("draw") as forked:
            assert forked.wait() == 0
            drawn.add(forked.log)
    assert len(drawn) == 2


def draw() -> None:
    """Print what a process draws from each source of chance that Python has."""
    import random  # noqa: PLC0415 - as the product's modules do, before and after the fork
    import secrets  # noqa: PLC0415
    import uuid  # noqa: PLC0415

    print(random.random(), secrets.token_hex(4), uuid.uuid4(), flush=True)
