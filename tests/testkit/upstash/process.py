"""The emulator as a process of its own, and its controls from a test."""

from __future__ import annotations

import sys
from collections import Counter
from typing import TYPE_CHECKING, Any, Self

import httpx

from tests.testkit.forked import AVAILABLE
from tests.testkit.process import Process
from tests.testkit.upstash.emulator import READ_ONLY_TOKEN, TOKEN

if TYPE_CHECKING:
    from types import TracebackType

    from tests.testkit.upstash.faults import How, Kind


class EmulatorProcess:
    """`with EmulatorProcess(valkey.url) as up: up.url, up.token, up.arm("cut"), up.counts()`.

    `arguments` are further options of the command line (`--replica`, `--seed 7`, `--port N`). Blocks while
    it starts. Leaving the `with` raises AssertionError where a fault was armed that never fired.
    """

    token = TOKEN
    read_only_token = READ_ONLY_TOKEN

    def __init__(self, valkey: str, *arguments: str) -> None:
        self._argv = [sys.executable, "-m", "tests.testkit.upstash", "--redis", valkey, *arguments]

    def __enter__(self) -> Self:
        function = "tests.testkit.upstash.__main__:main" if AVAILABLE else None
        self.process = Process("upstash emulator", self._argv, function=function)
        try:
            self.url = self.process.wait_for_line(r"^http://\S+$")[0]
        except BaseException:
            self.process.kill()
            raise
        self._http = httpx.Client(base_url=f"{self.url}/-", trust_env=False)
        return self

    def __exit__(self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None) -> None:
        try:
            missed = self._ask("GET", "faults")["missed"] if kind is None else []
        finally:
            self._http.close()
            self.process.terminate()
        assert not missed, f"armed but never fired: {', '.join(missed)}"

    def arm(self, kind: Kind, **wanted: Any) -> None:
        """`Faults.arm`, with a string for `match`."""
        self._ask("POST", "faults", kind=kind, **wanted)

    def disarm(self, kind: Kind | None = None) -> None:
        """`Faults.disarm`, of a kind or all."""
        self._ask("DELETE", f"faults?kind={kind}" if kind else "faults")

    def hits(self) -> Counter[str]:
        """`Faults.hits`."""
        return Counter(self._ask("GET", "faults")["hits"])

    def counts(self) -> Counter[str]:
        """Billed commands by name, inner ones included."""
        return Counter(self._ask("GET", "counts")["counts"])

    def sent(self) -> int:
        """Bytes of replies and notices so far."""
        return int(self._ask("GET", "counts")["sent"])

    def asked(self) -> Counter[str]:
        """`UpstashEmulator.asked`."""
        return Counter(self._ask("GET", "counts")["asked"])

    def reset_counts(self) -> None:
        """Start the bill again."""
        self._ask("DELETE", "counts")

    def upstreams(self) -> list[str]:
        """The paths of the subscriptions open now."""
        return list(self._ask("GET", "upstreams")["open"])

    def cut(self, match: str = "*", how: How = "close") -> int:
        """`Upstreams.cut`."""
        return int(self._ask("POST", "upstreams", act="cut", match=match, how=how)["count"])

    def freeze(self, match: str = "*") -> int:
        """`Upstreams.freeze`."""
        return int(self._ask("POST", "upstreams", act="freeze", match=match)["count"])

    def caught_up(self) -> bool:
        """`UpstashEmulator.caught_up`."""
        return bool(self._ask("GET", "replica")["caught_up"])

    def release(self) -> int:
        """Run what faults with `run="held"` held back; the number of requests."""
        return int(self._ask("POST", "release")["released"])

    def configure(self, **settings: str) -> None:
        """`UpstashEmulator.configure`."""
        self._ask("POST", "settings", **settings)

    def _ask(self, method: str, path: str, **wanted: Any) -> dict[str, Any]:
        response = self._http.request(method, f"/{path}", json=wanted if method == "POST" else None)
        assert response.is_success, response.text
        return dict(response.json())
