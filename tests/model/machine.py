"""The state machine: whatever may befall two channels and their readers, in any order hypothesis can think of."""

from __future__ import annotations

from tests.model.asides import Asides
from tests.model.mischief import Mischief
from tests.model.publishing import Publishing
from tests.model.reading import Reading


class Machine(Publishing, Reading, Asides, Mischief):
    """`place` is set by whoever runs it."""
