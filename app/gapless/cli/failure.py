"""How a command ends that could not do what it was asked for."""

from __future__ import annotations

from gapless.log.errors import GaplessError


class Failed(GaplessError):
    """The message says why, and what to do. `exit_code`: 1, or 2 for wrong arguments."""

    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class PipeClosed(Failed):
    """Whoever read our output has gone, as `head` does when it has seen enough. There is nobody to tell."""

    def __init__(self) -> None:
        super().__init__("", 128 + 13)  # as if SIGPIPE had ended us: what other programs of a pipe do
