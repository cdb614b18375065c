"""A server that refuses the append in the middle of the script: nothing of the message may be left behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from gapless.log.errors import StoreUnavailable
from gapless.log.publication import Accepted
from gapless.stores.redis.store import RedisStore
from gapless.stores.scripts import Layout
from tests.stores.contract.publications import message, publication
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
