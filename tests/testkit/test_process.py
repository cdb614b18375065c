"""A child's output is kept, its signals arrive, its end is certain."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.testkit.alarm import Alarm, until
from tests.testkit.process import Process

ROOT = Path(__file__).parent.parent.parent
ECHO = [sys.executable, "-u", "-c"]


def python(code: str) -> Process:
    return Process("child", [*ECHO, code])


def test_a_line_is_found_whether_past_or_coming() -> None:
    with python("print('one 1'); print('two 2'); import signal; signal.pause()") as child:
        assert child.wait_for_line(r"two (\d)")[1] == "2"
        assert child.wait_for_line(r"one (\d)")[1] == "1"
        assert child.log == "one 1\ntwo 2"
        assert not child.ended
    assert child.returncode == -9


def test_a_line_that_cannot_come_any_more_is_an_alarm_at_once() -> None:
    with (
        python("import sys; print('why'); sys.exit(3)") as child,
        pytest.raises(Alarm, match=r"ended \(3\) without a line like 'ready'(.|\n)*why"),
    ):
        child.wait_for_line("ready", alarm=60)


def test_a_line_that_does_not_come_is_an_alarm() -> None:
    with (
        python("import signal; signal.pause()") as child,
        pytest.raises(Alarm, match=r"0\.05 s passed without"),
    ):
        child.wait_for_line("ready", alarm=0.05)


def test_more_output_than_a_pipe_holds_blocks_nobody() -> None:
    with python("for n in range(20_000): print(n, 'x' * 60)") as child:
        assert child.wait(alarm=20) == 0
        assert len(child.lines()) == 20_000
        assert child.lines(19_999) == ["19999 " + "x" * 60]


def test_terminate_wakes_a_paused_child_and_returns_its_code() -> None:
    code = "import signal, sys; signal.signal(15, lambda *_: sys.exit(7)); print('up'); signal.pause()"
    with python(code) as child:
        child.wait_for_line("up")
        child.pause()
        assert child.terminate() == 7


def test_one_that_ignores_sigterm_is_killed_and_reported() -> None:
    code = "import signal; signal.signal(15, signal.SIG_IGN); print('up')\nwhile True: signal.pause()"
    with python(code) as child:
        child.wait_for_line("up")
        with pytest.raises(Alarm, match="did not end within"):
            child.terminate(alarm=0.1)
        assert child.returncode == -9


def test_signals_reach_its_children() -> None:
    code = (
        "import subprocess, sys, signal; "
        "print(subprocess.Popen([sys.executable, '-c', 'import signal; signal.pause()']).pid); signal.pause()"
    )
    with python(code) as child:
        child.wait_for_line(r"\d+")
    # The grandchild held the pipe too: it is closed only when both are gone.
    until(lambda: child.ended, "the grandchild is gone")


def test_no_child_outlives_a_run_that_is_killed() -> None:
    code = (
        "import signal, sys; from tests.testkit.process import Process; "
        "done = Process('done', ['true']); done.wait(); "
        "child = Process('child', [sys.executable, '-c', 'import signal; signal.pause()']); "
        "print(child.pid, flush=True); signal.pause()"
    )
    with Process("run", [sys.executable, "-c", code], cwd=ROOT) as run:
        child = int(run.wait_for_line(r"^(\d+)$")[1])
        os.kill(child, 0)
        run.kill()
        until(lambda: not _lives(child), "the child has followed")


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # A zombie whose new parent has not looked yet is dead.
    stat = Path(f"/proc/{pid}/stat")
    return not (stat.exists() and stat.read_text().rsplit(")", 1)[1].split()[0] == "Z")
