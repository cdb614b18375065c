"""Finds environment variables that can't be meant as they are: misspelt names, values in quotes. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

_PREFIX = "GAPLESS_"
_LIKE = 0.6
"""How much a name must be like a setting's to be taken for it, without what all of ours begin with: 1 is the same."""
_MUCH_LIKE = 0.85
"""For names that need not be ours at all: REDIS_URI, and not REDIS_TLS_URL."""


class Misspelt(NamedTuple):
    """A variable that is no setting. `nearest`: the setting that may be meant."""

    name: str
    nearest: str | None

    def __str__(self) -> str:
        """A sentence."""
        meant = f"; {self.nearest} may be meant" if self.nearest else ""
        return f"{ascii(self.name)[1:-1][:80]} is no setting, so it does nothing{meant}."


def misspelt(environ: Mapping[str, str], settings: Iterable[str]) -> list[Misspelt]:
    """What begins as our settings do, has a value, and is none of them. Case does not count: it is read so, too."""
    names = frozenset(settings)
    strange = sorted(n for n, value in environ.items() if value and _ours(n) and n.upper() not in names)
    ends = {name.removeprefix(_PREFIX): name for name in names if name.startswith(_PREFIX)}
    return [Misspelt(name, _nearest(name.upper().removeprefix(_PREFIX), ends, _LIKE)) for name in strange]


def misspelt_store(environ: Mapping[str, str], stores: Iterable[str]) -> list[Misspelt]:
    """What is much like one of the variables that name a store, where none of these is there."""
    names = {name: name for name in stores}
    if any(environ.get(name) for name in names):
        return []
    found = [Misspelt(name, _nearest(name.upper(), names, _MUCH_LIKE)) for name in sorted(environ) if environ[name]]
    return [one for one in found if one.nearest]


def surrounded(environ: Mapping[str, str], names: Iterable[str]) -> list[str]:
    """A sentence for each variable whose value has quotes or blanks around it, which is hardly ever meant."""
    found = []
    for name in names:
        value = environ.get(name, "")
        if value != value.strip():
            found.append(f"{name} begins or ends with a blank or a new line, which counts as part of it.")
        elif len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
            found.append(f"{name} stands in quotes, which count as part of it; leave them out.")
    return found


def blank(environ: Mapping[str, str], names: Iterable[str]) -> list[str]:
    """A sentence for each variable that is there without a value: what it was made of may have been missing."""
    return [f"{name} has no value, which counts as not set." for name in names if environ.get(name) == ""]


def _ours(name: str) -> bool:
    return name.upper().startswith(_PREFIX)


def _nearest(name: str, known: Mapping[str, str], like: float) -> str | None:
    """The setting whose name, a key of `known`, is most like this one; None where none is."""
    import difflib  # noqa: PLC0415 - a cold start whose names are right pays nothing

    close = difflib.get_close_matches(name, known, 1, like)
    return known[close[0]] if close else None
