"""The command as people run it: `gapless`, in processes of its own."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from gapless.cli.address import listen, resolve
from gapless.runtime.version import __version__
from tests.cli import command
from tests.stores.embedded.use import command as ask
from tests.stores.embedded.use import private_folder, runs, servers
from tests.testkit.alarm import Alarm, until
from tests.testkit.forked import AVAILABLE
from tests.testkit.isolation import isolated
from tests.testkit.process import Process

if TYPE_CHECKING:
    from collections.abc import Iterator

GAPLESS = str(Path(sys.executable).with_name("gapless"))
CHANNEL = "/channels/general/messages"


@pytest.fixture
def folder() -> Iterator[Path]:
    """The data folder of a test's services; nothing runs on it afterwards."""
    with private_folder() as folder:
        yield folder


def run(*args: str, **env: str) -> subprocess.CompletedProcess[str]:
    """The command, until it ends by itself. Should it start after all, it finds no place for data."""
    return command.run(*args, **{"PORT": "0", "GAPLESS_DATA_DIR": "/dev/null/data"} | env)


class Serving(Process):
    """`gapless serve` on a free port and `folder`; where it has no workers, and is not to be `cold`, it is a fork."""

    def __init__(self, folder: Path, *args: str, cold: bool = False, **env: str) -> None:
        env = {"PORT": "0", "GAPLESS_DATA_DIR": str(folder), **env}
        function = "gapless.cli:main" if AVAILABLE and not cold and "--workers" not in args else None
        super().__init__("gapless serve", [GAPLESS, "serve", *args], env=isolated(os.environ) | env, function=function)

    def ready(self) -> str:
        """The URL, once it is ready."""
        url = self.wait_for_line(r"^http://\S+$", alarm=60)[0]
        self.wait_for_line("open to ")
        return url

    def signal_alone(self, number: signal.Signals) -> None:
        """To the one process, as `kill` does; `signal` reaches its workers too, as Ctrl-C does."""
        os.kill(self.pid, number)


def post(url: str, data: object) -> Any:
    reply = httpx.post(url + CHANNEL, json={"data": data}, trust_env=False, timeout=10)
    assert reply.status_code == 201, reply.text
    return reply.json()


def history(url: str) -> list[Any]:
    """What every new connection sees in the channel."""
    messages = httpx.get(url + CHANNEL, trust_env=False, timeout=10).json()["messages"]
    return [message["data"] for message in messages]


# --- what ends at once


def test_the_version_comes_without_waiting_for_the_rest() -> None:
    done = subprocess.run([GAPLESS, "--version"], capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == (f"gapless {__version__}\n", 0)
    code = (
        "import sys; from gapless.cli import main\ntry: main(['--version'])\nexcept SystemExit: pass\n"
        "print(sorted({'pydantic', 'uvicorn', 'fastapi', 'redis', 'asyncio', 'httpx'} & set(sys.modules)))"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).splitlines()[1] == "[]"


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ((), "Usage: gapless [OPTIONS] COMMAND"),
        (("serve", "--port", "65536"), "65536 is not in the range 0<=x<=65535"),
        (("serve", "--port", "http"), "'http' is not a valid integer"),
        (("serve", "--workers", "0"), "0 is not in the range 1<=x<=64"),
        (("dance",), "No such command 'dance'"),
        (("tail",), "Missing argument 'CHANNEL...'"),
        (("tail", "a", "--history", "1", "--from", "start"), "--history and --from exclude each other"),
    ],
)
def test_wrong_arguments_are_refused(args: tuple[str, ...], said: str) -> None:
    done = run(*args)
    assert said in done.stderr
    assert done.returncode == 2


