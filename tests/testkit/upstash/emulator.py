"""The emulator as a test sees it."""

from __future__ import annotations

from collections import Counter
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Self

from tests.testkit.alarm import auntil
from tests.testkit.upstash.app import App
from tests.testkit.upstash.catalog import Catalog
from tests.testkit.upstash.control import control_app
from tests.testkit.upstash.counts import total
from tests.testkit.upstash.database import Database
from tests.testkit.upstash.engine import Engine
from tests.testkit.upstash.faults import Faults
from tests.testkit.upstash.listener import Listener
from tests.testkit.upstash.replica import Replica
from tests.testkit.upstash.scripts import KeyLocking, PublishInScripts, Scripts

if TYPE_CHECKING:
    from types import TracebackType

    from starlette.types import Scope

    from tests.testkit.upstash.faults import How
    from tests.testkit.upstash.upstreams import Upstreams

TOKEN = "standard-token"
READ_ONLY_TOKEN = "read-only-token"
# Upstash REST docs, troubleshooting "ERR max request size exceeded": 10 MB.
MAX_REQUEST_BYTES = 10 * 1024 * 1024


class UpstashEmulator:
    """Upstash's REST API on a loopback port, over the real Valkey at `valkey` (a URL or a socket's path).

        async with UpstashEmulator(valkey.url) as up:
            client = Redis(up.url, up.token)

    Real time and real sockets: not for tests on virtual time. Leaving the `with` raises AssertionError
    where a fault was armed that never fired, unless `strict=False`. `replica=True` adds a second Valkey,
    for the fault `lag`. `port` 0 is any free one; give a number to come back at the same URL.
    """

    def __init__(
        self,
        valkey: str,
        *,
        port: int = 0,
        seed: int = 0,
        replica: bool = False,
        token: str = TOKEN,
        read_only_token: str = READ_ONLY_TOKEN,
        key_locking: KeyLocking = "accept",
        publish_in_scripts: PublishInScripts = "accept",
        max_request_bytes: int = MAX_REQUEST_BYTES,
        strict: bool = True,
    ) -> None:
        self.token, self.read_only_token = token, read_only_token
        self.counts: Counter[str] = Counter()
        """Billed commands by name in upper case, inner ones included."""
        self.faults = Faults(seed, has_replica=replica)
        self.scripts = Scripts(key_locking, publish_in_scripts)
        self._valkey, self._port, self._seed, self._strict = valkey, port, seed, strict
        self._wants_replica, self._max_bytes = replica, max_request_bytes
        self._replica: Replica | None = None
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            primary = await stack.enter_async_context(Database(self._valkey))
            catalog = await Catalog.read(primary)
            if self._wants_replica:
                self._replica = Replica(primary, lambda: self.faults.armed("lag"), self._seed)
                await stack.enter_async_context(self._replica)
                self.faults.on_change = self._replica.lag_changed
            engine = Engine(primary, catalog, self.scripts, self.faults, self._replica, self.counts)
            roles = {self.token: False, self.read_only_token: True}
            self._app = App(engine, self.faults, roles, self._max_bytes, control_app(self), self._end_connection)
            self._listener = await stack.enter_async_context(Listener(self._app, self._port))
            stack.push_async_callback(self._app.close)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        await self._stack.aclose()
        if kind is None and self._strict:
            missed = self.faults.missed()
            assert not missed, f"armed but never fired: {', '.join(missed)}"

    @property
    def url(self) -> str:
        """`http://127.0.0.1:…`, for `UPSTASH_REDIS_REST_URL`."""
        return f"http://127.0.0.1:{self._listener.port}"

    @property
    def total(self) -> int:
        """All billed commands together."""
        return total(self.counts)

    @property
    def sent(self) -> int:
        """Bytes of replies and notices so far."""
        return self._app.sent

    @property
    def asked(self) -> Counter[str]:
        """What requests have asked for so far: `NAME`, or `NAME sha` for a script; subscriptions, too. `bytes`: of all
        words."""
        return self._app.asked

    @property
    def upstreams(self) -> Upstreams:
        """The subscriptions open now: `len()`, iteration, `cut(match, how)`, `freeze(match)`."""
        return self._app.upstreams

    def reset_counts(self) -> None:
        """Start the bill again."""
        self.counts.clear()

    def configure(
        self, *, key_locking: KeyLocking | None = None, publish_in_scripts: PublishInScripts | None = None
    ) -> None:
        """Change what the database accepts in scripts, from the next command on."""
        self.scripts.key_locking = key_locking or self.scripts.key_locking
        self.scripts.publish_in_scripts = publish_in_scripts or self.scripts.publish_in_scripts

    async def release(self) -> int:
        """Run what faults with `run="held"` held back, in order; the number of requests."""
        return await self._app.release()

    async def wait_upstreams(self, number: int, *, alarm: float = 30.0) -> None:
        """Return when exactly `number` subscriptions are open and acknowledged; Alarm after `alarm` s."""
        await auntil(lambda: len(self.upstreams) == number, f"{number} open upstreams", alarm=alarm)

    async def caught_up(self) -> bool:
        """Has the replica seen all that the primary has done up to now?"""
        assert self._replica is not None, "started without replica=True"
        return await self._replica.caught_up()

    async def wait_replica(self, *, alarm: float = 30.0) -> None:
        """Return when the replica has seen all that the primary did; Alarm after `alarm` s."""
        await auntil(self.caught_up, "the replica catches up", alarm=alarm)

    def _end_connection(self, scope: Scope, how: How) -> None:
        self._listener.end_connection(scope, how)
