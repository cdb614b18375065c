"""What one reader is told around the messages of one channel, and the laws for it. (docs/protocol.md, section 9)"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from gapless.log.cursor import parse_position
from gapless.log.receipts import Marks

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

seen: Counter[str] = Counter()
"""What has come, over all histories: so that nobody takes a test for strong in which nothing happened."""


class Around:
    """Fails where a signal comes twice, a mark goes down, or a change comes before the whole.

    `marks` and `users` are None as long as the present stream has not told the whole.
    """

    def __init__(self) -> None:
        self.marks: dict[str, Marks] | None = None
        self.users: set[str] | None = None
        self.story: list[str] = []
        self._signals: set[str] = set()

    def hello(self) -> None:
        """A new stream: perhaps of another process, which tells the whole."""
        self.story.append("hello")
        self.marks = self.users = None

    def heed(self, kind: str, told: Mapping[str, Any], *, lossy: bool) -> None:
        """An event of this name, if it is one of these. `lossy`: the store may have lost marks."""
        if kind not in {"signal", "receipt", "presence"}:
            return
        self.story.append(f"{kind} {told}")
        seen[kind] += 1
        if kind == "signal":
            assert told["nonce"] not in self._signals, self.explain("a signal came twice")
            self._signals.add(told["nonce"])
        elif kind == "receipt":
            self._receipts(told, lossy)
        else:
            self._presence(told)

    def _receipts(self, told: Mapping[str, Any], lossy: bool) -> None:
        found = {user: _marks(one) for user, one in told["receipts"].items()}
        held = {} if self.marks is None else self.marks
        assert told["whole"] or self.marks is not None, self.explain("what has risen came before the whole")
        for user, marks in held.items():
            now = found.get(user, None if told["whole"] else marks)
            up = now is not None and marks.raised(now) == now
            assert up or (told["whole"] and lossy), self.explain(f"{user} went down from {marks}")
        self.marks = found if told["whole"] else held | found

    def _presence(self, told: Mapping[str, Any]) -> None:
        if "users" in told:
            self.users = set(told["users"])
        else:
            assert self.users is not None, self.explain("who came and who went came before the whole")
            self.users = (self.users | set(told["joined"])) - set(told["left"])

    def at_rest(self, marks: Mapping[str, Marks], users: Collection[str]) -> bool:
        """It knows the marks that hold, and just these users."""
        return self.marks == marks and self.users == set(users)

    def judge(self, marks: Mapping[str, Marks], users: Collection[str]) -> None:
        """All is quiet: it is told what is so."""
        assert self.marks == marks, self.explain(f"the marks are {marks}, not {self.marks}")
        assert self.users == set(users), self.explain(f"there are {sorted(users)}, not {self.users}")

    def explain(self, what: str) -> str:
        """What this reader was told."""
        return "\n".join([what, *self.story[-20:]])


def _marks(told: Mapping[str, str | None]) -> Marks:
    return Marks(*(parse_position(told[name] or "") for name in ("delivered", "read")))
