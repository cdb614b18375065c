"""The marks of one channel as this process knows them. Notices and reads only raise them; what the store has lost is
let go after a while. Pure: `now` is any clock's seconds.
"""

from __future__ import annotations

from collections.abc import Mapping

from gapless.log.receipts import MOST_USERS, Marks

SETTLED = 10.0
"""Seconds after which a mark that a read does not show is gone: before, the read may have been too early for it."""


class KnownMarks:
    """What notices and reads have told, and what of it the readers were not told yet."""

    def __init__(self) -> None:
        self.marks: dict[str, Marks] = {}
        self._risen_at: dict[str, float] = {}
        self._untold: dict[str, None] = {}

    def note(self, user: str, marks: Marks, now: float) -> None:
        """A notice tells of a user's marks; it may be late, or doubled."""
        held = self.marks.get(user)
        if held is None and len(self.marks) >= 2 * MOST_USERS:
            return
        raised = (held or Marks()).raised(marks)
        if raised != held:
            self.marks[user] = raised
            self._risen_at[user] = now
            self._untold[user] = None

    def replace(self, found: Mapping[str, Marks], now: float) -> bool:
        """What the store holds. Returns True where it has lost marks, so that the readers need the whole anew.

        A failover may leave a user with lower ones: all processes must come to know the same.
        """
        for user, marks in found.items():
            self.note(user, marks, now)
        settled = {user for user, risen_at in self._risen_at.items() if now - risen_at >= SETTLED}
        lost = [user for user in settled if self.marks[user] != found.get(user)]
        for user in lost:
            self._untold.pop(user, None)
            if user in found:
                self.marks[user] = found[user]
            else:
                del self.marks[user], self._risen_at[user]
        return bool(lost)

    def lacks(self, found: Mapping[str, Marks]) -> bool:
        """True where marks are known here that a read has not shown."""
        return bool(self.marks.keys() - found.keys())

    def untold(self) -> dict[str, Marks]:
        """What has risen since this was asked last."""
        risen, self._untold = self._untold, {}
        return {user: self.marks[user] for user in risen}
