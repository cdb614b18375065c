"""Which namespace a channel is of. (docs/protocol.md, 8.1)"""

from __future__ import annotations

import pytest

from gapless.log.namespaces import Namespace, Namespaces

OTHER, RUN, NONE = (Namespace(cap, 60, 0, 1) for cap in (1, 2, 3))


@pytest.mark.parametrize(
    ("channel", "found"),
    [("run:42", RUN), ("run:a:b", RUN), ("general", NONE), ("run", NONE), ("runs:1", OTHER), ("Run:1", OTHER)],
)
def test_what_stands_before_the_first_colon(channel: str, found: Namespace) -> None:
    assert Namespaces(OTHER, {"run": RUN, "": NONE}).of(channel) is found


def test_what_is_not_listed_is_as_the_settings_say() -> None:
    kinds = Namespaces(OTHER, {"run": RUN})
    assert kinds.of("general") is OTHER
    assert kinds.every() == [OTHER, RUN]
