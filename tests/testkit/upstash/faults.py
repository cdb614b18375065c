"""Faults on request. Each counts its hits, and one that never fired fails the test that armed it."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final, Literal

from tests.testkit.upstash.request import Argv, command_name

if TYPE_CHECKING:
    from collections.abc import Callable

Kind = Literal[
    "delay",  # every request takes lo_ms..hi_ms longer, part of it before the commands run, part after
    "drop_reply",  # the connection ends without a byte of an answer
    "hang",  # the connection stays open without a byte of an answer
    "unauthorized",  # 401
    "rate_limited",  # 429, nothing run
    "server_error",  # 500 with a JSON error
    "html",  # 502 with a page
    "refuse_subscribe",  # /subscribe and /psubscribe answered with `status`
    "cut_at_open",  # an upstream ends right after its acknowledgement
    "freeze_at_open",  # an upstream is silent for ever after its acknowledgement
    "cut",  # an upstream ends instead of sending the notice that is due
    "freeze",  # an upstream is silent for ever, beginning with the notice that is due
    "notice_drop",
    "notice_duplicate",
    "notice_reorder",  # the notice comes after the next one, or after hold_ms if there is none
    "notice_delay",  # the notice comes lo_ms..hi_ms late; order is kept
    "lag",  # a read is answered by a replica that is lo_ms..hi_ms behind (needs UpstashEmulator(replica=True))
]
Run = Literal["first", "never", "late", "held"]
"""When the commands of a faulty request run: before the fault shows, not at all, lo_ms..hi_ms after it,
or when the test calls `release()`."""
How = Literal["close", "reset"]
"""How a connection ends: FIN, or RST."""

_DICE: Final[dict[str, Any]] = {"lo_ms": 0.0, "hi_ms": 0.0}
_OPTIONS: Final[dict[str, dict[str, Any]]] = {
    "delay": _DICE,
    "drop_reply": {"run": "first", "how": "close", **_DICE},
    "hang": {"run": "first", **_DICE},
    "unauthorized": {},
    # 400 is what "HTTP Codes" says of a rejected command, 429 what clients have logged.
    "rate_limited": {"status": 429},
    "server_error": {"run": "never", **_DICE},
    "html": {"run": "never", **_DICE},
    "refuse_subscribe": {"status": 400},
    "cut_at_open": {"how": "close"},
    "freeze_at_open": {},
    "cut": {"how": "close"},
    "freeze": {},
    "notice_drop": {},
    "notice_duplicate": {},
    "notice_reorder": {"hold_ms": 500.0},
    "notice_delay": _DICE,
    "lag": _DICE,
}


@dataclass(frozen=True)
class Seen:
    """What a fault may look at: a request's path, percent-decoded, and its commands. A notice has the path
    of its upstream and one command, `(b"MESSAGE", channel, payload)`."""

    path: str
    commands: tuple[Argv, ...]


class Armed:
    """One armed fault: `hits` says how often it fired."""

    def __init__(
        self,
        kind: Kind,
        dice: random.Random,
        times: int | None,
        probability: float,
        match: Callable[[Seen], bool],
        may_miss: bool,
        options: dict[str, Any],
    ) -> None:
        self.kind = kind
        self.hits = 0
        self.may_miss = may_miss
        self.options = options
        self._dice, self._times, self._probability, self._match = dice, times, probability, match

    def draws(self, seen: Seen) -> bool:
        """Is it this one's turn? The draws of one fault depend on its own seed and order only."""
        if self._times is not None and self.hits >= self._times:
            return False
        return self._match(seen) and self._dice.random() < self._probability

    def seconds(self) -> float:
        """A uniform draw between lo_ms and hi_ms."""
        return self._dice.uniform(self.options["lo_ms"], self.options["hi_ms"]) / 1000

    def share(self) -> float:
        """A uniform draw between 0 and 1."""
        return self._dice.random()


@dataclass
class Faults:
    """The faults of one emulator. `hits` counts by kind and outlives disarming."""

    seed: int = 0
    has_replica: bool = False
    hits: Counter[str] = field(default_factory=Counter)
    on_change: Callable[[], None] = lambda: None
    _armed: list[Armed] = field(default_factory=list)
    _ever: list[Armed] = field(default_factory=list)

    def arm(
        self,
        kind: Kind,
        *,
        times: int | None = None,
        probability: float = 1.0,
        match: str | Callable[[Seen], bool] | None = None,
        may_miss: bool = False,
        **options: Any,
    ) -> Armed:
        """Arm a fault: for `times` hits or until disarmed, each with `probability`, where `match` says so.

        `match`: a glob, on the path if it begins with `/`, else on the names of the request's commands; or
        a function of `Seen`. Options by kind, with their defaults,
        stand in `_OPTIONS`; TypeError for any other. `may_miss`: zero hits do not fail the test.
        """
        defaults = _OPTIONS[kind]
        if unknown := options.keys() - defaults.keys():
            raise TypeError(f"{kind} has no option {', '.join(sorted(unknown))}")
        if kind == "lag" and not self.has_replica:
            raise ValueError("lag needs UpstashEmulator(..., replica=True)")
        dice = random.Random(f"{self.seed} {len(self._ever)}")
        chosen = _spread(defaults | options)
        armed = Armed(kind, dice, times, probability, _matcher(match), may_miss, chosen)
        self._armed.append(armed)
        self._ever.append(armed)
        self.on_change()
        return armed

    def disarm(self, which: Armed | Kind | None = None) -> None:
        """Disarm one fault, all of a kind, or all. What is held back already stays held back."""
        self._armed = [a for a in self._armed if which is not None and which not in (a, a.kind)]
        self.on_change()

    def fire(self, kind: Kind, seen: Seen) -> Armed | None:
        """The first armed fault of this kind whose turn it is, counted as a hit; None if there is none."""
        armed = self.turn(kind, seen)
        if armed is not None:
            self.hit(armed)
        return armed

    def turn(self, kind: Kind, seen: Seen) -> Armed | None:
        """As `fire`, but it is the caller who knows whether it became a hit, and counts it."""
        return next((armed for armed in self._armed if armed.kind == kind and armed.draws(seen)), None)

    def hit(self, armed: Armed) -> None:
        """Count a hit of `armed`."""
        armed.hits += 1
        self.hits[armed.kind] += 1

    def armed(self, kind: Kind) -> list[Armed]:
        """Those of a kind that are armed now."""
        return [armed for armed in self._armed if armed.kind == kind]

    def missed(self) -> list[str]:
        """Kinds of faults armed at any time that never fired and had to."""
        return [armed.kind for armed in self._ever if not armed.hits and not armed.may_miss]


def _spread(options: dict[str, Any]) -> dict[str, Any]:
    # A single number given as lo_ms alone means exactly that.
    if "hi_ms" in options:
        options["hi_ms"] = max(options["hi_ms"], options["lo_ms"])
    return options


def _matcher(match: str | Callable[[Seen], bool] | None) -> Callable[[Seen], bool]:
    if match is None:
        return lambda _: True
    if callable(match):
        return match
    glob = match
    if glob.startswith("/"):
        return lambda seen: fnmatchcase(seen.path, glob)
    return lambda seen: any(fnmatchcase(command_name(argv), glob.upper()) for argv in seen.commands)