@pytest.mark.parametrize(
    ("args", "env", "said", "code"),
    [
        ((), {"GAPLESS_CAP": "5"}, r"GAPLESS_CAP: .* 20 \(it is '5'\)\.", 2),
        ((), {"PORT": "http"}, r"PORT is 'http', which is not a number", 2),
        ((), {"REDIS_URL": "redis://:hunter/2@host/db"}, r"REDIS_URL can't be read", 2),
        (("--host", "0.0.0.0"), {}, r"GAPLESS_PUBLIC=true", 1),
        ((), {"HOST": "nowhere.invalid"}, r"no address for the host 'nowhere\.invalid'", 1),
        ((), {}, r"can't use its data folder /dev/null/data", 1),
    ],
)
def test_what_can_not_start_says_what_to_do(args: tuple[str, ...], env: dict[str, str], said: str, code: int) -> None:
    done = run("serve", *args, **env)
    assert re.search(rf"^gapless: .*{said}", done.stderr), done.stderr
    assert "Traceback" not in done.stderr
    assert "hunter" not in done.stderr
    assert (done.stdout, done.returncode) == ("", code)


def test_a_port_in_use_is_refused_before_anything_is_started(folder: Path) -> None:
    listening, address = listen(resolve("127.0.0.1", 0))
    with listening:
        done = run("serve", PORT=str(address.port), GAPLESS_DATA_DIR=str(folder))
    assert re.fullmatch(rf"gapless: Port {address.port} .*PORT=\d+ make run.*--port \d+.*\n", done.stderr)
    assert done.returncode == 1
    assert not folder.exists()


# --- one service


@pytest.mark.real
def test_it_serves_says_where_and_leaves_nothing_behind(folder: Path) -> None:
    with Serving(folder, cold=True) as serving:
        url = serving.ready()
        pid = servers(folder)[0]
        warned, *said = serving.log.splitlines()[:5]
        assert " INFO gapless: no keys, so this machine only." in warned
        assert said == [
            url,
            f"  listening on 127.0.0.1, port {url.rpartition(':')[2]}",
            f"  store: embedded Valkey (started, pid {pid}); its data are in {folder}",
            "  open to this machine only, without keys",
        ]
        has_one_line_for_a_request(serving, url)
        post(url, "kept")
        offers_everything(url)
        assert serving.terminate() == 0
    assert servers(folder) == []
    with Serving(folder) as serving:
        url = serving.ready()
        assert history(url) == ["kept"]
        says_goodbye_at_sigterm(serving, url)
        assert serving.wait() == 0
    assert servers(folder) == []


def offers_everything(url: str) -> None:
    """Nobody has to set anything to see who is there. (docs/protocol.md, 8.1)"""
    with httpx.stream("GET", f"{url}/channels/any:1/stream", trust_env=False, timeout=10) as stream:
        hello = next(line for line in stream.iter_lines() if line.startswith("data: "))
    assert '"features":{"any:1":["signals","receipts","presence"]}' in hello


def has_one_line_for_a_request(serving: Serving, url: str) -> None:
    """And no header of the server."""
    before = serving.log
    reply = httpx.get(f"{url}/channels/once/messages?limit=7", trust_env=False)
    assert "server" not in reply.headers
    line = until(lambda: serving.log.removeprefix(before).strip(), "its line")
    assert re.fullmatch(r".* GET /channels/once/messages 200 [\d.]+s id=[0-9a-f]{16}", line)


def says_goodbye_at_sigterm(serving: Serving, url: str) -> None:
    """To a stream that is open."""
    with httpx.stream("GET", f"{url}/channels/general/stream", trust_env=False, timeout=10) as stream:
        lines = stream.iter_lines()
        assert "event: hello" in (next(lines), next(lines), next(lines))
        serving.signal(signal.SIGTERM)
        rest = list(lines)
    assert json.loads(rest[rest.index("event: end") + 1].removeprefix("data: ")) == {"reason": "shutdown"}


