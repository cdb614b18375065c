"""A channel's log as it lies in the store, read and rewritten behind the service's back. Knows only an entry's form."""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING, Any, NamedTuple

from redis import Redis

from tests.testkit.history import Logged, content_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.testkit.history import History
    from tests.testkit.valkey import Valkey

# Takes entries away from the end, or all of them, and appends others: one step, as a failover is one.
_REWRITE = """
if ARGV[1] == 'all' then redis.call('DEL', KEYS[1]) else
    for _ = 1, tonumber(ARGV[1]) do redis.call('RPOP', KEYS[1]) end
end
for i = 3, #ARGV do redis.call('RPUSH', KEYS[1], ARGV[i]) end
if ARGV[2] == '' or #ARGV < 3 then return -1 end
return redis.call('PUBLISH', ARGV[2], table.concat(ARGV, '\\t', 3))
"""


class Raw(NamedTuple):
    """An entry: `epoch seq mark prev time start` and one line of JSON."""

    epoch: str
    seq: int
    mark: str
    prev: str
    time: str
    start: int
    body: str

    @property
    def id(self) -> str:
        return f"{self.epoch}-{self.seq}-{self.mark}"

    @property
    def content(self) -> dict[str, Any]:
        """The members `event`, `user`, `data`, `localId`."""
        content: dict[str, Any] = json.loads(self.body)
        return content

    def next(self, data: Any) -> Raw:
        """What a primary that has this as its newest entry would append."""
        body = json.dumps({"event": "message", "user": "raw", "data": data, "localId": None}, separators=(",", ":"))
        before = self.start + len(str(self).encode()) if self.seq else 0
        return Raw(self.epoch, self.seq + 1, secrets.token_hex(2), self.mark, self.time, before, body)

    def __str__(self) -> str:
        return " ".join(str(part) for part in self)


class RawLog:
    """The list of one channel, in database 0 under the prefix that the service has by default."""

    def __init__(self, valkey: Valkey, channel: str) -> None:
        self.channel = channel
        self.key = f"gapless:{{{channel}}}:log"
        self._topic = f"gapless:0:{channel}"
        self._valkey = valkey

    def entries(self) -> list[Raw]:
        """All that is kept, oldest first."""
        found = []
        for line in self._valkey.cli("LRANGE", self.key, 0, -1):
            epoch, seq, mark, prev, time, start, body = line.split(" ", 6)
            found.append(Raw(epoch, int(seq), mark, prev, time, int(start), body))
        return found

    def tell(self, history: History) -> None:
        """Give the log to the history as the final one."""
        entries = self.entries()
        history.final_log(
            self.channel,
            [
                Logged(e.id, content_key(e.content["data"]), e.content["user"] or "", e.content["localId"])
                for e in entries
            ],
        )

    def rewrite(self, take: int | None, put: Sequence[Raw] = (), *, told: bool = False, silent: bool = False) -> int:
        """Take the newest `take` entries away (None: all) and append `put`, in one step.

        `told`: with the notice that a publish would have sent. `silent`: likewise, but every subscription is cut in the
        same step, so that nobody hears it. Returns how many heard; -1 where there was no notice.
        """
        args = ["all" if take is None else str(take), self._topic if told or silent else "", *map(str, put)]
        with Redis.from_url(self._valkey.url) as redis, redis.pipeline(transaction=True) as step:
            if silent:
                step.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
            step.eval(_REWRITE, 1, self.key, *args)
            heard: int = step.execute()[-1]
        return heard


def chain(before: Raw, *data: Any) -> list[Raw]:
    """Entries that follow `before`, one for each of `data`."""
    found: list[Raw] = []
    for one in data:
        before = before.next(one)
        found.append(before)
    return found


def start(epoch: str, time: str) -> Raw:
    """The place before an epoch's first message, from which `chain` may begin."""
    return Raw(epoch, 0, "0", "", time, 0, "")
