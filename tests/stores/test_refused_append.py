"""A server that refuses a command in the middle of the script: what was written by then is never denied."""

from __future__ import annotations

from pathlib import Path

import pytest

from gapless.log.errors import StoreUnavailable
from gapless.log.publication import Accepted, Rate
from gapless.stores.redis.store import RedisStore
from gapless.stores.scripts import Layout
from tests.stores.contract.publications import NOW, message, publication
from tests.testkit.valkey import start_valkey


async def test_a_key_is_not_remembered_for_a_message_that_was_not_appended(tmp_path: Path) -> None:
    """Else its repetition would be answered with an id that nobody ever had."""

    def layout(database: int) -> Layout:
        return Layout("gapless", database, 20, 3600)

    with start_valkey(tmp_path, port=None) as valkey:
        valkey.cli("ACL", "SETUSER", "mute", "on", ">secret", "~*", "&*", "+@all", "-rpush")
        refused = RedisStore(valkey.tcp_url.replace("//", "//mute:secret@"), layout, page=50)
        allowed = RedisStore(valkey.tcp_url, layout, page=50)
        with pytest.raises(StoreUnavailable, match="may not run RPUSH"):
            await refused.publish(publication("c", message(1, "id")))
        assert valkey.cli("KEYS", "*") == []
        assert isinstance(await allowed.publish(publication("c", message(1, "id"))), Accepted)
        await refused.close()
        await allowed.close()


INSIDE = ("get", "set", "mget", "lindex", "rpush", "ltrim", "pexpire", "del", "publish")
"""What `publish.lua` runs."""
RATE = Rate("ann", 0.001, 1000)
MONTH = 30 * 86_400_000


@pytest.mark.parametrize("missing", INSIDE)
async def test_nothing_was_written_is_said_only_where_that_is_so(missing: str, tmp_path: Path) -> None:
    """A client that is told so sends again, and a message would be there twice."""

    def layout(database: int) -> Layout:
        return Layout("gapless", database, 20, 3600)

    publications = [
        publication("c"),
        publication("c", message(1, "id")),
        publication("c", message(1, "a"), message(2, "b")),
        publication("c", 1, rate=RATE),
        publication("c", *range(30), now=NOW + MONTH),
    ]
    with start_valkey(tmp_path, port=None) as valkey:
        allowed = RedisStore(valkey.tcp_url, layout, page=50)
        await allowed.publish(publication("c"))
        valkey.cli("ACL", "SETUSER", "mute", "on", ">secret", "~*", "&*", "+@all", f"-{missing}")
        refused, denied = RedisStore(valkey.tcp_url.replace("//", "//mute:secret@"), layout, page=50), 0
        for one in publications:
            before = valkey.cli("LRANGE", "gapless:{c}:log", 0, -1)
            try:
                await refused.publish(one)
            except StoreUnavailable as error:
                denied += 1
                same = valkey.cli("LRANGE", "gapless:{c}:log", 0, -1) == before
                assert error.outcome_unknown or same, one
                assert missing.upper() in error.detail
        assert denied or missing in ("del", "publish"), "it is needed"
        await refused.close()
        await allowed.close()