@pytest.mark.real
def test_a_second_ctrl_c_waits_for_nobody(folder: Path) -> None:
    with Serving(folder) as serving:
        host, port = serving.ready().removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as caller:
            head = f"POST {CHANNEL} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
            caller.sendall(f"{head}content-length: 99\r\nexpect: 100-continue\r\n\r\n".encode())
            assert caller.recv(100).startswith(b"HTTP/1.1 100 ")  # so the app waits for a body that never comes
            serving.signal(signal.SIGINT)
            until(lambda: not takes_calls(host, int(port)), "it has heard the first", alarm=60)  # two would be one
            with pytest.raises(Alarm):
                until(lambda: serving.returncode is not None, "it ended", alarm=1)
            serving.signal(signal.SIGINT)
            assert until(lambda: serving.returncode is not None, "it ended", alarm=60)
        assert serving.wait() == 0
        assert "graceful shutdown exceeded" not in serving.log, "nor for the end of the time that the caller had"
    assert servers(folder) == []


def takes_calls(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port)).close()
    except ConnectionError:
        return False
    return True


@pytest.mark.real
def test_one_that_is_stopped_while_it_starts_leaves_nothing_behind(folder: Path) -> None:
    with Serving(folder) as serving:
        until(lambda: runs(folder), "its Valkey runs")
        assert serving.terminate() in (0, 143)
        assert "Traceback" not in serving.log
    assert servers(folder) == []


# --- several


@pytest.mark.real
def test_two_services_share_one_valkey_until_the_last_one_ends(folder: Path) -> None:
    with Serving(folder) as first, Serving(folder) as second:
        one, other = first.ready(), second.ready()
        assert len(servers(folder)) == 1
        assert len(re.findall("joined|started", first.log + second.log)) == 2
        post(one, "from one")
        assert history(other) == ["from one"]
        assert first.terminate() == 0
        post(other, "still there")
        assert second.terminate() == 0
    assert servers(folder) == []


@pytest.mark.real
def test_after_kill_9_the_next_service_adopts_the_valkey_and_nothing_is_lost(folder: Path) -> None:
    with Serving(folder) as serving:
        post(serving.ready(), "kept")
        serving.kill()
    orphan = servers(folder)
    assert len(orphan) == 1
    with Serving(folder) as serving:
        assert history(serving.ready()) == ["kept"]
        assert servers(folder) == orphan
        assert "(joined, pid " in serving.log
        assert serving.terminate() == 0
    assert servers(folder) == []


@pytest.mark.real
def test_a_killed_valkey_is_back_with_all_messages(folder: Path) -> None:
    with Serving(folder) as serving:
        url = serving.ready()
        for number in range(3):
            post(url, number)
            (pid,) = servers(folder)
            os.kill(pid, signal.SIGKILL)
            until(lambda number=number: serving.log.count("started again") == number + 1, "it says so")
            until(lambda: httpx.get(f"{url}/readyz", trust_env=False).status_code == 200, "it is ready again")
        assert history(url) == [0, 1, 2]
        assert serving.terminate() == 0
    assert servers(folder) == []


@pytest.mark.real
@pytest.mark.parametrize("workers", ["1", "2"])
def test_what_the_app_refuses_while_it_starts_is_one_sentence(folder: Path, workers: str) -> None:
    with Serving(folder, "--workers", workers, REDIS_URL="redis://localhost?max_connections=x") as serving:
        assert serving.wait(alarm=60) == 2
        assert "REDIS_URL has the option 'max_connections', which must be a number" in serving.log
        assert "Traceback" not in serving.log


@pytest.mark.real
def test_descriptors_are_raised_to_what_is_allowed(folder: Path) -> None:
    resource = pytest.importorskip("resource")
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    argv = ["/bin/sh", "-c", f"ulimit -Sn 256; exec {GAPLESS} serve"]
    env = isolated(os.environ) | {"PORT": "0", "GAPLESS_DATA_DIR": str(folder)}
    with Process("gapless serve", argv, env=env) as process:
        process.wait_for_line("open to ", alarm=60)
        assert resource.prlimit(process.pid, resource.RLIMIT_NOFILE)[0] == min(hard, 65_536)
        assert ask(folder, "PING") == "PONG"
        process.terminate()
